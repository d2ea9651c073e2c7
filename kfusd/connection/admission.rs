// SPDX-License-Identifier: GPL-2.0-only

//! The limits at work: a call waits for its place before it takes memory.

use kernel::{
    prelude::*,
    sync::{Arc, ArcBorrow, UniqueArc},
};

use super::{Caps, Connection, Inner};
use crate::deadlock::Waiting;
use crate::handle::Handle;
use crate::request::{Ask, Outcome, Request, Slot, Spare, Start};
use crate::sys::Mode;

/// A request's place within the limits, taken before memory is, given back when the call is over.
/// With it come, and go back, what the call before has left for the next one.
pub(crate) struct Admission<'a> {
    handle: ArcBorrow<'a, Handle>,
    bytes: u64,
    request: Option<Pin<UniqueArc<Request>>>,
    slot: Option<Slot>,
    start: Start,
    waiting: Waiting,
}

/// What a request of `bytes` bytes counts as: with itself.
fn weight(bytes: u64) -> u64 {
    // CAST: widens.
    bytes.saturating_add(core::mem::size_of::<Request>() as u64)
}

impl Inner {
    /// Whether one more request of `handle`, of this weight, may come.
    fn admits(&self, caps: &Caps, handle: &Handle, weight: u64) -> bool {
        let device = &handle.device().state.access(self).load;
        self.load.admits(caps.connection, weight)
            && device.admits(caps.device, weight)
            && handle.load.access(self).admits(caps.file, weight)
    }

    /// Counts it in.
    fn let_in(&mut self, handle: &Handle, weight: u64) {
        self.load.add(weight);
        handle.device().state.access_mut(self).load.add(weight);
        handle.load.access_mut(self).add(weight);
    }

    /// Counts it out. Returns whether somebody waits for that.
    fn let_out(&mut self, handle: &Handle, weight: u64) -> bool {
        self.load.remove(weight);
        handle.device().state.access_mut(self).load.remove(weight);
        handle.load.access_mut(self).remove(weight);
        self.waiting != 0
    }
}

/// Makes a small call ([`Ask::is_small`]) with what the call before has left on the file. That is the
/// usual case, and takes the lock twice: to get in and be queued, and to see the end and get out.
/// `None`: there is nothing left, or more is to be thought of; `ask` is as it was.
#[inline(always)]
pub(crate) fn at_once(handle: ArcBorrow<'_, Handle>, ask: &mut Ask) -> Option<Result<Outcome>> {
    if !ask.is_small() || Waiting::is_needed() {
        return None;
    }
    let device = handle.device();
    let connection = device.connection();
    let weight = weight(ask.bytes());
    let caller = connection.viewer().caller();
    let mut inner = connection.lock();
    if !inner.serves(device) || !inner.admits(&connection.caps, &handle, weight) {
        return None;
    }
    let Spare { request, slot } = handle.spare.access_mut(&mut inner).take()?;
    inner.let_in(&handle, weight);
    let request = Request::again(request, ask, caller);
    request.state.access_mut(&mut inner).begin_small(ask);
    inner.push(request.clone(), slot);
    drop(inner);
    connection.announce();

    let mut inner = match request.wait(connection) {
        Ok(inner) => inner,
        Err(error) => {
            let mut inner = connection.lock();
            let waiting = inner.let_out(&handle, weight);
            drop(inner);
            connection.make_room(waiting);
            return Some(Err(error));
        }
    };
    let waiting = inner.let_out(&handle, weight);
    let state = request.state.access_mut(&mut inner);
    let outcome = state.small_outcome();
    let Some(slot) = state.slot.take() else {
        // Not answered, but ended with its device.
        drop(inner);
        connection.make_room(waiting);
        return Some(outcome);
    };
    // It has no memory of its own, also where it has failed; nor has a place alone, which is let go
    // where the driver's thread still holds the request.
    let spare = Arc::into_unique_or_drop(request).map(|request| (request, slot));
    let place = handle.spare.access_mut(&mut inner);
    let rest = match spare {
        Some((request, slot)) if place.is_none() => {
            *place = Some(Spare { request, slot });
            None
        }
        rest => rest,
    };
    drop(inner);
    drop(rest);
    connection.make_room(waiting);
    Some(outcome)
}

