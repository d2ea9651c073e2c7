//! Pages that are kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use fusd_tests::Case;
use fusd_tests::client::open_with;
use fusd_tests::terminal::Terminal;
use fusd_tests::wait::wait_until;
use nix::errno::Errno;
use nix::fcntl::OFlag;

use crate::helper::{content, http, reader, try_open};
use crate::server::Server;

/// A server that numbers its answers, until it fails.
fn counter() -> (Arc<AtomicBool>, Server) {
    let (fails, count) = (Arc::<AtomicBool>::default(), AtomicUsize::new(0));
    let now = Arc::clone(&fails);
    let server = Server::start(move |_, line| match now.load(Ordering::SeqCst) {
        true => line.answer("500 Oops", "", ""),
        false => {
            let number = count.fetch_add(1, Ordering::SeqCst) + 1;
            line.answer("200 OK", "ETag: \"x\"\r\n", format!("{number}\n"));
        }
    });
    (fails, server)
}

pub(crate) fn a_page_is_used_for_a_time(case: &Case) {
    let (fails, server) = counter();
    let driver = http(case, &server.url("/"), ["--cache", "1h"]).start();
    assert_eq!(content(&driver), b"1\n");
    fails.store(true, Ordering::SeqCst);
    assert_eq!(content(&driver), b"1\n");
    assert_eq!(server.asked().len(), 1);
    driver.stop();
    let driver = http(case, &server.url("/"), ["--cache", "1h", "--retries", "0"]).start();
    assert_eq!(
        try_open(&driver).map(drop),
        Err(Errno::EIO),
        "there is none yet"
    );
    driver.stop();
}

pub(crate) fn an_old_page_is_better_than_none(case: &Case) {
    // It is old after that, and too old after ten times that.
    const TIME: Duration = Duration::from_millis(200);
    let (fails, server) = counter();
    let driver = http(
        case,
        &server.url("/"),
        ["--cache", "200ms", "--retries", "0"],
    )
    .start();
    assert_eq!(content(&driver), b"1\n");
    wait_until("a later one comes", || content(&driver) != b"1\n");
    let later = server.asked();
    assert_eq!(
        later.last().and_then(|it| it.header("if-none-match")),
        Some("\"x\"")
    );
    let (mut before, mut kept) = (0, None);
    wait_until("an old page is used", || {
        fails.store(false, Ordering::SeqCst);
        let last = Instant::now();
        assert_ne!(content(&driver), b"");
        fails.store(true, Ordering::SeqCst);
        before = server.asked().len();
        match try_open(&driver) {
            Ok(file) => kept = Some(file),
            // That page may have been twice its time old: so late, it is too old, and all begins anew.
            Err(errno) => assert!(errno == Errno::EIO && last.elapsed() >= 8 * TIME, "{errno}"),
        }
        kept.is_some()
    });
    let file = kept.expect("it is open");
    assert_ne!(file.read(10), Ok(vec![]));
    let failed = || try_open(&driver).map(drop) == Err(Errno::EIO);
    wait_until("it is too old in the end", failed);
    assert!(server.asked().len() > before);
    assert_ne!(file.read_at(0, 10), Ok(vec![]), "who has it open keeps it");
    driver.stop();
}

pub(crate) fn a_page_that_is_polled_is_asked_for_by_nobody(case: &Case) {
    let (_, server) = counter();
    let driver = http(case, &server.url("/"), ["--poll-interval", "20ms"]).start();
    server.await_asked(3);
    let number = || String::from_utf8(content(&driver)).expect("text");
    let number = |_: ()| number().trim().parse::<u32>().expect("a number");
    assert!(number(()) >= 2);
    driver.stop();
    // A request of the first tool may still be on its way to its server.
    let (_, server) = counter();
    let driver = http(case, &server.url("/"), ["--poll-interval", "1h"]).start();
    server.await_asked(1);
    for _ in 0..3 {
        assert_eq!(content(&driver), b"1\n");
    }
    assert_eq!(server.asked().len(), 1);
    driver.stop();
}

pub(crate) fn one_value_of_a_page_is_served(case: &Case) {
    let server = Server::start(|asked, line| match asked.path.as_str() {
        "/html" => line.answer("200 OK", "", "<html>"),
        _ => line.answer(
            "200 OK",
            "X-Is: here\r\n",
            r#"{"at": {"degrees": [21.5, "mild"]}}"#,
        ),
    });
    let head = case.directory().join("head");
    let status = head.to_str().expect("UTF-8");
    let options = ["--jq", ".at.degrees[]", "--status-file", status];
    let driver = http(case, &server.url("/json"), options).start();
    let file = reader(&driver);
    assert_eq!(file.read(100), Ok(b"21.5\nmild\n".to_vec()));
    let said = std::fs::read_to_string(&head).expect("the status file");
    assert!(
        said.starts_with("HTTP/1.1 200 OK\n") && said.contains("x-is: here\n"),
        "{said}"
    );
    driver.stop();
    let driver = http(case, &server.url("/html"), ["--jq", "."]).start();
    assert_eq!(try_open(&driver).map(drop), Err(Errno::EIO));
    driver.await_error("not JSON");
    driver.stop();
    let driver = http(case, &server.url("/json"), ["--max-size", "10"]).start();
    let read = try_open(&driver).and_then(|file| file.read(100));
    assert_eq!(read, Err(Errno::EFBIG));
    driver.stop();
}

pub(crate) fn the_progress_is_told_on_a_terminal(case: &Case) {
    let server = Server::start(|_, line| line.answer("200 OK", "", vec![b'x'; 3 << 20]));
    let node = case.node("node");
    let mut command = case.program("fusd-http");
    command
        .args(["--backend", case.backend().name(), "--progress"])
        .arg(server.url("/"))
        .arg(&node)
        .env("NO_PROXY", "*");
    let mut terminal = Terminal::start(&command, 50, 200);
    terminal.await_line(|line| line.contains(" 0 requests"));
    let mut file = None;
    wait_until("the node is there", || {
        file = open_with(&node, OFlag::O_RDONLY).ok();
        file.is_some()
    });
    let file = file.expect("it is there");
    let read = fusd_tests::wait::start(move || file.read_all(65536));
    assert_eq!(read.wait().map(|it| it.len()), Ok(3 << 20));
    terminal.await_line(|line| line.starts_with("3.0MiB ") && line.ends_with(" 1 request"));
    terminal.press("\x03");
    assert!(terminal.wait().success());
}
