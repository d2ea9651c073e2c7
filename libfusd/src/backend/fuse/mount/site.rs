//! The place of a node: what is found there, and how what was made there is taken away again.
//!
//! The driver and its watcher both use this, the watcher after a fork: apart from the making of a
//! [`Site`], nothing here allocates. No call here sends a request to the server of a mount, except
//! [`Site::ask`].

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::mount::{MntFlags, umount2};
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::lock::DirLock;
use super::placeholder;
use crate::backend::parent;
use crate::sys::mount::statx;
use crate::sys::process::Program;

/// How often a place is looked at anew when something changes beneath us.
const ROUNDS: usize = 16;

/// Which mount it is, as far as the kernel can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MountId {
    pub(super) id: u64,
    /// Since Linux 6.8 there are ids that no later mount ever gets.
    pub(super) unique: bool,
}

/// Which placeholder it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InodeId {
    pub(super) dev: u64,
    pub(super) ino: u64,
}

/// What was made, once all of it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Made {
    pub(super) mount: MountId,
    pub(super) placeholder: InodeId,
}

/// An inode that is no mount.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inode {
    pub(super) dev: u64,
    pub(super) ino: u64,
    /// Type and permissions, as in `st_mode`.
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) size: u64,
}

impl Inode {
    pub(super) fn id(&self) -> InodeId {
        InodeId {
            dev: self.dev,
            ino: self.ino,
        }
    }
}

/// What there is at a place.
#[derive(Clone, Copy, Debug)]
pub(super) enum Found {
    Nothing,
    Inode(Inode),
    /// A mount; `number` is its id in mountinfo.
    Mount {
        id: MountId,
        number: u64,
    },
}

/// A name in a directory, with all that is needed to clean it up.
pub(super) struct Site {
    dir: OwnedFd,
    name: CString,
    /// The same place as a path that no renaming of directories can lead astray.
    anchored: CString,
    /// How one who may not unmount has it done.
    unmounter: Option<Program>,
    /// The directories made for the node, innermost first.
    parents: Vec<CString>,
}

impl Site {
    /// The place `name` in `dir`, whose descriptor must be above 2.
    pub(super) fn new(
        dir: OwnedFd,
        name: CString,
        unmounter: Option<Program>,
        parents: Vec<CString>,
    ) -> Self {
        let mut anchored = format!("/proc/self/fd/{}/", dir.as_raw_fd()).into_bytes();
        anchored.extend_from_slice(name.to_bytes());
        let anchored = CString::new(anchored).expect("neither part holds a NUL");
        Self {
            dir,
            name,
            anchored,
            unmounter,
            parents,
        }
    }

