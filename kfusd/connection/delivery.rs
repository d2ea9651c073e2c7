// SPDX-License-Identifier: GPL-2.0-only

//! The next message for a driver: one whole message per read, and nothing lost by a read that
//! fails. What a driver says is in `answer.rs`.

use kernel::{
    prelude::*,
    rbtree::RBTreeNode,
    sync::{
        atomic::{Acquire, Release},
        Arc,
    },
};

use super::head::{fits, Head};
use super::{Connection, Guard, Inner};
use crate::bytes::Bytes;
use crate::handle::Handle;
use crate::request::{Request, Stage};
use crate::seat::Seat;
use crate::sys::{Mode, Pages, Sleeper};
use crate::wire::{self, operation};

/// Where a message goes.
pub(crate) trait Output {
    /// Bytes of room.
    fn room(&self) -> usize;

    /// Writes `bytes` behind what was written before.
    ///
    /// # Errors
    /// `EFAULT`.
    fn put(&mut self, bytes: &[u8]) -> Result;

    /// Likewise, those in a client's memory.
    ///
    /// # Errors
    /// `EFAULT`. `ENOENT`: its call has ended meanwhile.
    fn put_pages(&mut self, pages: &Pages) -> Result;

    /// As if nothing had been written.
    fn rewind(&mut self);
}

/// Something taken out of the connection, to be sent or put back.
pub(super) enum Parcel {
    Greeting,
    Nudge,
    Successor,
    Charge,
    Interrupt {
        request: Arc<Request>,
        node: RBTreeNode<u64, Arc<Request>>,
    },
    Notice {
        request: Arc<Request>,
        node: RBTreeNode<u64, Arc<Request>>,
    },
    Request {
        id: u64,
        copied: Option<u32>,
        /// Whether the driver had seen it before.
        begun: bool,
        /// Whether the data are to come back: another driver may need them.
        keeps: bool,
    },
}

impl Request {
    /// The driver has this notice, or will never. The node is to be dropped unlocked.
    pub(crate) fn noticed(&self, inner: &mut Inner) -> Option<RBTreeNode<u64, Arc<Handle>>> {
        if self.operation == operation::RELEASE {
            return inner.forget(&self.handle);
        }
        *self.handle.last_flush.access_mut(inner) = false;
        None
    }
}

impl Connection {
    /// Waits for a message for the driver on `seat`, and writes it to `to`. Returns its length.
    ///
    /// # Errors
    /// `EAGAIN`: there is none, and `nonblocking`. `EMSGSIZE`: it is longer than the room.
    /// `EFAULT`. `ERESTARTSYS`: a signal. In all cases, the message stays to be read. `ESTALE`: the
    /// driver took too long to give way to its successor.
    pub(crate) fn receive(
        &self,
        seat: &Seat,
        to: &mut impl Output,
        nonblocking: bool,
    ) -> Result<usize> {
        loop {
            match self.receive_one(seat, to, nonblocking) {
                // Whose message it was has gone: no longer one for anybody.
                Err(error) if error == ENOENT => to.rewind(),
                result => return result,
            }
        }
    }

    /// Likewise, or fails with `ENOENT` if the client of what is next has gone before it was written.
    fn receive_one(&self, seat: &Seat, to: &mut impl Output, nonblocking: bool) -> Result<usize> {
        let at = self.serve();
        let room = to.room();
        let mut head = Head::new();
        let parcel = if nonblocking {
            let parcel = self.take_parcel(seat, room, &mut head);
            parcel.unwrap_or(Err(EAGAIN))
        } else {
            self.arrivals
                .wait(Mode::Interruptible, || {
                    // Mostly there is nothing when one looks first.
                    let arrived = self.arrived.load(Acquire);
                    arrived.then(|| self.take_parcel(seat, room, &mut head))?
                })
                .unwrap_or(Err(ERESTARTSYS))
        }
        .inspect_err(|error| {
            // Woken for a message that it cannot take, or for nothing: somebody else may.
            if *error == EMSGSIZE {
                self.announce();
            }
        })?;
        if let Parcel::Request { id, .. } = parcel {
            match at {
                Some(at) => at.work_on(id),
                None => drop(self.servers.work_on(id)),
            }
        }
        let sent = head.send(to);
        match (&sent, parcel) {
            (Ok(_), Parcel::Notice { request, .. }) => {
                let file = request.noticed(&mut self.lock());
                drop(file);
            }
            (
                Ok(_),
                Parcel::Request {
                    id, keeps: true, ..
                },
            ) => self.keep(id, head.data),
            (Ok(_), _) => {}
            (Err(_), parcel) => self.put_back(seat, parcel, head.data),
        }
        sent
    }

    /// Takes out what is next for `seat`, if it fits into `room` bytes, and makes its head.
    fn take_parcel(&self, seat: &Seat, room: usize, head: &mut Head) -> Option<Result<Parcel>> {
        let mut inner = self.lock();
        if !inner.greeted {
            return Some(fits(wire::Greeting::SIZE, 0, room).map(|()| {
                inner.greeted = true;
                head.greet();
                Parcel::Greeting
            }));
        }
        if seat.is_nudged(&inner) {
            return Some(fits(0, 0, room).map(|()| {
                seat.take_nudge(&mut inner);
                head.nudge();
                Parcel::Nudge
            }));
        }
        if seat.number() != inner.throne.charge {
            return self.take_aside(inner, seat, room, head);
        }
        if let Some(cursor) = inner.interrupts.cursor_front() {
            let (id, request) = cursor.current();
            let (id, request) = (*id, request.clone());
            return self.take_interrupt(&mut inner, id, request, room, head);
        }
        let Some(cursor) = inner.queue.cursor_front() else {
            self.nothing_left(&inner);
            return None;
        };
        let (id, request) = cursor.current();
        // The clone is not the last reference while the guard is held: the tree, or the parcel,
        // has one.
        let (id, request) = (*id, request.clone());
        self.take_request(&mut inner, seat.number(), id, request, room, head)
    }

