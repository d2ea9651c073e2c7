//! The status node, and what /proc tells of files.

use std::fs;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use fusd::wire::{self, StatusQuery, StatusRecord, operation};
use fusd_tests::client;
use fusd_tests::wait::wait_until;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::PollFlags;

use crate::driver::{ALL, Driver};
use crate::module::tests;
use crate::raw;

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
    /// Calls that failed because they would have waited for themselves.
    pub(crate) deadlocks: u32,
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
        deadlocks: number("deadlocks"),
    }
}

/// A query for records of `size` bytes.
fn query(size: usize) -> StatusQuery {
    StatusQuery {
        record_size: u32::try_from(size).expect("a number"),
        ..StatusQuery::default()
    }
}

/// The record, of `size` bytes, of the device whose name begins with `name`; and all of its name
/// that there is.
#[track_caller]
pub(crate) fn record(name: &str, size: usize) -> (StatusRecord, Vec<u8>) {
    let status = client::open_with("/dev/fusd/status".as_ref(), OFlag::O_RDONLY).expect("open");
    let mut buffer = vec![0xee; size * 5000];
    let mut query = query(size);
    let count = raw::status(&status, &mut query, &mut buffer).expect("records");
    assert_eq!(count, query.devices as usize, "all fit");
    assert_eq!(query.known_size as usize, wire::STATUS_SIZE);
    let (told, rest) = buffer.split_at(count * size);
    assert!(rest.iter().all(|byte| *byte == 0xee), "nothing behind");
    let records = told.chunks(size).map(|record| {
        let (fixed, name) = record.split_at(StatusRecord::SIZE);
        let end = name.iter().position(|byte| *byte == 0);
        let (name, zeros) = name.split_at(end.unwrap_or(name.len()));
        assert!(zeros.iter().all(|byte| *byte == 0), "{zeros:?}");
        (StatusRecord::from_bytes(fixed), name.to_vec())
    });
    let mut found = records.filter(|(_, found)| found.as_slice() == name.as_bytes());
    found
        .next()
        .unwrap_or_else(|| panic!("no record of {name}"))
}

