//! Which backend serves a device.

use std::env;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use super::Backend;
use super::cuse::CuseDevice;
use super::fuse::FuseFile;
use super::kfusd::KfusdDevice;
use crate::{Errno, Error, ErrorKind, Properties, Restart, Result};

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
    /// The device is to outlive the driver, and what another one has left is to be taken over.
    pub(crate) restart: Option<Restart>,
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
        Some(kind) => make(kind, placement, properties),
        None => best(placement, |kind| make(kind, placement, properties)),
    }
}

fn make(
    kind: BackendKind,
    placement: &Placement,
    properties: &Properties,
) -> Result<Arc<dyn Backend>> {
    match kind {
        BackendKind::Kfusd => Ok(Arc::new(KfusdDevice::create(placement, properties)?)),
        BackendKind::Cuse => Ok(Arc::new(CuseDevice::create(placement, properties)?)),
        BackendKind::Fuse => Ok(Arc::new(FuseFile::mount(placement, properties)?)),
        BackendKind::Loopback => Err(Error::new(
            ErrorKind::Backend,
            Errno::ENOSYS,
            format!("use the backend {kind}"),
        )
        .because("it serves clients in this process alone")
        .hint("leave the choice to fusd, or choose kfusd, cuse or fuse")),
    }
}

/// The first backend that can be used. Those with character devices come first, where the node may
/// be one; why one of them cannot be used becomes part of the error if none can.
fn best<T>(placement: &Placement, make: impl Fn(BackendKind) -> Result<T>) -> Result<T> {
    if !placement.path.starts_with("/dev") {
        return make(BackendKind::Fuse);
    }
    let mut reasons = Vec::new();
    for kind in [BackendKind::Kfusd, BackendKind::Cuse] {
        match make(kind) {
            Err(error) if is_unusable(&error) => {
                tracing::debug!(%error, "the backend {kind} is not used");
                reasons.push(format!("{kind}: {error}"));
            }
            other => return other,
        }
    }
    make(BackendKind::Fuse).map_err(|fuse| match is_unusable(&fuse) {
        true => {
            reasons.push(format!("fuse: {fuse}"));
            Error::new(fuse.kind(), fuse.errno(), "find a backend for")
                .on(&placement.path)
                .because(reasons.join("; "))
        }
        false => fuse,
    })
}

/// Whether the error is about the backend's own device, and not about the node.
fn is_unusable(error: &Error) -> bool {
    let devices = ["/dev/fusd/control", "/dev/cuse", "/dev/fuse"].map(Path::new);
    let of_the_device = error.path().is_some_and(|path| devices.contains(&path));
    error.kind() == ErrorKind::Backend || of_the_device
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placement(path: &str) -> Placement {
        Placement {
            path: path.into(),
            mode: 0o600,
            uid: 0,
            gid: 0,
            create_parents: false,
            restart: None,
        }
    }

    fn missing(kind: BackendKind) -> Error {
        let device = format!("/dev/{kind}");
        Error::system(ErrorKind::Backend, Errno::ENOENT, "open")
            .on(device)
            .hint(format!("load {kind}"))
    }

    #[test]
    fn character_devices_come_first_below_dev_only() {
        for (path, first) in [
            ("/dev/x", BackendKind::Kfusd),
            ("/tmp/x", BackendKind::Fuse),
        ] {
            assert_eq!(best(&placement(path), Ok).unwrap(), first);
        }
    }

    #[test]
    fn what_cannot_be_used_is_passed_over() {
        let made = best(&placement("/dev/x"), |kind| match kind {
            BackendKind::Fuse => Ok(kind),
            kind => Err(missing(kind)),
        });
        assert_eq!(made.unwrap(), BackendKind::Fuse);
    }

    #[test]
    fn the_error_says_why_of_each() {
        let error = best::<()>(&placement("/dev/x"), |kind| Err(missing(kind))).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot find a backend for /dev/x: kfusd: cannot open /dev/kfusd: No such file or \
             directory (ENOENT); load kfusd; cuse: cannot open /dev/cuse: No such file or \
             directory (ENOENT); load cuse; fuse: cannot open /dev/fuse: No such file or directory \
             (ENOENT); load fuse (ENOENT)"
        );
        assert_eq!(error.kind(), ErrorKind::Backend);
    }

    #[test]
    fn a_node_that_cannot_be_made_is_no_reason_to_try_another() {
        let error = best::<()>(&placement("/dev/x"), |kind| {
            assert_eq!(kind, BackendKind::Kfusd, "no other is asked");
            Err(Error::system(ErrorKind::Node, Errno::EEXIST, "create the node").on("/dev/x"))
        });
        assert_eq!(error.unwrap_err().errno(), Errno::EEXIST);
    }
}
