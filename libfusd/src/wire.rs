// SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT OR Apache-2.0

//! The protocol between the kernel module kfusd and a driver: every message, number and limit, for
//! both sides. kfusd(4) tells what the messages mean and in which order they come.
//!
//! A message is one `read` or one `write` of the control node: a header, the fixed part of its
//! operation, and data if it has any. Numbers are in the machine's byte order. This file and
//! those below it use `core` alone, compile as edition 2021, and no function in them panics, whatever it is
//! given.

mod command;
mod commands;
mod ioctls;
mod layout;
mod requests;

pub use command::*;
pub use commands::*;
pub use ioctls::*;
pub use layout::Field;
pub use requests::*;

use layout::{layout, put, take};

/// The version of the protocol. The module serves this one alone.
pub const VERSION: u32 = 1;

/// The ioctl [`Exchange`] may be used.
pub const FEATURE_EXCHANGE: u64 = 1 << 0;
/// [`CopyIn`] and [`CopyOut`] may be used, on devices registered with [`REGISTER_RAW_IOCTL`].
pub const FEATURE_COPY: u64 = 1 << 1;
/// [`Memory`] may be used.
pub const FEATURE_MEMORY: u64 = 1 << 2;
/// [`Workers`] may be used.
pub const FEATURE_WORKERS: u64 = 1 << 3;
/// Devices may be registered with [`REGISTER_KEEP`], and all that goes with it may be used.
pub const FEATURE_KEEP: u64 = 1 << 4;
/// [`Publish`] may be used.
pub const FEATURE_PUBLISH: u64 = 1 << 5;
/// [`Ring`], [`Portion`] and [`Attach`] may be used.
pub const FEATURE_RINGS: u64 = 1 << 6;
/// All features of this version.
pub const FEATURES: u64 = (1 << 7) - 1;

/// The name of the lowest feature in `bits`, for messages to people. `None` if there is none, or
/// it is unknown.
pub const fn feature_name(bits: u64) -> Option<&'static str> {
    match bits & bits.wrapping_neg() {
        FEATURE_EXCHANGE => Some("exchange"),
        FEATURE_COPY => Some("copy"),
        FEATURE_MEMORY => Some("memory"),
        FEATURE_WORKERS => Some("workers"),
        FEATURE_KEEP => Some("keep"),
        FEATURE_PUBLISH => Some("publish"),
        FEATURE_RINGS => Some("rings"),
        _ => None,
    }
}

/// Bytes in a device's name, at most: it stands twice in a uevent of 2 KiB.
pub const NAME_MAX: usize = 255;
/// The largest errno an answer may carry. Above are numbers that mean something to the kernel
/// alone, from `ERESTARTSYS` (512) on.
pub const ERRNO_MAX: u32 = 511;
/// Bytes of data in one message, at the very most; [`Greeting::max_transfer`] has the limit in
/// force.
pub const TRANSFER_MAX: u32 = 16 << 20;
/// The bits of poll(2) a driver may set: `POLLIN`, `POLLPRI`, `POLLOUT`, `POLLERR`, `POLLHUP`,
/// `POLLRDNORM`, `POLLRDBAND`, `POLLWRNORM`, `POLLWRBAND`, `POLLRDHUP`.
pub const POLL_MASK: u32 = 0x23df;

/// Device operation: read(2).
pub const IMPLEMENTS_READ: u64 = 1 << 0;
/// Device operation: write(2).
pub const IMPLEMENTS_WRITE: u64 = 1 << 1;
/// Device operation: ioctl(2).
pub const IMPLEMENTS_IOCTL: u64 = 1 << 2;
/// Device operation: poll(2) and `SIGIO`, by pushed state.
pub const IMPLEMENTS_POLL: u64 = 1 << 3;
/// Device operation: each close(2) of a descriptor.
pub const IMPLEMENTS_FLUSH: u64 = 1 << 4;
/// Device operation: fsync(2), fdatasync(2).
pub const IMPLEMENTS_SYNC: u64 = 1 << 5;
/// Device operation: lseek(2) relative to what only the driver knows (`SEEK_END`, `SEEK_DATA`,
/// `SEEK_HOLE`).
pub const IMPLEMENTS_SEEK: u64 = 1 << 6;
/// All device operations. Open and release go to every device.
pub const IMPLEMENTS_ALL: u64 = (1 << 7) - 1;

/// Registration flag: files have no position.
pub const REGISTER_STREAM: u32 = 1 << 0;
/// Registration flag: ioctl numbers encode nothing, and arguments are moved by [`CopyIn`] and
/// [`CopyOut`].
pub const REGISTER_RAW_IOCTL: u32 = 1 << 1;

/// Registration flag: the device outlives its driver for [`Register::keep`] milliseconds, in which
/// another one may take its place.
pub const REGISTER_KEEP: u32 = 1 << 2;
/// Registration flag, with the one before: what the old driver has not answered goes to its
/// successor. Without it, these calls fail with `EPIPE`.
pub const REGISTER_AGAIN: u32 = 1 << 3;
/// The longest that a device may be kept for, in milliseconds: a day.
pub const KEEP_MAX: u32 = 86_400_000;

/// Reply flag: [`Reply::events`] is the file's new poll state.
pub const REPLY_EVENTS: u16 = 1 << 0;

/// Memory flag: clients may not write to it, nor map it so that they could.
pub const MEMORY_READ_ONLY: u32 = 1 << 0;

