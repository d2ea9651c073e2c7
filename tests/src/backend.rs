//! The backends a suite can run on: whether this machine has them, where their nodes go, and the
//! proof of which one served.

use std::env;
use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use nix::sys::statfs::{FUSE_SUPER_MAGIC, statfs};

use crate::{Ability, module};

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
            Self::Kfusd => module::CONTROL,
        };
        if !nix::unistd::geteuid().is_root() {
            return Some("the tests of nodes take root".into());
        }
        if self == Self::Kfusd {
            module::provide();
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

    /// Whether it has an ability. A test that goes by it alone tells nobody: see
    /// [`Case::can`](crate::Case::can).
    pub fn has(self, ability: Ability) -> bool {
        ability.missing(self).is_none()
    }

    /// Whether stat(2) shows how many bytes there are: of a device it never does.
    pub const fn shows_size(self) -> bool {
        matches!(self, Self::Fuse)
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
    say("SKIP", test, &reason);
    true
}

/// Says that `test` cannot run here for want of something that is no backend.
pub fn skip(test: &str, reason: &str) {
    say("SKIP", test, reason);
}

/// Says that `test` shows less here than it could, for want of something that is no backend.
pub fn weaker(test: &str, reason: &str) {
    say("WEAKER", test, reason);
}

/// Says a word on a test, past the capture of output, so that it is seen in a successful run; on a
/// line of its own, whatever the test runner has begun to print.
pub(crate) fn say(word: &str, test: &str, reason: &str) {
    let line = format!("\n{word} {test}: {reason}\n");
    let _ = nix::unistd::write(std::io::stdout(), line.as_bytes());
}
