//! Rings: bytes between a driver and its clients, or among clients, that nobody asks the driver for.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use fusd_tests::client::{Handle, Outcome, Process, open_with, process};
use fusd_tests::wait::{deadline, rounds, start, wait_until};
use fusd_tests::{Ability, Backend, Case, Driver, pattern, record};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::PollFlags;
use nix::sys::signal::Signal;

use super::ending::gone;

const IN: PollFlags = PollFlags::POLLIN;
const OUT: PollFlags = PollFlags::POLLOUT;
const SIZE: usize = 4096;
/// Who read or wrote at a time.
const CLIENTS: usize = 4;

fn reader(driver: &Driver) -> Handle {
    open_with(driver.node(), OFlag::O_RDONLY).expect("open for reading")
}

fn writer(driver: &Driver) -> Handle {
    open_with(driver.node(), OFlag::O_WRONLY).expect("open for writing")
}

/// A driver with a ring, that keeps an access log or not: if it does, the ring is not the kernel's.
fn ring(case: &Case, way: &str, log: bool) -> Driver {
    ring_at(case, way, log, "node")
}

fn ring_at(case: &Case, way: &str, log: bool, node: &str) -> Driver {
    let launch = case.device_at(&format!("ring:{SIZE},{way}"), node);
    match log {
        true => launch.env("FUSD_TEST_LOG", "info").start(),
        false => launch.start(),
    }
}

/// The ways in which a ring is served here.
fn kinds(case: &Case) -> &'static [bool] {
    match case.backend() {
        Backend::Kfusd => &[false, true],
        _ => &[false],
    }
}

pub(crate) fn row3_a_ring_is_read_like_a_pipe(case: &Case) {
    for log in kinds(case) {
        let mut driver = ring(case, "out", *log);
        assert_eq!(driver.ask("push before"), "6");
        let files = [reader(&driver), reader(&driver)];
        assert_eq!(files[0].read(0), Ok(vec![]));
        assert_eq!(files[0].read(3).expect("read"), b"bef");
        assert_eq!(files[1].read(99).expect("read"), b"ore");
        let waiting = files[1].start_read(99);
        assert_eq!(driver.ask("push later"), "5");
        assert_eq!(waiting.wait().expect("read"), b"later");
        driver.ask("push last");
        driver.ask("finish");
        let (mut first, mut second) = ([0; 1], [0; 9]);
        let count = files[0].read_parts(&mut [&mut first, &mut second]);
        assert_eq!((count, first[0], &second[..3]), (Ok(4), b'l', &b"ast"[..]));
        for file in &files {
            assert_eq!(file.read(9), Ok(vec![]), "the end of the file");
        }
        driver.ask("resume");
        let waiting = files[0].start_read(9);
        assert!(waiting.blocks());
        driver.ask("push again");
        assert_eq!(waiting.wait().expect("read"), b"again");
        drop(files);
        driver.balance();
        assert_eq!(driver.number("counts reads"), 0, "none is the device's");
    }
}

fn kept(case: &Case, number: usize) -> PathBuf {
    case.directory().join(format!("read.{number}"))
}

/// Starts a client; every second one is interrupted again and again.
fn client(case: &Case, driver: &Driver, number: usize, words: &[&str]) -> Process {
    let alarm: &[_] = match number % 2 {
        0 => &["alarm"],
        _ => &[],
    };
    process(case, driver.node(), &[alarm, words].concat())
}

fn readers(case: &Case, driver: &Driver) -> Vec<Process> {
    let start = |number| {
        let file = kept(case, number);
        client(
            case,
            driver,
            number,
            &["drain", file.to_str().expect("UTF-8")],
        )
    };
    (0..CLIENTS).map(start).collect()
}

fn writers(case: &Case, driver: &Driver, count: usize) -> Vec<Process> {
    let start = |number| {
        let (tag, count) = (format!("w{number}"), count.to_string());
        client(case, driver, number, &["fill", &tag, &count])
    };
    (0..CLIENTS).map(start).collect()
}

