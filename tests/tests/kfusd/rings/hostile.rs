//! What no good driver does, and no good client; and that it harms nobody else.

use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;

use fusd::wire::{
    ATTACH_READS, ATTACH_WRITES, IOCTL_FEED, IOCTL_TAKE, Portion, REGISTER_STREAM, RING_EVENT,
    Ring, operation,
};
use fusd_tests::backend;
use fusd_tests::client::Handle;
use fusd_tests::wait::{Started, rounds, start, wait_until};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::PollFlags;

use super::{BOTH, RING, scene};
use crate::driver::{ALL, Driver, Message, message, open};
use crate::module::tests;
use crate::raw::{self, HalfMapped, Stall};
use crate::stress::Random;

/// Clients at once, at most, of a driver that says what it likes.
const CLIENTS: usize = 16;

/// A ring of one page.
const GOOD: Ring = Ring {
    ring: RING,
    size: 4096,
    flags: 0,
    event: 0,
    room: 0,
    fill: 0,
    reserved: 0,
};

tests! {
    fn what_no_ring_can_be() {
        let (driver, _node) = Driver::with_device(ALL, REGISTER_STREAM);
        let set = |ring| raw::ring(&driver, ring);
        let control = u32::try_from(driver.as_fd().as_raw_fd()).expect("a descriptor");
        assert_eq!(set(Ring { size: 0, ..GOOD }), Err(Errno::ENOENT), "there is none");
        assert_eq!(set(Ring { size: (1 << 20) + 1, ..GOOD }), Err(Errno::EINVAL));
        assert_eq!(set(Ring { size: u32::MAX, ..GOOD }), Err(Errno::EINVAL));
        assert_eq!(set(Ring { reserved: 1, ..GOOD }), Err(Errno::EINVAL));
        assert_eq!(set(Ring { flags: 8, ..GOOD }), Err(Errno::EINVAL));
        assert_eq!(set(Ring { flags: RING_EVENT, event: 1 << 20, ..GOOD }), Err(Errno::EBADF));
        assert_eq!(set(Ring { flags: RING_EVENT, event: u32::MAX, ..GOOD }), Err(Errno::EBADF));
        assert_eq!(set(Ring { flags: RING_EVENT, event: control, ..GOOD }), Err(Errno::EINVAL));
        assert_eq!(driver.drop_ring(RING), Err(Errno::ENOENT));
        assert_eq!(set(GOOD), Ok(()));
        assert_eq!(set(GOOD), Err(Errno::EEXIST));
        // Its numbers may be any.
        for ring in [0, 1, u64::MAX] {
            assert_eq!(set(Ring { ring, ..GOOD }), Ok(()));
        }
        assert_eq!(raw::feed(&driver, u64::MAX, b"1", false), Ok(1));
        assert_eq!(raw::feed(&driver, 2, b"1", false), Err(Errno::ENOENT));
        assert_eq!(raw::take(&driver, 2, 1, false), Err(Errno::ENOENT));
    }

    fn all_rings_together_have_a_limit() {
        let (driver, _node) = Driver::with_device(ALL, REGISTER_STREAM);
        let ring = |number| raw::ring(&driver, Ring { ring: number, size: 1 << 20, ..GOOD });
        let mut count = 0;
        while ring(count) == Ok(()) {
            count += 1;
            assert!(count <= 64, "more than the limit on bytes");
        }
        assert_eq!(ring(count), Err(Errno::ENOSPC));
        driver.drop_ring(0).expect("drop");
        assert_eq!(ring(count), Ok(()));
        assert_eq!(ring(0), Err(Errno::ENOSPC));
        // That of another driver is its own.
        let (other, _node) = Driver::with_device(ALL, REGISTER_STREAM);
        other.ring(1, 1 << 20);
    }

    fn only_a_file_that_is_being_opened_is_attached() {
        let (driver, node) = Driver::with_device(ALL, REGISTER_STREAM);
        driver.ring(RING, 4096);
        let (_file, number) = driver.open(&node);
        assert_eq!(driver.attach(number, RING, ATTACH_READS), Err(Errno::EBUSY));
        assert_eq!(driver.attach(number, RING + 1, ATTACH_READS), Err(Errno::ENOENT));
        assert_eq!(driver.attach(number + 100, RING, ATTACH_READS), Err(Errno::ENOENT));
        assert_eq!(driver.attach(number, RING, 0), Err(Errno::EINVAL));
        let opening = open(&node, OFlag::O_RDWR);
        let request = driver.expect(operation::OPEN);
        let file = request.header.file;
        driver.attach(file, RING, ATTACH_READS).expect("attach");
        assert_eq!(driver.attach(file, RING, ATTACH_READS), Err(Errno::EBUSY));
        assert_eq!(driver.attach(file, RING, BOTH), Err(Errno::EBUSY), "none of it");
        driver.attach(file, RING, ATTACH_WRITES).expect("attach");
        driver.refuse(request.id(), Errno::ENXIO).expect("an answer");
        assert_eq!(opening.wait().map(drop), Err(Errno::ENXIO));
        // A file that has a position has no ring.
        let (driver, node) = Driver::with_device(ALL, 0);
        driver.ring(RING, 4096);
        let opening = open(&node, OFlag::O_RDWR);
        let request = driver.expect(operation::OPEN);
        assert_eq!(driver.attach(request.header.file, RING, BOTH), Err(Errno::EINVAL));
        driver.answer(request.id(), 0, b"").expect("an answer");
        opening.wait().expect("open");
    }

    fn who_has_not_agreed_has_none() {
        let driver = Driver::silent();
        driver.expect(operation::GREETING);
        assert_eq!(raw::ring(&driver, GOOD), Err(Errno::EOPNOTSUPP));
        let hello = fusd::wire::Hello { version: 1, reserved: 0, features: 0 };
        driver.say(&message(operation::HELLO, 0, 0, &[&hello.to_bytes()])).expect("hello");
        assert_eq!(raw::ring(&driver, GOOD), Err(Errno::EOPNOTSUPP));
        assert_eq!(raw::feed(&driver, RING, b"1", false), Err(Errno::EOPNOTSUPP));
        assert_eq!(raw::take(&driver, RING, 1, false), Err(Errno::EOPNOTSUPP));
        assert_eq!(driver.attach(1, RING, ATTACH_READS), Err(Errno::EOPNOTSUPP));
    }

    fn memory_that_is_not_there_costs_no_byte() {
        let (driver, file) = scene(8192, BOTH);
        let mut half = HalfMapped::new();
        half.fill(&[b'h'; 2000]);
        // What there is goes in, where it need not be whole.
        let mut portion = Portion { ring: RING, address: half.address(2000), length: 3000, ..Portion::default() };
        assert_eq!(raw::portion(&driver, IOCTL_FEED, &mut portion), Ok(2000));
        assert_eq!(portion.filled, 2000);
        assert_eq!(half.write(&file, 2000, 3000), Err(Errno::EFAULT), "it is");
        assert_eq!(half.write(&file, 2000, 5000), Ok(2000), "it is not");
        // What there is no room for stays.
        assert_eq!(half.read(&file, 1000, 3000), Ok(1000));
        assert_eq!(half.read(&file, 0, 10), Err(Errno::EFAULT));
        portion.address = half.address(500);
        assert_eq!(raw::portion(&driver, IOCTL_TAKE, &mut portion), Ok(500));
        portion.address = half.address(0);
        assert_eq!(raw::portion(&driver, IOCTL_TAKE, &mut portion), Err(Errno::EFAULT));
        portion.address = 1;
        assert_eq!(raw::portion(&driver, IOCTL_TAKE, &mut portion), Err(Errno::EFAULT));
        portion.address = u64::MAX - 100;
        assert_eq!(raw::portion(&driver, IOCTL_FEED, &mut portion), Err(Errno::EFAULT));
        let rest = file.read(8192).expect("read");
        assert_eq!((rest.len(), rest.iter().all(|byte| *byte == b'h')), (2500, true));
    }

    fn who_stalls_holds_nobody() {
        let test = "who_stalls_holds_nobody";
        let (Some(to), Some(from)) = (Stall::new(), Stall::new()) else {
            return backend::skip(test, "this kernel has no userfaultfd");
        };
        let (to, from) = (Arc::new(to), Arc::new(from));
        let (driver, file) = scene(8192, BOTH);
        driver.feed(b"12345");
        let reading = { let (file, to) = (file.duplicate(), Arc::clone(&to)); start(move || to.read(&file, 5)) };
        wait_until("a reader is held", || to.holds_somebody());
        let feeding = {
            let (driver, from) = (driver.duplicate(), Arc::clone(&from));
            start(move || {
                let mut portion = Portion { ring: RING, address: from.address(), length: 10, ..Portion::default() };
                raw::portion(&driver, IOCTL_FEED, &mut portion)
            })
        };
        wait_until("the driver is held", || from.holds_somebody());
        // All others go on.
        assert_eq!(file.read(9).as_deref(), Ok(&b"12345"[..]));
        assert_eq!(file.write(b"more"), Ok(4));
        assert_eq!(driver.take().as_deref(), Ok(&b"more"[..]));
        driver.feed(b"67890");
        to.release();
        assert_eq!(reading.wait(), Ok(5));
        from.release();
        assert_eq!(feeding.wait(), Ok(10));
        assert_eq!(file.read(99).as_deref(), Ok(&[0; 10][..]));
    }

    fn nearly_right_ioctls_do_no_harm() {
        let (driver, node) = Driver::with_device(ALL, REGISTER_STREAM);
        let mut random = Random::new(crate::module::setting("FUSD_FUZZ_SEED", 7));
        let mut calls: Vec<Started<()>> = Vec::new();
        for round in 0..rounds(3000) {
            let small = random.below(4) as u64;
            let any = random.next();
            let mut ring = Ring {
                ring: small,
                size: [0, 1, 4096, 65_536, any as u32][random.below(5)],
                flags: [0, RING_EVENT, 2, 3, any as u32][random.below(5)],
                event: [0, 1, 3, 1000, any as u32][random.below(5)],
                room: [0, 1, 100_000, any as u32][random.below(4)],
                fill: [0, 1, 100_000, any as u32][random.below(4)],
                reserved: 0,
            }
            .to_bytes();
            if random.below(8) == 0 {
                ring[random.below(32)] ^= 1 << random.below(8);
            }
            // Of what is refused, nothing is to be seen.
            let _ = raw::ring_raw(&driver, &mut ring);
            let number = [IOCTL_FEED, IOCTL_TAKE][random.below(2)];
            let mut memory = vec![round as u8; 5000];
            let mut portion = Portion {
                ring: small,
                address: match random.below(8) {
                    0 => any,
                    _ => memory.as_mut_ptr().expose_provenance() as u64,
                },
                length: random.below(5000) as u32,
                flags: random.below(2) as u32 * random.below(2) as u32,
                ..Portion::default()
            };
            let _ = raw::portion(&driver, number, &mut portion);
            if random.below(64) == 0 && calls.len() < CLIENTS {
                let opening = open(&node, OFlag::O_RDWR);
                let request = loop {
                    let request = driver.next();
                    match request.header.operation {
                        operation::OPEN => break request,
                        _ => refuse(&driver, &request),
                    }
                };
                for _ in 0..2 {
                    let _ = driver.attach(request.header.file, small, random.below(4) as u32);
                }
                driver.answer(request.id(), 0, b"").expect("an answer");
                let file = opening.wait().expect("open");
                let size = random.below(6000) + 1;
                calls.push(start(move || use_it(&file, size)));
            }
            // The requests of files that are attached half, or not at all.
            refuse_some(&driver);
        }
        drop(driver);
        calls.into_iter().for_each(Started::wait);
    }
}

/// Refuses a request that waits for an answer.
fn refuse(driver: &Driver, request: &Message) {
    if request.id() != 0 {
        driver.refuse(request.id(), Errno::EIO).expect("an answer");
    }
}

/// Likewise, those that there are, up to two for each client: who is refused asks again at once.
fn refuse_some(driver: &Driver) {
    for _ in 0..2 * CLIENTS {
        if driver.control().ready(PollFlags::POLLIN).is_empty() {
            return;
        }
        refuse(driver, &driver.next());
    }
}

/// Reads and writes until the device is gone.
fn use_it(file: &Handle, size: usize) {
    let bytes = vec![b'c'; size];
    loop {
        let ended = matches!(file.read(size), Err(Errno::EPIPE));
        if matches!(file.write(&bytes), Err(Errno::EPIPE)) && ended {
            return;
        }
        if file.ready(PollFlags::POLLIN).contains(PollFlags::POLLERR) {
            return;
        }
    }
}