impl Connection {
    /// Something has ended: if somebody waits for that, they look.
    fn make_room(&self, waiting: bool) {
        if waiting {
            self.room.wake_all();
        }
    }
}

impl<'a> Admission<'a> {
    /// Waits for a place for a request on `handle` that moves `bytes` bytes.
    ///
    /// # Errors
    /// `EDEADLK`: the driver would be waiting for itself. `EPIPE`: the device is gone. `ERESTARTSYS`: a
    /// signal. `ENOMEM`.
    pub(crate) fn new(handle: ArcBorrow<'a, Handle>, bytes: u64) -> Result<Self> {
        let bytes = weight(bytes);
        let waiting = Waiting::begin(handle.device())?;
        let connection = handle.device().connection();
        let admit = |first: bool| {
            let mut inner = connection.lock();
            if !inner.serves(handle.device()) {
                return Some(Err(EPIPE));
            }
            if !inner.admits(&connection.caps, &handle, bytes) {
                if first {
                    inner.waiting = inner.waiting.saturating_add(1);
                }
                return None;
            }
            inner.let_in(&handle, bytes);
            Some(Ok(handle.spare.access_mut(&mut inner).take()))
        };
        let result = match admit(true) {
            Some(result) => result,
            None => {
                let result = connection.room.wait(Mode::Interruptible, || admit(false));
                let mut inner = connection.lock();
                inner.waiting = inner.waiting.saturating_sub(1);
                result.unwrap_or(Err(ERESTARTSYS))
            }
        };
        result.map(|spare| {
            let (request, slot) = spare.map(|it| (it.request, it.slot)).unzip();
            Self {
                handle,
                bytes,
                request,
                slot,
                start: Start::default(),
                waiting,
            }
        })
    }

    /// Makes a request.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub(crate) fn request(&mut self, mut ask: Ask) -> Result<Arc<Request>> {
        self.start.prepare(&mut ask)?;
        let caller = self.handle.device().connection().viewer().caller();
        let request = match self.request.take() {
            Some(spare) => Request::again(spare, &ask, caller),
            None => Request::new(self.handle, &ask)?,
        };
        self.waiting.on(&request);
        Ok(request)
    }

    /// What the request that was made is to be queued with.
    pub(crate) fn start(&mut self) -> &mut Start {
        &mut self.start
    }

    /// A place in the queue.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub(crate) fn slot(&mut self) -> Result<Slot> {
        match self.slot.take() {
            Some(slot) => Ok(slot),
            None => Slot::new(GFP_KERNEL_ACCOUNT),
        }
    }

    /// Waits for the answer, and keeps the request for the next call if it has ended well and
    /// nobody else has it.
    ///
    /// # Errors
    /// Those of the call.
    pub(crate) fn wait(&mut self, request: Arc<Request>) -> Result<Outcome> {
        let mut inner = request.wait(self.handle.device().connection())?;
        let state = request.state.access_mut(&mut inner);
        let outcome = state.outcome();
        let slot = state.slot.take();
        drop(inner);
        if outcome.is_ok() {
            self.request = Arc::into_unique_or_drop(request);
            self.slot = slot;
        }
        outcome
    }
}

impl Drop for Admission<'_> {
    fn drop(&mut self) {
        let connection = self.handle.device().connection();
        let spare = match (self.request.take(), self.slot.take()) {
            (Some(request), Some(slot)) => Some(Spare { request, slot }),
            _ => None,
        };
        let mut inner = connection.lock();
        let waiting = inner.let_out(&self.handle, self.bytes);
        let before = match spare {
            Some(_) => core::mem::replace(self.handle.spare.access_mut(&mut inner), spare),
            None => None,
        };
        drop(inner);
        drop(before);
        connection.make_room(waiting);
    }
}