fn await_opens(driver: &Driver, clients: &mut [Process]) {
    for client in clients {
        client.await_open(driver.node());
    }
}

/// What all readers got, in the order of the numbers of each writer.
fn read(case: &Case, readers: Vec<Process>) -> BTreeMap<String, Vec<u32>> {
    let mut all = BTreeMap::<String, Vec<u32>>::new();
    for (number, reader) in readers.into_iter().enumerate() {
        let said = reader.wait();
        let bytes = fs::read(kept(case, number)).expect("a file");
        assert_eq!(said, format!("ok {}", bytes.len()));
        for (tag, numbers) in record::sort(&bytes) {
            assert!(numbers.is_sorted(), "{tag}: out of order");
            all.entry(tag).or_default().extend(numbers);
        }
    }
    all.values_mut().for_each(|numbers| numbers.sort_unstable());
    all
}

fn all_of(count: usize) -> Vec<u32> {
    (0..u32::try_from(count).expect("few")).collect()
}

pub(crate) fn row3_each_record_of_a_ring_goes_to_one_reader(case: &Case) {
    for log in kinds(case) {
        let count = rounds(20_000);
        let mut driver = ring(case, "out", *log);
        let mut readers = readers(case, &driver);
        await_opens(&driver, &mut readers);
        driver.ask(&format!("emit d {count}"));
        let all = read(case, readers);
        assert_eq!(all.keys().collect::<Vec<_>>(), ["d"]);
        assert!(all["d"] == all_of(count), "lost or doubled");
        assert_eq!(driver.number("counts reads"), 0);
    }
}

pub(crate) fn row3_what_is_written_to_a_ring_is_taken(case: &Case) {
    for log in kinds(case) {
        let count = rounds(4000);
        let mut driver = ring(case, "in", *log);
        driver.ask("collect");
        for writer in writers(case, &driver, count) {
            assert_eq!(writer.wait(), format!("ok {count}"));
        }
        driver.await_number("collected", (CLIENTS * count * record::SIZE) as u64);
        for number in 0..CLIENTS {
            let tag = format!("numbers w{number}");
            assert_eq!(driver.number(&tag), count as u64, "lost, doubled or mixed");
        }
        assert_eq!(driver.number("counts writes"), 0);
    }
}

pub(crate) fn row3_a_ring_is_a_pipe_among_clients(case: &Case) {
    for log in kinds(case) {
        let count = rounds(4000);
        let mut driver = ring(case, "pipe", *log);
        let mut readers = readers(case, &driver);
        let mut writers = writers(case, &driver, count);
        await_opens(&driver, &mut readers);
        await_opens(&driver, &mut writers);
        // The kernel's own ring needs no driver that runs.
        let asleep = case.backend() == Backend::Kfusd && !log;
        if asleep {
            driver.suspend();
        }
        let written: Vec<_> = writers.into_iter().map(Process::wait).collect();
        if asleep {
            driver.signal(Signal::SIGCONT);
        }
        driver.ask("finish");
        assert_eq!(written, vec![format!("ok {count}"); CLIENTS]);
        let all = read(case, readers);
        assert_eq!(all.len(), CLIENTS);
        assert!(
            all.values().all(|numbers| *numbers == all_of(count)),
            "lost or doubled"
        );
    }
}

