//! Servers that refuse, break, or do wrong.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fusd_tests::Case;
use fusd_tests::client::open_with;
use nix::errno::Errno;
use nix::fcntl::OFlag;

use crate::helper::{content, http, pattern, reader, shell, try_open};
use crate::server::{Asked, Server};

/// Without other tries.
const ONCE: [&str; 2] = ["--retries", "0"];

pub(crate) fn statuses_are_errnos(case: &Case) {
    let status = Arc::new(AtomicUsize::new(0));
    let now = Arc::clone(&status);
    let server = Server::start(move |_, line| {
        let status = now.load(Ordering::SeqCst);
        line.answer(&format!("{status} So"), "", "no");
    });
    let driver = http(case, &server.url("/"), ONCE).start();
    for (number, errno) in [
        (400, Errno::EIO),
        (401, Errno::EACCES),
        (403, Errno::EACCES),
        (404, Errno::ENOENT),
        (405, Errno::EPERM),
        (407, Errno::EACCES),
        (408, Errno::ETIMEDOUT),
        (409, Errno::EBUSY),
        (410, Errno::ENOENT),
        (413, Errno::EFBIG),
        (423, Errno::EBUSY),
        (429, Errno::EAGAIN),
        (500, Errno::EIO),
        (503, Errno::EAGAIN),
        (504, Errno::ETIMEDOUT),
    ] {
        status.store(number, Ordering::SeqCst);
        assert_eq!(try_open(&driver).map(drop), Err(errno), "{number}");
        driver.await_error(&format!("the server answers {number}"));
    }
    driver.stop();
}

/// With a file system of its own for temporary files, which has no room: reads the end of a page that
/// the server does not give parts of.
const FULL: &str = r#"
mkdir full && mount -t tmpfs -o size=64k none full || exit 77
TMPDIR=$PWD/full fusd-http -q $URL ./nodes/full -- bash -c '
    head -c 10 nodes/full | cmp -n 10 - page && echo begun
    tail -c 10 nodes/full 2>&1 | grep -o "No space left"
'
"#;

pub(crate) fn what_is_wrong_here_is_an_errno(case: &Case) {
    let page = pattern(5_000_000);
    case.file("page", &page);
    let server = Server::start(move |_, line| line.answer("200 OK", "", &page));
    let options = ["-X", "POST", "--send", "line", "--body", "{data}"];
    let driver = http(case, &server.url("/"), options).start();
    let file = open_with(driver.node(), OFlag::O_WRONLY).expect("open");
    assert_eq!(file.write(b"\xff\n"), Err(Errno::EINVAL), "not UTF-8");
    let line = vec![b'x'; 1 << 20];
    let written = (0..20)
        .map(|_| file.write(&line))
        .find(|it| *it != Ok(1 << 20));
    assert_eq!(written, Some(Err(Errno::EMSGSIZE)), "too long");
    driver.stop();
    let bin = fusd_tests::binaries::directory().display().to_string();
    let url = server.url("/");
    let script =
        format!("URL={url} PATH={bin}:$PATH unshare --mount bash -c \"$0\" 2>&1 || echo status $?");
    let said = shell(case, FULL.as_ref(), &script);
    let said = String::from_utf8_lossy(&said).into_owned();
    if said.contains("unshare failed") || said.ends_with("status 77\n") {
        case.skip("there can be no file system of its own here: that takes root");
        return;
    }
    assert_eq!(said, "begun\nNo space left\n");
}

pub(crate) fn servers_that_cannot_be_had_are_errnos(case: &Case) {
    let plain = Server::start(|_, line| line.say("nonsense\r\n\r\n"));
    let secure = plain.url("/").replace("http:", "https:");
    let closed = plain.url("/");
    for (url, errno) in [
        (&*closed, Errno::EIO),
        (&*secure, Errno::EPROTO),
        ("http://127.0.0.1:1/", Errno::ECONNREFUSED),
        ("http://name.invalid/", Errno::EHOSTUNREACH),
    ] {
        let driver = http(case, url, ONCE).start();
        assert_eq!(try_open(&driver).map(drop), Err(errno), "{url}");
        driver.stop();
    }
}

