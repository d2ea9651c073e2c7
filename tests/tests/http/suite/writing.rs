//! What is written makes requests.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
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
fn echo() -> Server {
    Server::start(|asked, line| {
        let answer = [b"got ", &asked.body[..]].concat();
        match asked.body.as_slice() {
            b"refuse" => line.answer("409 Conflict", "", "no"),
            b"busy" => line.answer("503 Busy", "Retry-After: 0\r\n", ""),
            _ => line.answer("200 OK", "", answer),
        }
    })
}

fn bodies(server: &Server) -> Vec<String> {
    let text = |body: &[u8]| String::from_utf8_lossy(body).into_owned();
    let asked = server.asked();
    asked
        .iter()
        .filter(|it| it.method != "GET")
        .map(|it| text(&it.body))
        .collect()
}

#[track_caller]
fn open(driver: &fusd_tests::Driver, flags: OFlag) -> Handle {
    open_with(driver.node(), flags).expect("open")
}

/// close(2) of the last descriptor.
fn close(file: Handle) -> Result<(), Errno> {
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

pub(crate) fn a_killed_writer_sends_nothing_whole(case: &Case) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("its number"));
    let (heard, hears) = mpsc::channel();
    let server = fusd_tests::wait::start(move || {
        let (mut stream, _) = listener.accept()?;
        let (mut said, mut bytes) = (Vec::new(), [0; 4096]);
        loop {
            match stream.read(&mut bytes) {
                Ok(0) | Err(_) => return std::io::Result::Ok(said),
                Ok(count) => said.extend(&bytes[..count]),
            }
            if said.ends_with(b"\r\n01234\r\n") {
                let _ = heard.send(());
            }
        }
    });
    let driver = http(case, &url, ["-X", "PUT"]).start();
    // It ends with the test's own end of the pipe, however that ends.
    let mut writer = case.command("sh");
    let script = "exec >\"$0\"; printf 01234; read -r word";
    writer.args(["-c", script]).arg(driver.node());
    let mut writer = writer
        .stdin(Stdio::piped())
        .spawn()
        .expect("sh can be started");
    let come = hears.recv_timeout(fusd_tests::wait::deadline());
    // It has come so far, and is killed then.
    writer.kill().expect("a process");
    writer.wait().expect("it can be waited for");
    come.expect("the server hears what is written");
    driver.await_error("the writer was killed");
    let said = server.wait().expect("a connection");
    let said = String::from_utf8_lossy(&said);
    assert!(said.starts_with("PUT / HTTP/1.1\r\n"), "{said}");
    assert!(
        said.ends_with("\r\n01234\r\n"),
        "the request has come to its end: {said}"
    );
    driver.stop();
}

pub(crate) fn a_last_line_comes_after_those_before_it(case: &Case) {
    let (release, gate) = mpsc::channel::<&str>();
    let gate = Mutex::new(gate);
    let answered = AtomicBool::new(false);
    let server = Server::start(move |asked, line| {
        if asked.body == b"first" {
            let status = gate.lock().expect("a lock").recv().expect("a word");
            answered.store(true, Ordering::SeqCst);
            line.answer(status, "", "");
        } else {
            let early = !answered.load(Ordering::SeqCst);
            line.answer(if early { "400 Early" } else { "200 OK" }, "", "");
        }
    });
    let options = ["-X", "POST", "--send", "line", "-v", "-v"];
    let driver = http(case, &server.url("/"), options).start();
    let begin = |count: usize| {
        let file = open(&driver, OFlag::O_WRONLY | OFlag::O_NONBLOCK);
        assert_eq!(file.write(b"first\nlast"), Ok(6));
        assert_eq!(file.write(b"last"), Ok(4));
        server.await_asked(count);
        // Without waiting, as O_NONBLOCK says.
        assert_eq!(close(file), Ok(()));
    };
    begin(1);
    driver.await_error("the last line waits");
    release.send("200 OK").expect("the server");
    server.await_asked(2);
    assert_eq!(bodies(&server), ["first", "last"]);
    begin(3);
    release.send("409 Conflict").expect("the server");
    driver.await_error("the last line is dropped");
    assert_eq!(bodies(&server), ["first", "last", "first"]);
    let early = "the server answers 400";
    assert!(!driver.errors().contains(early), "{}", driver.errors());
    driver.stop();
}

pub(crate) fn a_last_line_waits_for_no_reading(case: &Case) {
    let server = Server::start(|asked, line| match asked.method.as_str() {
        "GET" => line.wait_for_end(),
        _ => line.answer("200 OK", "", ""),
    });
    let driver = http(case, &server.url("/"), ["-X", "POST", "--send", "line"]).start();
    let file = open(&driver, OFlag::O_RDWR | OFlag::O_NONBLOCK);
    assert_eq!(file.read(10), Err(Errno::EAGAIN));
    assert_eq!(file.write(b"last"), Ok(4));
    server.await_asked(1);
    assert_eq!(close(file), Ok(()));
    server.await_asked(2);
    assert_eq!(bodies(&server), ["last"]);
    // Nobody hears the answer to the GET.
    server.await_idle();
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

pub(crate) fn whoever_only_inherits_a_file_may_be_killed(case: &Case) {
    let server = echo();
    let driver = http(case, &server.url("/"), ["-X", "PUT"]).start();
    let page = pattern(3_000_000);
    case.file("page", &page);
    let node = driver.node().as_os_str();
    let script = "( sleep 60 & pid=$!; cat page; kill $pid; wait $pid; cat page ) >\"$0\"";
    shell(case, node, script);
    server.await_asked(1);
    let body = &server.asked()[0].body;
    assert!(*body == [&page[..], &page].concat(), "{}", body.len());
    driver.stop();
}

pub(crate) fn a_server_that_answers_early_hears_the_rest(case: &Case) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("its number"));
    let written = case.directory().join("written");
    let server = fusd_tests::wait::start(move || {
        let (mut stream, _) = listener.accept()?;
        let (mut heard, mut bytes) = (Vec::new(), vec![0; 65536]);
        // To answer what has not been asked would be an error.
        while !heard.windows(4).any(|it| it == b"\r\n\r\n") {
            match stream.read(&mut bytes)? {
                0 => break,
                count => heard.extend(&bytes[..count]),
            }
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
        // Until then it hears nothing, and the last writes wait to be sent.
        fusd_tests::wait::wait_until("all is written", || written.exists());
        while !heard.ends_with(b"\r\n0\r\n\r\n") {
            match stream.read(&mut bytes)? {
                0 => break,
                count => heard.extend(&bytes[..count]),
            }
        }
        std::io::Result::Ok(heard)
    });
    let driver = http(case, &url, ["-X", "PUT"]).start();
    case.file("page", &pattern(5 << 20));
    let script = "exec 3>\"$0\"; dd if=page bs=1M status=none >&3; : >written; exec 3>&-";
    shell(case, driver.node().as_os_str(), script);
    let heard = server.wait().expect("a connection");
    assert!(heard.ends_with(b"0\r\n\r\n"), "{} bytes", heard.len());
    assert!(heard.len() > 5 << 20, "{} bytes", heard.len());
    driver.stop();
}
