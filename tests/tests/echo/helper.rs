//! What all tests of the tool share.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use fusd_tests::wait::{deadline, holds_within};
use fusd_tests::{Case, Driver, Launch};

/// The tool with a node of the test's own, and these arguments.
pub(crate) fn echo<I: IntoIterator<Item: AsRef<OsStr>>>(case: &Case, arguments: I) -> Launch {
    let node = case.node("node");
    Launch::new(case, case.program("fusd-echo"), &node)
        .arg("--path")
        .arg(&node)
        .args(["--backend", case.backend().name()])
        .args(arguments)
}

/// The node's content as a client gets it.
#[track_caller]
pub(crate) fn content(driver: &Driver) -> String {
    let bytes = fs::read(driver.node()).expect("the node can be read");
    String::from_utf8(bytes).expect("text")
}

/// Starts the tool, and checks that its node says `expected`.
#[track_caller]
pub(crate) fn says(case: &Case, arguments: &[&str], expected: &[u8]) {
    let driver = echo(case, arguments).start();
    let found = fs::read(driver.node()).expect("the node can be read");
    assert!(
        found == expected,
        "{arguments:?} says {} bytes: {:?}",
        found.len(),
        String::from_utf8_lossy(&found[..found.len().min(200)])
    );
    driver.stop();
}

/// Waits until the node says `expected`.
#[track_caller]
pub(crate) fn await_content(driver: &Driver, expected: &str) {
    let mut last = String::new();
    let reached = holds_within(deadline(), || {
        last = content(driver);
        last == expected
    });
    assert!(reached, "the node says {last:?} instead of {expected:?}");
}

/// Runs a shell command with the node as `$0`; gives its exit code and what it printed.
pub(crate) fn shell(case: &Case, node: &Path, script: &str) -> (Option<i32>, String, String) {
    let output = run(case.command("sh").args(["-c", script]).arg(node));
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

/// Runs a program to its end.
///
/// # Panics
/// It cannot be started, or does not end in time.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> Output {
    use std::process::Stdio;
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program can be started");
    let ended = fusd_tests::wait::start(move || child.wait_with_output());
    ended.wait().expect("the program can be waited for")
}
