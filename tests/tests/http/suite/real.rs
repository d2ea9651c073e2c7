//! Servers that people use.

use std::fs;

use fusd_tests::Case;
use nix::errno::Errno;

use crate::helper::{certificates, content, http, pattern, reader, shell, try_open};
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
    // Its ETag tells one version from another.
    let file = reader(&driver);
    assert!(file.read(1000).expect("read") == page[..1000]);
    let changed = case.file("changed", &page[1..]);
    fs::rename(changed, case.directory().join("page")).expect("a file");
    assert_eq!(file.read_all(65536), Err(Errno::ESTALE));
    assert!(content(&driver) == page[1..], "who opens it now");
    driver.stop();
}

pub(crate) fn nginx_asks_for_a_password_and_takes_its_time(case: &Case) {
    let page = pattern(300_000);
    case.file("page", &page);
    shell(
        case,
        "".as_ref(),
        "printf 'me:%s\\n' \"$(openssl passwd -apr1 hunter2)\" >users",
    );
    let users = case.directory().join("users").display().to_string();
    let configuration = format!(
        "listen 127.0.0.1:PORT; limit_rate 1m; auth_basic x; auth_basic_user_file {users};"
    );
    let Some(server) = Program::nginx(case, &configuration) else {
        return;
    };
    let driver = http(case, &server.url("/page"), [""; 0]).start();
    assert_eq!(try_open(&driver).map(drop), Err(Errno::EACCES));
    driver.stop();
    case.file("pair", b"me:hunter2\n");
    let pair = format!("file:{}", case.directory().join("pair").display());
    let driver = http(case, &server.url("/page"), ["--basic", &pair]).start();
    assert!(content(&driver) == page);
    driver.stop();
}

pub(crate) fn nothing_leads_from_tls_to_where_others_listen(case: &Case) {
    case.file("page", b"secure\n");
    let plain = Server::start(|_, line| line.answer("200 OK", "", "for all to hear"));
    let path = certificates(case);
    let configuration = format!(
        "listen 127.0.0.1:PORT ssl; ssl_certificate {}; ssl_certificate_key {}; \
         location /down {{ return 302 {}; }} location /here {{ return 302 /page; }}",
        path("server.pem"),
        path("server.key"),
        plain.url("/page"),
    );
    let Some(server) = Program::nginx(case, &configuration) else {
        return;
    };
    let secure = |path| server.url(path).replace("http:", "https:");
    let ca = path("ca.pem");
    let driver = http(case, &secure("/down"), ["--ca", &ca]).start();
    assert_eq!(try_open(&driver).map(drop), Err(Errno::EIO));
    driver.await_error("leads from https to http");
    driver.stop();
    assert!(plain.asked().is_empty(), "nobody else was asked");
    let driver = http(case, &secure("/here"), ["--ca", &ca]).start();
    assert_eq!(content(&driver), b"secure\n");
    driver.stop();
    let up = secure("/page");
    let plain = Server::start(move |_, line| {
        line.answer("301 Moved", &format!("Location: {up}\r\n"), "");
    });
    let driver = http(case, &plain.url("/"), ["--ca", &ca]).start();
    assert_eq!(content(&driver), b"secure\n", "the other way");
    driver.stop();
}

/// In a network of its own: reads until the network is cut, and again when it is back. The times are
/// for a slow server as well: only one of them passes.
const CUT: &str = r#"
ip link set lo up || exit 77
python3 -m http.server --bind 127.0.0.1 8080 >/dev/null 2>&1 &
until curl -sf http://127.0.0.1:8080/page -o /dev/null; do sleep 0.02; done
fusd-http -q --retries 0 --stall-timeout 5s --first-byte-timeout 5s --connect-timeout 5s \
    http://127.0.0.1:8080/page ./nodes/cut -- bash -c '
        exec 3<nodes/cut
        head -c 65536 <&3 | cmp -n 65536 - page && echo begun
        ip link set lo down
        cat <&3 2>&1 >/dev/null | grep -o "timed out"
        cat nodes/cut 2>&1 | grep -oE "timed out|No route|unreachable"
        ip link set lo up
        cmp nodes/cut page && echo whole
    ' 2>&1
kill $!
"#;

pub(crate) fn a_network_that_is_cut_is_no_end(case: &Case) {
    case.file("page", &pattern(20_000_000));
    let bin = fusd_tests::binaries::directory().display().to_string();
    let script = format!("PATH={bin}:$PATH unshare --net bash -c \"$0\" || echo status $?");
    let said = shell(case, CUT.as_ref(), &script);
    let said = String::from_utf8_lossy(&said).into_owned();
    if said.contains("unshare failed") || said.ends_with("status 77\n") {
        case.skip("there can be no network of its own here: it takes root, and ip(8)");
        return;
    }
    let lines: Vec<_> = said.lines().collect();
    let [begun, "timed out", refused, whole] = lines[..] else {
        panic!("{said}");
    };
    assert_eq!((begun, whole), ("begun", "whole"), "{said}");
    assert!(!refused.is_empty());
}
