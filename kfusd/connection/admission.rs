// SPDX-License-Identifier: GPL-2.0-only

//! The limits at work: a call waits for its place before it takes memory.

use kernel::{
    prelude::*,
    sync::{Arc, ArcBorrow},
};

use crate::deadlock::Waiting;
use crate::handle::Handle;
use crate::request::{Ask, Outcome, Request, Slot, Spare, Start};
use crate::sys::Mode;

/// A request's place within the limits, taken before memory is, given back when the call is over.
/// With it come, and go back, what the calls before have left for the next one.
pub(crate) struct Admission<'a> {
    handle: ArcBorrow<'a, Handle>,
    bytes: u64,
    request: Option<Spare>,
    slot: Option<Slot>,
    start: Start,
    waiting: Waiting,
}

impl<'a> Admission<'a> {
    /// Waits for a place for a request on `handle` that moves `bytes` bytes.
    ///
    /// # Errors
    /// `EDEADLK`: the driver would be waiting for itself. `EPIPE`: the device is gone. `ERESTARTSYS`: a
    /// signal. `ENOMEM`.
    pub(crate) fn new(handle: ArcBorrow<'a, Handle>, bytes: u64) -> Result<Self> {
        // CAST: widens.
        let bytes = bytes.saturating_add(core::mem::size_of::<Request>() as u64);
        let waiting = Waiting::begin(handle.device())?;
        let connection = handle.device().connection();
        let caps = &connection.caps;
        let admit = |first: bool| {
            let mut inner = connection.lock();
            if !inner.serves(handle.device()) {
                return Some(Err(EPIPE));
            }
            let free = inner.load.admits(caps.connection, bytes)
                && handle
                    .device()
                    .state
                    .access(&inner)
                    .load
                    .admits(caps.device, bytes)
                && handle.load.access(&inner).admits(caps.file, bytes);
            if !free {
                if first {
                    inner.waiting = inner.waiting.saturating_add(1);
                }
                return None;
            }
            inner.load.add(bytes);
            handle.device().state.access_mut(&mut inner).load.add(bytes);
            handle.load.access_mut(&mut inner).add(bytes);
            let request = handle.spare.access_mut(&mut inner).take();
            Some(Ok((request, inner.spare.take())))
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
        result.map(|(request, slot)| Self {
            handle,
            bytes,
            request,
            slot,
            start: Start::default(),
            waiting,
        })
    }

    /// Makes a request.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub(crate) fn request(&mut self, mut ask: Ask) -> Result<Arc<Request>> {
        self.start.prepare(&mut ask)?;
        let request = match self.request.take() {
            Some(spare) => Request::again(spare, &ask),
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
        let outcome = request.wait();
        if outcome.is_ok() {
            self.request = Arc::into_unique_or_drop(request);
        }
        outcome
    }
}

impl Drop for Admission<'_> {
    fn drop(&mut self) {
        let connection = self.handle.device().connection();
        let mut inner = connection.lock();
        inner.load.remove(self.bytes);
        let device = &mut self.handle.device().state.access_mut(&mut inner).load;
        device.remove(self.bytes);
        self.handle.load.access_mut(&mut inner).remove(self.bytes);
        // Of what there is already, one is enough: the other goes unlocked, with this value.
        if let request @ None = self.handle.spare.access_mut(&mut inner) {
            *request = self.request.take();
        }
        if inner.spare.is_none() {
            inner.spare = self.slot.take();
        }
        let waiting = inner.waiting != 0;
        drop(inner);
        if waiting {
            connection.room.wake_all();
        }
    }
}
