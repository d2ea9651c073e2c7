//! One request of every kind, byte by byte as a little-endian kernel sends it.

use crate::fuse_wire::frame::Span;
use crate::fuse_wire::{Body, Frame, IoctlFlags, SetAttr, SetTime, Timestamp};

/// A request and what it is to be decoded to.
pub(super) struct Golden {
    pub bytes: Vec<u8>,
    pub body: Body,
}

/// The frame that every golden request has around its body.
pub(super) fn frame(body: Body) -> Frame {
    Frame {
        unique: 0x0102_0304_0506_0708,
        node: 1,
        uid: 1000,
        gid: 100,
        pid: 0x1234,
        body,
    }
}

/// The header, its length counted, in front of `parts`.
fn message(opcode: [u8; 4], parts: &[&[u8]], extension_units: u8) -> Vec<u8> {
    let payload = parts.concat();
    let header: &[&[u8]] = &[
        &u32::try_from(40 + payload.len()).unwrap().to_le_bytes(), // len
        &opcode,
        &[0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01], // unique
        &[0x01, 0, 0, 0, 0, 0, 0, 0],                      // nodeid: the root
        &[0xe8, 0x03, 0, 0],                               // uid: 1000
        &[0x64, 0, 0, 0],                                  // gid: 100
        &[0x34, 0x12, 0, 0],                               // pid
        &[extension_units, 0],                             // total_extlen
        &[0, 0],                                           // padding
        &payload,
    ];
    header.concat()
}

/// A READ with nothing computed: this one pins the header.
#[rustfmt::skip]
pub(super) const READ: [u8; 80] = [
    0x50, 0, 0, 0,                                  // len: 80
    0x0f, 0, 0, 0,                                  // opcode: FUSE_READ
    0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01, // unique
    0x01, 0, 0, 0, 0, 0, 0, 0,                      // nodeid: the root
    0xe8, 0x03, 0, 0,                               // uid: 1000
    0x64, 0, 0, 0,                                  // gid: 100
    0x34, 0x12, 0, 0,                               // pid
    0, 0,                                           // total_extlen
    0, 0,                                           // padding
    0x07, 0, 0, 0, 0, 0, 0, 0x80,                   // fh
    0x00, 0x10, 0, 0, 0x01, 0, 0, 0,                // offset: 4 GiB and a page
    0x00, 0x00, 0x02, 0,                            // size: 128 KiB
    0x02, 0, 0, 0,                                  // read_flags: FUSE_READ_LOCKOWNER
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, // lock_owner
    0x00, 0x88, 0, 0,                               // flags: O_NONBLOCK | O_LARGEFILE
    0, 0, 0, 0,                                     // padding
];

/// The handle that the golden requests carry.
const FH: [u8; 8] = [0x07, 0, 0, 0, 0, 0, 0, 0];
const ZERO4: [u8; 4] = [0; 4];
const ZERO8: [u8; 8] = [0; 8];
const OWNER: [u8; 8] = [0xaa, 0xbb, 0xcc, 0xdd, 0, 0, 0, 0];

/// All golden requests.
pub(super) fn all() -> Vec<Golden> {
    let mut all = session();
    all.extend(attributes());
    all.extend(files());
    all.extend(transfers());
    all.extend(refused());
    all.extend(silent());
    all
}

/// A request and its decoded body.
fn golden(opcode: u8, parts: &[&[u8]], body: Body) -> Golden {
    Golden {
        bytes: message([opcode, 0, 0, 0], parts, 0),
        body,
    }
}

