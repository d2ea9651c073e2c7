// SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT OR Apache-2.0

//! What a driver writes: the header and the fixed parts of its messages.

use super::*;

layout! {
    /// Begins every message to the module.
    CommandHeader: 16 {
        /// Bytes in the message, this header included; the same as are written.
        length: u32 @ 0,
        /// One of [`operation`].
        operation: u16 @ 4,
        /// [`REPLY_EVENTS`], for a reply; else 0.
        flags: u16 @ 6,
        /// The request that is meant, for a reply, a copy or what goes back, and for [`Workers`] if any;
        /// else 0.
        id: u64 @ 8,
    }

    /// What the driver takes.
    Hello: 16 {
        /// The version it speaks.
        version: u32 @ 0,
        /// 0.
        reserved: u32 @ 4,
        /// The features it wants, out of those offered.
        features: u64 @ 8,
    }

    /// Makes a device. The name follows, without a terminating zero.
    Register: 48 {
        /// The driver's number for it, of its own choice, unique on the connection.
        device: u64 @ 0,
        /// The operations that are to reach the driver (`IMPLEMENTS_`).
        operations: u64 @ 8,
        /// `REGISTER_` flags.
        flags: u32 @ 16,
        /// Permissions of the node, 0 to 0o777.
        mode: u32 @ 20,
        /// Owner of the node, in the driver's user namespace.
        uid: u32 @ 24,
        /// Group of the node, likewise.
        gid: u32 @ 28,
        /// Bytes of data in one request, at most: 0 for the module's own limit, which also holds
        /// where this is more.
        max_transfer: u32 @ 32,
        /// Bytes of the name, 1 to [`NAME_MAX`].
        name_length: u32 @ 36,
        /// With [`REGISTER_KEEP`], for how long the device waits for a driver, in milliseconds (1
        /// to [`KEEP_MAX`]); else 0.
        keep: u32 @ 40,
        /// 0.
        reserved: u32 @ 44,
    }

    /// Removes a device.
    Unregister: 8 {
        /// As in [`Register::device`].
        device: u64 @ 0,
    }

    /// Answers a request.
    Reply: 16 {
        /// 0, or the errno the call fails with (1 to [`ERRNO_MAX`]).
        error: u32 @ 0,
        /// With [`REPLY_EVENTS`], the file's new poll state; else 0.
        events: u32 @ 4,
        /// Open: the cookie. Write: bytes taken. Seek: the new position. Ioctl: what the call
        /// returns, 0 to `i32::MAX`. Else, and with an error, 0.
        value: u64 @ 8,
    }

    /// Pushes the poll state of a file.
    Notify: 16 {
        /// The file, as in [`RequestHeader::file`].
        file: u64 @ 0,
        /// The new state, within [`POLL_MASK`].
        events: u32 @ 8,
        /// 0.
        reserved: u32 @ 12,
    }

    /// Fetches memory of a caller that waits in an ioctl.
    CopyIn: 16 {
        /// Where, in the caller's memory.
        address: u64 @ 0,
        /// Bytes, 1 to the device's largest transfer.
        length: u32 @ 8,
        /// 0.
        reserved: u32 @ 12,
    }

    /// Writes memory of a caller that waits in an ioctl. The bytes follow.
    CopyOut: 16 {
        /// Where, in the caller's memory.
        address: u64 @ 0,
        /// Bytes, 1 to the device's largest transfer.
        length: u32 @ 8,
        /// 0.
        reserved: u32 @ 12,
    }

    /// Offers memory of the driver's for mmap(2), in place of what was offered before.
    Memory: 40 {
        /// The device, as in [`Register::device`].
        device: u64 @ 0,
        /// The file, as in [`RequestHeader::file`], of that device; 0 for all that have nothing of
        /// their own.
        file: u64 @ 8,
        /// Where the driver has mapped it, `MAP_SHARED`, from the beginning of a file of tmpfs or
        /// memfd_create(2) on. 0 for none.
        address: u64 @ 16,
        /// Bytes, a multiple of the size of a page. 0 to offer nothing any more.
        length: u64 @ 24,
        /// [`MEMORY_READ_ONLY`], or 0.
        flags: u32 @ 32,
        /// 0.
        reserved: u32 @ 36,
    }

    /// Says who serves, so that it can be told whether anybody is left who could take a call.
    Workers: 8 {
        /// Requests that the driver works on at a time, at most; 0 leaves it as it was. Without a word
        /// of it, as many as threads have read messages.
        limit: u32 @ 0,
        /// [`WORKERS_JOIN`], or 0; not both are 0.
        flags: u32 @ 4,
    }

    /// Has the module serve reads by itself, in place of what was published before.
    Publish: 40 {
        /// The device, as in [`Register::device`]; no stream.
        device: u64 @ 0,
        /// The file, as in [`RequestHeader::file`], of that device; 0 for all whose opens are answered
        /// from now on and that have nothing of their own.
        file: u64 @ 8,
        /// Where the driver has mapped the bytes, `MAP_SHARED`, from the beginning of a file of tmpfs
        /// or memfd_create(2) on. 0 where there are none.
        address: u64 @ 16,
        /// How many bytes, any number: where the file's end is.
        length: u64 @ 24,
        /// [`PUBLISH_NOTHING`], without address and length: reads go to the driver again. Or 0.
        flags: u32 @ 32,
        /// 0.
        reserved: u32 @ 36,
    }

    /// Has a file's reads, or writes, or both, served by a ring. Only while the driver answers the file's
    /// open.
    Attach: 24 {
        /// The file, as in [`RequestHeader::file`], of a device that is a stream.
        file: u64 @ 0,
        /// As in [`Ring::ring`].
        ring: u64 @ 8,
        /// [`ATTACH_READS`], [`ATTACH_WRITES`].
        flags: u32 @ 16,
        /// 0.
        reserved: u32 @ 20,
    }

    /// Changes what the driver calls a file: where it keeps what a successor needs to know.
    Cookie: 16 {
        /// The file, as in [`RequestHeader::file`].
        file: u64 @ 0,
        /// From now on in [`RequestHeader::cookie`].
        cookie: u64 @ 8,
    }
}

