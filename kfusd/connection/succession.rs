// SPDX-License-Identifier: GPL-2.0-only

//! From one driver to the next, under the open files of clients.
//!
//! A successor does not get devices: it gets the connection, by a seat of its own, with all that is
//! at it. What the driver before has in hand comes to an end first: only when its seat is empty does
//! the next one get anything, so no two ever serve at a time.

use kernel::{
    prelude::*,
    sync::{
        atomic::{Relaxed, Release},
        Arc,
    },
};

use super::delivery::Parcel;
use super::ending::find;
use super::head::Head;
use super::{Connection, Guard, Inner, Phase};
use crate::device::Device;
use crate::request::Request;
use crate::seat::Seat;
use crate::sys::{self, Ticks};
use crate::wire::{self, REGISTER_KEEP};
use crate::{error, registry};

mod hand;
mod throne;

use throne::Leaving;
pub(super) use throne::Throne;

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
        let before = inner.throne.clear_elders();
        self.cleared.store(before, Relaxed);
        drop(inner);
        self.forsake(|holder| holder != 0 && holder <= before);
        self.stir();
    }
}
