// SPDX-License-Identifier: GPL-2.0-only

//! From one driver to the next, under the open files of clients.
//!
//! A successor does not get devices: it gets the connection, by a seat of its own, with all that is
//! at it. What the driver before has in hand comes to an end first: only when its seat is empty does
//! the next one get anything, so no two ever serve at a time.
//!
//! A seat is *reigning* (the last that was taken), an *elder* (its driver finishes what it has), or
//! *cleared* (it took too long, and has lost that). Who reigns is *in charge* once there is no elder
//! and it has been told so.

use kernel::{
    prelude::*,
    sync::{
        atomic::{Relaxed, Release},
        Arc,
    },
};

use super::delivery::{Head, Parcel};
use super::ending::find;
use super::{Connection, Guard, Inner, Phase};
use crate::bytes::Bytes;
use crate::device::Device;
use crate::request::{Request, Stage};
use crate::seat::{Seat, FIRST};
use crate::sys::{self, Sleeper, Ticks};
use crate::wire::{self, REGISTER_AGAIN, REGISTER_KEEP};
use crate::{error, registry};

/// Which drivers there are at a connection.
pub(super) struct Throne {
    /// The seat whose driver gets requests; 0 for none.
    pub(super) charge: u64,
    /// The seat that was taken last; 0 once it is empty.
    reigning: u64,
    /// The highest number that was given.
    last: u64,
    /// Seats with somebody on them.
    seats: u32,
    /// How many of those are elders.
    elders: u32,
    /// Since when there have been any.
    elders_since: Option<Ticks>,
    /// Since when nobody has reigned.
    vacant_since: Option<Ticks>,
    /// Devices that wait for a driver.
    kept: u32,
}

/// What somebody leaves who leaves a seat.
enum Leaving {
    /// Nothing: the seat was never taken, or has been cleared.
    Nothing,
    /// What it has in hand.
    Hand,
    /// That, and the devices, which wait for a successor.
    Vacancy,
    /// That, and the devices: all ends.
    End,
}

/// What becomes of a request that its driver does not answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Back to the queue: its driver has not begun with it.
    Back,
    /// Back to the queue: its driver may have begun with it, and the device takes that.
    Again,
    /// It fails.
    Fail,
}

/// How long a device can still wait.
pub(crate) enum Patience {
    /// As long as it likes.
    Endless,
    /// Milliseconds.
    Left(u32),
    /// No longer, for a driver.
    NoDriver,
    /// No longer, for a driver to give way to its successor.
    NoWay,
}

impl Throne {
    /// Of a new connection: its first seat is taken.
    pub(super) fn new() -> Self {
        Self {
            charge: FIRST,
            reigning: FIRST,
            last: FIRST,
            seats: 1,
            elders: 0,
            elders_since: None,
            vacant_since: None,
            kept: 0,
        }
    }

    /// A device has come.
    pub(super) fn keeps(&mut self, device: &Device) {
        let kept = u32::from(device.has_flag(REGISTER_KEEP));
        self.kept = self.kept.saturating_add(kept);
    }

    /// A device has gone.
    pub(super) fn loses(&mut self, device: &Device) {
        let kept = u32::from(device.has_flag(REGISTER_KEEP));
        self.kept = self.kept.saturating_sub(kept);
    }

    /// Whether only one driver can be waiting for messages.
    pub(super) fn is_alone(&self) -> bool {
        self.seats <= 1
    }

    /// Takes a seat for a successor. Its number.
    fn take(&mut self) -> u64 {
        if self.reigning != 0 {
            self.elders = self.elders.saturating_add(1);
            self.elders_since.get_or_insert_with(Ticks::now);
        }
        self.last = self.last.wrapping_add(1);
        self.reigning = self.last;
        self.charge = 0;
        self.seats = self.seats.saturating_add(1);
        self.vacant_since = None;
        self.last
    }

    /// Somebody leaves seat `number`, which was taken.
    fn leave(&mut self, number: u64, cleared: u64) -> Leaving {
        self.seats = self.seats.saturating_sub(1);
        if number == self.reigning {
            self.reigning = 0;
            self.charge = 0;
            self.vacant_since = Some(Ticks::now());
            return match self.kept {
                0 => Leaving::End,
                _ => Leaving::Vacancy,
            };
        }
        if number <= cleared {
            return Leaving::Nothing;
        }
        self.elders = self.elders.saturating_sub(1);
        if self.elders == 0 {
            self.elders_since = None;
        }
        Leaving::Hand
    }