/// The structures of a message to the module, as tests go through them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// One of [`operation`].
    pub operation: u16,
    /// The fields of the fixed part, counted from its own beginning.
    pub fields: &'static [Field],
}

/// All messages to the module. Each begins with the fields of [`CommandHeader::FIELDS`].
pub const COMMANDS: &[Layout] = &[
    Layout {
        operation: operation::HELLO,
        fields: Hello::FIELDS,
    },
    Layout {
        operation: operation::REGISTER,
        fields: Register::FIELDS,
    },
    Layout {
        operation: operation::UNREGISTER,
        fields: Unregister::FIELDS,
    },
    Layout {
        operation: operation::REPLY,
        fields: Reply::FIELDS,
    },
    Layout {
        operation: operation::NOTIFY,
        fields: Notify::FIELDS,
    },
    Layout {
        operation: operation::COPY_IN,
        fields: CopyIn::FIELDS,
    },
    Layout {
        operation: operation::COPY_OUT,
        fields: CopyOut::FIELDS,
    },
    Layout {
        operation: operation::NUDGE,
        fields: &[],
    },
    Layout {
        operation: operation::MEMORY,
        fields: Memory::FIELDS,
    },
    Layout {
        operation: operation::WORKERS,
        fields: Workers::FIELDS,
    },
    Layout {
        operation: operation::PUBLISH,
        fields: Publish::FIELDS,
    },
    Layout {
        operation: operation::COOKIE,
        fields: Cookie::FIELDS,
    },
    Layout {
        operation: operation::RESUME,
        fields: &[],
    },
    Layout {
        operation: operation::BACK,
        fields: &[],
    },
    Layout {
        operation: operation::ATTACH,
        fields: Attach::FIELDS,
    },
];
