// SPDX-License-Identifier: GPL-2.0-only

//! What a driver says of a request it has: the answer, or which memory of the caller it needs. A
//! message that is refused changes nothing.

use kernel::{prelude::*, sync::Arc};

use super::{Connection, Guard};
use crate::bytes::{Bytes, FEW};
use crate::device::Device;
use crate::request::{Job, Request, Stage, State};
use crate::sys::Sleeper;
use crate::wire::{self, operation, Answer, Reply};

/// Where a message comes from.
pub(crate) trait Input {
    /// The next `length` bytes, where they have been read already.
    fn at_hand(&self, length: usize) -> Option<&[u8]>;

    /// Appends the next `length` bytes to `out`, which has room for them.
    ///
    /// # Errors
    /// `EFAULT`, with `out` as it may be.
    fn append(&mut self, out: &mut Bytes, length: usize) -> Result;
}

impl Request {
    /// Whether the driver may answer this, with `length` bytes of data.
    ///
    /// # Errors
    /// `EINVAL`.
    fn accepts(&self, reply: &Reply, length: usize) -> Result {
        // CAST: widens.
        if length > self.capacity as usize {
            return Err(EINVAL);
        }
        let limit = match self.operation {
            _ if reply.error != 0 => 0,
            operation::OPEN => u64::MAX,
            operation::WRITE => {
                let asked = wire::Transfer::from_bytes(self.body.padded());
                u64::from(asked.size)
            }
            operation::SEEK => i64::MAX.unsigned_abs(),
            operation::IOCTL => u64::from(i32::MAX.unsigned_abs()),
            _ => 0,
        };
        if reply.value > limit {
            return Err(EINVAL);
        }
        Ok(())
    }
}

/// How the call ends with this answer.
fn end(state: &State, reply: &Reply) -> Result<u64> {
    match crate::error::of_answer(reply.error) {
        // As for any slow device: a call that a signal has ended is made again where the signal's
        // handler was installed with SA_RESTART.
        Some(error) if error == EINTR && state.told => Err(ERESTARTSYS),
        Some(error) => Err(error),
        None => Ok(reply.value),
    }
}

impl Connection {
    /// The answer of the driver on seat `seat`, with its data to be read from `input`.
    ///
    /// # Errors
    /// `ENOENT`: that driver has no such request, or its client has gone. `EBUSY`: the driver has asked for a copy
    /// that is not yet done, or another thread answers just now. `EINVAL`: not an answer to this
    /// request. `EFAULT`.
    pub(crate) fn answer(&self, seat: u64, answer: &Answer, input: &mut impl Input) -> Result {
        let (reply, length) = (&answer.reply, answer.length);
        let events = answer.has_events.then_some(reply.events);
        let (request, mut landing) = {
            let mut inner = self.lock();
            let request = inner.sent.get(&answer.id).cloned().ok_or(ENOENT)?;
            let state = request.state.access_mut(&mut inner);
            if state.seat != seat {
                return Err(ENOENT);
            }
            if state.stage != Stage::Delivered {
                return Err(EBUSY);
            }
            request.accepts(reply, length)?;
            if let Some(bytes) = input.at_hand(length).filter(|bytes| bytes.len() <= FEW) {
                // The room is in place: nothing is allocated, and nothing of users touched.
                state.landing.extend(bytes)?;
                self.finish(inner, request, reply, events);
                return Ok(());
            }
            state.stage = Stage::Answering;
            let landing = core::mem::take(&mut state.landing);
            (request, landing)
        };
        let copied = input.append(&mut landing, length);
        if copied.is_err() {
            landing.clear();
        }
        let mut inner = self.lock();
        let state = request.state.access_mut(&mut inner);
        if state.stage != Stage::Answering {
            // Killed, or its device was removed. What was copied goes after the guard has.
            drop(inner);
            return Err(ENOENT);
        }
        // The room is where it was: what was left in its place is empty, and frees nothing.
        state.landing = landing;
        if let Err(error) = copied {
            state.stage = Stage::Delivered;
            return Err(error);
        }
        self.finish(inner, request, reply, events);
        Ok(())
    }