#[rustfmt::skip]
fn session() -> Vec<Golden> {
    vec![
        // FUSE_INIT since 7.36.
        golden(26, &[
            &[0x07, 0, 0, 0],             // major
            &[0x2d, 0, 0, 0],             // minor: 45
            &[0x00, 0x00, 0x02, 0],       // max_readahead: 128 KiB
            &[0x09, 0x00, 0x00, 0x40],    // flags: ASYNC_READ, ATOMIC_O_TRUNC, INIT_EXT
            &[0x10, 0, 0, 0],             // flags2: DIRECT_IO_ALLOW_MMAP
            &[0; 44],                     // unused
        ], Body::Init { major: 7, minor: 45, max_readahead: 0x2_0000, flags: 0x10_4000_0009 }),
        // FUSE_INIT of 7.31.
        golden(26, &[
            &[0x07, 0, 0, 0],             // major
            &[0x1f, 0, 0, 0],             // minor: 31
            &[0x00, 0x00, 0x02, 0],       // max_readahead
            &[0x09, 0x00, 0x00, 0x00],    // flags
        ], Body::Init { major: 7, minor: 31, max_readahead: 0x2_0000, flags: 9 }),
        // FUSE_INIT of 7.5 and of a major version whose layout is not known.
        golden(26, &[
            &[0x08, 0, 0, 0],             // major
            &[0x01, 0, 0, 0],             // minor
        ], Body::Init { major: 8, minor: 1, max_readahead: 0, flags: 0 }),
        // FUSE_DESTROY: nothing.
        golden(38, &[], Body::Destroy),
        // CUSE_INIT, opcode 4096.
        Golden {
            bytes: message([0x00, 0x10, 0, 0], &[
                &[0x07, 0, 0, 0],         // major
                &[0x28, 0, 0, 0],         // minor: 40
                &ZERO4,                   // unused
                &[0x01, 0, 0, 0],         // flags: CUSE_UNRESTRICTED_IOCTL
            ], 0),
            body: Body::CuseInit { major: 7, minor: 40, flags: 1 },
        },
    ]
}

#[rustfmt::skip]
fn attributes() -> Vec<Golden> {
    let before_1970 = Timestamp { sec: -2, nsec: 500_000_000 };
    vec![
        // FUSE_GETATTR through an open file, and by name.
        golden(3, &[
            &[0x01, 0, 0, 0],             // getattr_flags: FUSE_GETATTR_FH
            &ZERO4,                       // dummy
            &FH,                          // fh
        ], Body::Getattr { fh: Some(7) }),
        golden(3, &[
            &ZERO4,                       // getattr_flags
            &ZERO4,                       // dummy
            &ZERO8,                       // fh
        ], Body::Getattr { fh: None }),
        // FUSE_STATX.
        golden(52, &[
            &[0x01, 0, 0, 0],             // getattr_flags: FUSE_GETATTR_FH
            &ZERO4,                       // reserved
            &FH,                          // fh
            &[0x00, 0x20, 0, 0],          // sx_flags: AT_STATX_FORCE_SYNC
            &[0xff, 0x0f, 0, 0],          // sx_mask: STATX_ALL
        ], Body::Statx { fh: Some(7), flags: 0x2000, mask: 0xfff }),
        // FUSE_SETATTR: chmod, ftruncate and utimensat in one.
        golden(4, &[
            &[0xf9, 0, 0, 0],             // valid: MODE SIZE ATIME MTIME FH ATIME_NOW
            &ZERO4,                       // padding
            &FH,                          // fh
            &[0x00, 0x10, 0, 0, 0, 0, 0, 0], // size: 4096
            &OWNER,                       // lock_owner
            &[0x99, 0, 0, 0, 0, 0, 0, 0], // atime: not looked at
            &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], // mtime: -2
            &ZERO8,                       // ctime
            &ZERO4,                       // atimensec
            &[0x00, 0x65, 0xcd, 0x1d],    // mtimensec: half a second
            &ZERO4,                       // ctimensec
            &[0xb6, 0x81, 0, 0],          // mode: S_IFREG | 0666
            &ZERO4,                       // unused4
            &[0x01, 0, 0, 0],             // uid: not valid
            &[0x02, 0, 0, 0],             // gid: not valid
            &ZERO4,                       // unused5
        ], Body::Setattr(SetAttr {
            mode: Some(0o100_666), uid: None, gid: None, size: Some(4096),
            atime: Some(SetTime::Now), mtime: Some(SetTime::At(before_1970)), fh: Some(7),
        })),
        // FUSE_SETATTR: chown.
        golden(4, &[
            &[0x06, 0, 0, 0],             // valid: UID GID
            &[0; 72],                     // all up to unused4
            &[0xe8, 0x03, 0, 0],          // uid: 1000
            &[0x05, 0, 0, 0],             // gid: 5
            &ZERO4,                       // unused5
        ], Body::Setattr(SetAttr { uid: Some(1000), gid: Some(5), ..SetAttr::default() })),
        // FUSE_ACCESS.
        golden(34, &[
            &[0x06, 0, 0, 0],             // mask: R_OK | W_OK
            &ZERO4,                       // padding
        ], Body::Access { mask: 6 }),
        // FUSE_STATFS: nothing.
        golden(17, &[], Body::Statfs),
    ]
}

