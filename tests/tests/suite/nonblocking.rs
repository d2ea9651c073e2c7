//! Row 4: O_NONBLOCK never blocks.

use std::fs;

use fusd_tests::client::{open, open_with};
use fusd_tests::wait::start;
use fusd_tests::{Ability, Case};
use nix::errno::Errno;
use nix::fcntl::OFlag;

pub(crate) fn row4_at_open(case: &Case) {
    let mut driver = case.device("stream:3").start();
    let file = open_with(driver.node(), OFlag::O_RDWR | OFlag::O_NONBLOCK).expect("open");
    assert_eq!(file.read(1), Err(Errno::EAGAIN));
    assert_eq!(file.write(b"abcde"), Ok(3));
    assert_eq!(file.write(b"de"), Err(Errno::EAGAIN));
    assert_eq!(file.read(9).expect("read"), b"abc");
    assert_eq!(file.read(9), Err(Errno::EAGAIN));
    driver.ask("end");
    assert_eq!(file.read(9), Ok(vec![]), "the end is no reason to wait");
    assert_eq!(driver.number("waiting"), 0);
}

pub(crate) fn row4_set_later(case: &Case) {
    let mut driver = case.device("stream:3").start();
    let file = open(driver.node()).expect("open");
    file.set_nonblocking(true).expect("fcntl");
    assert_eq!(file.read(1), Err(Errno::EAGAIN));
    assert_eq!(file.write(b"abcd"), Ok(3));
    assert_eq!(file.write(b"d"), Err(Errno::EAGAIN));
    file.read(3).expect("read");
    file.set_nonblocking(false).expect("fcntl");
    let blocked = file.start_read(9);
    driver.await_number("waiting", 1);
    // Set while a call waits: that one goes on, the next does not wait.
    file.set_nonblocking(true).expect("fcntl");
    let second = file.start_read(9);
    assert_eq!(
        second.wait(),
        Err(Errno::EAGAIN),
        "beside a call on the same file"
    );
    assert!(blocked.blocks());
    driver.ask("push late");
    assert_eq!(blocked.wait().expect("read"), b"late");
}

pub(crate) fn row4_beside_a_blocked_reader(case: &Case) {
    let mut driver = case.device("stream:3").start();
    let reader = open(driver.node()).expect("open");
    let blocked = reader.start_read(9);
    driver.await_number("waiting", 1);
    let node = driver.node().to_owned();
    let other = start(move || {
        let file = open_with(&node, OFlag::O_RDWR | OFlag::O_NONBLOCK)?;
        file.read(1)
    });
    assert_eq!(other.wait(), Err(Errno::EAGAIN));
    assert!(blocked.blocks());
    // The same open file, from another thread.
    let writer = reader.start_write(b"abc");
    assert_eq!(writer.wait(), Ok(3), "a write beside a blocked read");
    assert_eq!(blocked.wait().expect("read"), b"abc");
}

pub(crate) fn row4_beside_a_blocked_writer(case: &Case) {
    let mut driver = case.device("stream:3").start();
    let writer = open(driver.node()).expect("open");
    writer.write(b"abc").expect("write");
    let blocked = writer.start_write(b"def");
    driver.await_number("waiting", 1);
    let node = driver.node().to_owned();
    let other = start(move || {
        let file = open_with(&node, OFlag::O_WRONLY | OFlag::O_NONBLOCK)?;
        file.write(b"x")
    });
    assert_eq!(other.wait(), Err(Errno::EAGAIN));
    assert!(blocked.blocks());
    let reader = open(driver.node()).expect("open");
    assert_eq!(reader.start_read(9).wait().expect("read"), b"abc");
    assert_eq!(blocked.wait(), Ok(3));
    // Two blocked writers at once, and both get through.
    let first = writer.start_write(b"1");
    let second = open(driver.node()).expect("open").start_write(b"2");
    driver.await_number("waiting", 2);
    let read = reader.read(9).expect("read");
    assert_eq!(read, b"def");
    assert_eq!((first.wait(), second.wait()), (Ok(1), Ok(1)));
}

/// A writer who blocks, and another who must not because of it.
fn two_writers(case: &Case, device: &str, flags: OFlag) {
    if case.lacks(Ability::ParallelWrites) {
        return;
    }
    let mut driver = case.device(device).start();
    let first = open(driver.node()).expect("open").start_write(b"x");
    driver.await_number("waiting", 1);
    let node = driver.node().to_owned();
    let second = start(move || open_with(&node, OFlag::O_WRONLY | flags)?.write(b"x"));
    assert_eq!(second.wait(), Err(Errno::EAGAIN));
    assert!(first.blocks());
}

pub(crate) fn row4_append_beside_a_blocked_writer(case: &Case) {
    two_writers(case, "gate:write", OFlag::O_NONBLOCK | OFlag::O_APPEND);
}

pub(crate) fn row4_truncate_beside_a_blocked_writer(case: &Case) {
    two_writers(case, "gate:write", OFlag::O_NONBLOCK | OFlag::O_TRUNC);
}

pub(crate) fn row4_beyond_the_end_beside_a_blocked_writer(case: &Case) {
    two_writers(case, "gate:write,seekable", OFlag::O_NONBLOCK);
}

pub(crate) fn row4_stat_and_close_beside_blocked_calls(case: &Case) {
    let mut driver = case.device("stream:1").start();
    let reader = open(driver.node()).expect("open");
    let blocked = reader.start_read(1);
    driver.await_number("waiting", 1);
    let node = driver.node().to_owned();
    start(move || {
        fs::metadata(&node).expect("stat");
        drop(open(&node).expect("open"));
    })
    .wait();
    // Closes a copy: the blocked call has another.
    start(move || drop(reader)).wait();
    assert!(blocked.blocks());
    driver.ask("push x");
    assert_eq!(blocked.wait().expect("read"), b"x");
}
