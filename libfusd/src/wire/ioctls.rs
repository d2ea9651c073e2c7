// SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT OR Apache-2.0

//! The ioctls of the control node and of the status node, and their arguments.

use super::*;

/// The number of the ioctl [`Exchange`]: `_IOWR(0xf1, 0, 32)` as all architectures but three encode
/// it (`include/uapi/asm-generic/ioctl.h`).
pub const IOCTL_EXCHANGE: u32 = 3 << 30 | 32 << 16 | 0xf1 << 8;

/// The number of the ioctl [`StatusQuery`], on the status node: `_IOWR(0xf1, 1, 40)`, encoded
/// likewise.
pub const IOCTL_STATUS: u32 = 3 << 30 | 40 << 16 | 0xf1 << 8 | 1;
/// The number of the ioctl [`Adopt`], on the control node: `_IOWR(0xf1, 2, 24)`, encoded likewise.
pub const IOCTL_ADOPT: u32 = 3 << 30 | 24 << 16 | 0xf1 << 8 | 2;
/// The number of the ioctl that lists open files, on the control node: `_IOWR(0xf1, 3, 24)`, with a
/// [`List`] of [`FileRecord`]s.
pub const IOCTL_FILES: u32 = 3 << 30 | 24 << 16 | 0xf1 << 8 | 3;
/// The number of the ioctl that lists devices, on the control node: `_IOWR(0xf1, 4, 24)`, with a
/// [`List`] of [`DeviceRecord`]s, each with the name behind it in [`STATUS_NAME`] bytes.
pub const IOCTL_DEVICES: u32 = 3 << 30 | 24 << 16 | 0xf1 << 8 | 4;
/// The number of the ioctl [`Ring`], on the control node: `_IOWR(0xf1, 5, 32)`, encoded likewise.
pub const IOCTL_RING: u32 = 3 << 30 | 32 << 16 | 0xf1 << 8 | 5;
/// The number of the ioctl that puts a [`Portion`] into a ring, on the control node: `_IOWR(0xf1, 6, 32)`,
/// encoded likewise.
pub const IOCTL_FEED: u32 = 3 << 30 | 32 << 16 | 0xf1 << 8 | 6;
/// The number of the ioctl that takes a [`Portion`] out of a ring, on the control node: `_IOWR(0xf1, 7, 32)`,
/// encoded likewise.
pub const IOCTL_TAKE: u32 = 3 << 30 | 32 << 16 | 0xf1 << 8 | 7;
/// [`Adopt::flags`]: also from a driver that lives, which then is told ([`operation::SUCCESSOR`]).
pub const ADOPT_REPLACE: u32 = 1 << 0;

/// Bytes of the name's place in a record of [`IOCTL_STATUS`], behind the [`StatusRecord`]; it ends
/// with zeros.
pub const STATUS_NAME: usize = NAME_MAX + 1;
/// Bytes of such a record as this version has it. A later one may have more behind.
pub const STATUS_SIZE: usize = StatusRecord::SIZE + STATUS_NAME;

