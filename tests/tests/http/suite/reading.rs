//! Reading, as the kernel has it.

use fusd_tests::client::{Whence, process};
use fusd_tests::{Ability, Case};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::signal::Signal;

use crate::helper::{content, http, pattern, reader, try_open};
use crate::server::Server;

pub(crate) fn a_page_is_read_like_a_file(case: &Case) {
    let page = pattern(700_001);
    let served = page.clone();
    let server = Server::start(move |asked, line| match asked.path.as_str() {
        "/page" => line.page(asked, &served, "\"1\""),
        _ => line.page(asked, b"", "\"0\""),
    });
    let driver = http(case, &server.url("/page"), [""; 0]).start();
    assert!(content(&driver) == page, "another content");
    let written = fusd_tests::client::open_with(driver.node(), OFlag::O_WRONLY);
    assert_eq!(written.map(drop), Err(Errno::EACCES));
    if case.can(Ability::Offsets) {
        let file = reader(&driver);
        for offset in [600_000, 1, 699_999, 32_767, 0] {
            let end = page.len().min(offset + 70_000);
            let read = file.read_at(offset as u64, 70_000).expect("pread");
            assert!(read == page[offset..end], "at {offset}");
        }
        assert_eq!(file.read_at(700_001, 10), Ok(vec![]));
        assert_eq!(file.seek(-5, Whence::SeekEnd), Ok(699_996));
        assert_eq!(file.read(10).expect("read"), page[699_996..]);
    }
    driver.stop();
    let driver = http(case, &server.url("/empty"), [""; 0]).start();
    assert_eq!(content(&driver), b"");
    driver.stop();
}

pub(crate) fn an_interrupted_open_cancels_its_request(case: &Case) {
    let server = Server::start(|_, line| line.wait_for_end());
    let driver = http(case, &server.url("/"), [""; 0]).start();
    let client = process(case, driver.node(), &["read", "1"]);
    server.await_asked(1);
    client.signal(Signal::SIGKILL);
    server.await_idle();
    client.kill();
    drop(server);
    assert_eq!(try_open(&driver).map(drop), Err(Errno::ECONNREFUSED));
    driver.stop();
}

pub(crate) fn an_interrupted_read_cancels_its_request(case: &Case) {
    const TOTAL: usize = 1 << 20;
    let page = pattern(TOTAL);
    let server = Server::start(move |asked, line| match asked.range() {
        Some((0, _)) => line.page(asked, &page, "\"1\""),
        Some((first, last)) => {
            // It begins, and does not end.
            let last = last.min(TOTAL - 1);
            let length = last + 1 - first;
            line.say(format!(
                "HTTP/1.1 206 Partial Content\r\nContent-Length: {length}\r\nETag: \"1\"\r\n\
                 Content-Range: bytes {first}-{last}/{TOTAL}\r\n\r\n"
            ));
            line.say(&page[first..first + 1000]);
            line.wait_for_end();
        }
        None => line.answer("400 Bad Request", "", ""),
    });
    let driver = http(case, &server.url("/"), [""; 0]).start();
    let client = process(case, driver.node(), &["read", "300000"]);
    // The first is for the beginning of the page, which comes.
    server.await_asked(2);
    client.signal(Signal::SIGINT);
    server.await_idle();
    client.kill();
    driver.stop();
}