pub(crate) fn row4_a_full_ring_and_an_empty_one(case: &Case) {
    for log in kinds(case) {
        let mut driver = ring(case, "pipe", *log);
        let flags = OFlag::O_RDWR | OFlag::O_NONBLOCK;
        let file = open_with(driver.node(), flags).expect("open");
        assert_eq!(file.read(1), Err(Errno::EAGAIN));
        // The kernel's page is a ring's least size.
        let mut size = 0;
        while let Ok(more) = file.write(&pattern::bytes(size as u64, 3000)) {
            size += more;
        }
        assert!(size > 0);
        assert_eq!(driver.number("filled"), size as u64);
        let large = pattern::bytes(size as u64, 2 * SIZE);
        let more = file.write(&large);
        assert!(
            more == Err(Errno::EAGAIN) || more.is_ok_and(|more| more < 3000),
            "what is large goes in in part: {more:?}"
        );
        let size = size + more.unwrap_or(0);
        assert_eq!(file.write(b"x"), Err(Errno::EAGAIN));
        assert_eq!(driver.ask("push x"), "EAGAIN");
        pattern::check(0, &file.read(100).expect("read"));
        let whole = file.write(&pattern::bytes(size as u64, 101));
        assert_eq!(
            whole,
            Err(Errno::EAGAIN),
            "what is small, whole or not at all"
        );
        assert_eq!(file.write(&pattern::bytes(size as u64, 100)), Ok(100));
        let mut at = 100;
        while let Ok(data) = file.read(999) {
            pattern::check(at as u64, &data);
            at += data.len();
        }
        assert_eq!(at, size + 100);
        file.set_nonblocking(false).expect("fcntl");
        let writing = file.start_write(&pattern::bytes(0, 5 * size));
        let mut at = 0;
        while at < 5 * size {
            let data = file.start_read(7777).wait().expect("read");
            pattern::check(at as u64, &data);
            at += data.len();
        }
        assert_eq!(writing.wait(), Ok(5 * size));
    }
}

pub(crate) fn row5_polls_follow_a_ring(case: &Case) {
    for log in kinds(case) {
        let mut driver = ring(case, "pipe", *log);
        let (reader, writer) = (reader(&driver), writer(&driver));
        let size = driver.number("filled") as usize + full(&writer);
        assert_eq!(
            (reader.ready(IN), writer.ready(OUT)),
            (IN, PollFlags::empty())
        );
        let waiting = {
            let writer = writer.duplicate();
            start(move || writer.poll(OUT, deadline()))
        };
        assert_eq!(reader.read(size).expect("read").len(), size);
        assert_eq!(waiting.wait(), Ok(OUT), "room wakes writers");
        for round in 0..rounds(200) {
            assert_eq!(reader.ready(IN), PollFlags::empty(), "round {round}");
            let waiting = {
                let reader = reader.duplicate();
                start(move || reader.poll(IN, deadline()))
            };
            match round % 2 {
                0 => assert_eq!(driver.ask("push x"), "1"),
                _ => assert_eq!(writer.write(b"x"), Ok(1)),
            }
            assert_eq!(waiting.wait(), Ok(IN), "round {round}");
            assert_eq!(reader.read(9).expect("read"), b"x");
        }
        driver.ask("finish");
        assert_eq!(reader.ready(IN), IN | PollFlags::POLLHUP);
        driver.ask("resume");
        assert_eq!(reader.ready(IN), PollFlags::empty());
        driver.ask("shut");
        assert_eq!(writer.ready(OUT), OUT | PollFlags::POLLERR);
        driver.ask("reopen");
        assert_eq!(writer.ready(OUT), OUT);
    }
}

/// Fills the ring; how many bytes that took.
fn full(writer: &Handle) -> usize {
    writer.set_nonblocking(true).expect("fcntl");
    let mut size = 0;
    while let Ok(more) = writer.write(&[7; SIZE]) {
        size += more;
    }
    writer.set_nonblocking(false).expect("fcntl");
    size
}

pub(crate) fn row9_an_interrupted_write_to_a_ring_says_how_far_it_came(case: &Case) {
    for log in kinds(case) {
        let mut driver = ring(case, "pipe", *log);
        let reader = reader(&driver);
        let client = process(case, driver.node(), &["write", "1000000"]);
        wait_until("the ring is full", || {
            driver.number("filled") >= SIZE as u64
        });
        let first = reader.start_read(1000).wait().expect("read").len();
        client.signal(Signal::SIGUSR1);
        let said = client.wait();
        let written = said
            .strip_prefix("ok ")
            .and_then(|count| count.parse().ok());
        let written: usize = written.expect(&said);
        driver.ask("finish");
        let rest = reader.read_all(SIZE).expect("read").len();
        assert_eq!(
            first + rest,
            written,
            "what the writer knows of, and nothing else"
        );
    }
}