    /// Nothing is left for the driver in charge. Where it is not alone, somebody else may have more.
    fn nothing_left(&self, inner: &Inner) {
        if inner.throne.is_alone() {
            self.arrived.store(false, Release);
        }
    }

    /// Takes out the news of the signal for request `id`.
    pub(super) fn take_interrupt(
        &self,
        inner: &mut Guard<'_>,
        id: u64,
        request: Arc<Request>,
        room: usize,
        head: &mut Head,
    ) -> Option<Result<Parcel>> {
        if let Err(error) = fits(0, 0, room) {
            return Some(Err(error));
        }
        let node = inner.interrupts.remove_node(&id)?;
        head.mention(&request, operation::INTERRUPT, id);
        Some(Ok(Parcel::Interrupt { request, node }))
    }

    /// Takes request `id` out of the queue, for the driver on seat `seat`.
    #[inline(always)]
    pub(super) fn take_request(
        &self,
        inner: &mut Guard<'_>,
        seat: u64,
        id: u64,
        request: Arc<Request>,
        room: usize,
        head: &mut Head,
    ) -> Option<Result<Parcel>> {
        let state = request.state.access_mut(inner);
        let fixed = match state.copied {
            Some(_) => wire::Copied::SIZE,
            None => request.body.len(),
        };
        if let Err(error) = fits(fixed, state.data.len(), room) {
            return Some(Err(error));
        }
        let node = inner.queue.remove_node(&id)?;
        if !inner.has_request() {
            self.nothing_left(inner);
        }
        if request.notice {
            head.mention(&request, request.operation, 0);
            return Some(Ok(Parcel::Notice { request, node }));
        }
        let state = request.state.access_mut(inner);
        let has_data = !state.data.is_empty();
        if has_data {
            head.data = core::mem::take(&mut state.data);
        }
        let copied = state.copied.take();
        let begun = core::mem::replace(&mut state.begun, true);
        state.stage = Stage::Delivered;
        state.seat = seat;
        let flags = if state.again { wire::REQUEST_AGAIN } else { 0 };
        let keeps =
            has_data && copied.is_none() && request.handle.device().has_flag(wire::REGISTER_KEEP);
        state.sending = keeps;
        head.tell(&request, id, copied, flags, head.data.len());
        inner.sent.insert(node);
        Some(Ok(Parcel::Request {
            id,
            copied,
            begun,
            keeps,
        }))
    }

    /// The driver has got request `id`, whose data stay with it.
    fn keep(&self, id: u64, data: Bytes) {
        let sent = self.lock().sent.get(&id).cloned();
        let Some(request) = sent else {
            // Answered, ended or given up meanwhile.
            return;
        };
        // The guard goes first in every way out, before the request and the data.
        let mut inner = self.lock();
        let state = request.state.access_mut(&mut inner);
        if state.id == id && core::mem::take(&mut state.sending) && state.is_with_driver() {
            state.data = data;
        }
    }

    /// After the driver on `seat` could not get it, with `data` behind: it is next again.
    #[cold]
    fn put_back(&self, seat: &Seat, parcel: Parcel, data: Bytes) {
        match parcel {
            Parcel::Greeting => self.lock().greeted = false,
            Parcel::Nudge => seat.add_nudge(&mut self.lock()),
            Parcel::Successor => seat.state.access_mut(&mut self.lock()).told = false,
            Parcel::Charge => self.uncharge(seat),
            Parcel::Interrupt { request, node } => {
                let mut inner = self.lock();
                // Another one for it cannot have come, for it is told once; an answer can.
                if request.state.access(&inner).stage != Stage::Done {
                    inner.interrupts.insert(node);
                }
            }
            Parcel::Notice { request, node } => {
                let mut inner = self.lock();
                if inner.serves(request.handle.device()) {
                    inner.queue.insert(node);
                } else {
                    // Its device was removed meanwhile: nothing more is heard of that.
                    let file = request.noticed(&mut inner);
                    drop(inner);
                    drop(file);
                }
            }
            Parcel::Request {
                id, copied, begun, ..
            } => self.requeue(id, data, copied, begun),
        }
        self.announce();
    }

    fn requeue(&self, id: u64, data: Bytes, copied: Option<u32>, begun: bool) {
        let sent = self.lock().sent.get(&id).cloned();
        let Some(request) = sent else {
            // Answered, ended or given up meanwhile.
            return;
        };
        // The guard goes first in every way out: what was made before it may sleep as it goes.
        let mut inner = self.lock();
        let state = request.state.access_mut(&mut inner);
        state.sending = false;
        if state.stage != Stage::Delivered {
            // Answered, ended or given up meanwhile.
            return;
        }
        if state.told && !begun {
            // A signal has come that could not take it back while it was out. It can now.
            state.stage = Stage::Done;
            state.end = Some(Err(ERESTARTSYS));
            let client = request.call_attention(state);
            let nodes = (
                inner.sent.remove_node(&id),
                inner.interrupts.remove_node(&id),
            );
            drop(inner);
            drop(nodes);
            client.inspect(Sleeper::wake);
            return;
        }
        state.stage = Stage::Queued;
        if !begun {
            state.seat = 0;
        }
        state.begun = begun;
        state.copied = copied;
        state.data = data;
        if let Some(node) = inner.sent.remove_node(&id) {
            inner.queue.insert(node);
        }
    }
}