#[rustfmt::skip]
fn files() -> Vec<Golden> {
    vec![
        // FUSE_OPEN.
        golden(14, &[
            &[0x02, 0x88, 0, 0],          // flags: O_RDWR | O_NONBLOCK | O_LARGEFILE
            &[0x01, 0, 0, 0],             // open_flags: FUSE_OPEN_KILL_SUIDGID
        ], Body::Open { flags: 0x8802, open_flags: 1 }),
        // FUSE_RELEASE.
        golden(18, &[
            &FH,                          // fh
            &[0x02, 0x80, 0, 0],          // flags
            &[0x01, 0, 0, 0],             // release_flags: FUSE_RELEASE_FLUSH
            &OWNER,                       // lock_owner
        ], Body::Release { fh: 7, flags: 0x8002, flush: true }),
        // FUSE_FLUSH.
        golden(25, &[
            &FH,                          // fh
            &ZERO4,                       // unused
            &ZERO4,                       // padding
            &OWNER,                       // lock_owner
        ], Body::Flush { fh: 7, lock_owner: 0xddcc_bbaa }),
        // FUSE_FSYNC.
        golden(20, &[
            &FH,                          // fh
            &[0x01, 0, 0, 0],             // fsync_flags: FUSE_FSYNC_FDATASYNC
            &ZERO4,                       // padding
        ], Body::Fsync { fh: 7, datasync: true }),
        // FUSE_LSEEK.
        golden(46, &[
            &FH,                          // fh
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], // offset: -1
            &[0x04, 0, 0, 0],             // whence: SEEK_HOLE
            &ZERO4,                       // padding
        ], Body::Lseek { fh: 7, offset: -1, whence: 4 }),
        // FUSE_POLL.
        golden(40, &[
            &FH,                          // fh
            &[0x2a, 0, 0, 0, 0, 0, 0, 0], // kh
            &[0x01, 0, 0, 0],             // flags: FUSE_POLL_SCHEDULE_NOTIFY
            &[0x05, 0, 0, 0],             // events: POLLIN | POLLOUT
        ], Body::Poll { fh: 7, kh: 42, schedule_notify: true, events: 5 }),
        // FUSE_FALLOCATE.
        golden(43, &[
            &FH,                          // fh
            &[0x00, 0x10, 0, 0, 0, 0, 0, 0], // offset
            &[0x00, 0x20, 0, 0, 0, 0, 0, 0], // length
            &[0x03, 0, 0, 0],             // mode: KEEP_SIZE | PUNCH_HOLE
            &ZERO4,                       // padding
        ], Body::Fallocate { fh: 7, offset: 0x1000, length: 0x2000, mode: 3 }),
    ]
}

#[rustfmt::skip]
fn transfers() -> Vec<Golden> {
    vec![
        Golden {
            bytes: READ.to_vec(),
            body: Body::Read {
                fh: 0x8000_0000_0000_0007, offset: 0x1_0000_1000, size: 0x2_0000, flags: 0x8800,
            },
        },
        // FUSE_WRITE.
        golden(16, &[
            &FH,                          // fh
            &[0x10, 0, 0, 0, 0, 0, 0, 0], // offset
            &[0x05, 0, 0, 0],             // size
            &[0x02, 0, 0, 0],             // write_flags: FUSE_WRITE_LOCKOWNER
            &OWNER,                       // lock_owner
            &[0x01, 0x80, 0, 0],          // flags: O_WRONLY | O_LARGEFILE
            &ZERO4,                       // padding
            b"hello",                     // the data
        ], Body::Write {
            fh: 7, offset: 16, flags: 0x8001, write_flags: 2, data: Span { start: 80, end: 85 },
        }),
        // FUSE_WRITE of 7.38 with an extension behind its data: one unit of 8 bytes.
        Golden {
            bytes: message([0x10, 0, 0, 0], &[
                &FH,                      // fh
                &ZERO8,                   // offset
                &[0x03, 0, 0, 0],         // size
                &ZERO4,                   // write_flags
                &ZERO8,                   // lock_owner
                &[0x01, 0x80, 0, 0],      // flags
                &ZERO4,                   // padding
                b"abc",                   // the data
                &[0x08, 0, 0, 0],         // extension: size
                &[0x20, 0, 0, 0],         // extension: FUSE_EXT_GROUPS
            ], 1),
            body: Body::Write {
                fh: 7, offset: 0, flags: 0x8001, write_flags: 0, data: Span { start: 80, end: 83 },
            },
        },
        // FUSE_IOCTL: 4 bytes in, 4 bytes out.
        golden(39, &[
            &FH,                          // fh
            &[0x09, 0, 0, 0],             // flags: FUSE_IOCTL_COMPAT | FUSE_IOCTL_32BIT
            &[0x01, 0x45, 0x04, 0xc0],    // cmd: _IOWR('E', 1, int)
            &[0xf0, 0xde, 0xbc, 0x9a, 0, 0, 0, 0], // arg: the caller's pointer
            &[0x04, 0, 0, 0],             // in_size
            &[0x04, 0, 0, 0],             // out_size
            &[0x2a, 0, 0, 0],             // the data
        ], Body::Ioctl {
            fh: 7, flags: IoctlFlags::COMPAT | IoctlFlags::BITS_32, cmd: 0xc004_4501,
            arg: 0x9abc_def0, out_size: 4, data: Span { start: 72, end: 76 },
        }),
    ]
}