    pub(super) fn dir(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    pub(super) fn name(&self) -> &CStr {
        &self.name
    }

    pub(super) fn anchored(&self) -> &CStr {
        &self.anchored
    }

    pub(super) fn lock(&self, patience: Duration) -> Result<DirLock, Errno> {
        DirLock::acquire(&self.dir, patience)
    }

    /// Looks, without a request to the server of a mount that may be there.
    pub(super) fn look(&self) -> Result<Found, Errno> {
        // With an empty mask even a mount whose owner shuts us out tells that it is one.
        let found = match self.statx(libc::AT_STATX_DONT_SYNC, 0) {
            Err(Errno::ENOENT) => return Ok(Found::Nothing),
            other => other?,
        };
        if is_mount(&found) {
            let id = mount_id(self.dir(), &self.name).unwrap_or(MountId {
                id: found.stx_mnt_id,
                unique: false,
            });
            return Ok(Found::Mount {
                id,
                number: found.stx_mnt_id,
            });
        }
        match self.statx(libc::AT_STATX_DONT_SYNC, libc::STATX_BASIC_STATS) {
            Err(Errno::ENOENT) => Ok(Found::Nothing),
            Err(errno) => Err(errno),
            Ok(found) => Ok(Found::Inode(Inode {
                dev: u64::from(found.stx_dev_major) << 32 | u64::from(found.stx_dev_minor),
                ino: found.stx_ino,
                mode: u32::from(found.stx_mode),
                uid: found.stx_uid,
                size: found.stx_size,
            })),
        }
    }

    /// Has the server of a mount asked for the attributes. This blocks as long as the server does,
    /// and not even SIGKILL ends it once the server has read the request.
    pub(super) fn ask(&self) -> Result<(), Errno> {
        self.statx(libc::AT_STATX_FORCE_SYNC, libc::STATX_BASIC_STATS)
            .map(drop)
    }

    fn statx(&self, sync: libc::c_int, mask: libc::c_uint) -> Result<libc::statx, Errno> {
        statx(self.dir(), &self.name, sync, mask)
    }

    /// Detaches the topmost mount.
    pub(super) fn unmount(&self) -> Result<(), Errno> {
        let flags = MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW;
        match (umount2(self.anchored(), flags), &self.unmounter) {
            (Err(Errno::EPERM), Some(unmounter)) => match unmounter.run(None, None)? {
                0 => Ok(()),
                _ => Err(Errno::EPERM),
            },
            (result, _) => result,
        }
    }

    /// Unlinks the placeholder.
    pub(super) fn unlink(&self) -> Result<(), Errno> {
        unlinkat(self.dir(), self.name(), UnlinkatFlags::NoRemoveDir)
    }

    /// Removes what was made here, and nothing else. Needs the lock; may be repeated.
    ///
    /// `None` for `made` means that the lock has been held ever since nothing was here: then
    /// whatever looks like ours is ours. `dead` says that the driver is known to have ended.
    pub(super) fn sweep(&self, made: Option<&Made>, dead: bool) -> Result<(), Errno> {
        for _ in 0..ROUNDS {
            match self.look()? {
                Found::Mount { id, .. } if self.is_our_mount(id, made, dead) => {
                    match self.unmount() {
                        // EINVAL: somebody else was faster.
                        Ok(()) | Err(Errno::EINVAL) => {}
                        Err(errno) => return Err(errno),
                    }
                }
                Found::Inode(inode) if is_our_placeholder(&inode, made) => match self.unlink() {
                    // EBUSY: the mount has come since we looked.
                    Ok(()) | Err(Errno::ENOENT | Errno::EBUSY) => {}
                    Err(errno) => return Err(errno),
                },
                Found::Nothing | Found::Inode(_) | Found::Mount { .. } => {
                    parent::remove(&self.parents);
                    return Ok(());
                }
            }
        }
        Err(Errno::EBUSY)
    }

    fn is_our_mount(&self, id: MountId, made: Option<&Made>, dead: bool) -> bool {
        match made {
            None => true,
            Some(made) if made.mount != id => false,
            // An id that is used again may by now belong to the mount of a living driver.
            Some(_) if dead && !id.unique => self.ask().is_err_and(is_dead),
            Some(_) => true,
        }
    }
}

fn is_our_placeholder(inode: &Inode, made: Option<&Made>) -> bool {
    placeholder::resembles(inode) && made.is_none_or(|made| made.placeholder == inode.id())
}

/// Whether a mount that answers `errno` has lost its server for good. `ECONNREFUSED` is the word,
/// since Linux 7.2, where that was before the handshake ended (fs/fuse/req.c, fuse_req_prep).
pub(super) fn is_dead(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::ENOTCONN | Errno::ECONNABORTED | Errno::ECONNREFUSED
    )
}

/// The id of the mount at `name` in `dir`, or of the one that `dir` is in if `name` is empty.
pub(super) fn mount_id(dir: BorrowedFd<'_>, name: &CStr) -> Result<MountId, Errno> {
    let found = statx(
        dir,
        name,
        libc::AT_STATX_DONT_SYNC,
        libc::STATX_MNT_ID_UNIQUE,
    )?;
    let unique = found.stx_mask & libc::STATX_MNT_ID_UNIQUE != 0;
    Ok(MountId {
        id: found.stx_mnt_id,
        unique,
    })
}

fn is_mount(found: &libc::statx) -> bool {
    found.stx_attributes & libc::STATX_ATTR_MOUNT_ROOT as u64 != 0
}
