//! Readers who read on, and pause.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fusd_tests::Case;
use fusd_tests::client::Handle;
use nix::errno::Errno;

use super::memory::{PERIOD, part};
use crate::helper::{http, pattern, reader};
use crate::server::Server;

const PAGE: usize = 32 << 20;

/// What is asked for before it is read.
const AHEAD: usize = 1 << 20;

/// An answer of so much is for more than is wanted.
const LASTING: usize = 4 * AHEAD;

/// Reads one piece at `offset`, where the file is, and compares; gives where it ends.
#[track_caller]
fn read_on(file: &Handle, period: &[u8], offset: usize) -> Result<usize, Errno> {
    let piece = file.read(128 << 10)?;
    let end = offset + piece.len();
    assert!(!piece.is_empty(), "the end at {offset}");
    assert!(piece == part(period, offset..end), "at {offset}");
    Ok(end)
}

pub(crate) fn who_pauses_goes_on_in_the_same_version(case: &Case) {
    let period = Arc::new(pattern(PERIOD));
    let (version, lasting) = (Arc::new(AtomicUsize::new(1)), Arc::<AtomicUsize>::default());
    let (now, seen) = (Arc::clone(&version), Arc::clone(&lasting));
    let served = Arc::clone(&period);
    let server = Server::start(move |asked, line| {
        let etag = format!("\"{}\"", now.load(Ordering::SeqCst));
        let content = |range| part(&served, range);
        let (first, last) = asked.range().unwrap_or_default();
        let length = last + 1 - first;
        if length < LASTING || seen.fetch_max(first, Ordering::SeqCst) > 0 {
            return line.part(asked, PAGE, content, &etag);
        }
        // The first one that lasts: more than is wanted comes of it, but not all.
        line.say(format!(
            "HTTP/1.1 206 Partial Content\r\nContent-Length: {length}\r\nETag: {etag}\r\n\
             Content-Range: bytes {first}-{last}/{PAGE}\r\n\r\n"
        ));
        line.say(content(first..first + 2 * AHEAD));
        line.wait_for_end();
    });
    let ahead = AHEAD.to_string();
    let driver = http(case, &server.url("/"), ["--read-ahead", &ahead]).start();
    let file = reader(&driver);
    let mut at = 0;
    while lasting.load(Ordering::SeqCst) == 0 {
        at = read_on(&file, &period, at).expect("read");
    }
    // Nothing more of it is wanted: it is given up after a while.
    server.await_idle();
    let before = server.asked().len();
    let begun = lasting.load(Ordering::SeqCst);
    let end = at + 2 * AHEAD;
    while at < end {
        at = read_on(&file, &period, at).expect("read");
    }
    let (first, last) = server.asked()[before].range().expect("a range");
    assert!(first > begun, "it goes on at {first}, not at {begun}");
    assert!(
        last - first < LASTING,
        "only what is wanted: {first} to {last}"
    );
    version.fetch_add(1, Ordering::SeqCst);
    let stale = loop {
        match read_on(&file, &period, at) {
            Ok(end) => at = end,
            Err(errno) => break errno,
        }
    };
    assert_eq!(stale, Errno::ESTALE);
    driver.stop();
}
