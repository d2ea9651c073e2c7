//! The end of what is written: by close(2), by a signal, or by the server.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

use fusd_tests::Case;
use nix::errno::Errno;
use nix::fcntl::OFlag;

use super::writing::{bodies, close, echo, open};
use crate::helper::{http, pattern, shell};
use crate::server::Server;

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
