//! What is written makes requests.

use std::sync::Mutex;
use std::sync::mpsc;

use fusd_tests::client::{Handle, open_with, process};
use fusd_tests::{Ability, Case};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::PollFlags;
use nix::sys::signal::Signal;

use crate::helper::{content, http, pattern, shell};
use crate::server::Server;

/// A server that answers what it is sent, as long as it has not the word for a refusal in it.
pub(super) fn echo() -> Server {
    Server::start(|asked, line| {
        let answer = [b"got ", &asked.body[..]].concat();
        match asked.body.as_slice() {
            b"refuse" => line.answer("409 Conflict", "", "no"),
            b"busy" => line.answer("503 Busy", "Retry-After: 0\r\n", ""),
            _ => line.answer("200 OK", "", answer),
        }
    })
}

/// What was sent to it, but for GETs.
pub(super) fn bodies(server: &Server) -> Vec<String> {
    let text = |body: &[u8]| String::from_utf8_lossy(body).into_owned();
    let asked = server.asked();
    asked
        .iter()
        .filter(|it| it.method != "GET")
        .map(|it| text(&it.body))
        .collect()
}

/// open(2) of the node.
#[track_caller]
pub(super) fn open(driver: &fusd_tests::Driver, flags: OFlag) -> Handle {
    open_with(driver.node(), flags).expect("open")
}

/// close(2) of the last descriptor.
pub(super) fn close(file: Handle) -> Result<(), Errno> {
    nix::unistd::close(file.into_fd())
}

pub(crate) fn each_write_is_a_request(case: &Case) {
    let server = echo();
    let options = [
        "-X",
        "POST",
        "--send",
        "write",
        "--content-type",
        "text/plain",
    ];
    let driver = http(case, &server.url("/"), options).start();
    let file = open(&driver, OFlag::O_RDWR);
    assert_eq!(file.write(b"one"), Ok(3));
    assert_eq!(file.read(5), Ok(b"got o".to_vec()));
    assert_eq!(file.read(100), Ok(b"ne".to_vec()));
    assert_eq!(file.read(100), Ok(vec![]));
    assert_eq!(file.write(b"two"), Ok(3));
    assert_eq!(file.read_all(100), Ok(b"got two".to_vec()));
    assert_eq!(file.write(b"refuse"), Err(Errno::EBUSY));
    assert_eq!(file.write(b"busy"), Err(Errno::EAGAIN));
    assert_eq!(
        bodies(&server),
        ["one", "two", "refuse", "busy"],
        "each once"
    );
    let first = &server.asked()[0];
    assert_eq!(
        (first.method.as_str(), first.header("content-type")),
        ("POST", Some("text/plain"))
    );
    assert_eq!(content(&driver), b"got ", "who only reads makes a GET");
    driver.stop();
}

pub(crate) fn requests_are_of_the_method_that_was_chosen(case: &Case) {
    let server = echo();
    for (method, options) in [
        (
            "PATCH",
            &["--content-type", "application/merge-patch+json"][..],
        ),
        ("PUT", &[]),
        ("POST", &[]),
    ] {
        let driver = http(case, &server.url("/thing"), ["-X", method]);
        let driver = driver.args(options).start();
        let file = open(&driver, OFlag::O_RDWR);
        assert_eq!(file.write(b"{\"a\":"), Ok(5));
        assert_eq!(file.write(b"1}"), Ok(2));
        assert_eq!(
            file.read_all(100),
            Ok(b"got {\"a\":1}".to_vec()),
            "{method}"
        );
        let asked = server.asked().pop().expect("a request");
        assert_eq!(
            (asked.method.as_str(), asked.path.as_str()),
            (method, "/thing")
        );
        if let [_, kind] = options {
            assert_eq!(asked.header("content-type"), Some(*kind));
        }
        driver.stop();
    }
    assert_eq!(server.asked().len(), 3, "each once");
}

pub(crate) fn what_may_be_sent_again_is(case: &Case) {
    let server = echo();
    let options = [
        "-X",
        "PUT",
        "--send",
        "write",
        "--idempotent",
        "--retries",
        "2",
    ];
    let options = [&options[..], &["--retry-max-wait", "20ms"]].concat();
    let driver = http(case, &server.url("/"), options).start();
    let file = open(&driver, OFlag::O_WRONLY);
    assert_eq!(file.write(b"busy"), Err(Errno::EAGAIN));
    assert_eq!(bodies(&server), ["busy"; 3]);
    driver.stop();
}

