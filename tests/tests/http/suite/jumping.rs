//! Readers who jump about.

use fusd_tests::Case;

use super::memory::{PERIOD, part};
use crate::helper::{http, pattern, reader};
use crate::server::{Asked, Server};

/// Much more than is kept.
const PAGE: usize = 1 << 30;

/// What is sent of it at least.
const GRAIN: usize = 4 << 10;

pub(crate) fn who_jumps_about_is_sent_what_is_read(case: &Case) {
    let period = pattern(PERIOD);
    let served = period.clone();
    let server = Server::start(move |asked, line| {
        line.part(asked, PAGE, |range| part(&served, range), "\"1\"");
    });
    let driver = http(case, &server.url("/"), ["--cache-size", "1M"]).start();
    let file = reader(&driver);
    let read = |offset: usize, length: usize| {
        let end = PAGE.min(offset + length);
        let read = file.read_at(offset as u64, length).expect("pread");
        assert!(read == part(&period, offset..end), "at {offset}");
    };
    // At no place where a grain begins.
    let places = (1..30).map(|number| number * 35_791_393);
    for place in places.clone() {
        read(place, GRAIN);
    }
    read(PAGE - 100, GRAIN);
    let asked = server.asked();
    let ranges: Vec<_> = asked.iter().filter_map(Asked::range).collect();
    let (last, before) = ranges.split_last().expect("requests");
    assert_eq!(*last, (PAGE - GRAIN, PAGE - 1));
    for (place, range) in places.rev().zip(before.iter().rev()).take(15) {
        let first = place / GRAIN * GRAIN;
        assert_eq!(*range, (first, first + 2 * GRAIN - 1), "at {place}");
    }
    // It is kept, and also what others have who do not jump.
    read(PAGE - 90, 50);
    assert_eq!(server.asked().len(), asked.len());
    let mut place = 29 * 35_791_393;
    for _ in 0..20 {
        read(place, 3 * GRAIN);
        place += 3 * GRAIN;
    }
    driver.stop();
}