pub(crate) fn wrong_ranges_are_errors(case: &Case) {
    let server = Server::start(|asked, line| {
        let (first, _) = asked.range().unwrap_or_default();
        if asked.path == "/shrunk" && first > 0 {
            let range = "Content-Range: bytes */100000\r\n";
            return line.answer("416 Range Not Satisfiable", range, "");
        }
        let good = format!("Content-Range: bytes {first}-{}/300000\r\n", first + 99_999);
        let range = match (asked.path.as_str(), first) {
            ("/none", _) => String::new(),
            ("/other", _) => "Content-Range: bytes 5-100004/300000\r\n".to_owned(),
            ("/multipart", _) => {
                format!("{good}Content-Type: multipart/byteranges; boundary=x\r\n")
            }
            ("/shorter", _) => "Content-Range: bytes 0-9/300000\r\n".to_owned(),
            ("/later" | "/shrunk", 0) => good,
            _ => "Content-Range: bytes 0-99999/300000\r\n".to_owned(),
        };
        line.answer("206 Partial Content", &range, pattern(100_000));
    });
    for path in ["/none", "/other", "/multipart", "/shorter"] {
        let driver = http(case, &server.url(path), ONCE).start();
        assert_eq!(try_open(&driver).map(drop), Err(Errno::EIO), "{path}");
        driver.stop();
    }
    for (path, errno) in [("/later", Errno::EIO), ("/shrunk", Errno::ESTALE)] {
        let driver = http(case, &server.url(path), ONCE).start();
        let file = reader(&driver);
        assert_eq!(file.read_at(0, 1000), Ok(pattern(1000)), "{path}");
        assert_eq!(file.read_at(200_000, 1000), Err(errno), "{path}");
        driver.stop();
    }
}

pub(crate) fn a_broken_answer_goes_on_where_it_broke(case: &Case) {
    let page = pattern(500_000);
    let served = page.clone();
    let server = Server::start(move |asked, line| {
        let (first, last) = asked.range().expect("a range");
        let last = last.min(served.len() - 1);
        line.say(format!(
            "HTTP/1.1 206 Partial Content\r\nContent-Length: {}\r\nETag: \"1\"\r\n\
             Content-Range: bytes {first}-{last}/{}\r\n\r\n",
            last + 1 - first,
            served.len()
        ));
        // Never more than this, and then nothing.
        line.say(&served[first..=last.min(first + 77_777)]);
        if first % 2 == 1 {
            line.reset();
        }
    });
    let driver = http(case, &server.url("/"), ["--retry-max-wait", "20ms"]).start();
    assert!(content(&driver) == page, "another content");
    let asked = server.asked();
    assert!(asked.len() >= 500_000 / 77_778, "{} requests", asked.len());
    let conditions = asked[1..].iter().map(|it| it.header("if-range"));
    assert!(conditions.into_iter().all(|it| it == Some("\"1\"")));
    driver.stop();
}

pub(crate) fn a_truncated_page_is_an_error(case: &Case) {
    let server = Server::start(|asked, line| {
        line.say(match asked.path.as_str() {
            "/length" => "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n",
            "/part" => {
                "HTTP/1.1 206 Partial Content\r\nContent-Length: 100000\r\n\
                 Content-Range: bytes 0-99999/100000\r\n\r\n"
            }
            _ => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n186a0\r\n",
        });
        line.say(pattern(70_000));
        if asked.path == "/whole" {
            line.say(&pattern(100_000)[70_000..]);
            line.say("\r\n0\r\n\r\n");
        }
    });
    let driver = http(case, &server.url("/whole"), ONCE).start();
    assert!(content(&driver) == pattern(100_000));
    driver.stop();
    for (path, whole) in [("/length", 70_000), ("/chunked", 70_000), ("/part", 60_000)] {
        let driver = http(case, &server.url(path), ONCE).start();
        let file = reader(&driver);
        let mut read = Vec::new();
        let end = loop {
            match file.read(30_000) {
                Ok(bytes) if bytes.is_empty() => break Ok(()),
                Ok(bytes) => read.extend(bytes),
                Err(errno) => break Err(errno),
            }
        };
        assert!(read == pattern(whole), "{path}: {} bytes", read.len());
        assert_eq!(end, Err(Errno::EIO), "{path}");
        assert_eq!(file.read(30_000), Err(Errno::EIO), "{path}: again");
        driver.stop();
    }
}

