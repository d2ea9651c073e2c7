//! How much is kept in memory.

use fusd_tests::{Case, Driver};

use crate::helper::{http, pattern_at, reader};
use crate::server::Server;

/// The most memory that the tool may have besides what it keeps of pages, in KiB.
const BESIDES: u64 = 32 << 10;

/// The most memory that the driver has had so far, in KiB.
#[track_caller]
fn peak(driver: &Driver) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", driver.pid())).expect("/proc");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.unwrap_or_else(|| panic!("no VmHWM in {status}"))
}

/// Has so many read pieces of `length` bytes at random, each so often, and compares.
fn read(driver: &Driver, page: usize, readers: usize, rounds: usize, length: usize) {
    let readers: Vec<_> = (0..readers)
        .map(|number| {
            let file = reader(driver);
            fusd_tests::wait::start(move || {
                let mut offset = number * 7919;
                for _ in 0..fusd_tests::wait::rounds(rounds) {
                    offset = (offset * 31 + 123_456_789) % page;
                    let end = page.min(offset + length);
                    let read = file.read_at(offset as u64, length).expect("pread");
                    assert!(read == pattern_at(offset, end - offset), "at {offset}");
                }
            })
        })
        .collect();
    for reader in readers {
        reader.wait();
    }
}

pub(crate) fn parallel_readers_share_a_small_cache(case: &Case) {
    const PAGE: usize = 1 << 30;
    let content = |part: std::ops::Range<usize>| pattern_at(part.start, part.len());
    let server = Server::start(move |asked, line| line.part(asked, PAGE, content, "\"1\""));
    for (cache, kept, readers, rounds, length) in [
        ("1M", 1 << 10, 16, 40, 4096),
        ("64M", 64 << 10, 64, 12, 65536),
    ] {
        let driver = http(case, &server.url("/page"), ["--cache-size", cache]).start();
        read(&driver, PAGE, readers, rounds, length);
        let peak = peak(&driver);
        assert!(peak < kept + BESIDES, "{peak} KiB with a cache of {cache}");
        driver.stop();
    }
}