    /// Whether who reigns is to be told that it is in charge.
    fn is_due(&self, number: u64) -> bool {
        number == self.reigning && self.elders == 0
    }
}

impl Inner {
    /// Whether the driver on `seat` would get something by a read.
    fn has_message(&self, seat: &Seat, cleared: u64) -> bool {
        if !self.greeted || seat.is_nudged(self) {
            return true;
        }
        let number = seat.number();
        if number == self.throne.charge {
            return self.has_request();
        }
        if number == self.throne.reigning {
            return self.throne.is_due(number);
        }
        // An error is something to read, too.
        number <= cleared
            || !seat.state.access(self).told
            || self.own_interrupt(number).is_some()
            || self.own_copy(number).is_some()
    }

    /// The news of a signal, for a request that the driver on seat `number` has.
    fn own_interrupt(&self, number: u64) -> Option<(u64, Arc<Request>)> {
        find(&self.interrupts, 0, |request| {
            request.state.access(self).seat == number
        })
    }

    /// The news of a copy, likewise.
    fn own_copy(&self, number: u64) -> Option<(u64, Arc<Request>)> {
        find(&self.queue, 0, |request| {
            request.state.access(self).seat == number
        })
    }
}

impl Connection {
    /// Whether the driver on `seat` would get something by a read.
    pub(crate) fn has_message(&self, seat: &Seat) -> bool {
        let cleared = self.cleared.load(Relaxed);
        self.lock().has_message(seat, cleared)
    }

    /// The next message for a driver that is not in charge.
    pub(super) fn take_aside(
        &self,
        mut inner: Guard<'_>,
        seat: &Seat,
        room: usize,
        head: &mut Head,
    ) -> Option<Result<Parcel>> {
        let number = seat.number();
        if number == inner.throne.reigning {
            if !inner.throne.is_due(number) {
                return None;
            }
            let charge = self.charge(&inner);
            return Some(head.charge(&charge, room).map(|()| {
                inner.throne.charge = number;
                Parcel::Charge
            }));
        }
        if self.is_cleared(seat) {
            return Some(Err(error::estale()));
        }
        if !seat.state.access(&inner).told {
            return Some(head.succeeded(room).map(|()| {
                seat.state.access_mut(&mut inner).told = true;
                Parcel::Successor
            }));
        }
        // What is found here stays in its tree until it is taken below: no last reference is dropped
        // under the lock.
        if let Some((id, request)) = inner.own_interrupt(number) {
            return self.take_interrupt(&mut inner, id, request, room, head);
        }
        let (id, request) = inner.own_copy(number)?;
        self.take_request(&mut inner, number, id, request, room, head)
    }

    /// What a new driver is told.
    fn charge(&self, inner: &Inner) -> wire::Charge {
        let files = inner.files.values();
        let files = files.filter(|file| file.is_open() && inner.serves(file.device()));
        wire::Charge {
            features: self.features(),
            max_transfer: crate::limits::max_transfer(),
            devices: inner.device_count,
            // CAST: no more than all devices may have, which is below 2^37; what is more is said to
            // be this.
            files: u32::try_from(files.count()).unwrap_or(u32::MAX),
            reserved: 0,
            reserved_too: 0,
        }
    }

    /// The driver could not be told that it is in charge: it is next again.
    pub(super) fn uncharge(&self, seat: &Seat) {
        let mut inner = self.lock();
        if inner.throne.charge == seat.number() {
            inner.throne.charge = 0;
        }
    }

    /// Whether a driver on `seat` has lost what it had.
    pub(crate) fn is_cleared(&self, seat: &Seat) -> bool {
        seat.number() <= self.cleared.load(Relaxed)
    }

    /// # Errors
    /// `ESTALE`: the driver on `seat` took too long to give way to its successor.
    pub(crate) fn ensure_seated(&self, seat: &Seat) -> Result {
        match self.is_cleared(seat) {
            false => Ok(()),
            true => Err(error::estale()),
        }
    }

    /// The driver's process, in the initial pid namespace; 0 where there is none.
    pub(crate) fn driver(&self) -> u32 {
        self.driver.load(Relaxed)
    }

