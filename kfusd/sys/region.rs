// SPDX-License-Identifier: GPL-2.0-only

//! The device numbers of the module's nodes.

use kernel::{bindings, error::to_result, prelude::*};

use super::Table;

/// How many minor numbers there are: all that a major has (`MINORBITS`, 20).
pub(crate) const MINORS: u32 = 1 << 20;

/// A major number, held until this is dropped.
pub(crate) struct Region {
    first: bindings::dev_t,
}

impl Region {
    /// Takes a free major with all its minors.
    pub(crate) fn new() -> Result<Self> {
        let mut first = 0;
        // SAFETY: `first` is valid for the call and the name lives for ever.
        to_result(unsafe {
            bindings::alloc_chrdev_region(&mut first, 0, MINORS, c"fusd".as_char_ptr())
        })?;
        Ok(Self { first })
    }

    /// The major number.
    pub(crate) fn major(&self) -> u32 {
        self.first / MINORS
    }

    /// The number of minor `minor`, which is below [`MINORS`].
    pub(crate) fn number(&self, minor: u32) -> bindings::dev_t {
        self.first | (minor & (MINORS - 1))
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: it was allocated by `new`, with this size.
        unsafe { bindings::unregister_chrdev_region(self.first, MINORS) };
    }
}

/// What opens of a range of numbers lead to.
pub(super) struct Cdev(*mut bindings::cdev);

// SAFETY: a cdev belongs to no thread.
unsafe impl Send for Cdev {}

impl Cdev {
    /// Leads opens of device number `number` to `table`.
    ///
    /// The structure is the kernel's own (`cdev_alloc`): it may outlive this value, for as long as
    /// somebody has a node open.
    pub(super) fn new(number: bindings::dev_t, table: &'static Table) -> Result<Self> {
        // SAFETY: just an allocation.
        let cdev = unsafe { bindings::cdev_alloc() };
        if cdev.is_null() {
            return Err(ENOMEM);
        }
        // SAFETY: it is ours alone until it is added. The table is static and names this module
        // as its owner, whom an open file then keeps loaded (`cdev_get`).
        unsafe {
            (*cdev).owner = table.owner();
            (*cdev).ops = table.as_ptr();
        }
        // Not to be forgotten by any return: from here on, `drop` cleans up.
        let cdev = Self(cdev);
        // SAFETY: initialised above; the number is of a region that the caller holds.
        to_result(unsafe { bindings::cdev_add(cdev.0, number, 1) })?;
        Ok(cdev)
    }
}

impl Drop for Cdev {
    fn drop(&mut self) {
        // SAFETY: it came from `cdev_alloc`. `cdev_del` also ends one that could not be added:
        // it takes it out of the map if it is there and gives up the first reference.
        unsafe { bindings::cdev_del(self.0) };
    }
}
