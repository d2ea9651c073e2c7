//! The tests that pyserial has of its own, which want a port that is joined with itself.

use std::fs::{self, File};
use std::process::Stdio;

use crate::helper::{has_program, proxy, proxy_at};
use fusd_tests::Case;
use fusd_tests::packages::unpacked;
use fusd_tests::wait::{deadline, holds_within};

/// What runs them.
const RUNNER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/serial/pyserial.py");

/// How many there are.
const COUNT: usize = 61;

/// Those of which one may fail on a busy machine: a call is to end after a second, and not 1.1 or 1.5
/// seconds later.
const LATE: [&str; 3] = [
    "test.Test_MoreTimeouts.test_WriteTimeout",
    "test_cancel.TestCancelRead.test_cancel_once",
    "test_cancel.TestCancelWrite.test_cancel_once",
];

pub(crate) fn its_tests_pass(case: &Case) {
    let Some(tests) = unpacked(case, "pyserial").map(|folder| folder.join("test")) else {
        return;
    };
    if !has_program(case, "python3") {
        return;
    }
    let driver = proxy(case, "loop", [""; 0]).start();
    let slow = proxy_at(case, "slow", "loop", ["--pace"]).start();
    let log = case.directory().join("pyserial.log");
    let output = File::create(&log).expect("a file");
    let mut child = case
        .command("python3")
        // The folder is the user's.
        .args(["-B", RUNNER])
        .arg(&tests)
        .arg(driver.node())
        .arg(slow.node())
        .stdin(Stdio::null())
        .stdout(output.try_clone().expect("a descriptor"))
        .stderr(output)
        .spawn()
        .expect("python3 can be started");
    let ended = holds_within(4 * deadline(), || {
        child.try_wait().expect("it can be waited for").is_some()
    });
    if !ended {
        child.kill().expect("it can be killed");
    }
    let said = fs::read_to_string(&log).expect("what it has said");
    let last = said.lines().last().unwrap_or_default();
    let failed = last.strip_prefix(&format!("RAN {COUNT} FAILED"));
    let allowed = failed.is_some_and(|failed| {
        let mut names = failed.split_whitespace();
        names.next().is_none_or(|name| LATE.contains(&name)) && names.next().is_none()
    });
    assert!(allowed, "{said}");
}
