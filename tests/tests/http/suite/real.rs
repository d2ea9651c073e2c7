//! Servers that people use.

use fusd_tests::Case;

use crate::helper::{content, http, pattern, reader, shell};
use crate::programs::Program;
use crate::server::Server;

/// Whether the node has what curl(1) gets of `url`.
#[track_caller]
fn compare(case: &Case, node: &std::path::Path, url: &str) {
    let script = format!("curl --noproxy '*' -sS '{url}' | cmp - \"$0\"");
    shell(case, node.as_os_str(), &script);
}

pub(crate) fn python_gives_no_ranges(case: &Case) {
    let page = pattern(5_000_001);
    case.file("page", &page);
    let Some(server) = Program::python(case) else {
        return;
    };
    let driver = http(case, &server.url("/page"), [""; 0]).start();
    compare(case, driver.node(), &server.url("/page"));
    // To the end, back to the beginning, and to the middle: all of it is in a file by then.
    let file = reader(&driver);
    for offset in [4_999_000, 0, 2_500_000] {
        let read = file.read_at(offset as u64, 2000).expect("pread");
        let end = page.len().min(offset + 2000);
        assert!(read == page[offset..end], "at {offset}");
    }
    assert_eq!(file.read_at(5_000_001, 1), Ok(vec![]));
    driver.stop();
}

pub(crate) fn nginx_gives_what_curl_gets(case: &Case) {
    let page = pattern(20_000_003);
    case.file("page", &page);
    let Some(server) = Program::nginx(case, "listen 127.0.0.1:PORT;") else {
        return;
    };
    let driver = http(case, &server.url("/page"), ["--cache-size", "2M"]).start();
    compare(case, driver.node(), &server.url("/page"));
    let file = reader(&driver);
    let mut offset = 7;
    for _ in 0..100 {
        offset = (offset * 31 + 1_234_567) % page.len();
        let end = page.len().min(offset + 4096);
        let read = file.read_at(offset as u64, 4096).expect("pread");
        assert!(read == page[offset..end], "at {offset}");
    }
    driver.stop();
}

pub(crate) fn compressed_pages_are_decoded(case: &Case) {
    let page = pattern(300_000);
    case.file("page", &page);
    let compress = |program: &str| {
        let script = format!("{program} -c page");
        shell(case, "".as_ref(), &script)
    };
    let gzip = compress("gzip");
    let server = Server::start(move |asked, line| {
        let wanted = asked.header("accept-encoding").unwrap_or_default();
        match asked.path.as_str() {
            "/asked" if !wanted.contains("gzip") => line.answer("406 No", "", ""),
            "/cut" => line.answer("200 OK", "Content-Encoding: gzip\r\n", &gzip[..10_000]),
            "/odd" => line.answer("200 OK", "Content-Encoding: odd\r\n", &gzip),
            _ => line.answer("200 OK", "Content-Encoding: gzip\r\n", &gzip),
        }
    });
    let driver = http(case, &server.url("/unasked"), [""; 0]).start();
    assert!(content(&driver) == page);
    driver.stop();
    let driver = http(case, &server.url("/asked"), ["--compressed"]).start();
    assert!(content(&driver) == page);
    driver.stop();
    let driver = http(case, &server.url("/cut"), [""; 0]).start();
    let read = reader(&driver).read_all(65536);
    assert_eq!(read, Err(nix::errno::Errno::EIO));
    driver.stop();
    let driver = http(case, &server.url("/odd"), ["--retries", "0"]).start();
    let opened = crate::helper::try_open(&driver);
    assert_eq!(opened.map(drop), Err(nix::errno::Errno::EIO));
    driver.stop();
}
