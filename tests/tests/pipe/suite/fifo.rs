//! What a named pipe does, and what it should do.

use crate::helper::{pipe, reader, shell, text, writer};
use fusd_tests::client::{open, open_with, process};
use fusd_tests::wait::{deadline, start, wait_until};
use fusd_tests::{Ability, Case, pattern};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::PollFlags;
use nix::sys::signal::Signal;

const MIB: usize = 1 << 20;

pub(crate) fn a_shell_writes_and_reads(case: &Case) {
    let driver = pipe(case, [""; 0]).start();
    let printed = shell(
        case,
        &driver,
        "echo hello >\"$0\"; echo world >>\"$0\"; cat \"$0\"",
    );
    assert_eq!(printed, "hello\nworld\n");
    let printed = shell(
        case,
        &driver,
        "seq 100000 >\"$0\" & cat \"$0\" | md5sum; seq 100000 | md5sum",
    );
    let sums: Vec<_> = printed.lines().collect();
    assert_eq!(sums[0], sums[1]);
    let printed = shell(
        case,
        &driver,
        "dd if=/dev/zero of=\"$0\" bs=1M count=4 status=none & wc -c <\"$0\"",
    );
    assert_eq!(printed.trim(), (4 * MIB).to_string());
}

pub(crate) fn opens_do_not_hang(case: &Case) {
    let driver = pipe(case, [""; 0]).start();
    let node = driver.node().to_owned();
    for flags in [OFlag::O_RDONLY, OFlag::O_WRONLY, OFlag::O_RDWR] {
        let node = node.clone();
        start(move || open_with(&node, flags)).wait().expect("open");
    }
}

pub(crate) fn opens_wait_for_their_peer_if_asked(case: &Case) {
    let driver = pipe(case, ["--wait-peer"]).start();
    let node = driver.node().to_owned();
    let begin = |flags| {
        let node = node.clone();
        start(move || open_with(&node, flags))
    };
    let nonblocking = OFlag::O_WRONLY | OFlag::O_NONBLOCK;
    assert_eq!(begin(nonblocking).wait().unwrap_err(), Errno::ENXIO);
    let reading = begin(OFlag::O_RDONLY);
    let reader = process(case, &node, &["read", "9"]);
    assert!(reading.blocks());
    let writer = begin(OFlag::O_WRONLY).wait().expect("open");
    let first = reading.wait().expect("open");
    assert_eq!(writer.write(b"12345"), Ok(5));
    assert_eq!(reader.wait(), "ok 12345");
    // Nobody is left behind who has given up.
    drop((first, writer));
    let waiting = process(case, &node, &["read", "9"]);
    waiting.kill();
    let again = || begin(nonblocking).wait().err() == Some(Errno::ENXIO);
    wait_until("the killed reader counts no more", again);
    let writer = begin(OFlag::O_WRONLY);
    let reader = begin(OFlag::O_RDONLY | OFlag::O_NONBLOCK).wait();
    drop((reader.expect("open"), writer.wait().expect("open")));
}

pub(crate) fn the_end_comes_after_the_last_writer(case: &Case) {
    let driver = pipe(case, [""; 0]).start();
    let reader = reader(&driver);
    let first = reader.start_read(99);
    let (one, two) = (writer(&driver), writer(&driver));
    assert!(first.blocks(), "the first writer is still to come");
    one.write(b"abc").expect("write");
    assert_eq!(first.wait().expect("read"), b"abc");
    drop(one);
    let last = reader.start_read(99);
    two.write(b"def").expect("write");
    assert_eq!(last.wait().expect("read"), b"def");
    let end = reader.start_read(99);
    drop(two);
    assert_eq!(end.wait().expect("read"), b"", "the end of the file");
    let found = reader.poll(PollFlags::POLLIN, deadline()).expect("poll");
    assert!(found.contains(PollFlags::POLLHUP), "{found:?}");
}