pub(crate) fn busy_servers_are_asked_again(case: &Case) {
    let count = AtomicUsize::new(0);
    let server = Server::start(move |asked, line| {
        let number = count.fetch_add(1, Ordering::SeqCst);
        match asked.path.as_str() {
            "/never" => line.answer("429 Too Many", "Retry-After: 3600\r\n", ""),
            "/broken" if number % 3 < 2 => line.reset(),
            _ if number % 3 < 2 => line.answer("503 Busy", "Retry-After: 0\r\n", ""),
            _ => line.answer("200 OK", "", "at last"),
        }
    });
    let quick = ["--retry-max-wait", "20ms"];
    for path in ["/busy", "/broken"] {
        let before = server.asked().len();
        let driver = http(case, &server.url(path), quick).start();
        assert_eq!(content(&driver), b"at last", "{path}");
        assert_eq!(server.asked().len() - before, 3, "{path}");
        driver.stop();
    }
    let before = server.asked().len();
    let driver = http(case, &server.url("/never"), quick).start();
    assert_eq!(try_open(&driver).map(drop), Err(Errno::EAGAIN));
    assert_eq!(
        server.asked().len() - before,
        1,
        "it has asked for patience"
    );
    driver.stop();
}

pub(crate) fn slow_servers_have_their_time(case: &Case) {
    // Its queue takes one connection, and nobody takes that.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    rustix::net::listen(&listener, 0).expect("a shorter queue");
    let address = listener.local_addr().expect("its number");
    let _first = TcpStream::connect(address).expect("a connection");
    let url = format!("http://{address}/");
    let driver = http(case, &url, ["--connect-timeout", "50ms"]).start();
    assert_eq!(try_open(&driver).map(drop), Err(Errno::ETIMEDOUT));
    driver.stop();
    let server = Server::start(|asked, line| {
        if asked.path == "/stalls" {
            line.say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nbegin");
        }
        line.wait_for_end();
    });
    let driver = http(case, &server.url("/"), ["--first-byte-timeout", "50ms"]).start();
    assert_eq!(try_open(&driver).map(drop), Err(Errno::ETIMEDOUT));
    driver.stop();
    let driver = http(case, &server.url("/"), ["--max-time", "50ms"]).start();
    assert_eq!(try_open(&driver).map(drop), Err(Errno::ETIMEDOUT));
    driver.stop();
    let driver = http(case, &server.url("/stalls"), ["--stall-timeout", "50ms"]).start();
    let file = reader(&driver);
    assert_eq!(file.read(10), Ok(b"begin".to_vec()));
    assert_eq!(file.read(10), Err(Errno::ETIMEDOUT));
    driver.stop();
    server.await_idle();
}

pub(crate) fn redirects_stay_within_bounds(case: &Case) {
    let told = |asked: &Asked| {
        let named = ["x-key", "authorization", "cookie"].map(|name| asked.header(name));
        named.into_iter().flatten().collect::<Vec<_>>().join(" ")
    };
    let other = Server::start(move |asked, line| line.answer("200 OK", "", told(asked)));
    let there = other.url("/there");
    let server = Server::start(move |asked, line| {
        let to = match asked.path.as_str() {
            "/loop" => "/loop",
            "/file" => "file:///etc/passwd",
            "/here" => "there",
            "/away" => &there,
            _ => return line.answer("200 OK", "", told(asked)),
        };
        line.answer("302 Found", &format!("Location: {to}\r\n"), "");
    });
    let with_key = ["--header", "X-Key: mine", "--max-redirects", "4"];
    let netrc = case.file("netrc", b"default login mine password mine");
    let netrc = format!("--netrc={}", netrc.display());
    for (options, here) in [
        (&with_key[..2], "mine"),
        (&["--bearer", "env:SECRET"][..], "Bearer mine"),
        (&["--cookie", "env:SECRET"][..], "mine"),
        (&["--secret-header", "X-Key=env:SECRET"][..], "mine"),
        (&[netrc.as_str()][..], "Basic bWluZTptaW5l"),
    ] {
        for (path, told) in [("/here", here), ("/away", "")] {
            let driver = http(case, &server.url(path), options);
            let driver = driver.env("SECRET", "mine").start();
            let content = String::from_utf8(content(&driver)).expect("text");
            assert_eq!(content, told, "{options:?} {path}");
            driver.stop();
        }
    }
    for path in ["/loop", "/file"] {
        let before = server.asked().len();
        let driver = http(case, &server.url(path), with_key).start();
        assert_eq!(try_open(&driver).map(drop), Err(Errno::EIO), "{path}");
        assert!(server.asked().len() - before <= 5, "{path}");
        driver.stop();
    }
}
