// SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT OR Apache-2.0

//! The protocol between the kernel module kfusd and a driver: every message, number and limit, for
//! both sides. kfusd(4) tells what the messages mean and in which order they come.
//!
//! A message is one `read` or one `write` of the control node: a header, the fixed part of its
//! operation, and data if it has any. Numbers are in the machine's byte order. This file uses
//! `core` alone, compiles as edition 2021, and no function in it panics, whatever it is given.

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
/// All features of this version.
pub const FEATURES: u64 = (1 << 6) - 1;

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

/// Request flag: the caller of an ioctl is a 32-bit program on a 64-bit kernel.
pub const REQUEST_COMPAT: u16 = 1 << 0;
/// Request flag: a driver that is gone had it, and may have done some of it, or all.
pub const REQUEST_AGAIN: u16 = 1 << 1;

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
/// [`Adopt::flags`]: also from a driver that lives, which then is told ([`operation::SUCCESSOR`]).
pub const ADOPT_REPLACE: u32 = 1 << 0;

/// Bytes of the name's place in a record of [`IOCTL_STATUS`], behind the [`StatusRecord`]; it ends
/// with zeros.
pub const STATUS_NAME: usize = NAME_MAX + 1;
/// Bytes of such a record as this version has it. A later one may have more behind.
pub const STATUS_SIZE: usize = StatusRecord::SIZE + STATUS_NAME;

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

/// Copies `N` bytes at `at`; zeros where there are none.
#[inline]
fn take<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    if let Some(part) = bytes.get(at..).and_then(|rest| rest.get(..N)) {
        out.copy_from_slice(part);
    }
    out
}

/// Puts `bytes` at `at`, if there is room.
#[inline]
fn put(out: &mut [u8], at: usize, bytes: &[u8]) {
    let slot = out
        .get_mut(at..)
        .and_then(|rest| rest.get_mut(..bytes.len()));
    if let Some(slot) = slot {
        slot.copy_from_slice(bytes);
    }
}

/// A field of a structure: what a test must know of it to try each at its wrong values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// Where it begins, in bytes from the structure's beginning.
    pub at: usize,
    /// Bytes it takes: 2, 4 or 8.
    pub size: usize,
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
];

