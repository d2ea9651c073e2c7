//! Rings: bytes that the module has for readers, and room that it has for writers, without a request.

mod ending;
mod hostile;
mod moving;
mod telling;

use std::path::Path;

use fusd::wire::{ATTACH_READS, ATTACH_WRITES, Attach, REGISTER_STREAM, Ring, operation};
use fusd_tests::client::{Handle, Outcome};
use nix::errno::Errno;
use nix::fcntl::OFlag;

use crate::driver::{ALL, Driver, message, open};
use crate::raw;

/// The number of the ring of most tests.
const RING: u64 = 7;
/// A file that reads from a ring and writes to it.
const BOTH: u32 = ATTACH_READS | ATTACH_WRITES;

impl Driver {
    /// Makes a ring of `size` bytes without marks.
    #[track_caller]
    fn ring(&self, ring: u64, size: u32) {
        let ring = Ring {
            ring,
            size,
            ..Ring::default()
        };
        raw::ring(self, ring).expect("a ring");
    }

    /// Is done with a ring.
    fn drop_ring(&self, ring: u64) -> Outcome<()> {
        let ring = Ring {
            ring,
            flags: fusd::wire::RING_DROP,
            ..Ring::default()
        };
        raw::ring(self, ring)
    }

    fn attach(&self, file: u64, ring: u64, flags: u32) -> Outcome<()> {
        let attach = Attach {
            file,
            ring,
            flags,
            reserved: 0,
        };
        self.say(&message(operation::ATTACH, 0, 0, &[&attach.to_bytes()]))
    }

    /// Opens a node whose file is attached to a ring.
    #[track_caller]
    fn open_at(&self, node: &Path, ring: u64, flags: u32) -> (Handle, u64) {
        let opening = open(node, OFlag::O_RDWR);
        let request = self.expect(operation::OPEN);
        self.attach(request.header.file, ring, flags)
            .expect("attach");
        self.answer(request.id(), 0, b"").expect("an answer");
        (opening.wait().expect("open"), request.header.file)
    }

    /// Puts in all of it.
    #[track_caller]
    fn feed(&self, bytes: &[u8]) {
        assert_eq!(raw::feed(self, RING, bytes, false), Ok(bytes.len()));
    }

    /// Says that nothing comes after what was fed.
    #[track_caller]
    fn finish(&self) {
        assert_eq!(raw::feed(self, RING, b"", true), Ok(0));
    }

    /// Takes what there is out.
    fn take(&self) -> Outcome<Vec<u8>> {
        raw::take(self, RING, 1 << 20, false)
    }
}

/// A driver with a stream, a ring of `size` bytes, and a file that is attached to it.
#[track_caller]
fn scene(size: u32, flags: u32) -> (Driver, Handle) {
    let (driver, node) = Driver::with_device(ALL, REGISTER_STREAM);
    driver.ring(RING, size);
    let (file, _) = driver.open_at(&node, RING, flags);
    (driver, file)
}

/// Fills a ring to the last byte.
fn fill(file: &Handle) -> usize {
    file.set_nonblocking(true).expect("fcntl");
    let mut count = 0;
    loop {
        match file.write(&[b'f'; 512]) {
            Ok(more) => count += more,
            Err(errno) => {
                assert_eq!(errno, Errno::EAGAIN);
                file.set_nonblocking(false).expect("fcntl");
                return count;
            }
        }
    }
}
