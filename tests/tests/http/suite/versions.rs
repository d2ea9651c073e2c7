//! Pages that change while they are read.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fusd_tests::Case;
use fusd_tests::client::Whence;
use nix::errno::Errno;

use crate::helper::{content, http, pattern, reader};
use crate::server::{Asked, Line, Server};

/// A page that is all zeros in its first version, all ones in the next, and so on.
struct Changing(Arc<AtomicUsize>);

const LENGTH: usize = 3_000_000;

impl Changing {
    fn server(say: fn(&mut Line, &Asked, &[u8], usize)) -> (Self, Server) {
        let version = Arc::new(AtomicUsize::new(0));
        let now = Arc::clone(&version);
        let server = Server::start(move |asked, line| {
            let version = now.load(Ordering::SeqCst);
            let digit = u8::try_from(version).expect("a small number");
            say(line, asked, &vec![digit; LENGTH], version);
        });
        (Self(version), server)
    }

    fn change(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn with_etag(line: &mut Line, asked: &Asked, page: &[u8], version: usize) {
    line.page(asked, page, &format!("\"{version}\""));
}

pub(crate) fn an_open_file_is_of_one_version(case: &Case) {
    let (page, server) = Changing::server(with_etag);
    let driver = http(case, &server.url("/"), [""; 0]).start();
    let file = reader(&driver);
    assert_eq!(file.read_at(0, 100), Ok(vec![0; 100]));
    page.change();
    assert_eq!(file.read_at(2_000_000, 100), Err(Errno::ESTALE));
    assert_eq!(
        file.read_at(0, 100),
        Ok(vec![0; 100]),
        "what is there stays"
    );
    assert_eq!(content(&driver), vec![1; LENGTH], "another open");
    driver.stop();
}

pub(crate) fn a_changed_page_can_be_reopened(case: &Case) {
    let (page, server) = Changing::server(with_etag);
    let driver = http(case, &server.url("/"), ["--on-change", "reopen"]).start();
    let file = reader(&driver);
    assert_eq!(file.read_at(0, 100), Ok(vec![0; 100]));
    page.change();
    assert_eq!(file.read_at(2_000_000, 100), Ok(vec![1; 100]));
    assert_eq!(file.read_at(0, 100), Ok(vec![1; 100]));
    driver.stop();
}

pub(crate) fn a_page_without_ranges_is_of_one_version(case: &Case) {
    // Not even a word of which version it is.
    let (page, server) = Changing::server(|line, _, page, _| line.answer("200 OK", "", page));
    let driver = http(case, &server.url("/"), [""; 0]).start();
    let file = reader(&driver);
    // Far enough that the beginning is not kept.
    for _ in 0..LENGTH / 100_000 {
        assert_eq!(file.read(100_000).map(|it| it.len()), Ok(100_000));
    }
    assert_eq!(
        file.read_at(5, 100),
        Ok(vec![0; 100]),
        "it is asked for again"
    );
    assert_eq!(server.asked().len(), 2);
    let file = reader(&driver);
    for _ in 0..LENGTH / 100_000 {
        assert_eq!(file.read(100_000).map(|it| it.len()), Ok(100_000));
    }
    page.change();
    assert_eq!(file.read_at(5, 100), Err(Errno::ESTALE));
    driver.stop();
}

pub(crate) fn a_page_of_unknown_length_goes_to_a_file_for_who_leaps(case: &Case) {
    let page = pattern(LENGTH);
    let served = page.clone();
    let server = Server::start(move |_, line| {
        line.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        for piece in served.chunks(50_000) {
            line.chunk(piece);
        }
        line.chunk("");
    });
    let driver = http(case, &server.url("/"), [""; 0]).start();
    let file = reader(&driver);
    for offset in [LENGTH - 10, 5, LENGTH / 2] {
        let end = LENGTH.min(offset + 100);
        let read = file.read_at(offset as u64, 100).expect("pread");
        assert_eq!(read, page[offset..end], "at {offset}");
    }
    assert_eq!(file.read_at(LENGTH as u64, 1), Ok(vec![]));
    let back = file.seek(-10, Whence::SeekEnd);
    assert_eq!(back, Ok(LENGTH as i64 - 10), "the length is known by now");
    assert_eq!(server.asked().len(), 1, "all of it came at once");
    driver.stop();
}

pub(crate) fn readers_share_what_they_have_read(case: &Case) {
    let page = pattern(1_000_000);
    let served = page.clone();
    let server = Server::start(move |asked, line| line.page(asked, &served, "\"1\""));
    let driver = http(case, &server.url("/"), [""; 0]).start();
    assert!(content(&driver) == page);
    let before = server.asked().len();
    assert!(content(&driver) == page);
    assert_eq!(
        server.asked().len() - before,
        1,
        "only whether it is the same"
    );
    driver.stop();
}
