//! Content that a driver publishes: for its readers it is as any other.

use fusd_tests::client::{Handle, Whence, open, open_with};
use fusd_tests::wait::{rounds, start, wait_until};
use fusd_tests::{Ability, Backend, Case, Driver, pattern};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::PollFlags;
use nix::sys::signal::Signal;

use super::ending::gone;

/// More than a request, a page and a buffer have room for, and a multiple of none.
const LENGTH: usize = 300_007;

fn reader(driver: &Driver) -> Handle {
    open_with(driver.node(), OFlag::O_RDONLY).expect("open")
}

pub(crate) fn row3_published_content_reads_like_any(case: &Case) {
    let mut driver = case.device(&format!("published:{LENGTH}")).start();
    for size in [1000, 4096, 65_537, LENGTH + 1] {
        let all = reader(&driver).read_all(size).expect("read");
        assert_eq!(all.len(), LENGTH, "with buffers of {size}");
        pattern::check(0, &all);
    }
    let bytewise = reader(&driver);
    for at in 0..rounds(200) as u64 {
        pattern::check(at, &bytewise.read(1).expect("read"));
    }
    drop(bytewise);
    let file = reader(&driver);
    let (mut first, mut second) = (vec![0; 3], vec![0; 100_000]);
    let count = file.read_parts(&mut [&mut first, &mut [], &mut second]);
    assert_eq!(count, Ok(100_003));
    pattern::check(0, &[first, second].concat());
    file.set_nonblocking(true).expect("fcntl");
    pattern::check(100_003, &file.read(5000).expect("read"));
    assert_eq!(file.ready(PollFlags::POLLIN), PollFlags::POLLIN);
    if case.can(Ability::Offsets) {
        let end = LENGTH as u64;
        for (offset, length) in [(0, 1), (4095, 2), (131_071, 65_537), (end - 3, 3)] {
            let data = file.read_at(offset, length).expect("pread");
            assert_eq!(data.len(), length, "at {offset}");
            pattern::check(offset, &data);
        }
        for beyond in [end, end + 1, 1 << 40, i64::MAX as u64 - 100] {
            assert_eq!(file.read_at(beyond, 100), Ok(vec![]), "at {beyond}");
        }
        assert_eq!(file.seek(-7, Whence::SeekEnd), Ok(LENGTH as i64 - 7));
        pattern::check(end - 7, &file.read(100).expect("read"));
        assert_eq!(file.read(100), Ok(vec![]));
    }
    drop(file);
    assert!(driver.balance() >= 6, "each open has its release");
    assert_eq!(driver.number("counts reads"), 0, "none is the device's");
}

pub(crate) fn row3_published_content_is_that_of_the_open(case: &Case) {
    let mut driver = case.device("published:0").start();
    let empty = reader(&driver);
    driver.ask("set first");
    let first = reader(&driver);
    assert_eq!(first.read(2).expect("read"), b"fi");
    driver.ask("set second-one");
    let second = reader(&driver);
    assert_eq!(first.read(99).expect("read"), b"rst");
    assert_eq!(second.read(99).expect("read"), b"second-one");
    for file in [&empty, &first, &second] {
        assert_eq!(file.read(1), Ok(vec![]), "the end of the file");
    }
    if case.backend() == Backend::Kfusd {
        // Nobody wakes the driver: it need not even be able to run.
        driver.suspend();
        let late = second.read_at(7, 99).expect("pread");
        assert_eq!(second.seek(0, Whence::SeekEnd), Ok(10));
        driver.signal(Signal::SIGCONT);
        assert_eq!(late, b"one");
    }
}

pub(crate) fn row3_a_stream_of_published_content_has_a_place_per_reader(case: &Case) {
    let mut driver = case.device("published:100000,stream").start();
    let files = [reader(&driver), reader(&driver)];
    let mut places = [0; 2];
    for size in [1, 700, 4096, 65_536, 65_536] {
        for (file, place) in files.iter().zip(&mut places) {
            let data = file.read(size).expect("read");
            assert_eq!(data.len(), size.min(100_000 - *place));
            pattern::check(*place as u64, &data);
            *place += data.len();
        }
    }
    for file in &files {
        assert_eq!(file.read(1), Ok(vec![]), "the end of the file");
    }
    if case.can(Ability::Offsets) {
        assert_eq!(files[0].read_at(0, 1), Err(Errno::ESPIPE));
    }
    assert_eq!(driver.number("counts reads"), 0);
}

pub(crate) fn row3_published_content_needs_no_read_operation(case: &Case) {
    // With an access log, no read is the kernel's.
    for level in ["warn", "info"] {
        let launch = case.device("published:10,write-only");
        let driver = launch.env("FUSD_TEST_LOG", level).start();
        let file = open(driver.node()).expect("open");
        pattern::check(0, &file.read(10).expect("read"));
        assert_eq!(file.read(10), Ok(vec![]));
    }
}

pub(crate) fn row10_published_content_ends_with_the_driver(case: &Case) {
    let gone = gone(case);
    for kill in [false, true] {
        let driver = case.device("published:100").start();
        let file = reader(&driver);
        pattern::check(0, &file.read(10).expect("read"));
        match kill {
            true => driver.kill(),
            false => driver.stop(),
        }
        let later = file.read(10).expect_err("the driver has gone");
        assert!(gone.contains(&later), "{later}");
    }
}

pub(crate) fn row13_readers_share_published_content(case: &Case) {
    let mut driver = case.device(&format!("published:{LENGTH}")).start();
    let readers: Vec<_> = (1..=8)
        .map(|number| {
            let file = reader(&driver);
            start(move || {
                let all = file.read_all(number * 7919).expect("read");
                assert_eq!(all.len(), LENGTH);
                pattern::check(0, &all);
            })
        })
        .collect();
    readers.into_iter().for_each(|reader| reader.wait());
    assert_eq!(driver.number("counts reads"), 0);
}

pub(crate) fn kill_of_a_driver_with_readers_of_what_it_published(case: &Case) {
    let gone = gone(case);
    // FUSE and CUSE cut off a call that is just being copied (kills.rs, `may_be_cut_off`).
    let cuts = case.backend() != Backend::Kfusd;
    let placed = case.backend().has(Ability::Offsets);
    for _ in 0..rounds(10) {
        let driver = case.device(&format!("published:{LENGTH}")).start();
        let (told, begun) = std::sync::mpsc::channel();
        let readers: Vec<_> = (0..8)
            .map(|_| {
                let (file, told) = (reader(&driver), told.clone());
                start(move || {
                    for round in 0.. {
                        match file.read_at(0, 5000) {
                            // Else each read is behind the last, and the last at the end.
                            Ok(data) if placed => pattern::check(0, &data),
                            Ok(_) => {}
                            Err(Errno::EIO) if cuts => {}
                            Err(errno) => return errno,
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
            at_it == readers.len()
        });
        driver.kill();
        for reader in readers {
            let errno = reader.wait();
            assert!(gone.contains(&errno), "{errno}");
        }
    }
    case.check();
}