pub(crate) fn a_large_write_waits_for_its_readers(case: &Case) {
    let driver = pipe(case, ["--size", "10000"]).start();
    let (reader, writer) = (reader(&driver), writer(&driver));
    let data = pattern::bytes(0, 3 * MIB);
    let write = writer.start_write(&data);
    let mut all = Vec::new();
    while all.len() < data.len() {
        assert!(all.len() > data.len() - 10_000 || write.blocks());
        let piece = reader.start_read(7777).wait().expect("read");
        assert!(!piece.is_empty() && piece.len() <= 7777);
        all.extend(piece);
    }
    pattern::check(0, &all);
    assert_eq!(write.wait(), Ok(data.len()));
}

pub(crate) fn an_interrupted_write_tells_how_far_it_came(case: &Case) {
    let driver = pipe(case, ["--size", "10000"]).start();
    let reader = reader(&driver);
    let client = process(case, driver.node(), &["write", "100000"]);
    wait_until("the pipe is full", || {
        reader
            .poll(PollFlags::POLLIN, deadline())
            .is_ok_and(|found| !found.is_empty())
    });
    let first = reader.start_read(4000).wait().expect("read").len();
    client.signal(Signal::SIGUSR1);
    let said = client.wait();
    let taken: usize = said
        .strip_prefix("ok ")
        .and_then(|count| count.parse().ok())
        .expect(&said);
    let mut total = first;
    loop {
        match reader.start_read(100_000).wait().expect("read").len() {
            0 => break,
            count => total += count,
        }
    }
    assert_eq!(total, taken, "what the writer knows of, and nothing else");
}

pub(crate) fn nonblocking_calls_do_not_wait(case: &Case) {
    let driver = pipe(case, ["--size", "10000"]).start();
    let file = open_with(driver.node(), OFlag::O_RDWR | OFlag::O_NONBLOCK).expect("open");
    assert_eq!(file.read(1), Err(Errno::EAGAIN));
    assert_eq!(
        file.write(&[7; 20_000]),
        Ok(10_000),
        "as much as there is room"
    );
    assert_eq!(file.write(&[7]), Err(Errno::EAGAIN));
    assert_eq!(file.read(4000).expect("read").len(), 4000);
    assert_eq!(
        file.write(&[7; 4096]),
        Err(Errno::EAGAIN),
        "whole or not at all"
    );
    assert_eq!(file.write(&[7; 4000]), Ok(4000));
}

pub(crate) fn poll_tells_when(case: &Case) {
    let driver = pipe(case, ["--size", "4096"]).start();
    let (reader, writer) = (reader(&driver), writer(&driver));
    let both = PollFlags::POLLIN | PollFlags::POLLOUT;
    assert_eq!(reader.ready(both), PollFlags::empty());
    assert_eq!(writer.ready(both), PollFlags::POLLOUT);
    writer.write(&[7; 4096]).expect("write");
    assert_eq!(reader.ready(both), PollFlags::POLLIN);
    assert_eq!(writer.ready(both), PollFlags::empty());
    let polled = {
        let writer = writer.duplicate();
        start(move || writer.poll(both, deadline()))
    };
    reader.read(4096).expect("read");
    assert_eq!(polled.wait(), Ok(PollFlags::POLLOUT));
    drop(writer);
    wait_until("the reader is told of the end", || {
        reader
            .ready(both)
            .contains(PollFlags::POLLIN | PollFlags::POLLHUP)
    });
    assert_eq!(text(&reader), "");
}

pub(crate) fn the_number_of_bytes_can_be_asked(case: &Case) {
    if case.lacks(Ability::AnyIoctl) {
        return;
    }
    let driver = pipe(case, [""; 0]).start();
    let file = open(driver.node()).expect("open");
    let fionread = u32::try_from(libc::FIONREAD).expect("32 bits");
    for written in [0, 300, 70] {
        file.write(&vec![7; written]).expect("write");
    }
    let mut count = [0; 4];
    assert_eq!(file.ioctl(fionread, &mut count), Ok(0));
    assert_eq!(u32::from_ne_bytes(count), 370);
    assert_eq!(file.ioctl(0x5400, &mut []), Err(Errno::ENOTTY));
}
