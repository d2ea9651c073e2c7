//! Who asks.

use std::fs;

use fusd_tests::Case;
use fusd_tests::wait::wait_until;
use nix::errno::Errno;
use nix::fcntl::OFlag;

use crate::helper::{certificates, content, http, try_open};
use crate::programs::Program;
use crate::server::Server;

/// A server that says who asks, as far as it is told.
fn mirror() -> Server {
    Server::start(|asked, line| {
        let named = ["authorization", "cookie", "x-key"].map(|name| asked.header(name));
        let said = named.into_iter().flatten().collect::<Vec<_>>().join(" ");
        // As a server does whose cookie is as good as the password.
        let cookie = "Set-Cookie: session=hunter2\r\n";
        line.answer("200 OK", cookie, format!("{} {said}", asked.path));
    })
}

#[track_caller]
fn said(case: &Case, url: &str, options: &[&str]) -> String {
    let head = case.directory().join("head");
    let driver = http(case, url, options)
        .args(["-v", "-v", "-v", "--status-file"])
        .arg(&head)
        .env("SECRET", "from the environment")
        .start();
    let said = String::from_utf8(content(&driver)).expect("text");
    let place = |name: &str| fs::read(format!("/proc/{}/{name}", driver.pid())).expect("/proc");
    let log = driver.errors();
    let all = [
        place("cmdline"),
        fs::read(head).expect("a head"),
        log.into_bytes(),
    ];
    for bytes in all {
        let text = String::from_utf8_lossy(&bytes);
        assert!(
            !text.contains("hunter2") && !text.contains("aHVudGVyM"),
            "{text}"
        );
    }
    driver.stop();
    said
}

pub(crate) fn secrets_come_from_where_nobody_sees_them(case: &Case) {
    let server = mirror();
    let url = server.url("/");
    let path = |name: &str, text: &str| case.file(name, text.as_bytes()).display().to_string();
    let token = format!("file:{}", path("token", "hunter2\n"));
    assert_eq!(said(case, &url, &["--bearer", &token]), "/ Bearer hunter2");
    assert_eq!(
        said(case, &url, &["--cookie", "env:SECRET"]),
        "/ from the environment"
    );
    let pair = format!("cmd:cat {}", path("pair", "me:hunter2\n"));
    assert_eq!(
        said(case, &url, &["--basic", &pair]),
        "/ Basic bWU6aHVudGVyMg=="
    );
    let netrc = path("netrc", "machine 127.0.0.1 login me password hunter2");
    let netrc = format!("--netrc={netrc}");
    assert_eq!(said(case, &url, &[&netrc]), "/ Basic bWU6aHVudGVyMg==");
    let header = format!("X-Key={token}");
    assert_eq!(said(case, &url, &["--secret-header", &header]), "/ hunter2");
    let missing = format!("file:{}", case.directory().join("missing").display());
    let driver = http(case, &url, ["--bearer", &missing]).start();
    assert_eq!(try_open(&driver).map(drop), Err(Errno::EACCES));
    driver.await_error("missing");
    driver.stop();
}

pub(crate) fn a_command_is_asked_again_when_its_secret_is_refused(case: &Case) {
    let server = Server::start(|asked, line| match asked.header("authorization") {
        Some("Bearer 2") => line.answer("200 OK", "", "welcome"),
        _ => line.answer("401 Unauthorized", "", ""),
    });
    let count = case.directory().join("count").display().to_string();
    let command = format!("cmd:echo x >>{count}; wc -l <{count} | tr -d ' '");
    let driver = http(case, &server.url("/"), ["--bearer", &command]).start();
    assert_eq!(content(&driver), b"welcome");
    assert_eq!(content(&driver), b"welcome");
    assert_eq!(server.asked().len(), 3, "it is asked once more, once");
    driver.stop();
}

pub(crate) fn callers_ask_in_their_own_name(case: &Case) {
    let server = mirror();
    case.file("key-0", b"of root");
    case.file("key-1234", b"of 1234");
    let key = format!("X-Key=file:{}/key-{{uid}}", case.directory().display());
    let url = server.url("/{uid}/{program}?p={pid}");
    let driver = http(case, &url, ["--as-caller", "--secret-header", &key]).start();
    let (pid, own) = case.cat_as(driver.node(), 0, 0);
    assert_eq!(own, format!("/0/cat?p={pid} of root"));
    let (pid, other) = case.cat_as(driver.node(), 1234, 1234);
    assert_eq!(other, format!("/1234/cat?p={pid} of 1234"));
    let (_, nobody) = case.cat_as(driver.node(), 4321, 4321);
    assert_eq!(nobody, "");
    wait_until("the log says why", || driver.errors().contains("key-4321"));
    driver.stop();
}

pub(crate) fn a_text_is_put_around_what_is_written(case: &Case) {
    let server = Server::start(|_, line| line.answer("200 OK", "", ""));
    let options = [
        "-X",
        "POST",
        "--send",
        "line",
        "--body",
        "{\"by\": {uid}, \"text\": \"{data}\"}",
    ];
    let driver = http(case, &server.url("/"), options).start();
    let file = fusd_tests::client::open_with(driver.node(), OFlag::O_WRONLY).expect("open");
    assert_eq!(file.write(b"say \"hi\"\n"), Ok(9));
    let asked = server.asked().remove(0);
    assert_eq!(asked.header("content-type"), Some("application/json"));
    let uid = nix::unistd::geteuid();
    let body = format!("{{\"by\": {uid}, \"text\": \"say \\\"hi\\\"\"}}");
    assert_eq!(String::from_utf8_lossy(&asked.body), body);
    driver.stop();
}

pub(crate) fn tls_has_its_own_certificates_and_http_2(case: &Case) {
    case.file("page", b"secure\n");
    let path = certificates(case);
    let configuration = format!(
        "listen 127.0.0.1:PORT ssl http2; ssl_certificate {}; ssl_certificate_key {}; \
         ssl_client_certificate {}; ssl_verify_client on; \
         location / {{ add_header X-Is \"$server_protocol\"; }}",
        path("server.pem"),
        path("server.key"),
        path("ca.pem")
    );
    let Some(server) = Program::nginx(case, &configuration) else {
        return;
    };
    let url = server.url("/page").replace("http:", "https:");
    let (ca, both) = (path("ca.pem"), path("both.pem"));
    for options in [&["--http", "1.1"][..], &[]] {
        let options = [&["--ca", &ca, "--client-cert", &both], options].concat();
        let driver = http(case, &url, options).start();
        assert_eq!(content(&driver), b"secure\n");
        driver.stop();
    }
    let log = case.directory().join("nginx/access.log");
    wait_until("nginx has noted both versions", || {
        let log = fs::read_to_string(&log).expect("the log");
        log.contains("HTTP/1.1\" 206") && log.contains("HTTP/2.0\" 206")
    });
    let driver = http(case, &url, ["--retries", "0", "--client-cert", &both]).start();
    assert_eq!(
        try_open(&driver).map(drop),
        Err(Errno::EPROTO),
        "nobody knows that CA"
    );
    driver.stop();
    let driver = http(case, &url, ["--retries", "0", "--ca", &ca]).start();
    assert_eq!(
        try_open(&driver).map(drop),
        Err(Errno::EIO),
        "nginx says 400"
    );
    driver.stop();
}
