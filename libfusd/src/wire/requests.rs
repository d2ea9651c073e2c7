// SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT OR Apache-2.0

//! What a driver reads: the header and the fixed parts of requests, notices and news.

use super::*;

layout! {
    /// Begins every message to the driver.
    RequestHeader: 64 {
        /// Bytes in the message, this header included.
        length: u32 @ 0,
        /// One of [`operation`].
        operation: u16 @ 4,
        /// [`REQUEST_COMPAT`], [`REQUEST_AGAIN`].
        flags: u16 @ 6,
        /// Names the request in its reply; 0 where there is none to be given.
        id: u64 @ 8,
        /// The device, by the driver's own number ([`Register::device`]).
        device: u64 @ 16,
        /// The open file, by a number of the module that is never used again.
        file: u64 @ 24,
        /// The open file, by what the driver answered to its open; 0 before.
        cookie: u64 @ 32,
        /// The calling process, in the driver's pid namespace; 0 if it is not there.
        pid: u32 @ 40,
        /// The calling thread, likewise.
        tid: u32 @ 44,
        /// The caller's file-system user id, in the driver's user namespace.
        uid: u32 @ 48,
        /// The caller's file-system group id, likewise.
        gid: u32 @ 52,
        /// The file's `O_` flags as they are now.
        open_flags: u32 @ 56,
        /// 0.
        reserved: u32 @ 60,
    }

    /// What the module offers.
    Greeting: 32 {
        /// The version it serves.
        version: u32 @ 0,
        /// Bytes of data in one message, at most (4096 to [`TRANSFER_MAX`]).
        max_transfer: u32 @ 4,
        /// The features it has.
        features: u64 @ 8,
        /// Devices on this connection, at most.
        max_devices: u32 @ 16,
        /// Files open on one device, at most.
        max_files: u32 @ 20,
        /// 0.
        reserved: u64 @ 24,
    }

    /// The fixed part of a read or a write.
    Transfer: 16 {
        /// Where, in bytes; 0 on a stream.
        offset: u64 @ 0,
        /// Bytes wanted or given, 1 to the device's largest transfer.
        size: u32 @ 8,
        /// 0.
        reserved: u32 @ 12,
    }

    /// The fixed part of a seek.
    Seek: 16 {
        /// Bytes from there, signed.
        offset: i64 @ 0,
        /// `SEEK_END` (2), `SEEK_DATA` (3), `SEEK_HOLE` (4).
        whence: u32 @ 8,
        /// 0.
        reserved: u32 @ 12,
    }

    /// The fixed part of an ioctl.
    Ioctl: 24 {
        /// The argument as it was passed: a value, or an address in the caller's memory.
        argument: u64 @ 0,
        /// The number.
        command: u32 @ 8,
        /// Bytes of the argument that follow.
        in_size: u32 @ 12,
        /// Bytes the reply may carry.
        out_size: u32 @ 16,
        /// 0.
        reserved: u32 @ 20,
    }

    /// The fixed part of a sync.
    Sync: 8 {
        /// 1 for fdatasync(2).
        data_only: u32 @ 0,
        /// 0.
        reserved: u32 @ 4,
    }

    /// How a copy ended.
    Copied: 8 {
        /// 0, or an errno: `EFAULT` for memory that is not there, and nothing is given.
        error: u32 @ 0,
        /// 0.
        reserved: u32 @ 4,
    }

    /// What the successor of a driver takes over.
    Charge: 32 {
        /// The features that can be used.
        features: u64 @ 0,
        /// Bytes of data in one message, at most.
        max_transfer: u32 @ 8,
        /// Devices.
        devices: u32 @ 12,
        /// Open files, those counted that are closed and whose release is to come.
        files: u32 @ 16,
        /// 0.
        reserved: u32 @ 20,
        /// 0.
        reserved_too: u64 @ 24,
    }
}