pub(crate) fn each_line_is_a_request(case: &Case) {
    let server = echo();
    let driver = http(case, &server.url("/"), ["-X", "POST", "--send", "line"]).start();
    let node = driver.node().as_os_str();
    shell(case, node, "printf 'a\\nb\\n\\nc' >\"$0\"");
    if case.backend() == fusd_tests::Backend::Cuse {
        // Nobody waits for the end of the line that close(2) sends.
        server.await_asked(4);
    }
    assert_eq!(bodies(&server), ["a", "b", "", "c"]);
    let file = open(&driver, OFlag::O_WRONLY);
    assert_eq!(file.write(b"d\nrefuse\ne\n"), Ok(2), "what was taken");
    assert_eq!(
        file.write(b"refuse\ne\n"),
        Err(Errno::EBUSY),
        "it is not sent again"
    );
    assert_eq!(bodies(&server)[4..], ["d", "refuse"]);
    driver.stop();
}

pub(crate) fn a_file_is_one_request(case: &Case) {
    let server = echo();
    let driver = http(case, &server.url("/"), ["-X", "PUT"]).start();
    let page = pattern(3_000_000);
    case.file("page", &page);
    let node = driver.node().as_os_str();
    shell(case, node, "cat page >\"$0\"");
    server.await_asked(1);
    let asked = server.asked();
    assert_eq!(asked[0].method, "PUT");
    assert!(asked[0].body == page, "{} bytes", asked[0].body.len());
    // Reading ends it as well.
    let file = open(&driver, OFlag::O_RDWR);
    assert_eq!(file.write(b"he"), Ok(2));
    assert_eq!(file.write(b"llo"), Ok(3));
    assert_eq!(file.read_all(100), Ok(b"got hello".to_vec()));
    assert_eq!(file.write(b"more"), Err(Errno::EPIPE));
    if case.can(Ability::Flush) {
        let file = open(&driver, OFlag::O_WRONLY);
        assert_eq!(file.write(b"refuse"), Ok(6));
        assert_eq!(close(file), Err(Errno::EBUSY));
    }
    driver.stop();
}

pub(crate) fn writes_that_must_not_wait_are_told_later(case: &Case) {
    let (release, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let server = Server::start(move |asked, line| {
        gate.lock().expect("a lock").recv().expect("a word");
        match asked.body.as_slice() {
            b"refuse" => line.answer("409 Conflict", "", ""),
            _ => line.answer("200 OK", "", ""),
        }
    });
    let driver = http(case, &server.url("/"), ["-X", "POST", "--send", "write"]).start();
    let file = open(&driver, OFlag::O_WRONLY | OFlag::O_NONBLOCK);
    assert_eq!(file.ready(PollFlags::POLLOUT), PollFlags::POLLOUT);
    assert_eq!(file.write(b"refuse"), Ok(6));
    assert_eq!(file.write(b"two"), Err(Errno::EAGAIN));
    assert_eq!(file.ready(PollFlags::POLLOUT), PollFlags::empty());
    release.send(()).expect("the server");
    let limit = fusd_tests::wait::deadline();
    assert_eq!(file.poll(PollFlags::POLLOUT, limit), Ok(PollFlags::POLLOUT));
    assert_eq!(file.write(b"two"), Err(Errno::EBUSY), "of the first");
    assert_eq!(file.write(b"two"), Ok(3));
    // Closed now, it is sent all the same.
    drop(file);
    release.send(()).expect("the server");
    server.await_asked(2);
    assert_eq!(bodies(&server), ["refuse", "two"]);
    driver.stop();
}

pub(crate) fn an_interrupted_write_is_not_sent_again(case: &Case) {
    let server = Server::start(|_, line| line.wait_for_end());
    let driver = http(case, &server.url("/"), ["-X", "POST", "--send", "write"]).start();
    let client = process(case, driver.node(), &["again", "write", "3"]);
    server.await_asked(1);
    client.signal(Signal::SIGUSR1);
    // Where the kernel begins the call again, it is refused.
    let ends = ["EINTR", "ECANCELED"];
    let end = client.wait();
    assert!(ends.contains(&end.as_str()), "{end}");
    server.await_idle();
    assert_eq!(bodies(&server), ["www"], "once");
    driver.stop();
}
