use std::path::Path;
use std::time::Duration;

use clap::Parser;
use fusd_tool::Tool;

use super::Args;
use crate::settings::{Eof, Full, Settings, SyncPolicy};

fn parse(line: &[&str]) -> Result<Args, clap::Error> {
    Args::try_parse_from([&["fusd-pipe", "--name", "x"], line].concat())
}

fn settings(line: &[&str]) -> Settings {
    parse(line).unwrap().settings().unwrap()
}

fn usage(line: &[&str]) -> String {
    match parse(line) {
        Err(error) => {
            assert_eq!(error.exit_code(), 2, "{line:?}");
            error.to_string()
        }
        Ok(args) => {
            let error = args.settings().map(drop).expect_err("it is accepted");
            assert_eq!(error.code(), 2, "{line:?}");
            error.to_string()
        }
    }
}

#[test]
fn each_kind_has_its_defaults() {
    let of = |kind| {
        let Settings {
            full, eof, size, ..
        } = settings(&["--kind", kind]);
        (full, eof, size.bytes)
    };
    assert_eq!(of("fifo"), (Full::Block, Eof::LastWriter, 64 << 10));
    assert_eq!(of("broadcast"), (Full::DropOld, Eof::LastWriter, 1 << 20));
    assert_eq!(of("ring"), (Full::DropOld, Eof::Content, 1 << 20));
}

#[test]
fn the_node_is_named_once() {
    let args = Args::try_parse_from(["fusd-pipe", "/tmp/events"]).unwrap();
    assert_eq!(args.node_path(), Some(Path::new("/tmp/events")));
    let args = Args::try_parse_from(["fusd-pipe", "-p", "/tmp/events"]).unwrap();
    assert_eq!(args.node_path(), Some(Path::new("/tmp/events")));
    assert!(usage(&["/tmp/events"]).contains("cannot be used with"));
}

#[test]
fn ends_of_the_file() {
    for (text, eof) in [
        ("never", Eof::Never),
        ("content", Eof::Content),
        ("last-writer", Eof::LastWriter),
        ("idle=1.5", Eof::Idle(Duration::from_millis(1500))),
    ] {
        assert_eq!(settings(&["--eof", text]).eof, eof);
    }
}

#[test]
fn the_file_is_forced_to_disk_as_asked() {
    let sync = |value| parse(&["--persist", "file", "--sync", value]).unwrap().sync;
    assert_eq!(sync("never"), Some(SyncPolicy::Never));
    assert_eq!(sync("always"), Some(SyncPolicy::Always));
    let half = SyncPolicy::Every(Duration::from_millis(500));
    assert_eq!(sync("0.5"), Some(half));
}

#[test]
fn bad_lines_are_usage_errors_that_say_why() {
    for (line, message) in [
        (&["--one"][..], "no records to give"),
        (&["--stdin", "--", "cat"], "are the command's"),
        (
            &["--nats", "nats://x", "--subject", "s", "--persist", "f"],
            "--stream NAME",
        ),
        (&["--prefix", "pid"], "no records to put"),
        (&["--size", "100r"], "cannot be counted"),
        (&["--marker"], "--marker tells of dropped"),
        (&["--marker", "--records", "line"], "--marker tells"),
        (&["-k", "ring", "--full", "block"], "a ring is always full"),
        (&["--backlog", "1K"], "only a broadcast"),
        (
            &["-k", "broadcast", "--backlog", "2M"],
            "larger than --size",
        ),
        (&["-r", "line", "--prefix", "pid,uid,pid"], "twice"),
        (&["--prefix", "name"], "time, pid, uid, program"),
        (&["--eof", "idle=0"], "idle=SECONDS"),
        (&["--eof", "idle=-1"], "idle=SECONDS"),
        (&["--eof", "sometimes"], "idle=SECONDS"),
        (&["--sync", "always"], "--persist <FILE>"),
        (&["--persist", "x", "--sync", "0"], "a number of seconds"),
        (&["--persist", "x", "--size", "2G"], "at most 1G"),
        (&["--size", "0"], "100r"),
        (&["--rate", "-1"], "16M"),
        (&["--full", "explode"], "block, eagain, drop-new, drop-old"),
    ] {
        let error = usage(line);
        assert!(error.contains(message), "{line:?}: {error}");
    }
}
