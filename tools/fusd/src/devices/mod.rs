//! The devices of fusd on this machine, on all backends, and who serves and who uses them.
//!
//! What is seen is what this user may see, in this mount namespace: the mounts of FUSE (`fuse`), the
//! devices of CUSE in sysfs (`cuse`), what the kernel module tells (`kfusd`), and the open files of
//! processes (`processes`). No driver is asked anything: one that hangs hangs nobody here.

mod cuse;
mod fuse;
mod kfusd;
mod processes;

use std::path::{Path, PathBuf};
use std::time::Duration;

use fusd::BackendKind;

pub(crate) use self::processes::Process;
use self::processes::Processes;

/// A device.
#[derive(Clone, Debug)]
pub(crate) struct Device {
    /// Its node.
    pub(crate) path: PathBuf,
    pub(crate) backend: BackendKind,
    /// Who serves it, as far as that can be told.
    pub(crate) driver: Driver,
    /// Who has the node open, as far as this user may know. The driver itself is not among them.
    pub(crate) clients: Vec<Process>,
    /// What only the kernel module counts.
    pub(crate) counters: Option<Counters>,
}

/// Who serves a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Driver {
    Known(Process),
    /// There is one, but this user cannot be told which.
    Unknown,
    /// It has ended, and left this behind.
    Dead,
}

/// What the kernel module counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counters {
    /// Open files.
    pub(crate) files: u32,
    /// Requests under way.
    pub(crate) waiting: u32,
    /// Requests answered.
    pub(crate) served: u64,
    /// Bytes read and written by clients.
    pub(crate) bytes: u64,
    /// For how long the oldest request under way has waited.
    pub(crate) oldest: Duration,
}

/// All devices, in the order of their paths.
pub(crate) fn find() -> Vec<Device> {
    let mut found: Vec<Found> = Vec::new();
    found.extend(kfusd::find());
    found.extend(cuse::find());
    found.extend(fuse::find());
    let processes = Processes::look(found.iter().map(|device| device.path.as_path()));
    let mut devices: Vec<Device> = found
        .into_iter()
        .map(|device| device.complete(&processes))
        .collect();
    devices.sort_by(|one, other| one.path.cmp(&other.path));
    devices
}

/// Whether a device is still there.
pub(crate) fn is_there(path: &Path, backend: BackendKind) -> bool {
    let mut found = match backend {
        BackendKind::Kfusd => kfusd::find(),
        BackendKind::Cuse => cuse::find(),
        _ => fuse::find(),
    };
    found.any(|device| device.path == path)
}

type All = std::vec::IntoIter<Found>;

/// A device, as its backend alone shows it.
struct Found {
    path: PathBuf,
    backend: BackendKind,
    /// The driver's process, where the kernel tells.
    driver: Option<u32>,
    counters: Option<Counters>,
}

impl Found {
    fn complete(self, processes: &Processes) -> Device {
        let driver = match self.backend {
            BackendKind::Kfusd => kfusd::driver(self.driver, processes),
            BackendKind::Cuse => cuse::driver(&self.path, processes),
            _ => fuse::driver(&self.path, processes),
        };
        let own = match &driver {
            Driver::Known(process) => Some(process.pid),
            Driver::Unknown | Driver::Dead => None,
        };
        let clients = processes.clients(&self.path, own);
        Device {
            path: self.path,
            backend: self.backend,
            driver,
            clients,
            counters: self.counters,
        }
    }
}
