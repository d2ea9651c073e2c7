//! A driver that does what it must not: errors for its clients, warnings for itself, and no harm.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;

use fusd_tests::Case;
use fusd_tests::client::{open, process};
use fusd_tests::wait::wait_until;
use nix::errno::Errno;

use crate::helper::{Driver, PROGRAMS, lacks_compiler, node, program, start_by};

/// The driver's sins, by number, in `c/bad.c`.
const MORE: &str = "1";
const NO_ERRNO: &str = "2";
const MUCH_MORE: &str = "3";
const TWICE: &str = "4";
const DESTROYED: &str = "5";
const QUESTIONS: &str = "6";
const KEPT: &str = "7";
const LATE: &str = "8";
const JUMP: &str = "9";
const AFTER_JUMP: &str = "10";
const NESTED: &str = "11";
const UNREGISTER: &str = "12";
const CRASH: &str = "13";
const KEEP_THE_CLOSE: &str = "14";
const END_THE_CLOSE: &str = "15";
const LEFT_WHILE_ASKED: &str = "16";
const IN_A_CHILD: &str = "17";
const MORE_WRITTEN: &str = "20";

pub(crate) fn sins_are_errors(case: &Case) {
    if lacks_compiler(case) {
        return;
    }
    let driver = start_by(case, case.command(plain().to_str().expect("UTF-8")));
    case.backend().prove(&node(case));
    sin(case, driver);
}

/// The driver, compiled as usual.
pub(crate) fn plain() -> std::path::PathBuf {
    program(&source(), "", &["-Wall", "-Wextra", "-Werror"])
}

/// Its source.
pub(crate) fn source() -> String {
    format!("{PROGRAMS}/bad.c")
}

/// The driver by `command`, with its program as the argument.
pub(crate) fn by(case: &Case, mut command: Command, program: &Path) -> Driver {
    command.arg(program);
    start_by(case, command)
}

/// Has the driver commit its sins, one after the other.
pub(crate) fn sin(case: &Case, driver: Driver) {
    let node = node(case);
    let read_after = |number: &str| {
        let file = open(&node).expect("open");
        file.write(number.as_bytes()).expect("write");
        file.read(10)
    };
    for impossible in [MORE, NO_ERRNO, MUCH_MORE, DESTROYED] {
        assert_eq!(read_after(impossible), Err(Errno::EIO), "{impossible}");
    }
    assert_eq!(read_after("99"), Err(Errno::EDOM), "an error of its own");
    assert_eq!(read_after(TWICE), Ok(b"once".to_vec()));
    assert_eq!(read_after(QUESTIONS), Ok(Vec::new()));
    let file = open(&node).expect("open");
    assert_eq!(file.write(MORE_WRITTEN.as_bytes()), Err(Errno::EIO));

    file.write(KEPT.as_bytes()).expect("write");
    let killed = process(case, &node, &["read", "10"]);
    driver.says("kept");
    killed.kill();
    assert_eq!(read_after(LATE), Ok(Vec::new()));

    file.write(JUMP.as_bytes()).expect("write");
    let left = file.start_read(10);
    driver.says("jumped");
    assert_eq!(read_after(AFTER_JUMP), Ok(Vec::new()));
    assert_eq!(left.wait(), Ok(Vec::new()), "the call was kept");

    file.write(LEFT_WHILE_ASKED.as_bytes()).expect("write");
    let left = file.start_read(10);
    driver.says("jumped");
    assert_eq!(left.wait(), Ok(Vec::new()), "what waited for the callback");
    assert_eq!(read_after(IN_A_CHILD), Ok(Vec::new()));

    assert_eq!(read_after(NESTED), Ok(Vec::new()));

    file.write(KEEP_THE_CLOSE.as_bytes()).expect("write");
    drop(file);
    driver.says("closing");
    assert_eq!(read_after(END_THE_CLOSE), Ok(Vec::new()));
    assert_eq!(read_after(UNREGISTER), Err(Errno::EPIPE));
    driver.says("over");
    assert!(driver.is_silent());
    let (status, errors) = driver.wait();
    assert!(status.success(), "{status}:\n{errors}");
    assert!(!node.exists());
    for word in [
        "panicked",
        "bug in the library",
        "AddressSanitizer",
        "== ERROR",
    ] {
        assert!(!errors.contains(word), "{errors}");
    }
}

/// Nobody can read what the library has to say: then it says nothing, and goes on.
pub(crate) fn a_full_log_does_no_harm(case: &Case) {
    if lacks_compiler(case) {
        return;
    }
    let mut command = case.command("sh");
    command.args(["-c", "exec \"$0\" \"$1\" 2>/dev/full"]);
    let _driver = by(case, command, &plain());
    let file = open(&node(case)).expect("open");
    for impossible in [MORE, DESTROYED, MORE] {
        file.write(impossible.as_bytes()).expect("write");
        assert_eq!(file.read(10), Err(Errno::EIO), "{impossible}");
    }
}

/// A callback takes its process with it: the clients' calls fail, and the node goes.
pub(crate) fn a_crash_leaves_nothing(case: &Case) {
    if lacks_compiler(case) {
        return;
    }
    let driver = start_by(case, case.command(plain().to_str().expect("UTF-8")));
    let node = node(case);
    let file = open(&node).expect("open");
    file.write(CRASH.as_bytes()).expect("write");
    let waiting = file.start_read(10);
    assert!(waiting.wait().is_err());
    let (status, _) = driver.wait();
    assert_eq!(status.signal(), Some(libc::SIGSEGV));
    assert!(file.write(b"1").is_err());
    wait_until("the node is gone", || !node.exists());
}

/// A callback of C++ throws, and the program catches that around its loop.
pub(crate) fn exceptions_pass_through(case: &Case) {
    if lacks_compiler(case) {
        return;
    }
    let source = format!("{PROGRAMS}/throw.cc");
    let throw = program(&source, "", &["-std=c++17"]);
    let driver = start_by(case, case.command(throw.to_str().expect("UTF-8")));
    case.backend().prove(&node(case));
    let file = open(&node(case)).expect("open");
    for _ in 0..2 {
        assert_eq!(file.read(10), Err(Errno::ERANGE));
        driver.says("caught");
    }
    assert!(driver.is_silent());
}