    /// Has the driver on `seat` succeed the one that has `device`. `features` are those that it has
    /// taken.
    ///
    /// # Errors
    /// `ENOENT`: the device is gone. `EINVAL`: it is not to be kept. `EOPNOTSUPP`: the driver before
    /// had taken a feature that this one has not. `EBUSY`: there is a driver, and no `replace`.
    pub(crate) fn succeed(
        &self,
        device: &Device,
        seat: &Seat,
        features: u64,
        replace: bool,
    ) -> Result {
        let mut inner = self.lock();
        if !inner.serves(device) {
            return Err(ENOENT);
        }
        if !device.has_flag(REGISTER_KEEP) {
            return Err(EINVAL);
        }
        if self.features() & !features != 0 {
            return Err(error::eopnotsupp());
        }
        if inner.throne.reigning != 0 && !replace {
            return Err(EBUSY);
        }
        seat.take(inner.throne.take());
        // The driver has had its greeting where it comes from.
        inner.greeted = true;
        self.add_features(features);
        self.crowded.store(!inner.throne.is_alone(), Relaxed);
        self.driver.store(sys::current_pid(), Relaxed);
        let waits = inner.throne.elders != 0;
        drop(inner);
        self.stir();
        registry::changed();
        if waits {
            sys::ring_now();
        }
        Ok(())
    }

    /// The driver on `seat` is the successor of the one that was there before.
    pub(crate) fn resume(&self, seat: &Seat) {
        let number = seat.number();
        let mut inner = self.lock();
        if inner.throne.charge == number {
            inner.throne.charge = 0;
        }
        self.driver.store(sys::current_pid(), Relaxed);
        drop(inner);
        self.servers.dismiss();
        self.forsake(|holder| holder == number);
        self.stir();
    }

    /// The control file of `seat` is closed.
    pub(crate) fn leave(&self, seat: &Seat) {
        let number = seat.number();
        if number == 0 {
            // It was made for a successor that did not come to be.
            return;
        }
        let mut inner = self.lock();
        let leaving = inner.throne.leave(number, self.cleared.load(Relaxed));
        self.crowded.store(!inner.throne.is_alone(), Relaxed);
        match leaving {
            Leaving::Nothing => return,
            Leaving::Hand => {}
            Leaving::Vacancy => self.driver.store(0, Relaxed),
            Leaving::End => inner.phase = Phase::Closed,
        }
        drop(inner);
        match leaving {
            Leaving::Nothing => {}
            Leaving::Hand => self.forsake(|holder| holder == number),
            Leaving::Vacancy => {
                self.servers.dismiss();
                self.forsake(|holder| holder == number);
                self.end_devices(|device| !device.has_flag(REGISTER_KEEP));
                sys::ring_now();
                registry::changed();
            }
            Leaving::End => {
                self.servers.close();
                self.fail(None);
                self.end_devices(|_| true);
                self.drop_rings();
            }
        }
        self.stir();
    }

    /// Has everybody look who waits for a message.
    fn stir(&self) {
        self.arrived.store(true, Release);
        self.arrivals.wake_all();
    }

    /// How long `device`, which is one of this connection, can still wait.
    pub(crate) fn patience(&self, device: &Device) -> Patience {
        let inner = self.lock();
        let limit = device.keep();
        if limit == 0 || !inner.serves(device) {
            return Patience::Endless;
        }
        let waited = |since: Option<Ticks>| since.map(Ticks::millis_ago);
        match waited(inner.throne.vacant_since) {
            Some(waited) if waited >= limit => return Patience::NoDriver,
            Some(waited) => return Patience::Left(limit.saturating_sub(waited)),
            None => {}
        }
        match waited(inner.throne.elders_since) {
            Some(waited) if waited >= limit => Patience::NoWay,
            Some(waited) => Patience::Left(limit.saturating_sub(waited)),
            None => Patience::Endless,
        }
    }

    /// Takes out a device that has waited for a driver for too long, if there is still none.
    pub(crate) fn remove_vacant(&self, device: &Device) -> Option<Arc<Device>> {
        let mut inner = self.lock();
        match inner.throne.reigning {
            0 => inner.remove_device(device.number()),
            _ => None,
        }
    }

    /// Elders have taken too long: they lose what they have in hand.
    pub(crate) fn clear_elders(&self) {
        let mut inner = self.lock();
        let throne = &mut inner.throne;
        throne.elders = 0;
        throne.elders_since = None;
        // Seats are counted as they are taken: who reigns has the last number.
        let before = match throne.reigning {
            0 => throne.last,
            reigning => reigning.wrapping_sub(1),
        };
        self.cleared.store(before, Relaxed);
        drop(inner);
        self.forsake(|holder| holder != 0 && holder <= before);
        self.stir();
    }

