// SPDX-License-Identifier: GPL-2.0-only

//! What is different in Linux 7.2 from later kernels.

/// This module, as the owner of its files.
pub(crate) const fn owner() -> *mut kernel::bindings::module {
    crate::THIS_MODULE.as_ptr()
}
