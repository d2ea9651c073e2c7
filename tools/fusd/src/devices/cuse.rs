//! Devices of CUSE: sysfs has them, but not who serves them.

use std::fs;
use std::path::{Path, PathBuf};

use fusd::BackendKind;

use super::processes::Processes;
use super::{All, Driver, Found, Process};

const CLASS: &str = "/sys/class/cuse";
/// What each driver has open.
const CONTROL: &str = "/dev/cuse";

pub(super) fn find() -> All {
    let entries = fs::read_dir(CLASS).into_iter().flatten().flatten();
    let found = entries
        // The class has an attribute or two of its own.
        .filter(|entry| entry.path().join("dev").exists())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .map(|name| Found {
            path: node(&name),
            backend: BackendKind::Cuse,
            driver: None,
            counters: None,
        });
    found.collect::<Vec<_>>().into_iter()
}

/// The node of the device that sysfs has as `name`.
fn node(name: &str) -> PathBuf {
    Path::new("/dev").join(name.replace('!', "/"))
}

/// The driver: who has CUSE open, and keeps hold of the node's name, as the library does. A driver that
/// is made without the library does not, and stays unknown.
pub(super) fn driver(path: &Path, processes: &Processes) -> Driver {
    let driver = processes
        .name_holders(path)
        .find(|pid| processes.has_open(*pid, Path::new(CONTROL)));
    match driver.and_then(Process::of) {
        Some(process) => Driver::Known(process),
        None => Driver::Unknown,
    }
}

#[test]
fn subdirectories_have_another_letter_in_sysfs() {
    assert_eq!(node("bus!port0"), Path::new("/dev/bus/port0"));
}
