//! Row 5: poll, select and epoll tell the truth.

use std::time::{Duration, Instant};

use fusd_tests::client::{Handle, open};
use fusd_tests::wait::{deadline, rounds, start};
use fusd_tests::{Ability, Case};
use nix::poll::PollFlags;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::select::{FdSet, select};
use nix::sys::signal::Signal;
use nix::sys::time::{TimeVal, TimeValLike};
use std::os::fd::AsFd;

const IN: PollFlags = PollFlags::POLLIN;
const OUT: PollFlags = PollFlags::POLLOUT;

fn both() -> PollFlags {
    IN | OUT
}

pub(crate) fn row5_the_first_poll_is_right(case: &Case) {
    let mut driver = case.device("stream:3").start();
    assert_eq!(
        open(driver.node()).expect("open").ready(both()),
        OUT,
        "empty"
    );
    driver.ask("push a");
    assert_eq!(
        open(driver.node()).expect("open").ready(both()),
        both(),
        "room and data"
    );
    driver.ask("push bc");
    assert_eq!(open(driver.node()).expect("open").ready(both()), IN, "full");
    driver.ask("end");
    let end = open(driver.node()).expect("open").ready(both());
    assert_eq!(end, IN | PollFlags::POLLHUP, "ended");
}

pub(crate) fn row5_a_push_wakes(case: &Case) {
    let mut driver = case.device("stream:3").start();
    let file = open(driver.node()).expect("open");
    for round in 0..50 {
        let waiting = {
            let file = file.duplicate();
            start(move || file.poll(IN, deadline()))
        };
        if round % 2 == 0 {
            // In half of the rounds the poll is certainly in place before the push.
            assert_eq!(file.ready(IN), PollFlags::empty());
        }
        driver.ask("push x");
        assert_eq!(waiting.wait(), Ok(IN), "round {round}");
        assert_eq!(file.read(9).expect("read"), b"x");
    }
    file.write(b"abc").expect("write");
    let waiting = {
        let file = file.duplicate();
        start(move || file.poll(OUT, deadline()))
    };
    driver.ask("pull 1");
    assert_eq!(waiting.wait(), Ok(OUT), "room wakes writers");
}

pub(crate) fn row5_readiness_is_never_stale(case: &Case) {
    let mut driver = case.device("stream:2").start();
    let file = open(driver.node()).expect("open");
    let other = open(driver.node()).expect("open");
    // More files whose readiness changes: the driver has more to do between two states.
    let _more: Vec<_> = (0..300)
        .map(|_| open(driver.node()).expect("open"))
        .collect();
    for round in 0..rounds(3000) {
        driver.ask("push xy");
        assert_eq!(file.ready(both()), IN, "round {round}");
        assert_eq!(other.ready(both()), IN, "round {round}");
        assert_eq!(other.read(1).expect("read"), b"x");
        assert_eq!(file.ready(both()), both(), "round {round}");
        assert_eq!(file.read(2).expect("read"), b"y");
        assert_eq!(other.ready(both()), OUT, "round {round}");
        assert_eq!(file.ready(both()), OUT, "round {round}");
    }
}

fn selectable(file: &Handle, limit: Duration) -> (bool, bool) {
    let (mut readable, mut writable) = (FdSet::new(), FdSet::new());
    readable.insert(file.as_fd());
    writable.insert(file.as_fd());
    let limit = i64::try_from(limit.as_micros()).expect("short");
    let mut limit = TimeVal::microseconds(limit);
    select(None, &mut readable, &mut writable, None, &mut limit).expect("select");
    (
        readable.contains(file.as_fd()),
        writable.contains(file.as_fd()),
    )
}

pub(crate) fn row5_select(case: &Case) {
    let mut driver = case.device("stream:1").start();
    let file = open(driver.node()).expect("open");
    assert_eq!(selectable(&file, Duration::ZERO), (false, true));
    driver.ask("push x");
    assert_eq!(selectable(&file, deadline()), (true, false));
    file.read(1).expect("read");
    assert_eq!(selectable(&file, Duration::ZERO), (false, true));
}

/// An epoll instance that watches one file.
struct Watch(Epoll);

