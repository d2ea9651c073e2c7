//! Row 14: drivers come and go under open files.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use fusd::IoctlCommand;
use fusd_tests::client::{Handle, open, open_with};
use fusd_tests::wait::{Started, rounds, start, wait_until};
use fusd_tests::{Ability, Case, Driver, Launch};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::PollFlags;
use nix::sys::signal::Signal;

/// A policy that waits longer than any test.
const LONG: &str = "600000";

/// How many restarts, and how many kills, the long test makes, if said.
const ROUNDS: &str = "FUSD_RESTART_ROUNDS";

/// Where a driver's ledger is.
fn ledger(case: &Case) -> PathBuf {
    case.directory().join("ledger")
}

/// A driver of one ledger; all of a test have the same.
fn driver(case: &Case, policy: &str) -> Launch {
    let device = format!("ledger:{}", ledger(case).display());
    case.device(&device).arg("--restart").arg(policy)
}

/// A driver that takes the place of one that is gone, or leaves.
fn next(case: &Case, policy: &str) -> Driver {
    driver(case, policy).start()
}

/// Has the device end with its driver.
fn end(case: &Case, mut driver: Driver) {
    driver.ask("stop for good");
    let status = driver.wait();
    assert!(status.success(), "{status}\n{}", driver.errors());
    case.check();
}

/// The number by which drivers know the file.
fn number(file: &Handle) -> i32 {
    let number = IoctlCommand::none(b'l', 1).raw();
    fusd_tests::sys::ioctl_value(file, number, 0).expect("ioctl")
}

pub(crate) fn row14_calls_wait_for_the_next_driver(case: &Case) {
    if case.lacks(Ability::Restarts) {
        return;
    }
    let first = driver(case, LONG).start();
    let node = first.node().to_owned();
    let file = open(&node).expect("open");
    file.write(b"before").expect("write");
    first.kill();
    let write = file.start_write(b"while");
    let second = file.duplicate();
    let opening = {
        let node = node.clone();
        start(move || open(&node))
    };
    // Polls are answered meanwhile.
    assert!(file.ready(PollFlags::POLLOUT).contains(PollFlags::POLLOUT));
    assert!(write.blocks() && opening.blocks());
    // Who is killed does not wait.
    let mut cat = Command::new("cat").arg(&node).spawn().expect("cat");
    cat.kill().expect("kill");
    cat.wait().expect("wait");
    let next = next(case, LONG);
    assert_eq!(write.wait(), Ok(5));
    assert_eq!(second.read_at(0, 20).as_deref(), Ok(&b"beforewhile"[..]));
    drop(opening.wait().expect("open"));
    drop((file, second));
    end(case, next);
}

pub(crate) fn row14_open_files_are_found_again(case: &Case) {
    if case.lacks(Ability::Restarts) {
        return;
    }
    let mut now = driver(case, LONG).start();
    let node = now.node().to_owned();
    let files: Vec<Handle> = (0..5).map(|_| open(&node).expect("open")).collect();
    let numbers: Vec<i32> = files.iter().map(number).collect();
    let end_one: [fn(Driver); 2] = [Driver::kill, Driver::stop];
    for end_one in end_one {
        end_one(now);
        now = next(case, LONG);
        assert_eq!(files.iter().map(number).collect::<Vec<_>>(), numbers);
    }
    // By one that takes the place of a driver that lives.
    let replacing = next(case, "600000:replace");
    let status = now.wait();
    assert!(status.success(), "it leaves: {status}\n{}", now.errors());
    assert_eq!(files.iter().map(number).collect::<Vec<_>>(), numbers);
    // Each is released once, by the last one.
    let mut replacing = replacing;
    drop(files);
    replacing.await_number("counts releases", 5);
    end(case, replacing);
}

pub(crate) fn row14_waiting_calls_go_to_the_next_driver(case: &Case) {
    if case.lacks(Ability::Restarts) {
        return;
    }
    // Though what a driver has begun with would fail.
    let first = driver(case, LONG).start();
    let node = first.node().to_owned();
    let file = open(&node).expect("open");
    let reading = file.start_read(9);
    let mut first = first;
    first.await_number("counts reads", 1);
    first.stop();
    assert!(reading.blocks());
    let mut second = next(case, LONG);
    second.await_number("counts reads", 1);
    let mut third = next(case, "600000:replace");
    assert!(second.wait().success());
    third.await_number("counts reads", 1);
    assert!(reading.blocks());
    assert_eq!(file.write_at(0, b"for it"), Ok(6));
    assert_eq!(reading.wait().as_deref(), Ok(&b"for it"[..]));
    drop(file);
    end(case, third);
}

pub(crate) fn row14_files_that_are_not_restored_fail_alone(case: &Case) {
    if case.lacks(Ability::Restarts) {
        return;
    }
    let first = driver(case, LONG).start();
    let node = first.node().to_owned();
    let lost = open_with(&node, OFlag::O_RDWR | OFlag::O_APPEND).expect("open");
    let kept = open(&node).expect("open");
    first.kill();
    let mut next = next(case, LONG);
    for _ in 0..2 {
        assert_eq!(lost.write(b"x"), Err(Errno::ESTALE));
        assert_eq!(lost.read(1), Err(Errno::ESTALE));
    }
    let events = lost.ready(PollFlags::POLLIN);
    assert!(
        events.contains(PollFlags::POLLERR | PollFlags::POLLHUP),
        "{events:?}"
    );
    kept.write(b"x").expect("write");
    drop((lost, kept));
    next.await_number("counts releases", 1);
    drop(open(&node).expect("open"));
    next.await_number("counts releases", 2);
    end(case, next);
}