    /// What drivers on the seats that `gone` says have in hand goes back, or fails.
    fn forsake(&self, gone: impl Fn(u64) -> bool) {
        let is_theirs = |inner: &Inner, request: &Request| gone(request.state.access(inner).seat);
        let mut next = 0;
        loop {
            let inner = self.lock();
            let Some((id, request)) = find(&inner.sent, next, |request| is_theirs(&inner, request))
            else {
                break;
            };
            next = id.wrapping_add(1);
            let fate = Fate::of(request.handle.device());
            self.take_from_driver(inner, id, &request, fate);
        }
        // The news of a copy is in the queue, and of no use to anybody else.
        next = 0;
        loop {
            let inner = self.lock();
            let Some((id, request)) =
                find(&inner.queue, next, |request| is_theirs(&inner, request))
            else {
                break;
            };
            next = id.wrapping_add(1);
            let fate = Fate::of(request.handle.device());
            self.take_from_driver(inner, id, &request, fate);
        }
        // So is that of the signal of a client that has gone.
        next = 0;
        loop {
            let mut inner = self.lock();
            let Some((id, request)) = find(&inner.interrupts, next, |request| {
                is_theirs(&inner, request)
            }) else {
                break;
            };
            next = id.wrapping_add(1);
            let node = inner.interrupts.remove_node(&id);
            drop(inner);
            drop((node, request));
        }
    }

    /// Gives request `id` back for the driver on seat `seat`, which has not begun with it.
    ///
    /// # Errors
    /// `ENOENT`: that driver has no such request. `EBUSY`: as of an answer. `EINVAL`: its device is
    /// not to be kept.
    pub(crate) fn give_back(&self, seat: u64, id: u64) -> Result {
        let inner = self.lock();
        let request = inner.sent.get(&id).cloned().ok_or(ENOENT)?;
        let state = request.state.access(&inner);
        if state.seat != seat {
            return Err(ENOENT);
        }
        if state.stage != Stage::Delivered || state.sending {
            return Err(EBUSY);
        }
        if !request.handle.device().has_flag(REGISTER_KEEP) {
            return Err(EINVAL);
        }
        self.take_from_driver(inner, id, &request, Fate::Back);
        self.announce();
        Ok(())
    }

    /// Takes request `id` from the driver that has it. What another thread is just giving to it, or
    /// answering, stays: that driver lives.
    fn take_from_driver(&self, mut inner: Guard<'_>, id: u64, request: &Arc<Request>, fate: Fate) {
        let state = request.state.access_mut(&mut inner);
        if state.sending || state.stage == Stage::Answering {
            return;
        }
        let job = state.job.take();
        // What a copy has fetched goes with it; what the request came with is still needed.
        let data = match state.copied.take() {
            Some(_) => core::mem::take(&mut state.data),
            None => Bytes::Empty,
        };
        let mut client = None;
        if fate == Fate::Fail || state.told {
            // A signal has come: the call begins anew if its caller wants that.
            let error = match fate {
                Fate::Fail => EPIPE,
                Fate::Again | Fate::Back => ERESTARTSYS,
            };
            state.stage = Stage::Done;
            state.end = Some(Err(error));
            client = request.call_attention(state);
        } else {
            state.stage = Stage::Queued;
            state.seat = 0;
            // A signal may take it back again: of what comes again, that is no more than is said.
            state.begun = false;
            state.again |= fate == Fate::Again;
        }
        let is_queued = state.stage == Stage::Queued;
        let interrupt = inner.interrupts.remove_node(&id);
        let node = match is_queued {
            true => {
                // What is in the queue already stays there.
                if let Some(node) = inner.sent.remove_node(&id) {
                    inner.queue.insert(node);
                }
                None
            }
            false => match inner.sent.remove_node(&id) {
                Some(node) => Some(node),
                None => inner.queue.remove_node(&id),
            },
        };
        drop(inner);
        drop((job, data, interrupt, node));
        client.inspect(Sleeper::wake);
    }
}

impl Fate {
    /// Of what a driver of `device` leaves.
    fn of(device: &Device) -> Self {
        match device.has_flag(REGISTER_AGAIN) {
            true => Self::Again,
            false => Self::Fail,
        }
    }
}
