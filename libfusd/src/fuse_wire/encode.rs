//! Answers and notifications: fixed-size arrays for a gathered write of header, body and data.
//!
//! Two rules of the kernel stand behind the shapes here (`fs/fuse/dev.c`, `fuse_dev_do_write` and
//! `fuse_copy_out_args`). One write is one message, and its length is that in the header. A
//! message whose length is wrong in itself is refused with EINVAL *and the request stays open*;
//! one that is merely too long or short for its kind fails the caller with EIO.

use std::time::Duration;

use fuse_abi::linux as abi;
use fuse_abi::linux::fuse_notify_code as NotifyCode;
use zerocopy::transmute;

use super::frame::Timestamp;
use super::init::Negotiated;
use super::{IoctlFlags, OpenFlags};
use crate::Errno;

#[cfg(all(test, target_endian = "little"))]
mod tests;

/// The size of the header of every answer, in bytes.
const HEADER_SIZE: usize = size_of::<abi::fuse_out_header>();

/// The largest error number the kernel takes. It holds 512 and above for its own, and refuses
/// the answer instead of delivering it: the caller would wait for ever.
const MAX_ERRNO: i32 = 511;

/// The header of a success whose body and data have `payload` bytes together.
///
/// A payload beyond what the 32-bit length can say gets a length that the kernel refuses.
pub(crate) fn header(unique: u64, payload: usize) -> [u8; 16] {
    let len = u32::try_from(HEADER_SIZE.saturating_add(payload)).unwrap_or(u32::MAX);
    transmute!(abi::fuse_out_header {
        len,
        error: 0,
        unique
    })
}

/// A whole answer: the request failed. Nothing may follow it.
///
/// A number above 511 becomes EIO, for the kernel would refuse it.
pub(crate) fn error(unique: u64, errno: Errno) -> [u8; 16] {
    let raw = if errno.raw() <= MAX_ERRNO {
        errno.raw()
    } else {
        Errno::EIO.raw()
    };
    transmute!(abi::fuse_out_header {
        len: 16,
        error: -raw,
        unique
    })
}

/// A whole answer to an INTERRUPT, by the INTERRUPT's own number: send it again.
///
/// For the one that overtook its request, among several threads that read. If the request is
/// answered by then, the write fails with ENOENT, and that is the end of it.
pub(crate) fn interrupt_retry(unique: u64) -> [u8; 16] {
    error(unique, Errno::EAGAIN)
}

/// The body of an answer to INIT.
pub(crate) fn init_out(agreed: &Negotiated) -> [u8; 64] {
    let [flags, flags2] = halves(agreed.flags.bits());
    transmute!(abi::fuse_init_out {
        major: abi::FUSE_KERNEL_VERSION,
        minor: agreed.minor,
        // Nothing is ever read that no client asked for.
        max_readahead: 0,
        flags,
        // Zero: the kernel keeps its own.
        max_background: 0,
        congestion_threshold: 0,
        max_write: agreed.max_write,
        time_gran: 1,
        max_pages: agreed.max_pages,
        map_alignment: 0,
        flags2,
        max_stack_depth: 0,
        unused: [0; 6],
    })
}

/// The body of an answer to an INIT of a later major version: ours, and no more. The kernel is
/// to send another INIT then.
pub(crate) fn init_other_major() -> [u8; 64] {
    transmute!(abi::fuse_init_out {
        major: abi::FUSE_KERNEL_VERSION,
        minor: abi::FUSE_KERNEL_MINOR_VERSION,
        ..Default::default()
    })
}

/// The body of an answer to CUSE_INIT, without what follows it, `DEVNAME=`, the name and a NUL.
///
/// `max_write` is the most data in one READ or WRITE, in bytes. The kernel chooses the device
/// number. With `any_memory`, ioctls come with [`IoctlFlags::UNRESTRICTED`].
pub(crate) fn cuse_init_out(max_write: u32, any_memory: bool) -> [u8; 72] {
    let flags = if any_memory {
        abi::CUSE_UNRESTRICTED_IOCTL
    } else {
        0
    };
    transmute!(abi::cuse_init_out {
        major: abi::FUSE_KERNEL_VERSION,
        minor: abi::FUSE_KERNEL_MINOR_VERSION,
        unused: 0,
        flags,
        max_read: max_write,
        max_write,
        dev_major: 0,
        dev_minor: 0,
        spare: [0; 10],
    })
}

/// The body of an answer to OPEN; `fh` comes back in every request on this open file.
pub(crate) fn open_out(fh: u64, open_flags: OpenFlags) -> [u8; 16] {
    transmute!(abi::fuse_open_out {
        fh,
        open_flags: open_flags.bits(),
        backing_id: 0
    })
}

/// The body of an answer to WRITE: `size` bytes were taken, at most those sent. More is EIO.
pub(crate) fn write_out(size: u32) -> [u8; 8] {
    transmute!(abi::fuse_write_out { size, padding: 0 })
}

