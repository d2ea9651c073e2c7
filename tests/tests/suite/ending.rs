//! Row 10: the driver's end reaches every client.

use fusd::IoctlCommand;
use fusd_tests::client::{Handle, Outcome, open};
use fusd_tests::wait::{Started, deadline, start, wait_until};
use fusd_tests::{Ability, Case, Driver};
use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::signal::Signal;

/// What a call may fail with once the driver is gone.
pub(super) fn gone(case: &Case) -> &'static [Errno] {
    match case.can(Ability::Epipe) {
        true => &[Errno::EPIPE],
        false => &[Errno::EPIPE, Errno::ECONNABORTED, Errno::ENOTCONN],
    }
}

#[track_caller]
fn assert_gone<T: std::fmt::Debug>(gone: &[Errno], what: &str, outcome: Outcome<T>) {
    match outcome {
        Err(errno) if gone.contains(&errno) => {}
        other => panic!("{what}: {other:?}"),
    }
}

type Call = fn(&Handle, u32) -> Outcome<()>;

/// One call of each kind, each blocked in a file of its own.
struct Blocked {
    calls: Vec<(&'static str, Started<Outcome<()>>)>,
    file: Handle,
}

impl Blocked {
    fn begin(driver: &mut Driver) -> Self {
        let file = open(driver.node()).expect("open");
        let number = IoctlCommand::read_write(b'e', 1, 8).raw();
        let calls: [(&str, Call); 3] = [
            ("read", |file, _| file.read(1).map(drop)),
            ("write", |file, _| file.write(b"x").map(drop)),
            ("ioctl", |file, number| {
                file.ioctl(number, &mut [0; 8]).map(drop)
            }),
        ];
        let node = driver.node().to_owned();
        let calls = calls
            .into_iter()
            .map(|(name, call)| {
                let file = open(&node).expect("open");
                (name, start(move || call(&file, number)))
            })
            .collect();
        driver.await_number("waiting", 3);
        Self { calls, file }
    }
}

pub(crate) fn row10_kill_ends_blocked_calls(case: &Case) {
    let gone = gone(case);
    let mut driver = case.device("gate:read,write,ioctl").start();
    let blocked = Blocked::begin(&mut driver);
    let node = driver.node().to_owned();
    driver.kill();
    for (name, call) in blocked.calls {
        assert_gone(gone, name, call.wait());
    }
    assert_gone(gone, "a later read", blocked.file.read(1));
    wait_until("open gives ENOENT", || {
        open(&node).err() == Some(Errno::ENOENT)
    });
}

pub(crate) fn row10_stop_ends_blocked_calls(case: &Case) {
    let mut driver = case.device("gate:read,write,ioctl").start();
    let blocked = Blocked::begin(&mut driver);
    let opening = {
        // An open that waits when the driver ends.
        let other = case.device_at("gate:open", "second").start();
        let node = other.node().to_owned();
        (other, start(move || open(&node).map(drop)))
    };
    let (mut other, open_call) = opening;
    other.await_number("waiting", 1);
    other.stop();
    assert_eq!(open_call.wait(), Err(Errno::EPIPE), "open");
    driver.stop_by(Signal::SIGTERM);
    for (name, call) in blocked.calls {
        assert_eq!(call.wait(), Err(Errno::EPIPE), "{name}");
    }
    assert_eq!(open(driver.node()).unwrap_err(), Errno::ENOENT);
}

pub(crate) fn row10_later_calls_fail(case: &Case) {
    let gone = gone(case);
    let end: [fn(Driver); 2] = [Driver::stop, Driver::kill];
    for end in end {
        let driver = case.device("memory").start();
        let file = open(driver.node()).expect("open");
        file.write(b"text").expect("write");
        end(driver);
        let number = IoctlCommand::none(b'e', 4).raw();
        wait_until("calls fail", || file.read_at(0, 1).is_err());
        assert_gone(gone, "read", file.read(1));
        assert_gone(gone, "pread", file.read_at(0, 1));
        assert_gone(gone, "write", file.write(b"x"));
        assert_gone(
            gone,
            "ioctl",
            fusd_tests::sys::ioctl_value(&file, number, 0),
        );
        drop(file);
    }
}

pub(crate) fn row10_poll_tells_of_the_end(case: &Case) {
    let end: [fn(Driver); 2] = [Driver::stop, Driver::kill];
    let wanted = match case.can(Ability::HangUp) {
        true => PollFlags::POLLERR | PollFlags::POLLHUP,
        false => PollFlags::POLLERR,
    };
    for end in end {
        let driver = case.device("stream:1").start();
        let file = open(driver.node()).expect("open");
        assert_eq!(file.ready(PollFlags::POLLIN), PollFlags::empty());
        let waiting: Vec<_> = (0..4)
            .map(|_| {
                let file = file.duplicate();
                start(move || file.poll(PollFlags::POLLIN, 2 * deadline()))
            })
            .collect();
        // Each has polled once, or polls when the driver has ended: both must tell.
        end(driver);
        for poll in waiting {
            let events = poll.wait().expect("poll");
            assert!(events.contains(wanted), "{events:?}");
        }
        let events = file.ready(PollFlags::POLLIN);
        assert!(events.contains(wanted), "a later poll: {events:?}");
    }
}

pub(crate) fn row10_a_stuck_handler_does_not_hold_the_end_up(case: &Case) {
    let mut driver = case.device("blocking").noisy().start();
    let file = open(driver.node()).expect("open");
    let call = file.start_read(1);
    driver.await_number("inside", 1);
    driver.stop_by(Signal::SIGTERM);
    assert_eq!(call.wait(), Err(Errno::EPIPE));
    assert!(
        driver.errors().contains("handlers still run"),
        "{}",
        driver.errors()
    );
}