pub(crate) fn row10_a_ring_that_is_shut_takes_nothing(case: &Case) {
    for log in kinds(case) {
        let mut driver = ring(case, "in", *log);
        let file = writer(&driver);
        let size = full(&file);
        let waiting = file.start_write(b"more");
        driver.ask("shut");
        assert_eq!(waiting.wait(), Err(Errno::EPIPE));
        assert_eq!(file.write(b"x"), Err(Errno::EPIPE));
        let left = driver.ask(&format!("pull {}", size + 1));
        assert_eq!(left.len(), size, "what was written before is there");
        assert_eq!(file.write(b"x"), Err(Errno::EPIPE), "still");
        assert_eq!(driver.ask("pull 9"), "EAGAIN");
        driver.ask("reopen");
        assert_eq!(file.write(b"x"), Ok(1));
        assert_eq!(driver.ask("pull 9"), "x");
    }
}

/// Whether a call that moved so many bytes says that the driver has gone.
fn ended(case: &Case, moved: Outcome<usize>) -> bool {
    match moved {
        Ok(_) => false,
        // FUSE and CUSE cut off a call that is just being copied (kills.rs, `may_be_cut_off`).
        Err(Errno::EIO) => case.backend() != Backend::Kfusd,
        Err(errno) => gone(case).contains(&errno),
    }
}

pub(crate) fn row10_rings_end_with_the_driver(case: &Case) {
    let gone = gone(case);
    let hang_up = match case.can(Ability::HangUp) {
        true => PollFlags::POLLERR | PollFlags::POLLHUP,
        false => PollFlags::POLLERR,
    };
    for log in kinds(case) {
        for kill in [false, true] {
            let (output, input) = (ring(case, "out", *log), ring_at(case, "in", *log, "other"));
            let (reader, writer) = (reader(&output), writer(&input));
            full(&writer);
            let (reading, writing) = (reader.start_read(9), writer.start_write(b"more"));
            let polling = {
                let reader = reader.duplicate();
                start(move || reader.poll(IN, 2 * deadline()))
            };
            for driver in [output, input] {
                match kill {
                    true => driver.kill(),
                    false => driver.stop(),
                }
            }
            let read = reading.wait().map(|data| data.len());
            assert!(ended(case, read), "a read that waits: {read:?}");
            let written = writing.wait();
            assert!(
                written != Ok(0) && ended(case, written),
                "a write that waits: {written:?}"
            );
            let found = polling.wait().expect("poll");
            assert!(found.contains(hang_up), "{found:?}");
            let read = reader.read(9).map(|data| data.len());
            assert!(ended(case, read), "a later read: {read:?}");
            let errno = writer.write(b"x").expect_err("the driver has gone");
            assert!(gone.contains(&errno), "a later write: {errno}");
        }
    }
}

pub(crate) fn kill_of_a_driver_with_a_ring(case: &Case) {
    for _ in 0..rounds(10) {
        let driver = ring(case, "pipe", false);
        let (told, begun) = std::sync::mpsc::channel();
        let clients: Vec<_> = (0..2 * CLIENTS)
            .map(|number| {
                let reads = number % 2 == 0;
                let file = match reads {
                    true => reader(&driver),
                    false => writer(&driver),
                };
                let told = told.clone();
                start(move || {
                    for round in 0.. {
                        let moved = match reads {
                            true => file.read(1000).map(|data| data.len()),
                            false => file.write(&[7; 1000]),
                        };
                        if !matches!(moved, Ok(1..)) {
                            return moved;
                        }
                        if round == 10 {
                            told.send(()).expect("the test waits");
                        }
                    }
                    unreachable!("there is no last round")
                })
            })
            .collect();
        let mut at_it = 0;
        wait_until("all are at it", || {
            at_it += begun.try_iter().count();
            at_it == clients.len()
        });
        driver.kill();
        for client in clients {
            let moved = client.wait();
            assert!(ended(case, moved), "{moved:?}");
        }
    }
    case.check();
}