/// Workers flag: the calling thread is one of them, though it may never read a message. It works on the
/// request of the header's id, if there is one; on those that it reads, it does without a word.
pub const WORKERS_JOIN: u32 = 1 << 0;

/// Publish flag: nothing is published any more.
pub const PUBLISH_NOTHING: u32 = 1 << 0;

/// Ring flag: [`Ring::event`] is a descriptor.
pub const RING_EVENT: u32 = 1 << 0;
/// Ring flag, without any other: the driver is done with the ring.
pub const RING_DROP: u32 = 1 << 1;
/// Attach flag: reads of the file take from the ring.
pub const ATTACH_READS: u32 = 1 << 0;
/// Attach flag: writes to the file put into the ring.
pub const ATTACH_WRITES: u32 = 1 << 1;
/// Portion flag. With [`IOCTL_FEED`]: behind these bytes is the end, and reads that find nothing give 0,
/// until something is fed without this flag. With [`IOCTL_TAKE`]: nobody takes any more, and writes fail
/// with `EPIPE`, until something is taken without it.
pub const PORTION_LAST: u32 = 1 << 0;
/// So many bytes of one write(2), or as many as the ring holds if that is less, go into a ring
/// together: as `PIPE_BUF` (pipe(7)).
pub const RING_WHOLE: u32 = 4096;

/// Request flag: the caller of an ioctl is a 32-bit program on a 64-bit kernel.
pub const REQUEST_COMPAT: u16 = 1 << 0;
/// Request flag: a driver that is gone had it, and may have done some of it, or all.
pub const REQUEST_AGAIN: u16 = 1 << 1;

/// What a message is about: [`RequestHeader::operation`], [`CommandHeader::operation`].
pub mod operation {
    /// Module to driver, first: [`Greeting`](super::Greeting).
    pub const GREETING: u16 = 1;
    /// Driver to module, first: [`Hello`](super::Hello).
    pub const HELLO: u16 = 2;
    /// Driver to module: [`Register`](super::Register), then the name.
    pub const REGISTER: u16 = 3;
    /// Driver to module: [`Unregister`](super::Unregister).
    pub const UNREGISTER: u16 = 4;
    /// Driver to module: [`Reply`](super::Reply), then data.
    pub const REPLY: u16 = 5;
    /// Driver to module: [`Notify`](super::Notify).
    pub const NOTIFY: u16 = 6;
    /// Driver to module: [`CopyIn`](super::CopyIn).
    pub const COPY_IN: u16 = 7;
    /// Driver to module: [`CopyOut`](super::CopyOut), then data.
    pub const COPY_OUT: u16 = 8;
    /// Driver to module: one reader is to get [`NUDGED`]. No fixed part.
    pub const NUDGE: u16 = 9;
    /// Driver to module: [`Memory`](super::Memory).
    pub const MEMORY: u16 = 10;
    /// Driver to module: [`Workers`](super::Workers).
    pub const WORKERS: u16 = 11;
    /// Driver to module: [`Cookie`](super::Cookie).
    pub const COOKIE: u16 = 12;
    /// Driver to module: the driver is the successor of the one that had this very control file. No
    /// fixed part.
    pub const RESUME: u16 = 13;
    /// Driver to module: [`Publish`](super::Publish).
    pub const PUBLISH: u16 = 14;
    /// Driver to module: gives a request back, with nothing of it done. No fixed part.
    pub const BACK: u16 = 15;
    /// Driver to module: [`Attach`](super::Attach).
    pub const ATTACH: u16 = 16;

    /// Request: a client opens the node. No fixed part.
    pub const OPEN: u16 = 32;
    /// Notice: a file is closed for good. No fixed part, no reply.
    pub const RELEASE: u16 = 33;
    /// Request: a descriptor is closed. No fixed part; no reply if its id is 0.
    pub const FLUSH: u16 = 34;
    /// Request: [`Transfer`](super::Transfer).
    pub const READ: u16 = 35;
    /// Request: [`Transfer`](super::Transfer), then data.
    pub const WRITE: u16 = 36;
    /// Request: [`Seek`](super::Seek).
    pub const SEEK: u16 = 37;
    /// Request: [`Ioctl`](super::Ioctl), then data.
    pub const IOCTL: u16 = 38;
    /// Request: [`Sync`](super::Sync).
    pub const SYNC: u16 = 39;

    /// Notice: the caller of a request has a signal. No fixed part, no reply.
    pub const INTERRUPT: u16 = 48;
    /// The end of a [`CopyIn`](super::CopyIn) or [`CopyOut`](super::CopyOut):
    /// [`Copied`](super::Copied), then data.
    pub const COPIED: u16 = 49;
    /// Notice: the driver has asked for it ([`NUDGE`]). No fixed part, no reply.
    pub const NUDGED: u16 = 50;
    /// Notice: another driver has taken the devices over. No fixed part, no reply.
    pub const SUCCESSOR: u16 = 51;
    /// Notice: from here on the driver is in charge of devices that another one had:
    /// [`Charge`](super::Charge). No reply.
    pub const CHARGE: u16 = 52;
}

/// Whether a device may have this name: components of `[A-Za-z0-9._-]`, separated by single
/// slashes, neither "." nor "..".
pub fn is_name(name: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
    name.split(|byte| *byte == b'/').all(|component| {
        !component.is_empty()
            && component != b"."
            && component != b".."
            && component.iter().all(allowed)
    })
}
