//! Which backend serves a device.

use std::env;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use super::Backend;
use super::fuse::FuseFile;
use crate::{Errno, Error, ErrorKind, Properties, Result};

/// What carries the calls of a device's clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BackendKind {
    /// The kernel module of this project: a character device.
    Kfusd,
    /// The kernel's own CUSE: a character device.
    Cuse,
    /// A FUSE mount over one file: a regular file that behaves like a device.
    Fuse,
    /// A client in the same process: for tests.
    Loopback,
}

impl BackendKind {
    /// The name it is chosen by.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kfusd => "kfusd",
            Self::Cuse => "cuse",
            Self::Fuse => "fuse",
            Self::Loopback => "loopback",
        }
    }
}

impl fmt::Display for BackendKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for BackendKind {
    type Err = Error;

    /// Reads "kfusd", "cuse" or "fuse".
    fn from_str(name: &str) -> Result<Self> {
        [Self::Kfusd, Self::Cuse, Self::Fuse]
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or_else(|| {
                Error::new(
                    ErrorKind::Invalid,
                    Errno::EINVAL,
                    format!("use the backend {name:?}"),
                )
                .because("there is none of that name")
                .hint("choose kfusd, cuse or fuse")
            })
    }
}

/// Where a node goes and what it looks like.
#[derive(Debug)]
pub(crate) struct Placement {
    pub(crate) path: PathBuf,
    /// Permission bits, 0 to 0o7777.
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Missing directories above the node are made, and removed with it.
    pub(crate) create_parents: bool,
}

/// How a driver chooses its backend.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Choice {
    /// By `FUSD_BACKEND`; where that says nothing, the best one.
    Environment,
    /// The best one that this machine has.
    Best,
    /// This one or none.
    Only(BackendKind),
}

impl Choice {
    /// The backend it names; `None` for the best one.
    fn kind(self) -> Result<Option<BackendKind>> {
        match self {
            Self::Best => Ok(None),
            Self::Only(kind) => Ok(Some(kind)),
            Self::Environment => match env::var("FUSD_BACKEND") {
                Err(env::VarError::NotPresent) => Ok(None),
                Ok(name) if name.is_empty() || name == "auto" => Ok(None),
                Ok(name) => name.parse().map(Some).map_err(|error: Error| {
                    error.hint("choose kfusd, cuse, fuse or auto in FUSD_BACKEND")
                }),
                Err(error) => {
                    Err(
                        Error::new(ErrorKind::Invalid, Errno::EINVAL, "read FUSD_BACKEND")
                            .because(error)
                            .hint("choose kfusd, cuse, fuse or auto in FUSD_BACKEND"),
                    )
                }
            },
        }
    }
}

/// Makes the node on the backend that was chosen.
pub(crate) fn connect(
    choice: Choice,
    placement: &Placement,
    properties: &Properties,
) -> Result<Arc<dyn Backend>> {
    match choice.kind()? {
        // The only one there is so far is also the best one there is.
        None | Some(BackendKind::Fuse) => Ok(Arc::new(FuseFile::mount(placement, properties)?)),
        Some(kind) => Err(Error::new(
            ErrorKind::Backend,
            Errno::ENOSYS,
            format!("use the backend {kind}"),
        )
        .because("this version of fusd does not have it")
        .hint("leave the choice to fusd, or choose fuse")),
    }
}
