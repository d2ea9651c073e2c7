//! The node of a CUSE device: where it may be, what it is to look like, how it goes.
//!
//! The kernel makes it, as root's own and for nobody else, and removes it when the connection
//! ends, however that comes. Mode and owner are set here. At an orderly end the node goes before
//! the connection does, so that no client can open a device that is not served any more.

use std::ffi::CString;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use nix::fcntl::{AtFlags, OFlag, open};
use nix::sys::stat::{Mode, fstat};
use nix::unistd::{Gid, Uid, fchownat};

use crate::backend::place::{CREATE, Place};
use crate::backend::{Placement, parent};
use crate::sys::process;
use crate::{Errno, Error, ErrorKind, Result};

/// The device number that the kernel has given to CUSE's device `name`; `None` where sysfs is not
/// there to tell.
fn number(name: &str) -> Option<u64> {
    let folder = format!("/sys/class/cuse/{}", name.replace('/', "!"));
    let text = fs::read_to_string(Path::new(&folder).join("dev")).ok()?;
    let (major, minor) = text.trim().split_once(':')?;
    Some(libc::makedev(major.parse().ok()?, minor.parse().ok()?))
}

/// A node that is there.
pub(super) struct Node {
    path: PathBuf,
    /// The node itself, opened without opening the device (`O_PATH`).
    handle: OwnedFd,
    /// The directories that are to go with it, innermost first.
    parents: Vec<CString>,
}

impl Node {
    /// Finds the node that the kernel has made at `place`, and gives it its mode and owner.
    /// `connected`: the kernel has kept the connection, so there is a device.
    ///
    /// # Errors
    /// The kernel has made no device (`EEXIST` where there is one of that name), or no node of it
    /// (of the kind [`ErrorKind::Backend`]); or the node cannot be given to its owner.
    pub(super) fn find(place: &Place<'_>, connected: bool, placement: &Placement) -> Result<Self> {
        let failed = |errno: Errno| Error::system(ErrorKind::Node, errno, CREATE).on(place.path());
        if !connected {
            return Err(match number(place.name()) {
                Some(_) => failed(Errno::EEXIST)
                    .because("CUSE has a device of this name, which another driver serves")
                    .hint("choose another name"),
                None => failed(Errno::EIO)
                    .because("the kernel has refused the device")
                    .hint("see what dmesg says of CUSE"),
            });
        }
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let handle = match open(place.path(), flags, Mode::empty()) {
            Ok(handle) => handle,
            Err(nix::errno::Errno::ENOENT | nix::errno::Errno::ENOTDIR) => {
                return Err(Error::new(ErrorKind::Backend, Errno::ENOENT, CREATE)
                    .on(place.path())
                    .because("the kernel has made the device, but /dev is not the kernel's own (devtmpfs), so the node is not in it")
                    .hint("choose the backend fuse"));
            }
            Err(errno) => return Err(failed(errno.into())),
        };
        let status = fstat(&handle).map_err(|errno| failed(errno.into()))?;
        let ours = status.st_mode & libc::S_IFMT == libc::S_IFCHR
            && number(place.name()).is_none_or(|number| number == status.st_rdev);
        if !ours {
            return Err(failed(Errno::EEXIST).hint("choose another name"));
        }
        let node = Self {
            path: place.path().to_owned(),
            handle,
            parents: place.missing().to_vec(),
        };
        node.dress(placement)?;
        Ok(node)
    }

    /// Sets owner and mode, in this order: with the owner, the kernel takes away some modes.
    fn dress(&self, placement: &Placement) -> Result<()> {
        let (uid, gid) = (Uid::from_raw(placement.uid), Gid::from_raw(placement.gid));
        let (uid, gid) = (Some(uid), Some(gid));
        fchownat(&self.handle, "", uid, gid, AtFlags::AT_EMPTY_PATH)
            .map_err(Errno::from)
            .and_then(|()| {
                let mode = Permissions::from_mode(placement.mode);
                fs::set_permissions(self.link(), mode).map_err(Errno::from)
            })
            .map_err(|errno| {
                let action = "set the mode and the owner of the node";
                Error::system(ErrorKind::Node, errno, action).on(&self.path)
            })
    }

    /// The node by a name that stays valid when it has been removed.
    fn link(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.handle.as_raw_fd()))
    }

    /// Removes the node, unless that was done. Open files stay.
    ///
    /// # Errors
    /// It is still there.
    pub(super) fn remove(&mut self) -> Result<()> {
        let removed = match self.is_there() {
            true => fs::remove_file(&self.path),
            false => Ok(()),
        };
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::system(ErrorKind::Node, error, "remove the node").on(&self.path))
            }
            _ => {
                parent::remove(&std::mem::take(&mut self.parents));
                Ok(())
            }
        }
    }

    /// Whether what is at the node's place is the node, and no other device's by now.
    fn is_there(&self) -> bool {
        let (Ok(there), Ok(own)) = (fs::symlink_metadata(&self.path), fstat(&self.handle)) else {
            return false;
        };
        there.file_type().is_char_device()
            && (there.dev(), there.ino(), there.rdev()) == (own.st_dev, own.st_ino, own.st_rdev)
    }

    /// Opens the device from a thread of its own, so that the kernel sends a message. `opening` is
    /// reset when that has come to an end.
    pub(super) fn open_apart(&self, opening: &Arc<AtomicBool>) {
        let ended = Arc::clone(opening);
        let link = self.link();
        let started = thread::Builder::new()
            .name("fusd-nudge".into())
            .spawn(move || {
                // A process that is killed meanwhile waits here for the answer to its own close
                // (cuse_release), until /dev/cuse is closed: this thread must not be who holds that.
                if let Err(errno) = process::leave_files() {
                    tracing::debug!(%errno, "the thread that wakes the session shares its files");
                }
                let _ = File::options()
                    .read(true)
                    .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
                    .open(link);
                ended.store(false, Ordering::Release);
            });
        if let Err(error) = started {
            tracing::debug!(%error, "no thread to wake the session with");
            opening.store(false, Ordering::Release);
        }
    }
}
