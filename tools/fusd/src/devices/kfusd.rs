//! Devices of the kernel module: it tells of all of them.

use std::fs;
use std::path::Path;

use fusd::{BackendKind, inspect};

use super::processes::Processes;
use super::{All, Counters, Driver, Found, Process};

/// What each driver has open.
const CONTROL: &str = "/dev/fusd/control";

/// The initial pid namespace (include/linux/proc_ns.h, `PROC_PID_INIT_INO`).
const INITIAL: &str = "pid:[4026531836]";

pub(super) fn find() -> All {
    // Where the module is not loaded, it has no devices.
    let devices = inspect::kfusd_devices().unwrap_or_default();
    let found = devices.into_iter().map(|device| Found {
        path: Path::new("/dev").join(&device.name),
        backend: BackendKind::Kfusd,
        driver: Some(device.driver),
        counters: Some(Counters {
            files: device.files,
            waiting: device.waiting,
            served: device.served,
            bytes: device.bytes,
            oldest: device.oldest,
        }),
    });
    found.collect::<Vec<_>>().into_iter()
}

/// The driver, if the number that the module has for it means the same process here.
pub(super) fn driver(pid: Option<u32>, processes: &Processes) -> Driver {
    let known = pid.filter(|pid| {
        let is_initial =
            fs::read_link("/proc/self/ns/pid").is_ok_and(|link| link == Path::new(INITIAL));
        is_initial || processes.has_open(*pid, Path::new(CONTROL))
    });
    match known.and_then(Process::of) {
        Some(process) => Driver::Known(process),
        None => Driver::Unknown,
    }
}