/// Declares the structures: layout, size in bytes, and the way to and from bytes.
macro_rules! layout {
    ($($(#[$attribute:meta])* $name:ident: $size:literal {
        $($(#[$about:meta])* $field:ident: $kind:ident @ $at:literal,)*
    })*) => {$(
        $(#[$attribute])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name {
            $($(#[$about])* pub $field: $kind,)*
        }

        const _: () = assert!(core::mem::size_of::<$name>() == $size);
        $(const _: () = assert!(core::mem::offset_of!($name, $field) == $at);)*

        impl $name {
            /// Bytes in a message.
            pub const SIZE: usize = $size;

            /// Its fields, in their order.
            pub const FIELDS: &'static [Field] = &[$(Field {
                name: stringify!($field),
                at: $at,
                size: core::mem::size_of::<$kind>(),
            },)*];

            /// As it stands in a message.
            #[inline]
            pub fn to_bytes(self) -> [u8; $size] {
                let mut out = [0; $size];
                $(put(&mut out, $at, &self.$field.to_ne_bytes());)*
                out
            }

            /// From the bytes of a message; what is missing is zero.
            #[inline]
            pub fn from_bytes(bytes: &[u8]) -> Self {
                Self { $($field: $kind::from_ne_bytes(take(bytes, $at)),)* }
            }
        }
    )*};
}

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

    /// Changes what the driver calls a file: where it keeps what a successor needs to know.
    Cookie: 16 {
        /// The file, as in [`RequestHeader::file`].
        file: u64 @ 0,
        /// From now on in [`RequestHeader::cookie`].
        cookie: u64 @ 8,
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

/// Bytes of the longest beginning that [`Command::parse`] looks at.
pub const HEAD_MAX: usize = CommandHeader::SIZE + Register::SIZE;

/// What is wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is shorter than its operation demands, or its length is not what was written.
    Length,
    /// No such operation.
    Operation,
    /// A flag that does not exist, or not there.
    Flags,
    /// A field that must be 0 is not.
    Reserved,
    /// A number out of its range.
    Range,
    /// A version other than [`VERSION`].
    Version,
    /// A feature that does not exist.
    Feature,
}

/// A message to the module, checked as far as it can be on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// [`operation::HELLO`].
    Hello(Hello),
    /// [`operation::REGISTER`]; the name follows.
    Register(Register),
    /// [`operation::UNREGISTER`].
    Unregister(Unregister),
    /// [`operation::REPLY`]; data follows.
    Reply {
        /// The request.
        id: u64,
        /// The answer.
        reply: Reply,
        /// Whether [`Reply::events`] counts.
        has_events: bool,
        /// Bytes of data.
        length: usize,
    },
    /// [`operation::NOTIFY`].
    Notify(Notify),
    /// [`operation::NUDGE`].
    Nudge,
    /// [`operation::MEMORY`].
    Memory(Memory),
    /// [`operation::WORKERS`].
    Workers {
        /// The request that the calling thread works on; 0 for none.
        id: u64,
        /// Who serves.
        workers: Workers,
    },
    /// [`operation::PUBLISH`].
    Publish(Publish),
    /// [`operation::COOKIE`].
    Cookie(Cookie),
    /// [`operation::RESUME`].
    Resume,
    /// [`operation::BACK`].
    Back {
        /// The request.
        id: u64,
    },
    /// [`operation::COPY_IN`].
    CopyIn {
        /// The request.
        id: u64,
        /// What to copy.
        copy: CopyIn,
    },
    /// [`operation::COPY_OUT`]; the bytes follow.
    CopyOut {
        /// The request.
        id: u64,
        /// What to copy.
        copy: CopyOut,
    },
}

/// `Ok` if it holds.
fn ensure(holds: bool, fault: Fault) -> Result<(), Fault> {
    holds.then_some(()).ok_or(fault)
}

/// A message to the module that answers a request ([`operation::REPLY`]), checked likewise; data follows.
/// It is the one that comes most often, and by itself takes less to parse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The request.
    pub id: u64,
    /// The answer.
    pub reply: Reply,
    /// Whether [`Reply::events`] counts.
    pub has_events: bool,
    /// Bytes of data.
    pub length: usize,
}

impl Answer {
    /// Bytes before the data.
    pub const HEAD: usize = CommandHeader::SIZE + Reply::SIZE;

    /// Parses a message as [`Command::parse`] does. `None`: it is another one, or too short to tell.
    #[inline(always)]
    pub fn parse(head: &[u8], total: usize) -> Option<Result<Self, Fault>> {
        let header: &[u8; CommandHeader::SIZE] = head.first_chunk()?;
        let header = CommandHeader::from_bytes(header);
        match header.operation {
            operation::REPLY => Some(Self::checked(header, head, total)),
            _ => None,
        }
    }

    #[inline(always)]
    fn checked(header: CommandHeader, head: &[u8], total: usize) -> Result<Self, Fault> {
        ensure(usize::try_from(header.length) == Ok(total), Fault::Length)?;
        let length = total.checked_sub(Self::HEAD).ok_or(Fault::Length)?;
        ensure(header.flags & !REPLY_EVENTS == 0, Fault::Flags)?;
        let has_events = header.flags & REPLY_EVENTS != 0;
        // Of a length that is known: then no field's place need be checked.
        let head: Option<&[u8; Self::HEAD]> = head.first_chunk();
        let reply = head.and_then(|head| head.last_chunk::<{ Reply::SIZE }>());
        let reply = Reply::from_bytes(reply.ok_or(Fault::Length)?);
        Ok(Self {
            id: header.id,
            reply: reply.checked(has_events, length)?,
            has_events,
            length,
        })
    }
}