/// A client that writes and reads back what it wrote, in its own part of the ledger.
fn client(file: Handle, part: u64, stop: Arc<AtomicBool>, done: Arc<AtomicU64>) -> Started<()> {
    start(move || {
        let place = part * 65536;
        let mut round = 0_u64;
        while !stop.load(Ordering::Relaxed) {
            round += 1;
            let length = 1 + (round * 7919 % 9000) as usize;
            let data: Vec<u8> = (0..length)
                .map(|at| (at as u64 * 31 + round) as u8)
                .collect();
            assert_eq!(file.write_at(place, &data), Ok(length));
            assert_eq!(file.read_at(place, length).as_ref(), Ok(&data));
            done.fetch_add(1, Ordering::Relaxed);
        }
    })
}

pub(crate) fn row14_nothing_fails_through_restarts_and_kills(case: &Case) {
    if case.lacks(Ability::Restarts) {
        return;
    }
    let asked = std::env::var(ROUNDS)
        .ok()
        .and_then(|text| text.parse().ok());
    let count: usize = asked.unwrap_or_else(|| rounds(40));
    // To write a thing twice does no harm.
    let policy = "600000:again:replace";
    let mut now = driver(case, policy).start();
    let node = now.node().to_owned();
    let (stop, done) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let clients: Vec<_> = (0..2)
        .map(|part| {
            let file = open(&node).expect("open");
            client(file, part, Arc::clone(&stop), Arc::clone(&done))
        })
        .collect();
    for round in 0..2 * count {
        let before = done.load(Ordering::Relaxed);
        wait_until("the clients get on", || {
            let failed = clients.iter().any(|client| !client.blocks());
            assert!(!failed, "a client has failed in round {round}");
            done.load(Ordering::Relaxed) > before + 1
        });
        if round % 2 == 0 {
            now.kill();
            now = next(case, policy);
        } else {
            let replacing = next(case, policy);
            let status = now.wait();
            assert!(status.success(), "it leaves: {status}\n{}", now.errors());
            now = replacing;
        }
    }
    stop.store(true, Ordering::Relaxed);
    clients.into_iter().for_each(Started::wait);
    println!(
        "{count} restarts and {count} kills, {} rounds of the clients",
        done.load(Ordering::Relaxed)
    );
    end(case, now);
}

pub(crate) fn row14_after_the_limit_calls_fail(case: &Case) {
    if case.lacks(Ability::Restarts) {
        return;
    }
    let first = driver(case, "100").start();
    let node = first.node().to_owned();
    let file = open(&node).expect("open");
    let reading = file.start_read(1);
    first.kill();
    assert_eq!(reading.wait(), Err(Errno::EPIPE));
    wait_until("the node is gone", || !node.exists());
    assert_eq!(file.write(b"x"), Err(Errno::EPIPE));
    assert_eq!(open(&node).map(drop), Err(Errno::ENOENT));
    // The name is free: nothing is taken over.
    let next = next(case, "100");
    assert_eq!(file.write(b"x"), Err(Errno::EPIPE));
    drop(file);
    end(case, next);
}

pub(crate) fn row14_stopped_for_good_it_is_gone(case: &Case) {
    if case.lacks(Ability::Restarts) {
        return;
    }
    let first = driver(case, LONG).start();
    let node = first.node().to_owned();
    let file = open(&node).expect("open");
    let reading = file.start_read(1);
    let mut first = first;
    first.await_number("counts reads", 1);
    first.signal(Signal::SIGTERM);
    assert!(first.wait().success());
    assert!(node.exists() && reading.blocks(), "a stop is no end of it");
    let mut next = next(case, LONG);
    next.ask("stop for good");
    assert!(next.wait().success());
    assert_eq!(reading.wait(), Err(Errno::EPIPE));
    assert!(!node.exists());
}

pub(crate) fn row14_another_kind_of_device_is_refused(case: &Case) {
    if case.lacks(Ability::Restarts) {
        return;
    }
    let mut first = driver(case, LONG).start();
    let refused = |launch: Launch, why: &str| {
        let mut second = launch.spawn();
        assert!(!second.wait().success());
        let errors = second.errors();
        assert!(errors.contains(why), "{errors}");
    };
    let again = driver(case, LONG);
    refused(again, "another driver serves it");
    refused(case.device("memory"), "EEXIST");
    first.signal(Signal::SIGTERM);
    assert!(first.wait().success());
    // Without a policy of its own, a driver takes nothing over.
    refused(case.device("memory"), "EEXIST");
    let stream = case.device("stream:1").arg("--restart").arg(LONG);
    refused(stream, "other operations");
    let next = next(case, LONG);
    end(case, next);
}
