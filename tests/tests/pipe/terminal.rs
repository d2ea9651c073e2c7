//! `--progress`, at a real terminal. What it shows does not depend on the backend.

use std::process::Command;

use crate::helper::pipe;
use fusd_tests::client::{Handle, open_with};
use fusd_tests::terminal::Terminal;
use fusd_tests::wait::wait_until;
use fusd_tests::{Backend, Case};
use nix::fcntl::OFlag;

/// The tool at a terminal, with a line, the access log, and a node of the test's own.
fn start(case: &Case, rows: u16, columns: u16) -> Terminal {
    let mut command = case.program("fusd-pipe");
    command
        .args(["--backend", case.backend().name(), "--progress", "-v"])
        .args(["--size", "1000"])
        .arg(case.node("node"));
    Terminal::start(&command, rows, columns)
}

/// The node, once it is there: what is at its place before cannot be opened.
fn open(case: &Case) -> Handle {
    let mut file = None;
    wait_until("the node is there", || {
        file = open_with(&case.node("node"), OFlag::O_RDWR).ok();
        file.is_some()
    });
    file.expect("it is there")
}

fn is_progress(line: &str) -> bool {
    line.contains("% full, ")
}

/// That of all lines on the screen, the last is empty, the one before tells how far it came, and the
/// others are messages, each from its beginning to its end.
fn check(terminal: &Terminal) {
    let mut lines = terminal.lines();
    let screen = lines.join("\n");
    assert_eq!(lines.pop().as_deref(), Some(""), "{screen}");
    assert_eq!(terminal.column(), 0, "{screen}");
    assert!(
        lines.pop().is_some_and(|line| is_progress(&line)),
        "{screen}"
    );
    for line in lines {
        let message = line.starts_with("fusd-pipe: ") || line.starts_with("20");
        assert!(message && !is_progress(&line), "{line:?} in\n{screen}");
    }
}

#[test]
fn a_line_tells_how_far_it_is() {
    let Some(case) = Case::begin("terminal::a_line_tells_how_far_it_is", Backend::Fuse) else {
        return;
    };
    let mut terminal = start(&case, 200, 300);
    terminal.await_line(is_progress);
    let file = open(&case);
    for round in 0..10 {
        file.write(&[b'x'; 100]).expect("write");
        let full = format!("{}% full, 1 reader, 1 writer", (round + 1) * 10);
        // The access log comes in between.
        terminal.await_line(|line| line.contains(&full));
    }
    assert_eq!(file.read(1000).expect("read").len(), 1000);
    terminal.await_line(|line| line.starts_with("1000B 0:") && line.contains(" 0% full"));
    drop(file);
    terminal.await_line(|line| line.ends_with("0 readers, 0 writers"));
    terminal.press("\x03");
    assert!(terminal.wait().success());
    check(&terminal);
    let lines = terminal.lines();
    let messages = lines.iter().filter(|line| line.contains("write")).count();
    assert!(
        messages >= 10,
        "the access log is there:\n{}",
        lines.join("\n")
    );
}

#[test]
fn the_line_follows_the_window() {
    let Some(case) = Case::begin("terminal::the_line_follows_the_window", Backend::Fuse) else {
        return;
    };
    let mut terminal = start(&case, 50, 300);
    terminal.await_line(|line| line.ends_with("0 writers"));
    terminal.resize(50, 20);
    terminal.await_line(|line| line.starts_with("0B 0:") && line.len() == 19);
    terminal.resize(50, 100);
    terminal.await_line(|line| line.starts_with("0B 0:") && line.ends_with("0 writers"));
    terminal.press("\x03");
    assert!(terminal.wait().success());
    let lines = terminal.lines();
    assert_eq!(lines.last().map(String::as_str), Some(""), "{lines:?}");
}

#[test]
fn a_pipeline_shows_the_line_and_its_output() {
    let name = "terminal::a_pipeline_shows_the_line_and_its_output";
    let Some(case) = Case::begin(name, Backend::Fuse) else {
        return;
    };
    let script =
        "seq 100000 | \"$0\" -q --backend fuse --progress --stdin --stdout \"$1\" | md5sum";
    let mut bash = case.command("bash");
    bash.args(["-c", script])
        .arg(case.program("fusd-pipe").get_program())
        .arg(case.node("node"));
    let mut terminal = Terminal::start(&bash, 24, 80);
    assert!(terminal.wait().success());
    let expected = Command::new("sh")
        .args(["-c", "seq 100000 | md5sum"])
        .output();
    let expected = expected.expect("md5sum").stdout;
    let expected = String::from_utf8_lossy(&expected);
    let lines = terminal.lines();
    assert!(
        lines.iter().any(|line| line.starts_with("575KiB 0:")),
        "{lines:?}"
    );
    let sum = expected.trim_end();
    assert!(lines.iter().any(|line| line.ends_with(sum)), "{lines:?}");
    assert_eq!(terminal.column(), 0, "{lines:?}");
}

#[test]
fn without_a_terminal_there_is_no_line() {
    let name = "terminal::without_a_terminal_there_is_no_line";
    let Some(case) = Case::begin(name, Backend::Fuse) else {
        return;
    };
    let mut driver = pipe(&case, ["--progress", "-v"]).start();
    driver.await_error("standard error is no terminal");
    driver.stop_by(nix::sys::signal::Signal::SIGTERM);
    assert!(!driver.errors().contains("% full"), "{}", driver.errors());
}

#[test]
fn a_background_job_shows_no_line() {
    let name = "terminal::a_background_job_shows_no_line";
    let Some(case) = Case::begin(name, Backend::Fuse) else {
        return;
    };
    // A reader gets the end of the file after a second, in which the line would have been shown.
    let script = "\"$0\" -q --backend fuse --progress --eof idle=1 \"$1\" & \
                  until cat \"$1\" 2>/dev/null; do :; done; echo read; read line; fg";
    let mut bash = case.command("bash");
    bash.args(["-m", "-c", script])
        .arg(case.program("fusd-pipe").get_program())
        .arg(case.node("node"));
    let mut terminal = Terminal::start(&bash, 24, 300);
    let said = |what: &str| terminal.lines().iter().any(|line| line == what);
    wait_until("the reader has come to the end", || said("read"));
    let lines = terminal.lines();
    assert!(!lines.iter().any(|line| is_progress(line)), "{lines:?}");
    terminal.press("\n");
    terminal.await_line(is_progress);
    terminal.press("\x03");
    assert!(terminal.wait().success());
    assert_eq!(terminal.column(), 0, "{:?}", terminal.lines());
}
