// SPDX-License-Identifier: GPL-2.0-only

//! An eventfd(2) of a driver's, by which it is told of something.

use core::ptr::NonNull;

use kernel::{error::from_err_ptr, prelude::*};

extern "C" {
    // include/linux/eventfd.h, which the kernel crate has no bindings of.
    fn eventfd_ctx_fdget(descriptor: c_int) -> *mut c_void;
    fn eventfd_ctx_put(event: *mut c_void);
    fn eventfd_signal_mask(event: *mut c_void, mask: u32);
}

/// A reference to one.
pub(crate) struct Event(NonNull<c_void>);

// SAFETY: any thread may use a reference, and give it up; the kernel counts and locks by itself.
unsafe impl Send for Event {}
// SAFETY: as above.
unsafe impl Sync for Event {}

impl Event {
    /// That of a descriptor of the calling process.
    ///
    /// # Errors
    /// `EBADF`: there is none. `EINVAL`: it is of something else.
    pub(crate) fn of_descriptor(descriptor: u32) -> Result<Self> {
        let descriptor = c_int::try_from(descriptor).map_err(|_| EBADF)?;
        // SAFETY: a descriptor may have any number.
        let event = from_err_ptr(unsafe { eventfd_ctx_fdget(descriptor) })?;
        NonNull::new(event).map(Self).ok_or(EBADF)
    }

    /// Adds one to it, and wakes who waits for it. Does not sleep. Not to be called by what a wake-up calls.
    pub(crate) fn signal(&self) {
        // SAFETY: this value has a reference to it.
        unsafe { eventfd_signal_mask(self.0.as_ptr(), 0) };
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: the reference is this value's.
        unsafe { eventfd_ctx_put(self.0.as_ptr()) };
    }
}
