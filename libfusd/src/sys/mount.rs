//! Mounting: `statx(2)` with mount ids, and the calls that make a mount before it is attached.

use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

use nix::Result;
use nix::errno::Errno;

// include/uapi/linux/mount.h
const FSOPEN_CLOEXEC: libc::c_uint = 1;
const FSCONFIG_SET_FLAG: libc::c_uint = 0;
const FSCONFIG_SET_STRING: libc::c_uint = 1;
const FSCONFIG_CMD_CREATE: libc::c_uint = 6;
const FSMOUNT_CLOEXEC: libc::c_uint = 1;
const MOVE_MOUNT_F_EMPTY_PATH: libc::c_uint = 4;

/// Mount attributes of [`fsmount`].
pub(crate) const MOUNT_ATTR_NOSUID: libc::c_uint = 0x02;
pub(crate) const MOUNT_ATTR_NODEV: libc::c_uint = 0x04;
pub(crate) const MOUNT_ATTR_NOATIME: libc::c_uint = 0x10;

/// `statx(2)` of `name` in `dir`, or of `dir` itself where `name` is empty.
///
/// Neither a symbolic link nor an automount point is followed.
pub(crate) fn statx(
    dir: BorrowedFd<'_>,
    name: &CStr,
    sync: libc::c_int,
    mask: libc::c_uint,
) -> Result<libc::statx> {
    let flags = libc::AT_SYMLINK_NOFOLLOW | libc::AT_NO_AUTOMOUNT | libc::AT_EMPTY_PATH | sync;
    // SAFETY: `libc::statx` consists of integers only, for which all bits zero is a value.
    let mut found: libc::statx = unsafe { std::mem::zeroed() };
    // SAFETY: `name` ends with a NUL and `found` is a whole `struct statx`, both alive and, in the
    // case of `found`, borrowed by nobody else until the call returns.
    let result = unsafe {
        libc::syscall(
            libc::SYS_statx,
            dir.as_raw_fd(),
            name.as_ptr(),
            flags,
            mask,
            ptr::from_mut(&mut found),
        )
    };
    Errno::result(result).map(|_| found)
}

/// `fsopen(2)`: a context in which a mount of the file system `kind` is prepared.
pub(crate) fn fsopen(kind: &CStr) -> Result<OwnedFd> {
    // SAFETY: `kind` ends with a NUL and outlives the call.
    let result = unsafe { libc::syscall(libc::SYS_fsopen, kind.as_ptr(), FSOPEN_CLOEXEC) };
    owned(result)
}

/// `fsconfig(2)`: sets the option `key` to `value`, or the flag `key` where there is no value.
pub(crate) fn fsconfig_set(
    context: BorrowedFd<'_>,
    key: &CStr,
    value: Option<&CStr>,
) -> Result<()> {
    match value {
        Some(value) => fsconfig(context, FSCONFIG_SET_STRING, Some(key), Some(value)),
        None => fsconfig(context, FSCONFIG_SET_FLAG, Some(key), None),
    }
}

/// `fsconfig(2)`: makes the file system as configured.
pub(crate) fn fsconfig_create(context: BorrowedFd<'_>) -> Result<()> {
    fsconfig(context, FSCONFIG_CMD_CREATE, None, None)
}

fn fsconfig(
    context: BorrowedFd<'_>,
    command: libc::c_uint,
    key: Option<&CStr>,
    value: Option<&CStr>,
) -> Result<()> {
    let pointer = |text: Option<&CStr>| text.map_or(ptr::null(), CStr::as_ptr);
    // SAFETY: each pointer is null or leads to a string that ends with a NUL and outlives the
    // call; the three commands used take nothing else.
    let result = unsafe {
        libc::syscall(
            libc::SYS_fsconfig,
            context.as_raw_fd(),
            command,
            pointer(key),
            pointer(value),
            0,
        )
    };
    Errno::result(result).map(drop)
}

/// `fsmount(2)`: a mount of the file system made, attached nowhere. It goes with the descriptor.
pub(crate) fn fsmount(context: BorrowedFd<'_>, attributes: libc::c_uint) -> Result<OwnedFd> {
    // SAFETY: the call takes three integers and no pointer.
    let result = unsafe {
        libc::syscall(
            libc::SYS_fsmount,
            context.as_raw_fd(),
            FSMOUNT_CLOEXEC,
            attributes,
        )
    };
    owned(result)
}

/// `move_mount(2)`: attaches `mount` to `name` in `dir`, which is not followed if it is a link.
pub(crate) fn move_mount(mount: BorrowedFd<'_>, dir: BorrowedFd<'_>, name: &CStr) -> Result<()> {
    // SAFETY: both names end with a NUL and outlive the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            mount.as_raw_fd(),
            c"".as_ptr(),
            dir.as_raw_fd(),
            name.as_ptr(),
            MOVE_MOUNT_F_EMPTY_PATH,
        )
    };
    Errno::result(result).map(drop)
}

/// The descriptor that a system call returned.
fn owned(result: libc::c_long) -> Result<OwnedFd> {
    let fd = i32::try_from(Errno::result(result)?).map_err(|_| Errno::EBADF)?;
    // SAFETY: a system call that makes a descriptor has just returned this one: it is open, and
    // nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
