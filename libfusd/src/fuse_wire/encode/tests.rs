//! Answers, byte by byte as the kernel expects them.

use super::*;
use crate::fuse_wire::{InitFlags, Limits, Offer, Outcome, negotiate};

/// The number of the request that is answered.
const UNIQUE: u64 = 0x0102_0304_0506_0708;

#[test]
#[rustfmt::skip]
fn headers() {
    assert_eq!(header(UNIQUE, 8), [
        0x18, 0, 0, 0,                                  // len: 24
        0, 0, 0, 0,                                     // error: none
        0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01, // unique
    ]);
    assert_eq!(error(UNIQUE, Errno::EIO), [
        0x10, 0, 0, 0,                                  // len: 16
        0xfb, 0xff, 0xff, 0xff,                         // error: -5
        0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01, // unique
    ]);
    assert_eq!(interrupt_retry(0x07), [
        0x10, 0, 0, 0,                                  // len: 16
        0xf5, 0xff, 0xff, 0xff,                         // error: -EAGAIN, -11
        0x07, 0, 0, 0, 0, 0, 0, 0,                      // unique, that of the INTERRUPT
    ]);
}

#[test]
fn an_error_that_the_kernel_keeps_for_itself_becomes_eio() {
    let largest = Errno::from_raw(511).unwrap();
    assert_eq!(error(UNIQUE, largest)[4..8], (-511i32).to_le_bytes());
    let restart = Errno::from_raw(512).unwrap();
    assert_eq!(error(UNIQUE, restart), error(UNIQUE, Errno::EIO));
}

#[test]
fn a_payload_beyond_32_bits_does_not_wrap() {
    assert_eq!(header(UNIQUE, usize::MAX)[..4], [0xff; 4]);
    assert_eq!(header(UNIQUE, 1 << 20)[..4], [0x10, 0, 0x10, 0]);
}

#[test]
#[rustfmt::skip]
fn init() {
    let offer = Offer { major: 7, minor: 45, flags: u64::MAX };
    let Ok(Outcome::Agreed(agreed)) = negotiate(offer, Limits::default()) else { panic!() };
    assert_eq!(init_out(&agreed)[..], [
        &[0x07, 0, 0, 0][..],       // major
        &[0x28, 0, 0, 0],           // minor: 40
        &[0, 0, 0, 0],              // max_readahead
        &[0x28, 0x00, 0x40, 0x40],  // flags: ATOMIC_O_TRUNC, BIG_WRITES, MAX_PAGES, INIT_EXT
        &[0, 0],                    // max_background
        &[0, 0],                    // congestion_threshold
        &[0x00, 0x00, 0x10, 0],     // max_write: 1 MiB
        &[0x01, 0, 0, 0],           // time_gran: 1 ns
        &[0x00, 0x01],              // max_pages: 256
        &[0, 0],                    // map_alignment
        &[0x10, 0, 0, 0],           // flags2: DIRECT_IO_ALLOW_MMAP
        &[0, 0, 0, 0],              // max_stack_depth
        &[0; 24],                   // unused
    ].concat());
    assert_eq!(init_other_major()[..], [
        &[0x07, 0, 0, 0][..],       // major
        &[0x28, 0, 0, 0],           // minor: 40
        &[0; 56],                   // everything else
    ].concat());
}

#[test]
#[rustfmt::skip]
fn cuse_init() {
    assert_eq!(cuse_init_out(128 * 1024, true)[..], [
        &[0x07, 0, 0, 0][..],       // major
        &[0x28, 0, 0, 0],           // minor: 40
        &[0, 0, 0, 0],              // unused
        &[0x01, 0, 0, 0],           // flags: CUSE_UNRESTRICTED_IOCTL
        &[0, 0, 0x02, 0],           // max_read: 128 KiB
        &[0, 0, 0x02, 0],           // max_write
        &[0; 4],                    // dev_major: the kernel's choice
        &[0; 4],                    // dev_minor
        &[0; 40],                   // spare
    ].concat());
    assert_eq!(cuse_init_out(4096, false)[12..16], [0; 4]);
}

#[test]
fn the_flags_are_split_in_halves() {
    assert_eq!(
        halves(InitFlags::DIRECT_IO_ALLOW_MMAP.bits() | 8),
        [8, 0x10]
    );
}

#[test]
#[rustfmt::skip]
fn small_bodies() {
    let flags = OpenFlags::DIRECT_IO | OpenFlags::STREAM | OpenFlags::PARALLEL_DIRECT_WRITES;
    assert_eq!(open_out(7, flags), [
        0x07, 0, 0, 0, 0, 0, 0, 0,  // fh
        0x51, 0, 0, 0,              // open_flags
        0, 0, 0, 0,                 // backing_id
    ]);
    assert_eq!(write_out(5), [
        0x05, 0, 0, 0,              // size
        0, 0, 0, 0,                 // padding
    ]);
    assert_eq!(poll_out(0x11), [
        0x11, 0, 0, 0,              // revents: POLLIN | POLLHUP
        0, 0, 0, 0,                 // padding
    ]);
}

