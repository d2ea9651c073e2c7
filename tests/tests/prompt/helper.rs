//! What all tests of the tool share.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;

use fusd_tests::client::{Handle, Outcome, open_with};
use fusd_tests::wait::{self, Started};
use fusd_tests::{Case, Launch};
use nix::errno::Errno;
use nix::fcntl::OFlag;

/// The tool without a terminal, with a node of the test's own and these arguments.
pub(crate) fn prompt<I: IntoIterator<Item: AsRef<OsStr>>>(case: &Case, arguments: I) -> Launch {
    let node = case.node("node");
    // In a session of its own, so that it finds no terminal of whoever runs the tests.
    let mut command = case.command("setsid");
    command.arg(case.program("fusd-prompt").get_program());
    Launch::new(case, command, &node)
        .args(["--backend", case.backend().name(), "--path"])
        .arg(&node)
        .args(arguments)
}

/// The same with a helper that is asked.
pub(crate) fn helped<I: IntoIterator<Item: AsRef<OsStr>>>(
    case: &Case,
    helper: &str,
    arguments: I,
) -> Launch {
    prompt(case, ["--helper", helper]).args(arguments)
}

/// The node, opened for reading, or why not.
pub(crate) fn open(node: &Path) -> Outcome<Handle> {
    let node = node.to_owned();
    wait::start(move || open_with(&node, OFlag::O_RDONLY)).wait()
}

/// All that the node says to one who opens it now, or why it says nothing.
pub(crate) fn content(node: &Path) -> Outcome<String> {
    start(node).wait()
}

/// The same, begun: it may wait for a person.
pub(crate) fn start(node: &Path) -> Started<Outcome<String>> {
    let node = node.to_owned();
    wait::start(move || {
        let file = open_with(&node, OFlag::O_RDONLY)?;
        let all = file.read_all(4096)?;
        Ok(String::from_utf8(all).expect("text"))
    })
}

/// What a refused call fails with.
pub(crate) const REFUSED: Outcome<String> = Err(Errno::EACCES);

/// Whether a program of this name is there; says so where it is not.
pub(crate) fn has_program(case: &Case, name: &str) -> bool {
    let found = case
        .command("sh")
        .args(["-c", "command -v \"$0\"", name])
        .stdout(Stdio::null())
        .status()
        .expect("sh")
        .success();
    if !found {
        case.skip(&format!("{name} is not installed"));
    }
    found
}

/// Text as an argument of a shell.
pub(crate) fn quoted(text: impl AsRef<Path>) -> String {
    format!("'{}'", text.as_ref().display())
}
