// SPDX-License-Identifier: GPL-2.0-only

//! What is different from Linux 7.3 on from earlier kernels.

/// This module, as the owner of its files.
pub(crate) const fn owner() -> *mut kernel::bindings::module {
    kernel::module::this_module::<crate::Kfusd>().as_ptr()
}