#[rustfmt::skip]
fn refused() -> Vec<Golden> {
    let lock: &[&[u8]] = &[
        &FH,                              // fh
        &OWNER,                           // owner
        &ZERO8,                           // lk.start
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f], // lk.end: OFFSET_MAX
        &[0x01, 0, 0, 0],                 // lk.type: F_WRLCK
        &[0x34, 0x12, 0, 0],              // lk.pid
        &ZERO4,                           // lk_flags
        &ZERO4,                           // padding
    ];
    vec![
        // FUSE_GETXATTR and FUSE_LISTXATTR.
        golden(22, &[
            &[0x00, 0x01, 0, 0],          // size: 256
            &ZERO4,                       // padding
            b"user.a\0",                  // name
        ], Body::Getxattr { size: 256 }),
        golden(23, &[
            &ZERO4,                       // size: how much is there?
            &ZERO4,                       // padding
        ], Body::Listxattr { size: 0 }),
        // FUSE_SETXATTR without FUSE_SETXATTR_EXT.
        golden(21, &[
            &[0x02, 0, 0, 0],             // size: 2
            &[0x01, 0, 0, 0],             // flags: XATTR_CREATE
            b"user.a\0",                  // name
            b"xy",                        // value
        ], Body::Setxattr),
        // FUSE_REMOVEXATTR.
        golden(24, &[
            b"user.a\0",                  // name
        ], Body::Removexattr),
        golden(31, lock, Body::Getlk),
        golden(32, lock, Body::Setlk),
        golden(33, lock, Body::Setlkw),
        // FUSE_COPY_FILE_RANGE.
        golden(47, &[
            &FH,                          // fh_in
            &ZERO8,                       // off_in
            &[0x01, 0, 0, 0, 0, 0, 0, 0], // nodeid_out
            &FH,                          // fh_out
            &ZERO8,                       // off_out
            &[0x00, 0x10, 0, 0, 0, 0, 0, 0], // len
            &ZERO8,                       // flags
        ], Body::CopyFileRange),
        // FUSE_LOOKUP, and a kind that no kernel has yet.
        golden(1, &[
            b"name\0",                    // name
        ], Body::Other { opcode: 1 }),
        golden(200, &[], Body::Other { opcode: 200 }),
    ]
}

#[rustfmt::skip]
fn silent() -> Vec<Golden> {
    vec![
        // FUSE_FORGET.
        golden(2, &[
            &[0x03, 0, 0, 0, 0, 0, 0, 0], // nlookup
        ], Body::Forget { lookups: 3 }),
        // FUSE_BATCH_FORGET.
        golden(42, &[
            &[0x02, 0, 0, 0],             // count
            &ZERO4,                       // dummy
            &[0x05, 0, 0, 0, 0, 0, 0, 0], // nodeid
            &[0x01, 0, 0, 0, 0, 0, 0, 0], // nlookup
            &[0x06, 0, 0, 0, 0, 0, 0, 0], // nodeid
            &[0x02, 0, 0, 0, 0, 0, 0, 0], // nlookup
        ], Body::BatchForget { count: 2, items: Span { start: 48, end: 80 } }),
        // FUSE_INTERRUPT.
        golden(36, &[
            &[0x06, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01], // unique
        ], Body::Interrupt { unique: 0x0102_0304_0506_0706 }),
        // FUSE_NOTIFY_REPLY.
        golden(41, &[
            &ZERO8,                       // dummy1
            &[0x00, 0x10, 0, 0, 0, 0, 0, 0], // offset
            &[0x02, 0, 0, 0],             // size
            &ZERO4,                       // dummy2
            &ZERO8,                       // dummy3
            &ZERO8,                       // dummy4
            b"ab",                        // the data
        ], Body::NotifyReply { offset: 0x1000, data: Span { start: 80, end: 82 } }),
    ]
}
