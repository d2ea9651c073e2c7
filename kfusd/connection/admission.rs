// SPDX-License-Identifier: GPL-2.0-only

//! The limits at work: a call waits for its place before it takes memory.

use kernel::prelude::*;

use crate::handle::Handle;
use crate::limits::Cap;
use crate::request::Request;
use crate::sys::Mode;

/// A request's place within the limits, taken before memory is, given back when the call is over.
pub(crate) struct Admission<'a> {
    handle: &'a Handle,
    bytes: u64,
}

impl<'a> Admission<'a> {
    /// Waits for a place for a request on `handle` that moves `bytes` bytes.
    ///
    /// # Errors
    /// `EPIPE`: the device is gone. `ERESTARTSYS`: a signal.
    pub(crate) fn new(handle: &'a Handle, bytes: u64) -> Result<Self> {
        // CAST: widens.
        let bytes = bytes.saturating_add(core::mem::size_of::<Request>() as u64);
        let connection = handle.device().connection();
        let admit = |first: bool| {
            let mut inner = connection.lock();
            if !inner.serves(handle.device()) {
                return Some(Err(EPIPE));
            }
            let free = inner.load.admits(Cap::of_connection(), bytes)
                && handle
                    .device()
                    .state
                    .access(&inner)
                    .load
                    .admits(Cap::of_device(), bytes)
                && handle.load.access(&inner).admits(Cap::of_file(), bytes);
            if !free {
                if first {
                    inner.waiting = inner.waiting.saturating_add(1);
                }
                return None;
            }
            inner.load.add(bytes);
            handle.device().state.access_mut(&mut inner).load.add(bytes);
            handle.load.access_mut(&mut inner).add(bytes);
            Some(Ok(()))
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
        result.map(|()| Self { handle, bytes })
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
        let waiting = inner.waiting != 0;
        drop(inner);
        if waiting {
            connection.room.wake_all();
        }
    }
}
