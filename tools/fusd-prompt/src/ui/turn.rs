//! Whose turn it is at a terminal that several of these programs are at: a lock on the terminal itself
//! (flock(2)), which ends with its holder, however that ends.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags, flock, makedev};
use rustix::io::Errno;

use crate::who::Stat;

/// The majors of what is in /dev/pts (Documentation/admin-guide/devices.txt).
const PTS: std::ops::RangeInclusive<u32> = 136..=143;

/// It is this program's turn for as long as this lives.
pub(super) struct Turn {
    /// `None` where there is no way to lock: then everybody takes what they find.
    lock: Option<File>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        // Not left to the close: a program that is just being started has a copy of the file.
        if let Some(lock) = &self.lock {
            let _gone = flock(lock, FlockOperation::Unlock);
        }
    }
}

/// Takes it at the terminal of this path, unless another program has it.
pub(super) fn take(terminal: Option<&Path>) -> Option<Turn> {
    let Some(file) = terminal.and_then(open) else {
        return Some(Turn { lock: None });
    };
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Some(Turn { lock: Some(file) }),
        Err(Errno::WOULDBLOCK) => None,
        Err(error) => {
            tracing::debug!(%error, "the terminal cannot be locked");
            Some(Turn { lock: None })
        }
    }
}

/// A description of its own, as the lock belongs to that. /dev/tty would be the same file for all.
fn open(path: &Path) -> Option<File> {
    let flags = OFlags::NOCTTY | OFlags::NONBLOCK;
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(flags.bits().cast_signed());
    options.open(path).ok()
}

/// The path of the terminal that controls this process.
pub(super) fn terminal() -> Option<PathBuf> {
    let number = Stat::of(std::process::id())?.terminal;
    // As the kernel packs it (new_encode_dev).
    let (major, minor) = (number >> 8 & 0xfff, number & 0xff | number >> 12 & 0xf_ff00);
    let is_it = |path: &PathBuf| {
        fs::metadata(path)
            .is_ok_and(|it| it.file_type().is_char_device() && it.rdev() == makedev(major, minor))
    };
    if PTS.contains(&major) {
        return Some(PathBuf::from(format!("/dev/pts/{minor}"))).filter(is_it);
    }
    let nodes = fs::read_dir("/dev").ok()?.flatten();
    nodes.map(|entry| entry.path()).find(is_it)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_program_at_a_time_has_its_turn() {
        let node = tempfile::NamedTempFile::new().unwrap();
        let take = || take(Some(node.path()));
        let first = take().unwrap();
        assert!(take().is_none());
        let copy = first.lock.as_ref().map(|file| file.try_clone().unwrap());
        drop(first);
        assert!(take().is_some(), "whoever has a copy of the file");
        drop(copy);
        assert!(super::take(None).is_some(), "nothing can be locked");
    }
}
