//! The backends a suite can run on: whether this machine has them, where their nodes go, and the
//! proof of which one served.

use std::env;
use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use nix::sys::statfs::{FUSE_SUPER_MAGIC, statfs};

/// Names of backends that must not be skipped, separated by commas.
const REQUIRE: &str = "FUSD_REQUIRE";

/// A backend that the conformance suite runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// A FUSE mount over one file.
    Fuse,
    /// The kernel's CUSE.
    Cuse,
    /// The project's own kernel module.
    Kfusd,
}

impl Backend {
    /// The name it is chosen by.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fuse => "fuse",
            Self::Cuse => "cuse",
            Self::Kfusd => "kfusd",
        }
    }

    /// Why it cannot be used here, if so.
    pub fn missing(self) -> Option<String> {
        let node = match self {
            Self::Fuse => "/dev/fuse",
            Self::Cuse => "/dev/cuse",
            Self::Kfusd => "/dev/fusd/control",
        };
        if !nix::unistd::geteuid().is_root() {
            return Some("the tests of nodes take root".into());
        }
        fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(node)
            .err()
            .map(|error| format!("{node}: {error}"))
    }

    /// Whether a node can go to any path; otherwise it goes to /dev.
    pub const fn takes_paths(self) -> bool {
        matches!(self, Self::Fuse)
    }

    /// Whether an ordinary user can make nodes.
    pub const fn serves_users(self) -> bool {
        matches!(self, Self::Fuse)
    }

    /// Whether every writer of one node gets to the driver while another waits there. On FUSE,
    /// those who append or write beyond the end do not (fs/fuse/file.c,
    /// fuse_dio_wr_exclusive_lock), nor does who opens with `O_TRUNC` (fs/open.c, do_truncate).
    pub const fn writes_in_parallel(self) -> bool {
        !matches!(self, Self::Fuse)
    }

    /// Whether ioctls of numbers that encode no size reach the driver with their memory.
    pub const fn takes_any_ioctl(self) -> bool {
        !matches!(self, Self::Fuse)
    }

    /// Proves that this backend, and no other, serves the node.
    ///
    /// # Panics
    /// Something else does.
    #[track_caller]
    pub fn prove(self, node: &Path) {
        let status = fs::symlink_metadata(node).expect("the node can be looked at");
        match self {
            Self::Fuse => {
                assert!(status.is_file(), "a FUSE node is a regular file");
                let kind = statfs(node).expect("statfs of the node").filesystem_type();
                assert_eq!(kind, FUSE_SUPER_MAGIC, "the node is on a FUSE file system");
                let table = fs::read_to_string("/proc/self/mountinfo").expect("the mount table");
                let place = node.to_str().expect("test paths are UTF-8");
                assert!(
                    table.lines().any(|line| {
                        line.split(' ').nth(4) == Some(place) && line.contains(" - fuse.fusd ")
                    }),
                    "a mount of type fuse.fusd is at {place}:\n{table}"
                );
            }
            Self::Cuse | Self::Kfusd => {
                assert!(status.file_type().is_char_device(), "the node is a device");
            }
        }
    }
}

/// Whether `test` asks for what its backend cannot do, ever; it is then to return. Says so.
pub fn lacks(test: &str, reason: Option<String>) -> bool {
    if let Some(reason) = &reason {
        // On a line of its own, whatever the test runner has begun to print.
        say(&format!("\nSKIP {test}: {reason}\n"));
    }
    reason.is_some()
}

/// Whether the backend is missing here for `test`, which is then to return. Says so.
///
/// # Panics
/// It is missing although `FUSD_REQUIRE` names `backend`.
pub fn skips(test: &str, backend: Backend, missing: Option<String>) -> bool {
    let Some(reason) = missing else { return false };
    let required = env::var(REQUIRE).unwrap_or_default();
    assert!(
        !required.split(',').any(|name| name == backend.name()),
        "{REQUIRE} names {}, but: {reason}",
        backend.name()
    );
    lacks(test, Some(reason))
}

/// Past the capture of output, so that a skip is seen in a successful run.
fn say(line: &str) {
    let _ = nix::unistd::write(std::io::stdout(), line.as_bytes());
}