tests! {
    fn a_line_tells_of_a_device() {
        let (driver, node) = Driver::with_device(ALL, 0);
        let pid = std::process::id();
        assert_eq!(line(&node), Line { driver: pid, files: 0, waiting: 0, served: 0, deadlocks: 0 });
        let (file, _) = driver.open(&node);
        let reading = file.start_read(1);
        let request = driver.expect(operation::READ);
        assert_eq!(line(&node), Line { driver: pid, files: 1, waiting: 1, served: 1, deadlocks: 0 });
        driver.answer(request.id(), 0, b"x").expect("answer");
        reading.wait().expect("read");
        assert_eq!(line(&node), Line { driver: pid, files: 1, waiting: 0, served: 2, deadlocks: 0 });
        drop(file);
        driver.expect(operation::RELEASE);
        assert_eq!(line(&node), Line { driver: pid, files: 0, waiting: 0, served: 2, deadlocks: 0 });
    }

    fn a_record_tells_the_same() {
        let (driver, node) = Driver::with_device(ALL, wire::REGISTER_STREAM);
        let (_file, _) = driver.open(&node);
        let name = node.strip_prefix("/dev").expect("a node").to_str().expect("ASCII");
        let (told, found) = record(name, wire::STATUS_SIZE);
        assert_eq!(found, name.as_bytes());
        let rdev = fs::metadata(&node).expect("the node").rdev();
        assert_eq!(u64::from(told.major), nix::sys::stat::major(rdev));
        assert_eq!(u64::from(told.minor), nix::sys::stat::minor(rdev));
        let expected = StatusRecord {
            major: told.major,
            minor: told.minor,
            driver: std::process::id(),
            files: 1,
            waiting: 0,
            name_length: u32::try_from(name.len()).expect("a short name"),
            served: 1,
            bytes: 0,
            oldest: 0,
            operations: ALL,
            flags: wire::REGISTER_STREAM,
            deadlocks: 0,
        };
        assert_eq!(told, expected);
        let (file, _) = driver.open(&node);
        let writing = file.start_write(b"12345");
        let request = driver.expect(operation::WRITE);
        let (busy, _) = record(name, wire::STATUS_SIZE);
        assert_eq!((busy.files, busy.waiting, busy.served, busy.bytes), (2, 1, 2, 0));
        // It gets older.
        wait_until("the oldest request has waited for longer", || {
            record(name, wire::STATUS_SIZE).0.oldest > busy.oldest
        });
        driver.answer(request.id(), 5, b"").expect("answer");
        writing.wait().expect("write");
        let (done, _) = record(name, wire::STATUS_SIZE);
        assert_eq!((done.waiting, done.served, done.bytes, done.oldest), (0, 3, 5, 0));
    }

    fn records_fit_who_knows_less_and_who_knows_more() {
        let (_driver, node) = Driver::with_device(ALL, 0);
        let name = node.strip_prefix("/dev").expect("a node").to_str().expect("ASCII");
        let (whole, _) = record(name, wire::STATUS_SIZE);
        // An older program, cut in the name; a newer one, which gets zeros.
        let cut = StatusRecord::SIZE + name.len() - 1;
        assert_eq!(record(&name[..name.len() - 1], cut).0.driver, whole.driver);
        assert_eq!(record(name, 1000), (whole, name.as_bytes().to_vec()));
        let status = client::open_with("/dev/fusd/status".as_ref(), OFlag::O_RDONLY).expect("open");
        for size in [0, 1, StatusRecord::SIZE - 1, 4097, u32::MAX as usize] {
            let mut query = query(size);
            let result = raw::status(&status, &mut query, &mut [0; 8000]);
            assert_eq!(result, Err(Errno::EINVAL), "{size}");
        }
        let mut bad = StatusQuery { reserved: 1, ..query(320) };
        assert_eq!(raw::status(&status, &mut bad, &mut [0; 8000]), Err(Errno::EINVAL));
        let mut nowhere = StatusQuery { buffer: 1, buffer_length: 1 << 20, ..query(320) };
        assert_eq!(raw::status_at(&status, &mut nowhere), Err(Errno::EFAULT));
        let mut wild = StatusQuery { buffer: u64::MAX, buffer_length: u32::MAX, ..query(320) };
        assert_eq!(raw::status_at(&status, &mut wild), Err(Errno::EFAULT));
        // Only how many there are: there is room for none.
        let mut none = query(320);
        assert_eq!(raw::status(&status, &mut none, &mut [0; 319]), Ok(0));
        assert!(none.devices >= 1);
        assert_eq!(raw::ioctl_at(&status, wire::IOCTL_EXCHANGE, &mut [0; 64]), Err(Errno::ENOTTY));
    }

    fn poll_tells_of_changes_since_the_records() {
        let status = client::open_with("/dev/fusd/status".as_ref(), OFlag::O_RDONLY).expect("open");
        let (driver, node) = Driver::with_device(ALL, 0);
        let mut first = query(320);
        raw::status(&status, &mut first, &mut [0; 320]).expect("records");
        let (_file, _) = driver.open(&node);
        assert_eq!(status.poll(PollFlags::POLLPRI, Duration::from_secs(5)), Ok(PollFlags::POLLPRI));
        // Other tests change it as well: at some time nothing has changed since.
        let mut query = query(320);
        wait_until("poll is quiet again", || {
            raw::status(&status, &mut query, &mut [0; 320]).expect("records");
            status.ready(PollFlags::POLLPRI).is_empty()
        });
        assert!(query.changes > first.changes);
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
        assert_eq!(status.write(b"x"), Err(Errno::EINVAL));
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
        // A process that another test starts just now has the driver's file, too, until its exec.
        wait_until("the file tells of the driver's end", || {
            let text = fs::read_to_string(&info).expect("fdinfo");
            text.contains("fusd-live:\t0")
        });
    }
}