    /// Ends a request that the driver has.
    fn finish(
        &self,
        mut inner: Guard<'_>,
        request: Arc<Request>,
        reply: &Reply,
        events: Option<u32>,
    ) {
        let state = request.state.access_mut(&mut inner);
        // CAST: widens.
        let length = state.landing.len() as u64;
        state.end = Some(end(state, reply));
        state.stage = Stage::Done;
        let (id, told) = (state.id, state.told);
        // What was kept for a successor goes unlocked.
        let kept = (!state.data.is_empty()).then(|| core::mem::take(&mut state.data));
        let client = request.call_attention(state);
        if request.operation == operation::OPEN && reply.error == 0 {
            request.handle.opened(reply.value);
            request.handle.inherit(&mut inner);
        }
        let risen = events.map_or(0, |events| request.handle.store_events(events));
        if let Some(node) = inner.sent.remove_node(&id) {
            // The tree's reference to the request goes here: ours is another one. The place is for the
            // client's next call.
            request.state.access_mut(&mut inner).slot = Some(node.into_reservation());
        }
        let interrupt = if told {
            inner.interrupts.remove_node(&id)
        } else {
            None
        };
        drop(inner);
        drop((interrupt, kept));
        request.handle.announce(risen);
        let written = match request.operation {
            operation::WRITE => reply.value,
            _ => 0,
        };
        let device = request.handle.device();
        device.count(written.saturating_add(length));
        // Once it is awake, the client may use the request again, if it is the only one to hold it.
        drop(request);
        client.inspect(Sleeper::wake);
    }

    /// Whether `length` bytes of the caller of request `id` may be copied, as far as that can be
    /// said before there is any memory for them.
    ///
    /// # Errors
    /// As of [`Self::copy`], but for `EBUSY`.
    pub(crate) fn ensure_copyable(&self, seat: u64, id: u64, length: u32) -> Result {
        let inner = self.lock();
        let request = self.copyable(&inner, seat, id, length);
        // Perhaps the last reference by now: not to be dropped under the lock.
        drop(inner);
        request.map(drop)
    }

    /// The request `id`, of whose caller `length` bytes may be copied.
    fn copyable(&self, inner: &Guard<'_>, seat: u64, id: u64, length: u32) -> Result<Arc<Request>> {
        if !self.has(wire::FEATURE_COPY) {
            return Err(crate::error::eopnotsupp());
        }
        let request = inner.sent.get(&id).ok_or(ENOENT)?;
        if request.state.access(inner).seat != seat {
            return Err(ENOENT);
        }
        let device: &Device = request.handle.device();
        let raw = device.has_flag(wire::REGISTER_RAW_IOCTL);
        if request.operation != operation::IOCTL || !raw || length > device.max_transfer() {
            return Err(EINVAL);
        }
        Ok(request.clone())
    }

    /// The driver on seat `seat` wants memory of the caller of request `id` copied.
    ///
    /// # Errors
    /// `EOPNOTSUPP`: the feature was not taken. `ENOENT`: no such request. `EBUSY`: one copy is
    /// not done yet, or another thread answers just now. `EINVAL`: it is no ioctl, its device is
    /// not one of raw ioctls, or the length is over its limit.
    pub(crate) fn copy(&self, seat: u64, id: u64, job: Job) -> Result {
        let mut inner = self.lock();
        let request = self.copyable(&inner, seat, id, job.length)?;
        let state = request.state.access_mut(&mut inner);
        if state.stage != Stage::Delivered {
            return Err(EBUSY);
        }
        state.stage = Stage::Asked;
        state.job = Some(job);
        let client = request.call_attention(state);
        drop(inner);
        client.inspect(Sleeper::wake);
        Ok(())
    }

    /// The client of `request` has copied: the driver is told how it ended, with the bytes of a
    /// copy in.
    pub(crate) fn copied(&self, request: &Arc<Request>, error: u32, data: Bytes) {
        let mut inner = self.lock();
        let state = request.state.access_mut(&mut inner);
        if state.stage != Stage::Copying {
            // The device is gone, and the request with it.
            return;
        }
        let id = state.id;
        state.stage = Stage::Queued;
        state.copied = Some(error);
        // What was there has been delivered, and is empty.
        state.data = data;
        if let Some(node) = inner.sent.remove_node(&id) {
            inner.queue.insert(node);
        }
        drop(inner);
        self.announce();
    }
}
