//! The machine this runs on: what the tests can use of it.

use std::env;
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::unistd::Uid;

/// The nodes through which a backend serves devices, with the backend's name.
const BACKENDS: [(&str, &str); 3] = [
    ("kfusd", "/dev/fusd/control"),
    ("cuse", "/dev/cuse"),
    ("fuse", "/dev/fuse"),
];

/// The root of the workspace: commands run there.
pub(crate) fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask is a folder of the workspace")
}

/// The project's folder for what can be had again: `fusd` below `$XDG_CACHE_HOME`, or `~/.cache`.
///
/// # Errors
///
/// Neither variable is set.
pub(crate) fn cache() -> Result<PathBuf> {
    let base = env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| env::home_dir().map(|home| home.join(".cache")))
        .context("there is no cache folder: neither XDG_CACHE_HOME nor HOME is set")?;
    Ok(base.join("fusd"))
}

/// Where the shell would find `program`, or `None`.
pub(crate) fn find_program(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// What decides which tests can run.
pub(crate) struct Host {
    release: String,
    uid: Uid,
    nodes: [Node; 3],
}

struct Node {
    backend: &'static str,
    path: &'static str,
    opened: io::Result<File>,
}

impl Host {
    /// Looks at this machine; opens each backend's node once and closes it again.
    pub(crate) fn look() -> Self {
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let nodes = BACKENDS.map(|(backend, path)| Node {
            backend,
            path,
            opened: File::options().read(true).write(true).open(path),
        });
        Self {
            release: release.trim().to_owned(),
            uid: Uid::effective(),
            nodes,
        }
    }

    /// Whether the tests that need root can run, and the FUSE backend has to work.
    pub(crate) fn is_root_with_fuse(&self) -> bool {
        self.uid.is_root() && Path::new("/dev/fuse").exists()
    }

    pub(crate) fn is_root(&self) -> bool {
        self.uid.is_root()
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Linux {}, uid {}", self.release, self.uid)?;
        for node in &self.nodes {
            write!(f, "; {}: ", node.backend)?;
            match &node.opened {
                Ok(_) => write!(f, "{} usable", node.path)?,
                Err(error) => match error.kind() {
                    io::ErrorKind::NotFound => write!(f, "no {}", node.path)?,
                    _ => write!(f, "{} unusable, {error}", node.path)?,
                },
            }
        }
        Ok(())
    }
}
