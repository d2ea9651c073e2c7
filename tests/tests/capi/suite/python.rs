//! Drivers in Python, on the package in `python/`.

use std::fs;
use std::path::Path;
use std::process::Command;

use fusd_tests::Case;
use fusd_tests::client::{open, open_with};
use fusd_tests::wait::deadline;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::PollFlags;

use super::modern;
use crate::helper::{Driver, library, node, start_by};

/// Not the one in PATH: of all that there may be, this one starts fastest.
const PYTHON: &str = "/usr/bin/python3";
const PACKAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../python");
const PROGRAMS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/capi/py");

/// The command that runs a program in Python; `None`, with a word on that, where there is no Python.
pub(crate) fn python(case: &Case, program: &str) -> Option<Command> {
    if !Path::new(PYTHON).exists() {
        case.skip(&format!("{PYTHON} is not there"));
        return None;
    }
    let mut command = case.command(PYTHON);
    command
        .env("PYTHONPATH", format!("{PACKAGE}/src"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("FUSD_LIBRARY", library())
        .arg(program);
    Some(command)
}

fn example(case: &Case, name: &str) -> Option<Driver> {
    let command = python(case, &format!("{PACKAGE}/examples/{name}.py"))?;
    let driver = start_by(case, command);
    case.backend().prove(&node(case));
    Some(driver)
}

pub(crate) fn hello_in_eight_lines(case: &Case) {
    let Some(driver) = example(case, "hello") else {
        return;
    };
    assert_eq!(fs::read(node(case)).expect("read"), b"Hello, world!\n");
    let writer = open(&node(case)).expect("open");
    assert_eq!(writer.write(b"x"), Err(Errno::EINVAL), "it has no write");
    assert!(driver.is_silent());
    let text = fs::read_to_string(format!("{PACKAGE}/examples/hello.py")).expect("text");
    assert!(text.lines().count() <= 8, "{text}");
}

pub(crate) fn a_sensor_that_does_not_exist(case: &Case) {
    let Some(mut driver) = example(case, "sensor") else {
        return;
    };
    let (input, path) = (PollFlags::POLLIN, node(case));
    let reader = open_with(&path, OFlag::O_RDONLY).expect("open");
    let writer = open_with(&path, OFlag::O_WRONLY).expect("open");
    assert_eq!(reader.ready(input), input, "the first poll");
    assert_eq!(reader.read(100), Ok(b"20.000\n".to_vec()));
    assert_eq!(reader.ready(input), PollFlags::empty());
    reader.set_nonblocking(true).expect("fcntl");
    assert_eq!(reader.read(100), Err(Errno::EAGAIN));
    reader.set_nonblocking(false).expect("fcntl");
    let waiting = reader.start_read(100);
    assert_eq!(writer.write(b"21.5"), Ok(4));
    assert_eq!(waiting.wait(), Ok(b"21.500\n".to_vec()));
    let duplicate = reader.duplicate();
    let polling = fusd_tests::wait::start(move || duplicate.poll(input, deadline()));
    assert_eq!(writer.write(b"-1"), Ok(2));
    assert_eq!(polling.wait(), Ok(input), "it is told of the change");
    assert_eq!(writer.write(b"warm"), Err(Errno::EINVAL));
    let mut degrees = [0; 4];
    assert_eq!(writer.ioctl(0x8004_7401, &mut degrees), Ok(0));
    assert_eq!(i32::from_ne_bytes(degrees), -1000);
    driver.end_input();
    let (status, errors) = driver.wait();
    assert!(status.success(), "{status}:\n{errors}");
    assert_eq!(errors, "");
}

/// The driver of `modern::serve`, by one of its two ways to wait.
fn all_that_it_can(case: &Case, way: &str) {
    let Some(mut command) = python(case, &format!("{PROGRAMS}/modern.py")) else {
        return;
    };
    command.arg(way);
    let driver = start_by(case, command);
    case.backend().prove(&node(case));
    modern::serve(case, driver);
}

pub(crate) fn calls_that_are_answered_later(case: &Case) {
    all_that_it_can(case, "later");
}

pub(crate) fn coroutines(case: &Case) {
    all_that_it_can(case, "async");
}

pub(crate) fn sins_in_python_are_errors(case: &Case) {
    let Some(command) = python(case, &format!("{PROGRAMS}/checks.py")) else {
        return;
    };
    let driver = start_by(case, command);
    driver.says("over");
    let (status, errors) = driver.wait();
    assert!(status.success(), "{status}:\n{errors}");
    assert!(!errors.contains("Traceback"), "{errors}");
}
