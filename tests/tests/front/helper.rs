//! What all tests of fusd share.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use fusd_tests::wait::deadline;
use fusd_tests::{Case, Launch};
use serde_json::Value;

/// Runs a program to its end.
///
/// # Panics
/// It cannot be started, or does not end in time.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> Output {
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program can be started");
    let ended = fusd_tests::wait::start(move || child.wait_with_output());
    ended.wait().expect("the program can be waited for")
}

/// What became of a run: the exit code, and what was printed and said.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ended {
    /// The run has this exit code.
    #[track_caller]
    pub(crate) fn with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }
}

/// Runs a program to its end.
#[track_caller]
pub(crate) fn end(command: &mut Command) -> Ended {
    let output = run(command);
    Ended {
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// `fusd` with these arguments, run to its end by whoever runs the tests.
#[track_caller]
pub(crate) fn fusd(case: &Case, words: &[&str]) -> Ended {
    end(case.program("fusd").args(words))
}

/// Has `fusd` wait as long as a test may: its own time is less than a slow machine needs.
pub(crate) fn patience() -> String {
    format!("--timeout={}s", deadline().as_secs())
}

/// The tool fusd-echo with a node of the test's own.
pub(crate) fn echo(case: &Case) -> Launch {
    let node = case.node("node");
    Launch::new(case, case.program("fusd-echo"), &node)
        .arg("--path")
        .arg(&node)
        .args(["--backend", case.backend().name(), "Hello, world!"])
}

/// What `fusd list --json` has of a node, in what it has printed.
pub(crate) fn listed(list: &str, node: &Path) -> Option<Value> {
    let list: Value = serde_json::from_str(list).expect("JSON");
    let list = list.as_array().expect("an array");
    let node = node.to_str().expect("UTF-8");
    list.iter().find(|device| device["node"] == node).cloned()
}
