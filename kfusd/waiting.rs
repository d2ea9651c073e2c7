// SPDX-License-Identifier: GPL-2.0-only

//! Devices that wait for a driver: for how long they do is kept here, and that none is left when the
//! module goes.

use kernel::{sync::Arc, time::Delta};

use crate::connection::Patience;
use crate::device::Device;
use crate::registry::{self, Due};
use crate::sys::{self, Ring};

/// Rings when a device may have waited for too long.
pub(crate) struct Waiting;

impl Ring for Waiting {
    fn ring() {
        loop {
            match registry::due() {
                Due::Now(device, Patience::NoDriver) => end(&device),
                Due::Now(device, _) => device.connection().clear_elders(),
                Due::Later(millis) => return sys::ring_in(millis.saturating_add(1)),
                Due::Never => return,
            }
        }
    }
}

fn end(device: &Arc<Device>) {
    if let Some(device) = device.connection().remove_vacant(device) {
        device.end();
    }
}

/// Ends the devices that are left. The module goes: there is no driver any more.
pub(crate) fn end_all() {
    while let Some(device) = registry::any() {
        end(&device);
        // Who else ends one just now takes a moment.
        kernel::time::delay::fsleep(Delta::from_millis(1));
    }
}
