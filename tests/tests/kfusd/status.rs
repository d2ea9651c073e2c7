//! The status node, and what /proc tells of files.

use std::fs;
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;
use std::time::Duration;

use fusd::wire::operation;
use fusd_tests::client;
use nix::fcntl::OFlag;
use nix::poll::PollFlags;

use crate::driver::{ALL, Driver};
use crate::module::tests;

/// The numbers of a device's line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// The driver's process.
    pub(crate) driver: u32,
    /// Open files.
    pub(crate) files: u32,
    /// Requests under way.
    pub(crate) waiting: u32,
    /// Requests answered.
    pub(crate) served: u32,
}

/// The line of the device at `node`.
#[track_caller]
pub(crate) fn line(node: &Path) -> Line {
    let name = node
        .strip_prefix("/dev")
        .expect("a node")
        .to_str()
        .expect("ASCII");
    let text = fs::read_to_string("/dev/fusd/status").expect("the status node");
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
        .unwrap_or_else(|| panic!("no line of {name} in:\n{text}"));
    let number = |key: &str| {
        let value = line
            .split(' ')
            .find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
        let value = value.unwrap_or_else(|| panic!("no {key} in {line}"));
        value.parse().expect("a number")
    };
    Line {
        driver: number("driver"),
        files: number("files"),
        waiting: number("waiting"),
        served: number("served"),
    }
}

tests! {
    fn a_line_tells_of_a_device() {
        let (driver, node) = Driver::with_device(ALL, 0);
        let pid = std::process::id();
        assert_eq!(line(&node), Line { driver: pid, files: 0, waiting: 0, served: 0 });
        let (file, _) = driver.open(&node);
        let reading = file.start_read(1);
        let request = driver.expect(operation::READ);
        assert_eq!(line(&node), Line { driver: pid, files: 1, waiting: 1, served: 1 });
        driver.answer(request.id(), 0, b"x").expect("answer");
        reading.wait().expect("read");
        assert_eq!(line(&node), Line { driver: pid, files: 1, waiting: 0, served: 2 });
        drop(file);
        driver.expect(operation::RELEASE);
        assert_eq!(line(&node), Line { driver: pid, files: 0, waiting: 0, served: 2 });
    }

    fn poll_tells_of_changes() {
        let status = client::open_with("/dev/fusd/status".as_ref(), OFlag::O_RDONLY).expect("open");
        let (driver, node) = Driver::with_device(ALL, 0);
        // Other tests change it as well: what holds is that an own change is told.
        status.read_at(0, 65536).expect("read");
        let (_file, _) = driver.open(&node);
        assert_eq!(status.poll(PollFlags::POLLPRI, Duration::from_secs(5)), Ok(PollFlags::POLLPRI));
    }

    fn anybody_may_read_it_and_nobody_write() {
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &fs::metadata("/dev/fusd/status").expect("status").permissions(),
        );
        assert_eq!(mode & 0o777, 0o444);
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &fs::metadata("/dev/fusd/control").expect("control").permissions(),
        );
        assert_eq!(mode & 0o777, 0o600);
        let status = client::open_with("/dev/fusd/status".as_ref(), OFlag::O_RDWR).expect("open");
        assert_eq!(status.write(b"x"), Err(nix::errno::Errno::EINVAL));
    }

    fn fdinfo_tells_of_a_file() {
        let (driver, node) = Driver::with_device(ALL, 0);
        let (file, number) = driver.open(&node);
        let info = format!("/proc/self/fdinfo/{}", file.as_fd().as_raw_fd());
        let text = fs::read_to_string(&info).expect("fdinfo");
        let name = node.strip_prefix("/dev").expect("a node").display();
        for line in [
            format!("fusd-device:\t{name}"),
            format!("fusd-file:\t{number}"),
            format!("fusd-driver:\t{}", std::process::id()),
            "fusd-live:\t1".to_owned(),
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
        drop(driver);
        let text = fs::read_to_string(&info).expect("fdinfo");
        assert!(text.contains("fusd-live:\t0"), "{text}");
    }
}