#[test]
#[rustfmt::skip]
fn ioctls() {
    assert_eq!(ioctl_out(-22, IoctlFlags::empty(), 0, 0), [
        0xea, 0xff, 0xff, 0xff,     // result: -EINVAL
        0, 0, 0, 0,                 // flags
        0, 0, 0, 0,                 // in_iovs
        0, 0, 0, 0,                 // out_iovs
    ]);
    assert_eq!(ioctl_out(0, IoctlFlags::RETRY, 1, 2), [
        0, 0, 0, 0,                 // result
        0x04, 0, 0, 0,              // flags: FUSE_IOCTL_RETRY
        0x01, 0, 0, 0,              // in_iovs
        0x02, 0, 0, 0,              // out_iovs
    ]);
    assert_eq!(ioctl_iovec(0x7fff_0000_1000, 64), [
        0x00, 0x10, 0, 0, 0xff, 0x7f, 0, 0, // base
        0x40, 0, 0, 0, 0, 0, 0, 0,          // len
    ]);
}

#[test]
#[rustfmt::skip]
fn attributes() {
    let attr = NodeAttr {
        ino: 1, mode: 0o100_666, nlink: 1, uid: 1000, gid: 5, size: 513, blksize: 4096,
        atime: Timestamp { sec: -1, nsec: 1 },
        mtime: Timestamp { sec: 2, nsec: 3 },
        ctime: Timestamp { sec: 4, nsec: 5 },
    };
    assert_eq!(attr_out(&attr, Duration::from_millis(1500))[..], [
        &[0x01, 0, 0, 0, 0, 0, 0, 0][..],   // attr_valid: 1 s
        &[0x00, 0x65, 0xcd, 0x1d],          // attr_valid_nsec: half a second
        &[0, 0, 0, 0],                      // dummy
        &[0x01, 0, 0, 0, 0, 0, 0, 0],       // ino
        &[0x01, 0x02, 0, 0, 0, 0, 0, 0],    // size: 513
        &[0; 8],                            // blocks
        &[0xff; 8],                         // atime: -1
        &[0x02, 0, 0, 0, 0, 0, 0, 0],       // mtime
        &[0x04, 0, 0, 0, 0, 0, 0, 0],       // ctime
        &[0x01, 0, 0, 0],                   // atimensec
        &[0x03, 0, 0, 0],                   // mtimensec
        &[0x05, 0, 0, 0],                   // ctimensec
        &[0xb6, 0x81, 0, 0],                // mode: S_IFREG | 0666
        &[0x01, 0, 0, 0],                   // nlink
        &[0xe8, 0x03, 0, 0],                // uid
        &[0x05, 0, 0, 0],                   // gid
        &[0, 0, 0, 0],                      // rdev
        &[0x00, 0x10, 0, 0],                // blksize
        &[0, 0, 0, 0],                      // flags
    ].concat());
    assert_eq!(statfs_out()[..], [
        &[0; 40][..],                       // blocks, bfree, bavail, files, ffree
        &[0x00, 0x02, 0, 0],                // bsize: 512
        &[0xff, 0, 0, 0],                   // namelen: 255
        &[0x00, 0x02, 0, 0],                // frsize: 512
        &[0; 28],                           // padding, spare
    ].concat());
}

#[test]
#[rustfmt::skip]
fn notifications() {
    assert_eq!(notify_poll(42), [
        0x18, 0, 0, 0,              // len: 24
        0x01, 0, 0, 0,              // error: FUSE_NOTIFY_POLL
        0, 0, 0, 0, 0, 0, 0, 0,     // unique: no request
        0x2a, 0, 0, 0, 0, 0, 0, 0,  // kh
    ]);
    assert_eq!(notify_retrieve(9, 1, 4096, 2), [
        0x30, 0, 0, 0,              // len: 48
        0x05, 0, 0, 0,              // error: FUSE_NOTIFY_RETRIEVE
        0, 0, 0, 0, 0, 0, 0, 0,     // unique: no request
        0x09, 0, 0, 0, 0, 0, 0, 0,  // notify_unique
        0x01, 0, 0, 0, 0, 0, 0, 0,  // nodeid
        0x00, 0x10, 0, 0, 0, 0, 0, 0, // offset
        0x02, 0, 0, 0,              // size
        0, 0, 0, 0,                 // padding
    ]);
}
