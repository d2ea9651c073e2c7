// SPDX-License-Identifier: GPL-2.0-only

//! Who wants `SIGIO` of a file (`O_ASYNC`, fcntl(2)).

use core::cell::UnsafeCell;

use kernel::{bindings, error::to_result, fs::File, prelude::*};

/// The list of a file's `struct fasync_struct`.
pub(crate) struct AsyncList(UnsafeCell<*mut bindings::fasync_struct>);

// SAFETY: the pointer is touched by `fasync_helper` and `kill_fasync` alone, which order
// themselves by `fasync_lock` and RCU (fs/fcntl.c).
unsafe impl Send for AsyncList {}
// SAFETY: as above.
unsafe impl Sync for AsyncList {}

impl AsyncList {
    /// An empty list.
    pub(crate) const fn new() -> Self {
        Self(UnsafeCell::new(core::ptr::null_mut()))
    }

    /// The file operation `fasync`. The VFS calls it with `on` false before it releases a file
    /// that was ever put on the list (`__fput`).
    pub(crate) fn update(&self, fd: c_int, file: &File, on: c_int) -> Result<c_int> {
        // SAFETY: the list is valid, and the file is being operated upon.
        let result = unsafe { bindings::fasync_helper(fd, file.as_ptr(), on, self.0.get()) };
        to_result(result)?;
        Ok(result)
    }

    /// Sends `SIGIO` for what has become possible: `events` as of poll(2).
    pub(crate) fn notify(&self, events: u32) {
        // CAST: small numbers all.
        const SIGIO: c_int = bindings::SIGIO as c_int;
        // POLLIN | POLLRDNORM, POLLOUT | POLLWRNORM.
        for (mask, band) in [(0x41, bindings::POLL_IN), (0x104, bindings::POLL_OUT)] {
            if events & mask != 0 {
                // SAFETY: the list is valid. `kill_fasync` looks itself whether it is empty.
                unsafe { bindings::kill_fasync(self.0.get(), SIGIO, band as c_int) };
            }
        }
    }
}
