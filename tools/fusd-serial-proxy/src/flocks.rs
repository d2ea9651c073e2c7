//! Who has locked the node by flock(2): such a client writes alone.
//!
//! The kernel keeps these locks without a word to the driver. It tells of them in `/proc/locks`, and in
//! `/proc/PID/fdinfo` which open files hold them (proc(5)). So a lock is whoever's that has the open file
//! which holds it: also a program's that was started with it, as by flock(1).

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::OnceLock;

use fusd::Caller;
use rustix::fs::{major, minor};

/// The locks of one node.
#[derive(Debug, Default)]
pub(crate) struct Flocks(OnceLock<Known>);

#[derive(Debug)]
struct Known {
    /// What the lines about this node have.
    word: String,
    all: File,
}

impl Flocks {
    /// The node is at `path`, from now on.
    ///
    /// # Errors
    /// It cannot be found out who has locked it.
    pub(crate) fn watch(&self, path: &Path) -> io::Result<()> {
        let all = File::open("/proc/locks")?;
        let word = word(path)?;
        self.0.get_or_init(|| Known { word, all });
        Ok(())
    }

    /// Whether another one than `caller` has locked the node. Where that cannot be found out, it has not.
    pub(crate) fn keep_out(&self, caller: &Caller) -> bool {
        let Some(Known { word, all }) = self.0.get() else {
            return false;
        };
        let locks = |line: &str| locks(line, word);
        read_all(all).is_ok_and(|text| text.lines().any(locks))
            && open_files(caller).is_ok_and(|text| !text.lines().any(locks))
    }
}

/// The node's file system and number, as the kernel has them in a line about a lock (`lock_get_status`,
/// fs/locks.c).
fn word(path: &Path) -> io::Result<String> {
    let (device, number) = fs::metadata(path).map(|found| (found.dev(), found.ino()))?;
    Ok(format!(
        "{:02x}:{:02x}:{number}",
        major(device),
        minor(device)
    ))
}

/// Whether a line tells of a lock that keeps others out, not of one that waits for that ("->").
fn locks(line: &str, word: &str) -> bool {
    let mut words = line.split_whitespace().peekable();
    words.next_if_eq(&"lock:");
    let _number = words.next();
    words.next() == Some("FLOCK") && words.nth(1) == Some("WRITE") && words.nth(1) == Some(word)
}

/// The file is generated anew each time that it is read from its beginning.
fn read_all(file: &File) -> io::Result<String> {
    let (mut all, mut part) = (Vec::new(), [0; 4096]);
    loop {
        match file.read_at(&mut part, all.len() as u64)? {
            0 => return Ok(String::from_utf8_lossy(&all).into_owned()),
            count => all.extend(&part[..count]),
        }
    }
}

/// What the kernel tells of the files that a process has open.
///
/// # Errors
/// There is no such process, or this one may not know.
fn open_files(caller: &Caller) -> io::Result<String> {
    let mut all = String::new();
    for file in fs::read_dir(format!("/proc/{}/fdinfo", caller.thread))? {
        // It may be closed by now.
        all += &fs::read_to_string(file?.path()).unwrap_or_default();
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use rustix::fs::{FlockOperation, flock};

    use super::*;

    #[test]
    fn who_has_the_locked_file_is_let_in() {
        // Where a file's file system has one number, as that of nodes (tmpfs).
        let file = tempfile::NamedTempFile::new_in("/dev/shm").unwrap();
        let flocks = Flocks::default();
        let caller = |thread| Caller {
            thread,
            uid: 0,
            gid: 0,
        };
        let me = caller(std::process::id());
        let other = std::process::Command::new("sleep").arg("1000").spawn();
        let mut other = other.unwrap();
        let them = caller(other.id());
        assert!(!flocks.keep_out(&them), "nobody knows which node it is");
        flocks.watch(file.path()).unwrap();
        assert!(!flocks.keep_out(&them), "nobody has locked it");
        flock(&file, FlockOperation::LockShared).unwrap();
        assert!(!flocks.keep_out(&them), "others may");
        flock(&file, FlockOperation::LockExclusive).unwrap();
        assert!(flocks.keep_out(&them));
        assert!(!flocks.keep_out(&me));
        assert!(!flocks.keep_out(&caller(0)), "nobody knows who that is");
        flock(&file, FlockOperation::Unlock).unwrap();
        assert!(!flocks.keep_out(&them));
        other.kill().unwrap();
        other.wait().unwrap();
    }

    #[test]
    fn lines_about_locks_are_told_apart() {
        for (line, wanted) in [
            ("1: FLOCK  ADVISORY  WRITE 77 00:06:1234 0 EOF", true),
            ("lock:\t1: FLOCK  ADVISORY  WRITE 77 00:06:1234 0 EOF", true),
            ("1: FLOCK  ADVISORY  READ 77 00:06:1234 0 EOF", false),
            ("1: -> FLOCK  ADVISORY  WRITE 77 00:06:1234 0 EOF", false),
            ("1: POSIX  ADVISORY  WRITE 77 00:06:1234 0 EOF", false),
            ("1: FLOCK  ADVISORY  WRITE 77 00:06:12345 0 EOF", false),
            ("pos:\t0", false),
            ("", false),
        ] {
            assert_eq!(locks(line, "00:06:1234"), wanted, "{line}");
        }
    }
}
