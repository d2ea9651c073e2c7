// SPDX-License-Identifier: GPL-2.0-only

//! The module's own nodes: misc devices. Their open must not wait, for all misc devices share one
//! lock (`misc_open`, drivers/char/misc.c).

use kernel::{bindings, error::to_result, prelude::*, types::Opaque};

use super::Table;

/// A misc device, registered for as long as this lives.
#[pin_data(PinnedDrop)]
pub(crate) struct MiscNode {
    #[pin]
    raw: Opaque<bindings::miscdevice>,
}

// SAFETY: a misc device belongs to no thread, and nothing here changes it after registration.
unsafe impl Send for MiscNode {}
// SAFETY: as above.
unsafe impl Sync for MiscNode {}

impl MiscNode {
    /// Makes the node /dev/`node`, `name` in sysfs, with `mode`.
    pub(crate) fn new(
        name: &'static CStr,
        node: &'static CStr,
        mode: u16,
        table: &'static Table,
    ) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            raw <- Opaque::try_ffi_init(move |slot: *mut bindings::miscdevice| {
                let device = bindings::miscdevice {
                    // CAST: 255.
                    minor: bindings::MISC_DYNAMIC_MINOR as c_int,
                    name: name.as_char_ptr(),
                    nodename: node.as_char_ptr(),
                    fops: table.as_ptr(),
                    mode,
                    ..pin_init::zeroed()
                };
                // SAFETY: the slot is there to be written.
                unsafe { slot.write(device) };
                // SAFETY: it is initialised, and pinned until `drop` has deregistered it.
                to_result(unsafe { bindings::misc_register(slot) })
            }),
        })
    }
}

#[pinned_drop]
impl PinnedDrop for MiscNode {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: this exists only if it was registered.
        unsafe { bindings::misc_deregister(self.raw.get()) };
    }
}
