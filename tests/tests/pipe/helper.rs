//! What all tests of the tool share.

use std::ffi::OsStr;
use std::process::Stdio;

use fusd_tests::client::{Handle, open_with};
use fusd_tests::{Case, Driver, Launch};
use nix::fcntl::OFlag;

/// The tool with a node of the test's own, and these arguments.
pub(crate) fn pipe<I: IntoIterator<Item: AsRef<OsStr>>>(case: &Case, arguments: I) -> Launch {
    pipe_at(case, "node", arguments)
}

/// The tool with the node of this name.
pub(crate) fn pipe_at<I: IntoIterator<Item: AsRef<OsStr>>>(
    case: &Case,
    name: &str,
    arguments: I,
) -> Launch {
    let node = case.node(name);
    Launch::new(case, case.program("fusd-pipe"), &node)
        .args(["--backend", case.backend().name()])
        .arg(&node)
        .args(arguments)
}

/// Runs a shell command with the node as `$0`; gives what it printed.
///
/// # Panics
/// It fails, says something on standard error, or does not end in time.
#[track_caller]
pub(crate) fn shell(case: &Case, driver: &Driver, script: &str) -> String {
    let child = case
        .command("bash")
        .args(["-c", script])
        .arg(driver.node())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("bash can be started");
    let ended = fusd_tests::wait::start(move || child.wait_with_output());
    let output = ended.wait().expect("bash can be waited for");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{script}");
    assert!(output.status.success(), "{script}: {}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The node, open for reading.
#[track_caller]
pub(crate) fn reader(driver: &Driver) -> Handle {
    open_with(driver.node(), OFlag::O_RDONLY).expect("open for reading")
}

/// The node, open for writing.
#[track_caller]
pub(crate) fn writer(driver: &Driver) -> Handle {
    open_with(driver.node(), OFlag::O_WRONLY).expect("open for writing")
}

/// What a read of up to 64 KiB gets, as text.
#[track_caller]
pub(crate) fn text(file: &Handle) -> String {
    let bytes = file.start_read(65536).wait().expect("read");
    String::from_utf8(bytes).expect("text")
}
