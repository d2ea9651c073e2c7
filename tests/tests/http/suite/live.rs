//! Streams that go on.

use std::sync::Mutex;
use std::sync::mpsc;

use fusd_tests::Case;
use fusd_tests::client::open_with;
use fusd_tests::wait::wait_until;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::PollFlags;

use crate::helper::{certificates, content, http, pattern, reader, try_open};
use crate::programs::Program;
use crate::server::Server;

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

pub(crate) fn a_stream_is_read_as_it_comes(case: &Case) {
    let (say, said) = mpsc::channel::<&str>();
    let said = Mutex::new(said);
    let server = Server::start(move |asked, line| {
        if asked.path == "/none" {
            return line.answer("404 Not Found", "", "");
        }
        line.say(CHUNKED);
        for word in said.lock().expect("a lock").iter() {
            line.chunk(word);
        }
        line.chunk("");
    });
    let driver = http(case, &server.url("/"), ["--live"]).start();
    let file = reader(&driver);
    assert_eq!(file.ready(PollFlags::POLLIN), PollFlags::empty());
    file.set_nonblocking(true).expect("fcntl");
    assert_eq!(file.read(10), Err(Errno::EAGAIN));
    file.set_nonblocking(false).expect("fcntl");
    let waiting = file.start_read(100);
    say.send("one").expect("the server");
    assert_eq!(waiting.wait(), Ok(b"one".to_vec()));
    say.send("two").expect("the server");
    let limit = fusd_tests::wait::deadline();
    assert_eq!(file.poll(PollFlags::POLLIN, limit), Ok(PollFlags::POLLIN));
    assert_eq!(file.read(2), Ok(b"tw".to_vec()));
    assert_eq!(file.ready(PollFlags::POLLIN), PollFlags::POLLIN);
    assert_eq!(file.read(2), Ok(b"o".to_vec()));
    drop(say);
    assert_eq!(file.start_read(2).wait(), Ok(vec![]), "the end");
    driver.stop();
    let driver = http(case, &server.url("/none"), ["--live"]).start();
    assert_eq!(try_open(&driver).map(drop), Err(Errno::ENOENT));
    let file = open_with(driver.node(), OFlag::O_RDONLY | OFlag::O_NONBLOCK).expect("at once");
    assert_eq!(file.poll(PollFlags::POLLIN, limit), Ok(PollFlags::POLLIN));
    assert_eq!(file.read(2), Err(Errno::ENOENT));
    driver.stop();
}

pub(crate) fn a_closed_stream_is_closed_at_the_server(case: &Case) {
    let server = Server::start(|_, line| {
        line.say(CHUNKED);
        line.wait_for_end();
    });
    let driver = http(case, &server.url("/"), ["--live"]).start();
    drop(reader(&driver));
    server.await_idle();
    driver.stop();
}

/// A picture as a camera sends it, with all that is around it.
fn picture(number: usize) -> Vec<u8> {
    let content = pattern(50_000 + number);
    let head = format!(
        "--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n",
        content.len()
    );
    [head.as_bytes(), &content, b"\r\n"].concat()
}

pub(crate) fn pictures_come_one_by_one(case: &Case) {
    let (say, said) = mpsc::channel::<usize>();
    let said = Mutex::new(said);
    let server = Server::start(move |_, line| {
        // Neither a length nor chunks: it ends with the connection.
        let kind = "multipart/x-mixed-replace; boundary=frame";
        line.say(format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n\r\n"));
        for number in said.lock().expect("a lock").iter() {
            line.say(picture(number));
        }
    });
    let driver = http(case, &server.url("/"), ["--live"]).start();
    let file = reader(&driver);
    for number in 0..3 {
        assert_eq!(file.ready(PollFlags::POLLIN), PollFlags::empty());
        say.send(number).expect("the server");
        let limit = fusd_tests::wait::deadline();
        assert_eq!(file.poll(PollFlags::POLLIN, limit), Ok(PollFlags::POLLIN));
        let picture = picture(number);
        let mut come = Vec::new();
        while come.len() < picture.len() {
            let more = file.start_read(65536).wait().expect("read");
            assert!(!more.is_empty(), "the end after {} bytes", come.len());
            come.extend(more);
        }
        assert!(come == picture, "picture {number}: {} bytes", come.len());
    }
    drop(say);
    assert_eq!(file.start_read(1).wait(), Ok(vec![]), "the camera is off");
    driver.stop();
}

pub(crate) fn events_are_followed(case: &Case) {
    let server = Server::start(|asked, line| match asked.header("last-event-id") {
        None => line.answer(
            "200 OK",
            "",
            "retry: 1\nid: 1\ndata: one\n\nid: 2\ndata: tw",
        ),
        Some("1") => line.answer("200 OK", "", "id: 2\ndata: two\ndata: too\n\n"),
        Some(_) => line.answer("204 No Content", "", ""),
    });
    let driver = http(case, &server.url("/"), ["--sse", "data", "--follow"]).start();
    assert_eq!(
        String::from_utf8_lossy(&content(&driver)),
        "one\ntwo\ntoo\n"
    );
    let asked = server.asked();
    assert_eq!(asked.len(), 3);
    assert_eq!(asked[0].header("accept"), Some("text/event-stream"));
    driver.stop();
    let driver = http(case, &server.url("/"), ["--sse", "raw"]).start();
    let raw = "retry: 1\nid: 1\ndata: one\n\nid: 2\ndata: tw";
    assert_eq!(String::from_utf8_lossy(&content(&driver)), raw);
    driver.stop();
}

pub(crate) fn slow_readers_stop_nobody_over_http_2(case: &Case) {
    // More than a reader's own window, and ten times of that more than the usual one of a connection.
    let page = pattern(3 << 20);
    case.file("page", &page);
    let path = certificates(case);
    let configuration = format!(
        "listen 127.0.0.1:PORT ssl http2; ssl_certificate {}; ssl_certificate_key {};",
        path("server.pem"),
        path("server.key"),
    );
    let Some(server) = Program::nginx(case, &configuration) else {
        return;
    };
    let url = server.url("/page").replace("http:", "https:");
    let ca = path("ca.pem");
    for (options, version) in [(&["--http", "2"][..], "HTTP/2.0"), (&[], "HTTP/1.1")] {
        let options = [&["--live", "--ca", &ca], options].concat();
        let driver = http(case, &url, options).start();
        let slow: Vec<_> = (0..10).map(|_| reader(&driver)).collect();
        for file in &slow {
            assert_eq!(file.read(1000).expect("read"), page[..1000]);
        }
        assert!(content(&driver) == page, "{version}");
        let rest = slow[0].read_all(65536).expect("read");
        assert!(rest == page[1000..], "{version}: {} bytes", rest.len());
        driver.stop();
        let log = case.directory().join("nginx/access.log");
        wait_until("nginx has noted the version", || {
            let log = std::fs::read_to_string(&log).expect("the log");
            log.contains(&format!("{version}\" 200"))
        });
    }
}
