//! The modern interface: what `c/modern.c` serves, and what it finds out about its own side.

use fusd_tests::client::{open, open_with, process};
use fusd_tests::wait::start;
use fusd_tests::{Ability, Backend, Case, sys};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::PollFlags;

use crate::helper::{PROGRAMS, lacks_compiler, node, program, start_by};

/// The driver.
pub(crate) fn driver() -> std::path::PathBuf {
    program(&source(), "", &["-Wall", "-Wextra", "-Werror"])
}

/// Its source.
pub(crate) fn source() -> String {
    format!("{PROGRAMS}/modern.c")
}

/// The number of an ioctl of the driver.
fn number(direction: u32, number: u32, size: u32) -> u32 {
    direction << 30 | size << 16 | u32::from(b'm') << 8 | number
}

pub(crate) fn a_modern_driver(case: &Case) {
    if lacks_compiler(case) {
        return;
    }
    let driver = start_by(case, case.command(driver().to_str().expect("UTF-8")));
    case.backend().prove(&node(case));
    serve(case, driver);
}

/// Has the driver do all that it can.
pub(crate) fn serve(case: &Case, mut driver: crate::helper::Driver) {
    let node = node(case);
    let (input, output) = (PollFlags::POLLIN, PollFlags::POLLOUT);
    let appending = open_with(&node, OFlag::O_WRONLY | OFlag::O_APPEND);
    assert_eq!(appending.map(drop), Err(Errno::EROFS));
    let file = open(&node).expect("open");
    assert_eq!(file.ready(input | output), output, "the first poll");
    let waiting = file.start_read(10);
    driver.says("waits");
    assert_eq!(file.write(b"hello"), Ok(5));
    assert_eq!(waiting.wait(), Ok(b"hello".to_vec()));
    assert_eq!(file.write(b"kept"), Ok(4));
    assert_eq!(file.ready(input | output), input | output);
    assert_eq!(file.read(10), Ok(b"kept".to_vec()));
    assert_eq!(file.ready(input | output), output);
    assert_eq!(file.write(&[0; 100]), Err(Errno::EMSGSIZE));
    file.set_nonblocking(true).expect("fcntl");
    assert_eq!(file.read(10), Err(Errno::EAGAIN));

    let killed = process(case, &node, &["read", "10"]);
    driver.says("waits");
    killed.kill();
    driver.says("interrupted");

    let mut pid = [0; 8];
    assert_eq!(file.ioctl(number(2, 1, 8), &mut pid), Ok(7));
    assert_eq!(u64::from_ne_bytes(pid), u64::from(std::process::id()));
    if case.backend().has(Ability::AnyIoctl) {
        let mut memory = [1, 2, 3, 4];
        assert_eq!(
            sys::ioctl_behind(&file, number(1, 2, 16), &mut memory),
            Ok(10)
        );
    }
    assert_eq!(
        file.ioctl(number(2, 3, 8), &mut pid),
        Ok(3),
        "not a child's"
    );
    assert_eq!(file.ioctl(number(2, 9, 8), &mut pid), Err(Errno::ENOTTY));
    // fs/fuse/cuse.c, cuse_frontend_fops, has no fsync.
    if case.backend() != Backend::Cuse {
        assert_eq!(nix::unistd::fsync(&file), Ok(()));
        assert_eq!(nix::unistd::fdatasync(&file), Err(Errno::ENOSPC));
    }
    // That of the stopped driver is released as well.
    let late = open(&node).expect("open");
    let waiting = late.start_read(10);
    driver.says("waits");
    driver.end_input();
    driver.says("interrupted");
    assert_eq!(waiting.wait(), Err(Errno::EPIPE));
    driver.says("released 3");
    assert!(driver.is_silent());
    let (status, errors) = driver.wait();
    assert!(status.success(), "{status}:\n{errors}");
    for word in ["panicked", "bug in", "Sanitizer", "== ERROR"] {
        assert!(!errors.contains(word), "{errors}");
    }
    assert!(!node.exists());
}

/// Its call and the data of that are there until it returns.
pub(crate) fn a_callback_outlives_its_device(case: &Case) {
    if lacks_compiler(case) {
        return;
    }
    let source = format!("{PROGRAMS}/outlive.c");
    let outlive = program(&source, "", &["-Wall", "-Wextra", "-Werror"]);
    let mut driver = start_by(case, case.command(outlive.to_str().expect("UTF-8")));
    let file = open(&node(case)).expect("open");
    let waiting = file.start_write(b"hello");
    driver.says("runs");
    driver.end_input();
    assert_eq!(waiting.wait(), Err(Errno::EPIPE));
    driver.says("over");
    let (status, errors) = driver.wait();
    assert!(status.success(), "{status}:\n{errors}");
    assert!(!errors.contains("panicked"), "{errors}");
}

/// An open that the driver keeps is no file any more once its device has ended.
pub(crate) fn an_open_outlives_its_device(case: &Case) {
    if lacks_compiler(case) {
        return;
    }
    let source = format!("{PROGRAMS}/late.c");
    let late = program(&source, "", &["-Wall", "-Wextra", "-Werror"]);
    let mut driver = start_by(case, case.command(late.to_str().expect("UTF-8")));
    let path = node(case);
    let waiting = start(move || open(&path).map(drop));
    driver.says("waits");
    driver.end_input();
    assert!(waiting.wait().is_err());
    driver.says("over");
    let (status, errors) = driver.wait();
    assert!(status.success(), "{status}:\n{errors}");
}

pub(crate) fn a_table_of_an_older_size(case: &Case) {
    if lacks_compiler(case) {
        return;
    }
    let mut command = case.command("sh");
    // The name comes last.
    command
        .args(["-c", "exec \"$0\" \"$1\" older"])
        .arg(driver());
    let mut running = start_by(case, command);
    let file = open(&node(case)).expect("open");
    assert_eq!(file.write(b"x"), Ok(1));
    assert_eq!(file.read(10), Ok(b"x".to_vec()));
    assert_eq!(nix::unistd::fsync(&file), Err(Errno::EINVAL), "it had none");
    drop(file);
    running.end_input();
    running.says("released 1");
    let (status, errors) = running.wait();
    assert!(status.success(), "{status}:\n{errors}");
}
