//! Broadcast and ring.

use crate::helper::{pipe, reader, shell, text, writer};
use fusd_tests::Case;
use fusd_tests::wait::wait_until;
use std::fs;
use std::process::Stdio;

pub(crate) fn a_broadcast_reaches_all(case: &Case) {
    let options = [
        "--kind",
        "broadcast",
        "--records",
        "line",
        "--backlog",
        "2r",
    ];
    let driver = pipe(case, options).start();
    let writer = writer(&driver);
    let early = reader(&driver);
    writer.write(b"one\ntwo\nthree\nfo").expect("write");
    let late = reader(&driver);
    writer.write(b"ur\n").expect("write");
    assert_eq!(text(&early), "one\ntwo\nthree\nfour\n");
    assert_eq!(text(&late), "two\nthree\nfour\n", "the backlog at its open");
    let waiting = early.start_read(99);
    writer.write(b"five\n").expect("write");
    assert_eq!(waiting.wait().expect("read"), b"five\n");
    assert_eq!(text(&late), "five\n");
    drop(writer);
    assert_eq!((text(&early), text(&late)), (String::new(), String::new()));
}

pub(crate) fn a_slow_reader_holds_up_nobody(case: &Case) {
    let options = [
        "--kind",
        "broadcast",
        "--records",
        "line",
        "--one",
        "--size",
        "3r",
        "--marker",
    ];
    let driver = pipe(case, options).start();
    let (slow, fast, writer) = (reader(&driver), reader(&driver), writer(&driver));
    for number in 0..10 {
        let line = format!("{number}\n");
        writer.start_write(line.as_bytes()).wait().expect("write");
        assert_eq!(text(&fast), line);
    }
    assert_eq!(text(&slow), "[fusd-pipe: 7 records lost]\n");
    for number in 7..10 {
        assert_eq!(text(&slow), format!("{number}\n"));
    }
}

pub(crate) fn a_ring_is_read_like_a_file(case: &Case) {
    let options = ["--kind", "ring", "--records", "line", "--size", "30"];
    let driver = pipe(case, options).start();
    assert_eq!(shell(case, &driver, "cat \"$0\""), "");
    shell(
        case,
        &driver,
        "for i in $(seq 100); do echo \"line $i\" >\"$0\"; done",
    );
    let expected = "line 98\nline 99\nline 100\n";
    let content = || shell(case, &driver, "cat \"$0\"");
    wait_until("the last line is there", || content() == expected);
    assert_eq!(
        shell(case, &driver, "tail -n 1 \"$0\"; sed -n 1p \"$0\""),
        "line 100\nline 98\n"
    );
}

pub(crate) fn tail_follows_a_ring(case: &Case) {
    let driver = pipe(case, ["--kind", "ring", "--records", "line"]).start();
    let writer = writer(&driver);
    writer.write(b"one\ntwo\n").expect("write");
    let followed = case.directory().join("followed");
    let mut tail = case
        .command("tail")
        .args(["-n", "1", "-f"])
        .arg(driver.node())
        .stdout(fs::File::create(&followed).expect("a file"))
        .stderr(Stdio::null())
        .spawn()
        .expect("tail");
    let found = || fs::read_to_string(&followed).expect("a file");
    wait_until("tail has the last line", || found() == "two\n");
    writer.write(b"three\n").expect("write");
    wait_until("tail follows", || found() == "two\nthree\n");
    tail.kill().expect("tail runs");
    tail.wait().expect("tail ends");
}
