//! The harness finds what it is there to find: otherwise no other test means anything.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Stdio;
use std::time::Duration;

use fusd_tests::client::open;
use fusd_tests::wait::slowness;
use fusd_tests::{Backend, Case, leftovers, watchdog};
use nix::errno::Errno;

#[test]
fn leftovers_are_found() {
    let case = Case::new("leftovers_are_found", Backend::Fuse);
    assert_eq!(leftovers::find(&case), [""; 0]);
    let node = case.node("node");
    fs::write(&node, "").expect("a file");
    let temporary = case.temporary().join("temporary");
    fs::write(&temporary, "").expect("a file");
    let named = std::path::Path::new("/dev/shm").join(case.token());
    fs::write(&named, "").expect("a file");
    let mut process = case
        .command("cat")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("cat");
    fusd_tests::wait::wait_until("the process is seen", || {
        leftovers::find(&case)
            .iter()
            .any(|line| line.starts_with("process"))
    });
    let found = leftovers::find(&case);
    assert_eq!(found.len(), 4, "{found:?}");
    drop(process.stdin.take());
    process.wait().expect("cat ends");
    for file in [node, temporary, named] {
        fs::remove_file(file).expect("remove");
    }
}

#[test]
fn mounts_and_watchers_are_found() {
    let Some(case) = Case::begin("mounts_and_watchers_are_found", Backend::Fuse) else {
        return;
    };
    let driver = case.device("memory").start();
    let found = leftovers::find(&case);
    let of = |kind: &str| found.iter().filter(|line| line.starts_with(kind)).count();
    assert_eq!((of("mount"), of("file")), (1, 1), "{found:?}");
    assert!(of("process") >= 2, "the driver and its watcher: {found:?}");
    driver.stop();
    assert_eq!(leftovers::wait_for_none(&case), [""; 0]);
}

#[test]
fn a_test_that_hangs_gets_its_drivers_killed() {
    let Some(case) = Case::begin("a_test_that_hangs", Backend::Fuse) else {
        return;
    };
    let driver = case.device("stream:1").start();
    let file = open(driver.node()).expect("open");
    // Where all is slow, the test takes long to notice that its driver has been killed.
    let limit = Duration::from_secs(slowness().into());
    let _watch = watchdog::watch_for(limit, case.name(), case.token());
    let read = file.start_read(1).wait();
    let ends = [Errno::ENOTCONN, Errno::ECONNABORTED, Errno::EIO];
    assert!(
        read.as_ref().is_err_and(|errno| ends.contains(errno)),
        "{read:?}"
    );
    drop(file);
    driver.kill();
    // The watcher has been killed as well.
    leftovers::remove(&case);
}

#[test]
fn another_backend_is_noticed() {
    let case = Case::new("another_backend_is_noticed", Backend::Fuse);
    let plain = case.file("plain", b"");
    for backend in [Backend::Fuse, Backend::Cuse, Backend::Kfusd] {
        let proof = catch_unwind(AssertUnwindSafe(|| backend.prove(&plain)));
        assert!(proof.is_err(), "{backend:?} is no plain file");
    }
    let device = std::path::Path::new("/dev/null");
    assert!(catch_unwind(|| Backend::Fuse.prove(device)).is_err());
    Backend::Cuse.prove(device);
}

#[test]
fn a_driver_that_does_not_come_up_fails_the_test() {
    let case = Case::new(
        "a_driver_that_does_not_come_up_fails_the_test",
        Backend::Fuse,
    );
    let launch = case.device("no-such-device");
    let started = catch_unwind(AssertUnwindSafe(|| launch.start()));
    let panic = started.err().expect("it is no success");
    let text = panic.downcast_ref::<String>().expect("a message");
    assert!(text.contains("no-such-device"), "{text}");
}
