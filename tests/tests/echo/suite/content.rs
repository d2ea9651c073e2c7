//! What the node says: text, escapes, files, standard input.

use std::fs;

use crate::helper::{content, echo, says};
use fusd_tests::{Case, Launch, pattern};

pub(crate) fn hello_world(case: &Case) {
    let driver = echo(case, ["Hello, world!"]).start();
    for _ in 0..20 {
        assert_eq!(
            content(&driver),
            "Hello, world!\n",
            "as often as it is asked"
        );
    }
    driver.stop();
}

pub(crate) fn words_are_joined_and_newlines_are_optional(case: &Case) {
    says(case, &["a", "b  c", "d"], b"a b  c d\n");
    says(case, &["-n", "text"], b"text");
    says(case, &["-n", ""], b"");
    says(case, &[""], b"\n");
    says(case, &["ü→\u{1f600}"], "ü→\u{1f600}\n".as_bytes());
    says(case, &["no\\tescape"], b"no\\tescape\n");
}

pub(crate) fn escapes_are_those_of_echo(case: &Case) {
    says(case, &["-e", "a\\tb\\nc\\\\d"], b"a\tb\nc\\d\n");
    says(
        case,
        &["-e", "\\a\\b\\e\\f\\r\\v"],
        b"\x07\x08\x1b\x0c\r\x0b\n",
    );
    says(case, &["-e", "\\0101\\x41\\x4a"], b"AAJ\n");
    says(case, &["-e", "\\0\\xff\\0377"], b"\0\xff\xff\n");
    says(case, &["-e", "end\\cnot this"], b"end");
    says(case, &["-n", "-e", "a\\n"], b"a\n");
}

pub(crate) fn files_are_served_as_they_are(case: &Case) {
    let bytes = pattern::bytes(0, 3_000_001);
    let file = case.file("content", &bytes);
    for option in ["-f", "--file"] {
        says(case, &[option, file.to_str().expect("UTF-8")], &bytes);
    }
    let empty = case.file("empty", b"");
    says(case, &["--file", empty.to_str().expect("UTF-8")], b"");
}

pub(crate) fn standard_input_is_read_to_its_end(case: &Case) {
    let bytes = pattern::bytes(7, 500_000);
    let mut driver = echo(case, ["-"]).spawn();
    driver.feed(&bytes);
    driver.await_ready();
    let said = fs::read(driver.node()).expect("read");
    assert!(said == bytes, "{} bytes, not the same", said.len());
    driver.stop();
}

pub(crate) fn a_large_file_is_shared_by_its_readers(case: &Case) {
    // Sparse: more than this machine should have to copy for each of the readers.
    let file = case.file("large", b"");
    let size: u64 = 2 << 30;
    fs::OpenOptions::new()
        .write(true)
        .open(&file)
        .and_then(|file| file.set_len(size))
        .expect("a sparse file");
    let driver = echo(case, ["--file", file.to_str().expect("UTF-8")]).start();
    // Near the end, where the client can get there.
    let from = if case.backend().has(fusd_tests::Ability::Offsets) {
        size
    } else {
        45
    };
    let clients: Vec<_> = (0..40u64)
        .map(|n| {
            let client = fusd_tests::client::open_with(driver.node(), nix::fcntl::OFlag::O_RDONLY);
            let client = client.expect("open");
            let length = 100.min(size - (from - 5 - n));
            assert_eq!(
                client.read_at(from - 5 - n, 100).expect("read").len() as u64,
                length
            );
            client
        })
        .collect();
    let status = fs::read_to_string(format!("/proc/{}/status", driver.pid())).expect("status");
    let resident = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let kib: u64 = resident
        .and_then(|line| line.trim().strip_suffix(" kB"))
        .and_then(|number| number.parse().ok())
        .expect("RssAnon");
    assert!(kib < 200 << 10, "{kib} KiB are not shared");
    drop(clients);
    driver.stop();
}

pub(crate) fn names_go_to_dev(case: &Case) {
    let plain = format!("{}plain", case.token());
    let nested = format!("{0}dir/sub/{0}x.1", case.token());
    for name in [plain.clone(), nested, format!("/dev/{plain}")] {
        let node = std::path::Path::new("/dev").join(&name);
        let driver = Launch::new(case, case.program("fusd-echo"), &node)
            .args(["--name", &name, "--backend", case.backend().name(), "text"])
            .start();
        assert_eq!(content(&driver), "text\n");
        driver.await_error(node.to_str().expect("UTF-8"));
        driver.stop();
        case.check();
    }
}