/// The body of an answer to POLL: bits of poll(2).
pub(crate) fn poll_out(revents: u32) -> [u8; 8] {
    transmute!(abi::fuse_poll_out {
        revents,
        padding: 0
    })
}

/// The body of an answer to IOCTL.
///
/// `result` is what ioctl(2) returns, a negative one its errno. What follows goes to the caller,
/// at most `out_size` bytes. With [`IoctlFlags::RETRY`], `in_iovs` and then `out_iovs` times
/// [`ioctl_iovec`] follow instead, 256 at most together.
pub(crate) fn ioctl_out(result: i32, flags: IoctlFlags, in_iovs: u32, out_iovs: u32) -> [u8; 16] {
    transmute!(abi::fuse_ioctl_out {
        result,
        flags: flags.bits(),
        in_iovs,
        out_iovs
    })
}

/// An area of the caller's memory, by its address and length in bytes.
pub(crate) fn ioctl_iovec(base: u64, len: u64) -> [u8; 16] {
    transmute!(abi::fuse_ioctl_iovec { base, len })
}

/// What stat shows of the device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct NodeAttr {
    /// The inode number that stat shows.
    pub ino: u64,
    /// The type and permission bits. The type must stay the one that the mount began with.
    pub mode: u32,
    /// The number of names, at least 1.
    pub nlink: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The size in bytes, at most `i64::MAX`: the kernel gives up the node over a larger one.
    /// Writes beyond it are done one at a time, see
    /// [`Negotiated::parallel_direct_writes`].
    pub size: u64,
    /// The preferred size of one transfer in bytes; 0 leaves it to the kernel.
    pub blksize: u32,
    /// The time of the last access.
    pub atime: Timestamp,
    /// The time of the last change of contents.
    pub mtime: Timestamp,
    /// The time of the last change of anything.
    pub ctime: Timestamp,
}

/// The body of an answer to GETATTR and SETATTR. The kernel keeps it for `valid`.
pub(crate) fn attr_out(attr: &NodeAttr, valid: Duration) -> [u8; 104] {
    transmute!(abi::fuse_attr_out {
        attr_valid: valid.as_secs(),
        attr_valid_nsec: valid.subsec_nanos(),
        dummy: 0,
        attr: abi::fuse_attr {
            ino: attr.ino,
            size: attr.size,
            // Whatever its size says, it takes no room on any disk.
            blocks: 0,
            atime: attr.atime.sec.cast_unsigned(),
            mtime: attr.mtime.sec.cast_unsigned(),
            ctime: attr.ctime.sec.cast_unsigned(),
            atimensec: attr.atime.nsec,
            mtimensec: attr.mtime.nsec,
            ctimensec: attr.ctime.nsec,
            mode: attr.mode,
            nlink: attr.nlink,
            uid: attr.uid,
            gid: attr.gid,
            rdev: 0,
            blksize: attr.blksize,
            flags: 0,
        },
    })
}

/// The body of an answer to STATFS: a file system that holds nothing.
pub(crate) fn statfs_out() -> [u8; 80] {
    transmute!(abi::fuse_kstatfs {
        bsize: 512,
        namelen: 255,
        frsize: 512,
        ..Default::default()
    })
}

/// A whole notification: look again at every file whose POLL came with `kh`.
///
/// The write succeeds also when there is no such file any more.
pub(crate) fn notify_poll(kh: u64) -> [u8; 24] {
    let [first, second] = notification(NotifyCode::FUSE_NOTIFY_POLL, 8);
    transmute!([first, second, kh])
}

/// A whole notification: send `size` bytes of the node's page cache, from `offset` on, as a
/// NOTIFY_REPLY whose number is `notify_unique`.
pub(crate) fn notify_retrieve(notify_unique: u64, node: u64, offset: u64, size: u32) -> [u8; 48] {
    let [first, second] = notification(NotifyCode::FUSE_NOTIFY_RETRIEVE, 32);
    let body: [u64; 4] = transmute!(abi::fuse_notify_retrieve_out {
        notify_unique,
        nodeid: node,
        offset,
        size,
        padding: 0,
    });
    let [a, b, c, d] = body;
    transmute!([first, second, a, b, c, d])
}

/// The header of a notification: no request has the number 0, and the error says which kind.
fn notification(code: NotifyCode, payload: u32) -> [u64; 2] {
    let error = u32::from(code).cast_signed();
    transmute!(abi::fuse_out_header {
        len: 16 + payload,
        error,
        unique: 0
    })
}

/// The lower and the upper 32 bits.
fn halves(bits: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = bits.to_le_bytes();
    [
        u32::from_le_bytes([a, b, c, d]),
        u32::from_le_bytes([e, f, g, h]),
    ]
}
