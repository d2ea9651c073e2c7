//! The inode that a node is mounted over. It must exist for the mount, and is never to be used.
//!
//! For `mount(2)` it is a socket that nothing is bound to: a client that comes too early gets
//! `ENXIO` instead of an empty file. `fusermount3` insists on a regular file that its caller may
//! write. Modes that nobody would choose tell both from a stranger's file.

use std::ffi::CStr;
use std::os::fd::BorrowedFd;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, SFlag, fchmod, mknodat};

use super::site::Inode;

const FILE_MODE: u32 = 0o200;

/// What to mount over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A socket of mode 0.
    Socket,
    /// An empty regular file of mode 0200.
    File,
}

/// Makes a placeholder where nothing is, and fails with `EEXIST` where something is.
pub(super) fn create(dir: BorrowedFd<'_>, name: &CStr, kind: Kind) -> Result<(), Errno> {
    match kind {
        Kind::Socket => mknodat(dir, name, SFlag::S_IFSOCK, Mode::empty(), 0),
        Kind::File => {
            let flags = OFlag::O_CREAT
                | OFlag::O_EXCL
                | OFlag::O_WRONLY
                | OFlag::O_NOFOLLOW
                | OFlag::O_CLOEXEC;
            let mode = Mode::from_bits_truncate(FILE_MODE);
            let file = openat(dir, name, flags, mode)?;
            // The umask may have taken the one bit away.
            fchmod(&file, mode)
        }
    }
}

/// Whether `inode` looks like a placeholder, whoever made it.
pub(super) fn resembles(inode: &Inode) -> bool {
    match inode.mode & libc::S_IFMT {
        libc::S_IFSOCK => inode.mode & 0o7777 == 0,
        libc::S_IFREG => inode.mode & 0o7777 == FILE_MODE && inode.size == 0,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inode(mode: u32, size: u64) -> Inode {
        Inode {
            dev: 1,
            ino: 2,
            mode,
            uid: 0,
            size,
        }
    }

    #[test]
    fn only_what_nobody_else_would_make_is_taken_for_a_placeholder() {
        assert!(resembles(&inode(libc::S_IFSOCK, 0)));
        assert!(resembles(&inode(libc::S_IFREG | 0o200, 0)));
        assert!(!resembles(&inode(libc::S_IFREG | 0o200, 1)));
        assert!(!resembles(&inode(libc::S_IFREG | 0o600, 0)));
        assert!(!resembles(&inode(libc::S_IFREG, 0)));
        assert!(!resembles(&inode(libc::S_IFSOCK | 0o600, 0)));
        assert!(!resembles(&inode(libc::S_IFDIR, 0)));
    }
}
