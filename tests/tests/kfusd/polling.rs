//! poll, select, epoll, SIGIO: the state that the driver pushes.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use fusd::wire::{REPLY_EVENTS, Reply, operation};
use fusd_tests::wait::{deadline, start, wait_until};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::PollFlags;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use crate::driver::{ALL, Driver, message, open};
use crate::module::tests;

const IN: PollFlags = PollFlags::POLLIN;
const OUT: PollFlags = PollFlags::POLLOUT;

/// An answer that carries the poll state.
fn answer_with(id: u64, events: PollFlags, data: &[u8]) -> Vec<u8> {
    let events = u32::try_from(events.bits()).expect("flags");
    let reply = Reply {
        error: 0,
        events,
        value: 0,
    };
    message(
        operation::REPLY,
        REPLY_EVENTS,
        id,
        &[&reply.to_bytes(), data],
    )
}

tests! {
    fn the_first_poll_is_right() {
        let (driver, node) = Driver::with_device(ALL, 0);
        for events in [PollFlags::empty(), IN, OUT, IN | OUT, PollFlags::POLLPRI] {
            let opening = open(&node, OFlag::O_RDWR);
            let request = driver.expect(operation::OPEN);
            driver.say(&answer_with(request.id(), events, b"")).expect("answer");
            let file = opening.wait().expect("open");
            assert_eq!(file.ready(IN | OUT | PollFlags::POLLPRI), events);
            drop(file);
            driver.expect(operation::RELEASE);
        }
    }

    fn a_push_wakes_and_is_never_stale() {
        let (driver, node) = Driver::with_device(ALL, 0);
        let (file, number) = driver.open(&node);
        assert_eq!(file.ready(IN | OUT), PollFlags::empty());
        for _ in 0..100 {
            let copy = file.duplicate();
            let polling = start(move || copy.poll(IN, deadline()));
            driver.notify(number, IN).expect("notify");
            assert_eq!(polling.wait(), Ok(IN));
            assert_eq!(file.ready(IN | OUT), IN);
            driver.notify(number, OUT).expect("notify");
            assert_eq!(file.ready(IN | OUT), OUT);
            driver.notify(number, PollFlags::empty()).expect("notify");
            assert_eq!(file.ready(IN | OUT), PollFlags::empty());
        }
        driver.expect_nothing();
    }

    fn answers_carry_the_state_too() {
        let (driver, node) = Driver::with_device(ALL, 0);
        let (file, number) = driver.open(&node);
        driver.notify(number, IN).expect("notify");
        let reading = file.start_read(4);
        let request = driver.expect(operation::READ);
        driver.say(&answer_with(request.id(), OUT, b"last")).expect("answer");
        assert_eq!(reading.wait().expect("read"), b"last");
        assert_eq!(file.ready(IN | OUT), OUT);
    }

    fn epoll_by_level_and_by_edge() {
        let (driver, node) = Driver::with_device(ALL, 0);
        let (file, number) = driver.open(&node);
        let level = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).expect("epoll");
        level.add(&file, EpollEvent::new(EpollFlags::EPOLLIN, 1)).expect("add");
        let edge = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).expect("epoll");
        let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLET;
        edge.add(&file, EpollEvent::new(flags, 2)).expect("add");
        let count = |epoll: &Epoll| {
            let mut events = [EpollEvent::empty(); 2];
            epoll.wait(&mut events, EpollTimeout::ZERO).expect("wait")
        };
        assert_eq!((count(&level), count(&edge)), (0, 0));
        driver.notify(number, IN).expect("notify");
        assert_eq!((count(&level), count(&edge)), (1, 1));
        assert_eq!((count(&level), count(&edge)), (1, 0));
        // The same state pushed again is news: more has come.
        driver.notify(number, IN).expect("notify");
        assert_eq!((count(&level), count(&edge)), (1, 1));
        driver.notify(number, PollFlags::empty()).expect("notify");
        assert_eq!((count(&level), count(&edge)), (0, 0));
        drop(file);
        // The sets let go of it, and may themselves go later.
        driver.expect(operation::RELEASE);
    }

    fn a_timeout_is_exact_while_the_driver_does_nothing() {
        let (driver, node) = Driver::with_device(ALL, 0);
        let (file, _) = driver.open(&node);
        let before = Instant::now();
        let found = file.poll(IN, Duration::from_millis(50)).expect("poll");
        assert_eq!(found, PollFlags::empty());
        assert!(before.elapsed() >= Duration::from_millis(50));
        driver.expect_nothing();
    }

    fn wrong_notices_are_refused() {
        let (driver, node) = Driver::with_device(ALL, 0);
        let (file, number) = driver.open(&node);
        assert_eq!(driver.notify(0, IN), Err(Errno::ENOENT));
        assert_eq!(driver.notify(number + 1000, IN), Err(Errno::ENOENT));
        assert_eq!(driver.notify(number, PollFlags::POLLNVAL), Err(Errno::EINVAL));
        let other = Driver::connect();
        assert_eq!(other.notify(number, IN), Err(Errno::ENOENT), "not the other's file");
        assert_eq!(file.ready(IN), PollFlags::empty());
    }

    fn the_end_wakes_every_poll() {
        let (driver, node) = Driver::with_device(ALL, 0);
        let (file, _) = driver.open(&node);
        let polls: Vec<_> = (0..4)
            .map(|_| {
                let copy = file.duplicate();
                start(move || copy.poll(IN, deadline()))
            })
            .collect();
        drop(driver);
        let gone = PollFlags::POLLERR | PollFlags::POLLHUP;
        for poll in polls {
            assert_eq!(poll.wait(), Ok(gone));
        }
        assert_eq!(file.ready(IN), gone, "and it stays so");
    }

    fn sigio_comes_with_a_push() {
        use nix::fcntl::{FcntlArg, fcntl};
        use nix::sys::signal::{SigSet, Signal};
        use nix::sys::signalfd::{SfdFlags, SignalFd};
        let (driver, node) = Driver::with_device(ALL, 0);
        let (file, number) = driver.open(&node);
        // Blocked before the signal can come, and sent to this thread alone.
        let set = SigSet::from(Signal::SIGIO);
        set.thread_block().expect("mask");
        let signals = SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK).expect("signalfd");
        crate::raw::own_by_thread(&file).expect("F_SETOWN_EX");
        fcntl(file.as_fd(), FcntlArg::F_SETFL(OFlag::O_RDWR | OFlag::O_ASYNC)).expect("O_ASYNC");
        driver.notify(number, IN).expect("notify");
        wait_until("SIGIO comes", || signals.read_signal().expect("read").is_some());
        // Once it is off, none comes.
        fcntl(file.as_fd(), FcntlArg::F_SETFL(OFlag::O_RDWR)).expect("fcntl");
        driver.notify(number, OUT).expect("notify");
        assert!(signals.read_signal().expect("read").is_none());
    }
}
