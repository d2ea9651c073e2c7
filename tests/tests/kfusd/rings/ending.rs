//! Ends: of the file, of the ring, of the device, of the driver, of a client; and what goes on.

use std::path::Path;

use fusd::wire::{
    ATTACH_READS, ATTACH_WRITES, IOCTL_FEED, Portion, REGISTER_STREAM, Ring, operation,
};
use fusd_tests::client::Handle;
use fusd_tests::pattern;
use fusd_tests::wait::{Started, rounds, start, wait_until};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::PollFlags;
use nix::sys::signal::Signal;

use super::{BOTH, RING, fill, scene};
use crate::driver::{ALL, Driver, node};
use crate::module::tests;
use crate::raw;
use crate::restart;
use crate::signals::Client;

/// A client in a process of its own, whose file is attached to the ring.
fn opened(driver: &Driver, node: &Path, flags: u32, words: &[&str]) -> Client {
    let client = Client::start(node, words);
    let request = driver.expect(operation::OPEN);
    driver
        .attach(request.header.file, RING, flags)
        .expect("attach");
    driver.answer(request.id(), 0, b"").expect("an answer");
    client
}

tests! {
    fn the_end_comes_after_the_last_byte() {
        let (driver, file) = scene(4096, ATTACH_READS);
        assert_eq!(raw::feed(&driver, RING, b"last", true), Ok(4));
        assert_eq!(file.read(3).as_deref(), Ok(&b"las"[..]));
        assert_eq!(file.read(3).as_deref(), Ok(&b"t"[..]));
        assert_eq!(file.read(3).as_deref(), Ok(&b""[..]));
        assert_eq!(file.read(3).as_deref(), Ok(&b""[..]));
        // Unless it goes on.
        assert_eq!(raw::feed(&driver, RING, b"", false), Ok(0));
        let readings = [file.start_read(9), file.start_read(9)];
        assert!(readings.iter().all(Started::blocks));
        driver.finish();
        for reading in readings {
            assert_eq!(reading.wait().as_deref(), Ok(&b""[..]));
        }
        // What did not all go in is not the end.
        assert_eq!(raw::feed(&driver, RING, &[0; 5000], true), Ok(4096));
        file.read(5000).expect("read");
        assert!(file.start_read(1).blocks());
        driver.finish();
    }

    fn writes_fail_where_nobody_takes_them() {
        let (driver, file) = scene(4096, ATTACH_WRITES);
        fill(&file);
        let writing = file.start_write(&[0; 10]);
        assert!(writing.blocks());
        assert_eq!(raw::take(&driver, RING, 0, true).as_deref(), Ok(&b""[..]));
        assert_eq!(writing.wait(), Err(Errno::EPIPE));
        assert_eq!(file.write(b"more"), Err(Errno::EPIPE));
        // What was written before is there, and then it may go on.
        assert_eq!(driver.take().map(|bytes| bytes.len()), Ok(4096));
        assert_eq!(file.write(b"more"), Ok(4));
    }

    fn a_ring_that_is_dropped_has_an_end() {
        let (driver, file) = scene(4096, BOTH);
        driver.feed(b"left");
        let (another, other) = scene(4096, ATTACH_READS);
        let reading = other.start_read(1);
        driver.drop_ring(RING).expect("drop");
        assert_eq!(file.write(b"more"), Err(Errno::EPIPE));
        assert_eq!(file.read(9).as_deref(), Ok(&b"left"[..]));
        assert_eq!(file.read(9).as_deref(), Ok(&b""[..]));
        assert_eq!(raw::feed(&driver, RING, b"more", false), Err(Errno::ENOENT));
        assert_eq!(driver.drop_ring(RING), Err(Errno::ENOENT));
        // Its number is free, and what has it is another ring.
        driver.ring(RING, 4096);
        driver.feed(b"other");
        assert_eq!(file.read(9).as_deref(), Ok(&b""[..]));
        // That of another driver is another one.
        assert!(reading.blocks());
        another.drop_ring(RING).expect("drop");
        assert_eq!(reading.wait().as_deref(), Ok(&b""[..]));
    }

    fn what_is_left_is_read_after_the_device_is_gone() {
        for by_unregistering in [true, false] {
            let (driver, file) = scene(4096, BOTH);
            let (second, third) = (file.duplicate(), file.duplicate());
            driver.feed(b"left");
            assert_eq!(file.ready(PollFlags::POLLIN), PollFlags::POLLIN);
            let kept = match by_unregistering {
                true => {
                    driver.unregister(1).expect("unregister");
                    Some(driver)
                }
                false => {
                    drop(driver);
                    None
                }
            };
            let ends = PollFlags::POLLERR | PollFlags::POLLHUP;
            wait_until("poll says so", || file.ready(PollFlags::POLLIN).contains(ends));
            assert_eq!(second.write(b"more"), Err(Errno::EPIPE));
            assert_eq!(file.read(3).as_deref(), Ok(&b"lef"[..]));
            assert_eq!(third.read(3).as_deref(), Ok(&b"t"[..]));
            // A ring that is dropped has an end; the device of one that is not is gone.
            let end = if by_unregistering { Err(Errno::EPIPE) } else { Ok(Vec::new()) };
            assert_eq!(file.read(3), end);
            drop(kept);
        }
    }

    fn who_waits_goes_on_as_the_device_ends() {
        for by_unregistering in [true, false] {
            let (driver, reader) = scene(4096, ATTACH_READS);
            let (other, writer) = scene(4096, ATTACH_WRITES);
            fill(&writer);
            let (reading, writing) = (reader.start_read(1), writer.start_write(b"1"));
            assert!(reading.blocks() && writing.blocks());
            match by_unregistering {
                true => {
                    driver.unregister(1).expect("unregister");
                    other.unregister(1).expect("unregister");
                }
                false => drop((driver, other)),
            }
            let result = reading.wait();
            assert!(matches!(result.as_deref(), Err(Errno::EPIPE) | Ok(&[])), "{result:?}");
            assert_eq!(writing.wait(), Err(Errno::EPIPE));
        }
    }

    fn a_signal_takes_nothing() {
        let (driver, node) = Driver::with_device(ALL, REGISTER_STREAM);
        driver.ring(RING, 4096);
        let mut client = opened(&driver, &node, ATTACH_READS, &["read", "100"]);
        // The first may come before it waits.
        wait_until("the signal ends the wait", || {
            client.signal(Signal::SIGUSR1);
            client.ended()
        });
        assert_eq!(client.said(), "EINTR");
        driver.expect(operation::RELEASE);
        let client = opened(&driver, &node, ATTACH_READS, &["read", "100"]);
        client.kill();
        driver.expect(operation::RELEASE);
        driver.feed(b"all");
        let (file, _) = driver.open_at(&node, RING, ATTACH_READS);
        assert_eq!(file.read(9).as_deref(), Ok(&b"all"[..]));
    }

    fn a_killed_reader_takes_nobodys_turn() {
        let (driver, node) = Driver::with_device(ALL, REGISTER_STREAM);
        driver.ring(RING, 4096);
        let (other, _) = driver.open_at(&node, RING, ATTACH_READS);
        let mut portion = Portion { ring: RING, ..Portion::default() };
        for _ in 0..rounds(20) {
            // It goes on after the end that the round before has set.
            driver.feed(b"");
            let client = opened(&driver, &node, ATTACH_READS, &["read", "1"]);
            let reading = other.start_read(9);
            assert!(reading.blocks());
            // The one that is killed may just have been woken for this.
            let killing = start(move || client.kill());
            driver.feed(b"1");
            killing.wait();
            wait_until("one of both has it", || {
                raw::portion(&driver, IOCTL_FEED, &mut portion).expect("feed");
                portion.filled == 0
            });
            driver.finish();
            assert!(reading.wait().is_ok_and(|bytes| bytes.len() < 2));
            driver.expect(operation::RELEASE);
        }
    }

    fn a_successor_finds_the_rings() {
        let (first, name) = restart::kept(REGISTER_STREAM, restart::LONG);
        first.ring(RING, 65_536);
        let (file, _) = first.open_at(&node(&name), RING, BOTH);
        first.feed(&pattern::bytes(0, 10_000));
        let reading = { let file = file.duplicate(); start(move || file.read(10_000)) };
        pattern::check(0, &reading.wait().expect("read"));
        let reading = { let file = file.duplicate(); start(move || file.read(10_000)) };
        assert!(reading.blocks());
        drop(first);
        assert!(reading.blocks(), "the device waits for its next driver");
        // Who writes to it meanwhile need not wait for one.
        assert_eq!(file.write(b"meanwhile"), Ok(9));
        assert_eq!(reading.wait().as_deref(), Ok(&b"meanwhile"[..]));
        let (second, charge) = restart::successor(&name);
        assert_eq!(charge.files, 1);
        raw::ring(&second, Ring { ring: RING, room: 1, ..Ring::default() }).expect("marks");
        second.feed(b"second");
        assert_eq!(file.read(9).as_deref(), Ok(&b"second"[..]));
        assert_eq!(file.write(b"out"), Ok(3));
        assert_eq!(second.take().as_deref(), Ok(&b"out"[..]));
        let other: Handle = second.open_with(&node(&name), OFlag::O_RDWR).0;
        drop(other);
        second.expect(operation::RELEASE);
    }
}
