//! How much is kept in memory, and what waits for room there.

use std::fs::File;
use std::ops::Range;
use std::sync::{Mutex, mpsc};

use fusd_tests::{Case, Driver};

use crate::helper::{certificates, http, pattern, reader};
use crate::programs::Program;
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

/// How large the page is.
const PAGE: usize = 1 << 30;

/// After so many bytes the page is the same again: never in the same place of a block.
pub(super) const PERIOD: usize = 1_000_003;

/// A part of the page, of which `period` is all there is to know.
pub(super) fn part(period: &[u8], part: Range<usize>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(part.len());
    while bytes.len() < part.len() {
        let rest = &period[(part.start + bytes.len()) % PERIOD..];
        bytes.extend_from_slice(&rest[..rest.len().min(part.len() - bytes.len())]);
    }
    bytes
}

/// How many pieces each reads of those who read at random: in all, more than may be in memory.
const ROUNDS: usize = 10;

/// Has so many read pieces of `length` bytes at random, and compares.
fn read(driver: &Driver, readers: usize, length: usize) {
    let readers: Vec<_> = (0..readers)
        .map(|number| {
            let (file, period) = (reader(driver), pattern(PERIOD));
            fusd_tests::wait::start(move || {
                let mut offset = number * 7919;
                for _ in 0..ROUNDS {
                    offset = (offset * 31 + 123_456_789) % PAGE;
                    let end = PAGE.min(offset + length);
                    let read = file.read_at(offset as u64, length).expect("pread");
                    assert!(read == part(&period, offset..end), "at {offset}");
                }
            })
        })
        .collect();
    for reader in readers {
        reader.wait();
    }
}

pub(crate) fn parallel_readers_share_a_small_cache(case: &Case) {
    let period = pattern(PERIOD);
    let content = move |range| part(&period, range);
    let server = Server::start(move |asked, line| line.part(asked, PAGE, &content, "\"1\""));
    for (cache, kept, readers, length) in [
        ("1M", 1 << 10, 16, 256 << 10),
        ("16M", 16 << 10, 64, 64 << 10),
    ] {
        let driver = http(case, &server.url("/page"), ["--cache-size", cache]).start();
        read(&driver, readers, length);
        let peak = peak(&driver);
        assert!(peak < kept + BESIDES, "{peak} KiB with a cache of {cache}");
        driver.stop();
    }
}

pub(crate) fn readers_who_pause_share_a_small_cache(case: &Case) {
    const EACH: usize = 4 << 20;
    let readers = 64;
    let page = File::create(case.directory().join("page")).expect("a file");
    // Zeros, which take no room.
    page.set_len((readers * EACH) as u64).expect("a file");
    let path = certificates(case);
    let socket = path("socket");
    let configuration = format!(
        "listen 127.0.0.1:PORT ssl http2; ssl_certificate {}; ssl_certificate_key {}; listen unix:{socket};",
        path("server.pem"),
        path("server.key"),
    );
    let Some(server) = Program::nginx(case, &configuration) else {
        return;
    };
    let (url, ca) = (server.url("/page"), path("ca.pem"));
    let secure = url.replace("http:", "https:");
    for (url, options) in [
        (&secure, ["--http", "2", "--ca", &ca]),
        (&url, ["--http", "1.1", "--unix-socket", &socket]),
    ] {
        let driver = http(case, url, ["--cache-size", "16M"])
            .args(options)
            .start();
        let files: Vec<_> = (0..readers).map(|_| reader(&driver)).collect();
        for (number, file) in files.iter().enumerate() {
            for piece in 0..4 {
                let offset = number * EACH + piece * (128 << 10);
                let read = file.read_at(offset as u64, 128 << 10).expect("pread");
                assert!(read == [0; 128 << 10], "at {offset}");
            }
        }
        let peak = peak(&driver);
        assert!(peak < (16 << 10) + BESIDES, "{peak} KiB, {options:?}");
        driver.stop();
    }
}

pub(crate) fn what_is_kept_waits_for_nobody(case: &Case) {
    const FAR: usize = 1 << 20;
    let (release, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let page = pattern(FAR * 2);
    let served = page.clone();
    let server = Server::start(move |asked, line| {
        if asked.range().is_some_and(|(first, _)| first >= FAR) {
            // Until there is nobody who could say a word.
            let _ = gate.lock().expect("a lock").recv();
        }
        line.page(asked, &served, "\"1\"");
    });
    let driver = http(case, &server.url("/page"), ["--cache-size", "512K"]).start();
    let file = reader(&driver);
    assert!(file.read_at(0, 4096).expect("pread") == page[..4096]);
    let before = server.asked().len();
    let far = reader(&driver);
    // More than may be waited for at a time.
    let slow = fusd_tests::wait::start(move || far.read_at(FAR as u64, 512 << 10));
    let is_far = |asked: &crate::server::Asked| asked.range().is_some_and(|it| it.0 >= FAR);
    fusd_tests::wait::wait_until("a read waits", || {
        server.asked()[before..].iter().any(is_far)
    });
    let kept = fusd_tests::wait::start(move || file.read_at(0, 4096));
    assert!(kept.wait().expect("pread") == page[..4096]);
    drop(release);
    assert!(slow.wait().expect("pread") == page[FAR..FAR + (512 << 10)]);
    driver.stop();
}
