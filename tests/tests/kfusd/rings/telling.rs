//! Who is told what: polls, signals, and the driver at its marks.

use std::os::fd::{AsFd, AsRawFd};

use fusd::wire::{ATTACH_READS, ATTACH_WRITES, RING_EVENT, Ring};
use fusd_tests::wait::{deadline, start, wait_until};
use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::{BOTH, RING, fill, scene};
use crate::driver::Driver;
use crate::module::tests;
use crate::raw;

const IN: PollFlags = PollFlags::POLLIN;
const OUT: PollFlags = PollFlags::POLLOUT;

/// An eventfd that never waits.
fn event() -> EventFd {
    let flags = EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC;
    EventFd::from_flags(flags).expect("eventfd")
}

/// Whether it was signalled since the last time.
fn is_set(event: &EventFd) -> bool {
    match event.read() {
        Ok(_) => true,
        Err(errno) => {
            assert_eq!(errno, Errno::EAGAIN);
            false
        }
    }
}

/// Has the driver told of its ring by `event`.
fn mark(driver: &Driver, event: &EventFd, room: u32, fill: u32) {
    let ring = Ring {
        ring: RING,
        size: 0,
        flags: RING_EVENT,
        event: u32::try_from(event.as_fd().as_raw_fd()).expect("a descriptor"),
        room,
        fill,
        reserved: 0,
    };
    raw::ring(driver, ring).expect("marks");
}

tests! {
    fn poll_says_what_can_be_done() {
        let (driver, file) = scene(8192, BOTH);
        assert_eq!(file.ready(IN | OUT), OUT);
        let polling = { let file = file.duplicate(); start(move || file.poll(IN, deadline())) };
        driver.feed(b"1");
        assert_eq!(polling.wait(), Ok(IN));
        assert_eq!(file.ready(IN | OUT), IN | OUT);
        // What can be written at once must find room.
        assert_eq!(raw::feed(&driver, RING, &[0; 4096], false), Ok(4096));
        assert_eq!(file.ready(IN | OUT), IN);
        let polling = { let file = file.duplicate(); start(move || file.poll(OUT, deadline())) };
        assert!(polling.blocks(), "there is no room");
        assert_eq!(file.read(8192).map(|bytes| bytes.len()), Ok(4097));
        assert_eq!(polling.wait(), Ok(OUT));
        driver.finish();
        assert_eq!(file.ready(IN), IN | PollFlags::POLLHUP, "the end can be read");
        driver.feed(b"2");
        assert_eq!(file.ready(IN), IN, "it was not the end");
        raw::take(&driver, RING, 1, true).expect("take");
        assert_eq!(file.ready(OUT), OUT | PollFlags::POLLERR, "a write fails at once");
    }

    fn an_edge_is_seen_by_epoll() {
        let (driver, file) = scene(8192, ATTACH_READS);
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).expect("epoll");
        let wanted = EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, 1);
        epoll.add(&file, wanted).expect("epoll_ctl");
        let mut found = [EpollEvent::empty()];
        let soon = || EpollTimeout::try_from(deadline()).expect("a time");
        for _ in 0..50 {
            assert_eq!(epoll.wait(&mut found, EpollTimeout::ZERO), Ok(0));
            driver.feed(b"more");
            assert_eq!(epoll.wait(&mut found, soon()), Ok(1));
        }
        assert_eq!(file.read(1000).map(|bytes| bytes.len()), Ok(200));
        // The file goes while it is watched.
        drop(file);
        assert_eq!(epoll.wait(&mut found, EpollTimeout::ZERO), Ok(0));
    }

    fn the_driver_is_told_of_room() {
        let (driver, file) = scene(8192, ATTACH_READS);
        let event = event();
        mark(&driver, &event, 5000, 0);
        assert_eq!(raw::feed(&driver, RING, &[0; 9000], false), Ok(8192));
        assert!(!is_set(&event));
        file.read(4999).expect("read");
        assert!(!is_set(&event), "it was not to be told yet");
        file.read(1).expect("read");
        assert!(is_set(&event));
        file.read(1).expect("read");
        assert!(!is_set(&event), "told once");
    }

    fn the_driver_is_told_of_bytes() {
        let (driver, file) = scene(8192, ATTACH_WRITES);
        let event = event();
        mark(&driver, &event, 0, 5000);
        assert_eq!(file.write(&[0; 4999]), Ok(4999));
        assert!(!is_set(&event), "it was not to be told yet");
        assert_eq!(file.write(&[0; 1]), Ok(1));
        assert!(is_set(&event));
        assert_eq!(file.write(&[0; 1]), Ok(1));
        assert!(!is_set(&event), "told once");
        assert_eq!(driver.take().map(|bytes| bytes.len()), Ok(5001));
        assert!(!is_set(&event), "it has done that itself");
    }

    fn the_driver_is_told_of_a_writer_that_waits() {
        let (driver, file) = scene(8192, ATTACH_WRITES);
        let event = event();
        // 4000 are in, and 4096 more would not fit in whole after the next 4000.
        mark(&driver, &event, 0, 8192);
        assert_eq!(file.write(&[0; 4096]), Ok(4096));
        assert_eq!(file.write(&[0; 4000]), Ok(4000));
        assert!(!is_set(&event));
        let writing = file.start_write(&[1; 4096]);
        wait_until("the driver is told", || is_set(&event));
        assert_eq!(driver.take().map(|bytes| bytes.len()), Ok(8096));
        assert_eq!(writing.wait(), Ok(4096));
        fill(&file);
        assert!(is_set(&event), "also of one that does not wait");
    }

    fn events_are_counted_references() {
        let (driver, file) = scene(4096, BOTH);
        let event = event();
        mark(&driver, &event, 1, 1);
        drop(event);
        // Nobody has it any more but the module.
        driver.feed(b"1");
        file.read(1).expect("read");
        let other = self::event();
        mark(&driver, &other, 1, 1);
        driver.feed(b"1");
        assert!(is_set(&other));
    }

    fn sigio_tells_of_bytes() {
        let (driver, file) = scene(4096, ATTACH_READS);
        use nix::fcntl::{FcntlArg, OFlag, fcntl};
        use nix::sys::signal::{SigSet, Signal};
        use nix::sys::signalfd::{SfdFlags, SignalFd};
        // On a thread of its own, whose signals nobody else gets.
        start(move || {
            let mut mask = SigSet::empty();
            mask.add(Signal::SIGIO);
            mask.thread_block().expect("a mask");
            let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK).expect("signalfd");
            raw::own_by_thread(&file).expect("an owner");
            fcntl(&file, FcntlArg::F_SETFL(OFlag::O_ASYNC | OFlag::O_RDWR)).expect("O_ASYNC");
            driver.feed(b"1");
            wait_until("SIGIO comes", || signals.read_signal().expect("signals").is_some());
        }).wait();
    }
}