impl Command {
    /// Parses a message of `total` bytes by its first ones: `head` has all, or at least
    /// [`HEAD_MAX`]. Returns the message and how many of its bytes were looked at; the rest is
    /// data.
    ///
    /// # Errors
    /// What is wrong with it.
    #[inline]
    pub fn parse(head: &[u8], total: usize) -> Result<(Self, usize), Fault> {
        ensure(
            total >= CommandHeader::SIZE && head.len() >= total.min(HEAD_MAX),
            Fault::Length,
        )?;
        if let Some(answer) = Answer::parse(head, total) {
            let Answer {
                id,
                reply,
                has_events,
                length,
            } = answer?;
            let answer = Self::Reply {
                id,
                reply,
                has_events,
                length,
            };
            return Ok((answer, Answer::HEAD));
        }
        // Of a length that is known: then no field's place need be checked.
        let header: Option<(&[u8; CommandHeader::SIZE], &[u8])> = head.split_first_chunk();
        let (header, body) = header.ok_or(Fault::Length)?;
        let header = CommandHeader::from_bytes(header);
        ensure(usize::try_from(header.length) == Ok(total), Fault::Length)?;
        let fixed = fixed_size(header.operation).ok_or(Fault::Operation)?;
        let used = CommandHeader::SIZE + fixed;
        let length = total.checked_sub(used).ok_or(Fault::Length)?;
        let about_request = matches!(
            header.operation,
            operation::COPY_IN | operation::COPY_OUT | operation::WORKERS | operation::BACK
        );
        ensure(about_request || header.id == 0, Fault::Reserved)?;
        ensure(header.flags == 0, Fault::Flags)?;
        let command = Self::body(header, body, length)?;
        Ok((command, used))
    }

    /// The fixed part, of which `body` has enough, with `length` bytes behind it.
    #[inline]
    fn body(header: CommandHeader, body: &[u8], length: usize) -> Result<Self, Fault> {
        let id = header.id;
        let no_more = ensure(length == 0, Fault::Length);
        Ok(match header.operation {
            operation::HELLO => {
                no_more?;
                Self::Hello(Hello::from_bytes(body).checked()?)
            }
            operation::REGISTER => Self::Register(Register::from_bytes(body).checked(length)?),
            operation::UNREGISTER => {
                no_more?;
                Self::Unregister(Unregister::from_bytes(body))
            }
            operation::NOTIFY => {
                no_more?;
                let notify = Notify::from_bytes(body);
                ensure(notify.reserved == 0, Fault::Reserved)?;
                ensure(notify.events & !POLL_MASK == 0, Fault::Range)?;
                Self::Notify(notify)
            }
            operation::NUDGE => {
                no_more?;
                Self::Nudge
            }
            operation::MEMORY => {
                no_more?;
                Self::Memory(Memory::from_bytes(body).checked()?)
            }
            operation::WORKERS => {
                no_more?;
                let workers = Workers::from_bytes(body).checked()?;
                ensure(id == 0 || workers.flags != 0, Fault::Reserved)?;
                Self::Workers { id, workers }
            }
            operation::PUBLISH => {
                no_more?;
                Self::Publish(Publish::from_bytes(body).checked()?)
            }
            operation::COOKIE => {
                no_more?;
                Self::Cookie(Cookie::from_bytes(body))
            }
            operation::RESUME => {
                no_more?;
                Self::Resume
            }
            operation::BACK => {
                no_more?;
                Self::Back { id }
            }
            operation::COPY_IN => {
                no_more?;
                let copy = CopyIn::from_bytes(body);
                ensure(copy.reserved == 0, Fault::Reserved)?;
                ensure(
                    copy.length != 0 && copy.length <= TRANSFER_MAX,
                    Fault::Range,
                )?;
                Self::CopyIn { id, copy }
            }
            operation::COPY_OUT => {
                let copy = CopyOut::from_bytes(body);
                ensure(copy.reserved == 0, Fault::Reserved)?;
                ensure(
                    copy.length != 0 && copy.length <= TRANSFER_MAX,
                    Fault::Range,
                )?;
                ensure(usize::try_from(copy.length) == Ok(length), Fault::Length)?;
                Self::CopyOut { id, copy }
            }
            _ => return Err(Fault::Operation),
        })
    }
}