impl Watch {
    fn new(file: &Handle, flags: EpollFlags) -> Self {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).expect("epoll_create");
        epoll
            .add(file, EpollEvent::new(flags, 7))
            .expect("epoll_ctl");
        Self(epoll)
    }

    /// What epoll reports within `limit`.
    fn events(&self, limit: Duration) -> EpollFlags {
        let mut events = [EpollEvent::empty()];
        let limit = EpollTimeout::try_from(limit).expect("short");
        let count = self.0.wait(&mut events, limit).expect("epoll_wait");
        assert!(count == 0 || events[0].data() == 7);
        EpollFlags::from_bits_retain(events[0].events().bits() * i32::from(count == 1))
    }
}

pub(crate) fn row5_epoll_level(case: &Case) {
    let mut driver = case.device("stream:100").start();
    let file = open(driver.node()).expect("open");
    let watch = Watch::new(&file, EpollFlags::EPOLLIN);
    assert_eq!(watch.events(Duration::ZERO), EpollFlags::empty());
    for _ in 0..20 {
        driver.ask("push abc");
        for length in [1, 1, 1] {
            assert_eq!(
                watch.events(deadline()),
                EpollFlags::EPOLLIN,
                "for as long as data is there"
            );
            file.read(length).expect("read");
        }
        assert_eq!(
            watch.events(Duration::ZERO),
            EpollFlags::empty(),
            "and no longer"
        );
    }
}

pub(crate) fn row5_epoll_edge(case: &Case) {
    let mut driver = case.device("stream:100").start();
    let file = open(driver.node()).expect("open");
    let watch = Watch::new(&file, EpollFlags::EPOLLIN | EpollFlags::EPOLLET);
    assert_eq!(watch.events(Duration::ZERO), EpollFlags::empty());
    for round in 0..50 {
        driver.ask("push abc");
        assert_eq!(
            watch.events(deadline()),
            EpollFlags::EPOLLIN,
            "round {round}: an edge"
        );
        let again = watch.events(Duration::ZERO);
        assert_eq!(again, EpollFlags::empty(), "round {round}: told once");
        assert_eq!(file.read(9).expect("read"), b"abc");
    }
    // Data that was there before is an edge for who begins to watch.
    driver.ask("push abc");
    let late = Watch::new(&file, EpollFlags::EPOLLIN | EpollFlags::EPOLLET);
    assert_eq!(late.events(deadline()), EpollFlags::EPOLLIN);
}

pub(crate) fn row5_timeouts(case: &Case) {
    let driver = case.device("stream:1").start();
    let file = open(driver.node()).expect("open");
    for millis in [0, 1, 50, 120] {
        let limit = Duration::from_millis(millis);
        let before = Instant::now();
        assert_eq!(file.poll(IN, limit), Ok(PollFlags::empty()));
        let took = before.elapsed();
        assert!(took >= limit, "{took:?} instead of {limit:?}");
        assert!(
            took < limit + deadline() / 6,
            "{took:?} instead of {limit:?}"
        );
    }
}

pub(crate) fn row5_timeouts_beside_a_stopped_driver(case: &Case) {
    let driver = case.device("stream:1").start();
    let file = open(driver.node()).expect("open");
    assert_eq!(file.ready(IN), PollFlags::empty());
    driver.suspend();
    let poll = start(move || file.poll(IN, Duration::from_millis(50)));
    if !case.can(Ability::PollBesideStopped) {
        driver.signal(Signal::SIGCONT);
    }
    assert_eq!(poll.wait(), Ok(PollFlags::empty()));
    driver.signal(Signal::SIGCONT);
}

pub(crate) fn row5_many_pollers(case: &Case) {
    let mut driver = case.device("stream:1").start();
    let files: Vec<_> = (0..40)
        .map(|_| open(driver.node()).expect("open"))
        .collect();
    for file in &files {
        assert_eq!(file.ready(IN), PollFlags::empty());
    }
    let waiting: Vec<_> = files
        .iter()
        .map(|file| {
            let file = file.duplicate();
            start(move || file.poll(IN, deadline()))
        })
        .collect();
    driver.ask("push x");
    for poll in waiting {
        assert_eq!(poll.wait(), Ok(IN), "one push wakes all");
    }
    let count = files.len() as u64;
    drop(files);
    driver.await_number("counts releases", count);
}
