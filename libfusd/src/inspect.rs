//! What a program that watches over devices can learn of those that others serve.
//!
//! Nothing here makes, changes or serves a device.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use crate::sys::descriptor;
use crate::wire::{STATUS_NAME, STATUS_SIZE, StatusRecord};
use crate::{Errno, Error, ErrorKind, Result, backend, name};

/// The status node of the kernel module.
pub const KFUSD_STATUS: &str = "/dev/fusd/status";

/// Devices that there is room for at first; if there are more, the module says so.
const ROOM: usize = 64;

/// What the kernel module tells of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KfusdDevice {
    /// Its name: the node is `/dev/NAME`.
    pub name: String,
    /// The driver's process, as the initial pid namespace numbers it.
    pub driver: u32,
    /// Open files.
    pub files: u32,
    /// Requests under way.
    pub waiting: u32,
    /// Requests answered since the device was made.
    pub served: u64,
    /// Bytes that clients have read and written since then.
    pub bytes: u64,
    /// For how long the oldest request under way has waited; zero where none waits.
    pub oldest: Duration,
}

impl KfusdDevice {
    fn parse(bytes: &[u8]) -> Self {
        let record = StatusRecord::from_bytes(bytes);
        let name = bytes.get(StatusRecord::SIZE..).unwrap_or_default();
        let length = usize::try_from(record.name_length).unwrap_or(STATUS_NAME);
        let name = name.get(..length.min(name.len())).unwrap_or_default();
        Self {
            name: String::from_utf8_lossy(name).into_owned(),
            driver: record.driver,
            files: record.files,
            waiting: record.waiting,
            served: record.served,
            bytes: record.bytes,
            oldest: Duration::from_nanos(record.oldest),
        }
    }
}

/// All devices of the kernel module, as of one moment.
///
/// # Errors
/// The module is not loaded (`ENOENT`), or what is at [`KFUSD_STATUS`] is not the module's
/// (`ENOTTY`).
pub fn kfusd_devices() -> Result<Vec<KfusdDevice>> {
    let failed = |action: &str, error: std::io::Error| {
        Error::system(ErrorKind::Backend, Errno::from(error), action).on(KFUSD_STATUS)
    };
    let file = File::open(KFUSD_STATUS).map_err(|error| failed("open", error))?;
    let mut room = ROOM;
    loop {
        let mut buffer = vec![0; room * STATUS_SIZE];
        // Lossless: a record has 320 bytes.
        let (written, query) = descriptor::status(&file, &mut buffer, STATUS_SIZE as u32)
            .map_err(|error| failed("ask for the devices of", error))?;
        let devices = usize::try_from(query.devices).unwrap_or(usize::MAX);
        if devices <= written || written < room {
            let records = buffer.chunks_exact(STATUS_SIZE).take(written);
            return Ok(records.map(KfusdDevice::parse).collect());
        }
        // Some more may come meanwhile.
        room = devices.saturating_add(ROOM);
    }
}

/// Whether a FUSE mount is at `path` whose driver has ended: what a driver leaves that was killed
/// together with the process that watches over it. A mount whose driver does not answer, or which
/// this user may not look at, is not dead.
///
/// # Errors
/// The path is not absolute (`EINVAL`), or its directory cannot be opened.
pub fn is_dead_mount(path: impl AsRef<Path>) -> Result<bool> {
    backend::is_dead_mount(path.as_ref())
}

/// The name of a device without a leading `/dev/`, if it can be one:
/// [`DeviceBuilder::new`](crate::DeviceBuilder::new) has the rules.
///
/// ```
/// assert_eq!(fusd::inspect::device_name("/dev/bus/port0").unwrap(), "bus/port0");
/// assert!(fusd::inspect::device_name("a b").is_err());
/// ```
///
/// # Errors
/// It cannot (`EINVAL`, `ENAMETOOLONG`).
pub fn device_name(text: &str) -> Result<&str> {
    name::check(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_with_its_name() {
        let record = StatusRecord {
            driver: 7,
            files: 2,
            name_length: 5,
            served: 9,
            oldest: 1_500_000,
            ..StatusRecord::default()
        };
        let mut bytes = record.to_bytes().to_vec();
        bytes.extend_from_slice(b"hello\0\0\0");
        let device = KfusdDevice::parse(&bytes);
        assert_eq!((device.name.as_str(), device.driver), ("hello", 7));
        assert_eq!((device.files, device.served), (2, 9));
        assert_eq!(device.oldest, Duration::from_micros(1500));
    }

    #[test]
    fn a_name_longer_than_its_record_is_cut() {
        let record = StatusRecord {
            name_length: u32::MAX,
            ..StatusRecord::default()
        };
        let mut bytes = record.to_bytes().to_vec();
        bytes.extend_from_slice(b"abc");
        assert_eq!(KfusdDevice::parse(&bytes).name, "abc");
        assert_eq!(KfusdDevice::parse(&bytes[..10]).name, "");
    }

    #[test]
    fn what_is_no_mount_is_no_dead_one() {
        assert!(!is_dead_mount("/dev/null").unwrap());
        assert!(!is_dead_mount("/dev/there-is-no-such-node").unwrap());
        assert!(is_dead_mount("relative").is_err());
    }
}
