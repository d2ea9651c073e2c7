//! Devices of FUSE: mounts of a type of their own, each with a process that watches over it.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use fusd::{BackendKind, inspect};

use super::processes::{Processes, fdinfo};
use super::{All, Driver, Found, Process};

pub(super) fn find() -> All {
    let table = fs::read("/proc/self/mountinfo").unwrap_or_default();
    let found = mounts(&table).into_iter().map(|path| Found {
        path,
        backend: BackendKind::Fuse,
        driver: None,
        counters: None,
    });
    found.collect::<Vec<_>>().into_iter()
}

/// The places of fusd's mounts in a text of the form of proc_pid_mountinfo(5).
fn mounts(table: &[u8]) -> Vec<PathBuf> {
    let mut places = Vec::new();
    for line in table.split(|byte| *byte == b'\n') {
        let fields: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
        let end = fields.iter().position(|field| *field == b"-");
        let (Some(place), Some(end)) = (fields.get(4), end) else {
            continue;
        };
        let source = fields.get(end + 2).copied();
        match fields.get(end + 1).copied() {
            Some(b"fuse.fusd") => {}
            Some(b"fuse") if source == Some(b"fusd") => {}
            _ => continue,
        }
        let place = unescape(place);
        // Dead ones can lie below others.
        if !places.contains(&place) {
            places.push(place);
        }
    }
    places
}

/// Takes back what mountinfo does with blanks: `\040`.
fn unescape(text: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, after)) = rest.split_first() {
        let digits = after.get(..3).filter(|_| first == b'\\');
        let value = digits
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match value {
            Some(value) => {
                bytes.push(value);
                rest = &after[3..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    PathBuf::from(OsString::from_vec(bytes))
}

/// The driver: whose end the watcher waits for. Without a watcher, or with one that this user may not
/// look into, it can only be told whether the driver is dead.
pub(super) fn driver(path: &Path, processes: &Processes) -> Driver {
    let watched = processes.watcher(path).and_then(watched);
    if let Some(process) = watched.and_then(Process::of) {
        return Driver::Known(process);
    }
    match inspect::is_dead_mount(path) {
        Ok(true) => Driver::Dead,
        Ok(false) | Err(_) => Driver::Unknown,
    }
}

/// The process that the watcher `pid` has a pidfd of.
fn watched(pid: u32) -> Option<u32> {
    let files = fs::read_dir(format!("/proc/{pid}/fdinfo")).ok()?;
    files.flatten().find_map(|file| {
        let fd = file.file_name().into_string().ok()?;
        fdinfo::<i32>(pid, &fd, "Pid:").and_then(|pid| u32::try_from(pid).ok())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_mounts_of_fusd_are_devices_and_each_is_one() {
        let table = b"\
22 28 0:21 / /proc rw,relatime shared:13 master:2 - proc proc rw
361 35 0:50 / /dev/x rw,nosuid - fuse.fusd fusd rw,user_id=0
362 35 0:51 / /tmp/a\\040b rw,nosuid shared:2 - fuse fusd rw,user_id=0
363 35 0:52 / /mnt/z rw,nosuid - fuse.sshfs fusd rw,user_id=0
364 361 0:53 / /dev/x rw,nosuid - fuse.fusd fusd rw,user_id=0
bad
";
        assert_eq!(mounts(table), [Path::new("/dev/x"), Path::new("/tmp/a b")]);
    }

    #[test]
    fn only_three_octal_digits_are_an_escape() {
        assert_eq!(unescape(b"a\\134b"), Path::new("a\\b"));
        assert_eq!(unescape(b"a\\9"), Path::new("a\\9"));
        assert_eq!(unescape(b"a\\"), Path::new("a\\"));
    }
}