layout! {
    /// The argument of [`IOCTL_EXCHANGE`]: hands in a message, if there is one, and waits for the
    /// next. The ioctl returns that one's length.
    Exchange: 32 {
        /// Address of the message to the module.
        command: u64 @ 0,
        /// Address of the room for the message to the driver.
        buffer: u64 @ 8,
        /// Bytes of the first; 0 for none. Set to 0 where it has been taken, but the ioctl fails.
        command_length: u32 @ 16,
        /// Bytes of the second.
        buffer_length: u32 @ 20,
        /// 0.
        reserved: u64 @ 24,
    }

    /// The argument of [`IOCTL_ADOPT`]: makes the driver the successor of the one that has a device.
    /// The ioctl returns a new control file, which stands for all devices of that one.
    Adopt: 24 {
        /// Address of the device's name.
        name: u64 @ 0,
        /// Bytes of it, 1 to [`NAME_MAX`].
        name_length: u32 @ 8,
        /// [`ADOPT_REPLACE`], or 0.
        flags: u32 @ 12,
        /// 0.
        reserved: u64 @ 16,
    }

    /// The argument of [`IOCTL_FILES`] and [`IOCTL_DEVICES`]: fetches records, in the order of their
    /// numbers. The ioctl returns how many; 0 if there are no more.
    List: 24 {
        /// The lowest number that is wanted: 0 at first, then one more than that of the last record.
        from: u64 @ 0,
        /// Address of the room for records.
        buffer: u64 @ 8,
        /// Bytes of it, for one record at least.
        buffer_length: u32 @ 16,
        /// 0.
        reserved: u32 @ 20,
    }

    /// An open file.
    FileRecord: 32 {
        /// As in [`RequestHeader::file`].
        file: u64 @ 0,
        /// As in [`RequestHeader::device`].
        device: u64 @ 8,
        /// As in [`RequestHeader::cookie`].
        cookie: u64 @ 16,
        /// The `O_` flags it was opened with.
        open_flags: u32 @ 24,
        /// Its poll state.
        events: u32 @ 28,
    }

    /// A device, as it was registered. Its name follows.
    DeviceRecord: 32 {
        /// As in [`Register::device`].
        device: u64 @ 0,
        /// As in [`Register::operations`].
        operations: u64 @ 8,
        /// As in [`Register::flags`].
        flags: u32 @ 16,
        /// The limit in force, of [`Register::max_transfer`] and the module's own.
        max_transfer: u32 @ 20,
        /// As in [`Register::keep`].
        keep: u32 @ 24,
        /// Bytes of the name.
        name_length: u32 @ 28,
    }

    /// The argument of [`IOCTL_RING`]: makes a ring, changes when the driver is told of one, or drops it.
    Ring: 32 {
        /// The driver's number for it, any.
        ring: u64 @ 0,
        /// Bytes that it is to hold, at most [`Greeting::max_transfer`]; it may hold more, up to a whole
        /// page. 0 for a ring that there is.
        size: u32 @ 8,
        /// [`RING_EVENT`], [`RING_DROP`], or 0.
        flags: u32 @ 12,
        /// A descriptor of eventfd(2), which is signalled at the marks; in place of one given before.
        event: u32 @ 16,
        /// Mark: a read has made the free room as large as this, in bytes. 0: no mark.
        room: u32 @ 20,
        /// Mark: a write has brought the bytes in the ring to as many as this, or has to wait as they are
        /// fewer. 0: no mark.
        fill: u32 @ 24,
        /// 0.
        reserved: u32 @ 28,
    }

    /// The argument of [`IOCTL_FEED`] and [`IOCTL_TAKE`], which return how many bytes were moved.
    Portion: 32 {
        /// As in [`Ring::ring`].
        ring: u64 @ 0,
        /// Address of the bytes, or of the room for them.
        address: u64 @ 8,
        /// How many, at most. 0: none; flags and [`Self::filled`] alone are wanted.
        length: u32 @ 16,
        /// [`PORTION_LAST`], or 0. What it says holds only if all bytes were fed that were given.
        flags: u32 @ 20,
        /// Written by the module: how many bytes are in the ring now.
        filled: u32 @ 24,
        /// 0.
        reserved: u32 @ 28,
    }

    /// The argument of [`IOCTL_STATUS`]: fetches a record of each device, as of one moment. The
    /// ioctl returns how many it has written.
    StatusQuery: 40 {
        /// Address of the room for records.
        buffer: u64 @ 0,
        /// Bytes of it. Records that do not fit are left out.
        buffer_length: u32 @ 8,
        /// Bytes of a record as the program knows it, [`StatusRecord::SIZE`] or more: what the
        /// module has beyond is left out, what it does not have is zero.
        record_size: u32 @ 12,
        /// Set: bytes of a record as the module knows it.
        known_size: u32 @ 16,
        /// Set: how many devices there are.
        devices: u32 @ 20,
        /// Set: how often devices and files have changed since the module was inserted.
        changes: u64 @ 24,
        /// 0.
        reserved: u64 @ 32,
    }

    /// What there is to know of a device. Its name follows, in [`STATUS_NAME`] bytes.
    StatusRecord: 64 {
        /// The node's device number.
        major: u32 @ 0,
        /// Likewise.
        minor: u32 @ 4,
        /// The driver's process, as the initial pid namespace numbers it.
        driver: u32 @ 8,
        /// Open files.
        files: u32 @ 12,
        /// Requests under way.
        waiting: u32 @ 16,
        /// Bytes of the name.
        name_length: u32 @ 20,
        /// Requests answered.
        served: u64 @ 24,
        /// Bytes read and written by clients.
        bytes: u64 @ 32,
        /// For how long the oldest request under way has waited, in nanoseconds.
        oldest: u64 @ 40,
        /// The operations that reach the driver (`IMPLEMENTS_`).
        operations: u64 @ 48,
        /// `REGISTER_` flags.
        flags: u32 @ 56,
        /// Calls that have failed because they would have waited for themselves.
        deadlocks: u32 @ 60,
    }
}