/// Bytes of the fixed part of a message to the module; `None` for an operation that is none.
const fn fixed_size(operation: u16) -> Option<usize> {
    Some(match operation {
        operation::HELLO => Hello::SIZE,
        operation::REGISTER => Register::SIZE,
        operation::UNREGISTER => Unregister::SIZE,
        operation::NOTIFY => Notify::SIZE,
        operation::NUDGE => 0,
        operation::MEMORY => Memory::SIZE,
        operation::WORKERS => Workers::SIZE,
        operation::PUBLISH => Publish::SIZE,
        operation::COOKIE => Cookie::SIZE,
        operation::RESUME | operation::BACK => 0,
        operation::COPY_IN => CopyIn::SIZE,
        operation::COPY_OUT => CopyOut::SIZE,
        _ => return None,
    })
}

impl Hello {
    fn checked(self) -> Result<Self, Fault> {
        ensure(self.version == VERSION, Fault::Version)?;
        ensure(self.reserved == 0, Fault::Reserved)?;
        ensure(self.features & !FEATURES == 0, Fault::Feature)?;
        Ok(self)
    }
}

impl Register {
    fn checked(self, length: usize) -> Result<Self, Fault> {
        ensure(self.reserved == 0, Fault::Reserved)?;
        ensure(self.operations & !IMPLEMENTS_ALL == 0, Fault::Flags)?;
        ensure(
            self.flags & !(REGISTER_STREAM | REGISTER_RAW_IOCTL | REGISTER_KEEP | REGISTER_AGAIN)
                == 0,
            Fault::Flags,
        )?;
        let keeps = self.flags & REGISTER_KEEP != 0;
        ensure(keeps || self.flags & REGISTER_AGAIN == 0, Fault::Flags)?;
        ensure(keeps || self.keep == 0, Fault::Reserved)?;
        ensure(!keeps || (1..=KEEP_MAX).contains(&self.keep), Fault::Range)?;
        ensure(self.mode & !0o777 == 0, Fault::Range)?;
        ensure(
            usize::try_from(self.name_length) == Ok(length),
            Fault::Length,
        )?;
        ensure(length != 0, Fault::Range)?;
        Ok(self)
    }
}

impl Reply {
    fn checked(self, has_events: bool, length: usize) -> Result<Self, Fault> {
        ensure(self.error <= ERRNO_MAX, Fault::Range)?;
        ensure(
            self.error == 0 || (self.value == 0 && length == 0),
            Fault::Range,
        )?;
        ensure(has_events || self.events == 0, Fault::Reserved)?;
        ensure(self.events & !POLL_MASK == 0, Fault::Range)?;
        Ok(self)
    }
}

impl Memory {
    fn checked(self) -> Result<Self, Fault> {
        ensure(self.reserved == 0, Fault::Reserved)?;
        ensure(self.flags & !MEMORY_READ_ONLY == 0, Fault::Flags)?;
        let is_none = self.length == 0;
        ensure(
            !is_none || self.address == 0 && self.flags == 0,
            Fault::Range,
        )?;
        Ok(self)
    }
}

impl Workers {
    fn checked(self) -> Result<Self, Fault> {
        ensure(self.flags & !WORKERS_JOIN == 0, Fault::Flags)?;
        ensure(self.limit != 0 || self.flags != 0, Fault::Range)?;
        Ok(self)
    }
}

impl Publish {
    fn checked(self) -> Result<Self, Fault> {
        ensure(self.reserved == 0, Fault::Reserved)?;
        ensure(self.flags & !PUBLISH_NOTHING == 0, Fault::Flags)?;
        ensure(self.flags == 0 || self.length == 0, Fault::Range)?;
        ensure(self.length != 0 || self.address == 0, Fault::Range)?;
        Ok(self)
    }
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
