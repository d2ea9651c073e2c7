//! Row 2: opens, and their releases.

use std::fs;
use std::process::Stdio;
use std::thread;

use fusd_tests::client::{self, open, open_with};
use fusd_tests::leftovers::descriptors;
use fusd_tests::wait::{start, wait_until};
use fusd_tests::{Ability, Case, Driver};
use nix::errno::Errno;
use nix::fcntl::OFlag;

pub(crate) fn row2_the_driver_refuses_with_any_errno(case: &Case) {
    for errno in [
        Errno::EPERM,
        Errno::ENOENT,
        Errno::EIO,
        Errno::ENXIO,
        Errno::EAGAIN,
        Errno::EACCES,
        Errno::EBUSY,
        Errno::ENODEV,
        Errno::EROFS,
        Errno::EDEADLK,
        Errno::EOPNOTSUPP,
        Errno::ETIMEDOUT,
        Errno::ECANCELED,
    ] {
        let mut driver = case.device(&format!("refusing:{}", errno as i32)).start();
        for _ in 0..2 {
            assert_eq!(open(driver.node()).unwrap_err(), errno);
        }
        assert_eq!(
            driver.number("counts opens"),
            2,
            "each open reaches the driver"
        );
        assert_eq!(
            driver.number("counts releases"),
            0,
            "a refused open has no release"
        );
        driver.stop();
    }
}

pub(crate) fn row2_no_driver_opens_the_device_of_another(case: &Case) {
    // Drivers come and go side by side, as the kernel gives their numbers out again.
    thread::scope(|scope| {
        for lane in ["one", "two", "three"] {
            scope.spawn(move || {
                for _ in 0..15 {
                    let mut driver = case.device_at("memory", lane).start();
                    assert_eq!(driver.number("counts opens"), 0, "there is no client");
                    driver.stop();
                }
            });
        }
    });
}

pub(crate) fn row2_even_enosys_refuses(case: &Case) {
    // To FUSE it means that the driver needs no opens at all, so another errno may take its place.
    let mut driver = case
        .device(&format!("refusing:{}", Errno::ENOSYS as i32))
        .start();
    for _ in 0..2 {
        assert!(open(driver.node()).is_err());
    }
    assert_eq!(
        driver.number("counts opens"),
        2,
        "each open reaches the driver"
    );
}

pub(crate) fn row2_every_open_is_released_once(case: &Case) {
    let mut driver = case.device("memory").start();
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let node = driver.node().to_owned();
            start(move || (0..100).for_each(|_| drop(open(&node).expect("open"))))
        })
        .collect();
    clients.into_iter().for_each(|client| client.wait());
    assert_eq!(driver.balance(), 800);
}

pub(crate) fn row2_copies_of_a_descriptor_are_one_file(case: &Case) {
    let mut driver = case.device("memory").start();
    let file = open(driver.node()).expect("open");
    let copies: Vec<_> = (0..5).map(|_| file.duplicate()).collect();
    drop(file);
    assert_eq!(copies[4].read(1), Ok(vec![]), "the copies go on");
    drop(copies);
    assert_eq!(driver.balance(), 1);
    // Children that inherit a descriptor, one of them longer than its parent.
    let script = "exec 3<>\"$0\"; (head -c 1 <&3); (head -c 1 <&3) & exec 4<&3 3<&-; head -c 1 <&4";
    let status = case
        .command("sh")
        .args(["-c", script])
        .arg(driver.node())
        .stdout(Stdio::null())
        .status()
        .expect("sh");
    assert!(status.success());
    assert_eq!(driver.balance(), 2);
}

pub(crate) fn row2_files_of_killed_clients_are_released(case: &Case) {
    let mut driver = case.device("gate:read").start();
    let clients: Vec<_> = (0..20)
        .map(|_| client::process(case, driver.node(), &["read", "1"]))
        .collect();
    driver.await_number("waiting", 20);
    assert_eq!(driver.number("counts releases"), 0);
    clients.into_iter().for_each(client::Process::kill);
    assert_eq!(driver.balance(), 20);
}

pub(crate) fn row2_a_file_that_nobody_got_is_released(case: &Case) {
    let mut driver = case.device("blocking:open").start();
    let clients: Vec<_> = (0..8)
        .map(|_| client::process(case, driver.node(), &["open"]))
        .collect();
    driver.await_number("inside", 8);
    clients.into_iter().for_each(client::Process::kill);
    // The handlers go on and accept, but their clients are gone.
    driver.ask("let");
    assert_eq!(driver.balance(), 8);
    open(driver.node()).expect("others can open");
    assert_eq!(driver.balance(), 9);
}

pub(crate) fn row2_the_limit_of_open_files_holds(case: &Case) {
    let mut driver = case.device("memory").args(["--max-open", "3"]).start();
    let mut files: Vec<_> = (0..3).map(|_| open(driver.node()).expect("open")).collect();
    assert_eq!(open(driver.node()).unwrap_err(), Errno::EBUSY);
    files.pop();
    driver.await_number("counts releases", 1);
    wait_until("there is room for one more", || open(driver.node()).is_ok());
}

pub(crate) fn row2_flush_tells_of_each_close(case: &Case) {
    if case.lacks(Ability::Flush) {
        return;
    }
    let mut driver = case.device("memory").start();
    // In a process of its own: each program that this one starts closes copies, too.
    let client = client::process(case, driver.node(), &["copies"]);
    assert_eq!(client.wait(), "ok closed");
    assert_eq!(driver.balance(), 1);
    assert_eq!(driver.number("counts flushes"), 3);
}

pub(crate) fn row2_a_close_waits_for_the_flush(case: &Case) {
    if case.lacks(Ability::Flush) {
        return;
    }
    let mut driver = case.device("gate:flush").start();
    let client = client::process(case, driver.node(), &["open"]);
    driver.await_number("waiting", 1);
    driver.ask("let");
    assert_eq!(client.wait(), "ok opened");
}

pub(crate) fn row2_open_flags_mean_what_they_say(case: &Case) {
    let driver = case.device("memory").start();
    open(driver.node())
        .expect("open")
        .write(b"text")
        .expect("write");
    let exclusive = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_RDWR;
    assert_eq!(
        open_with(driver.node(), exclusive).unwrap_err(),
        Errno::EEXIST
    );
    assert_eq!(
        open_with(driver.node(), OFlag::O_DIRECTORY).unwrap_err(),
        Errno::ENOTDIR
    );
    let reader = open_with(driver.node(), OFlag::O_RDONLY).expect("open");
    assert_eq!(reader.write(b"x"), Err(Errno::EBADF));
    assert_eq!(reader.read(9).expect("read"), b"text");
    let writer = open_with(driver.node(), OFlag::O_WRONLY | OFlag::O_CREAT).expect("open");
    assert_eq!(writer.read(1), Err(Errno::EBADF));
}

pub(crate) fn row2_descriptors_do_not_leak(case: &Case) {
    let mut driver = case.device("memory").start();
    let round = |driver: &mut Driver| {
        for _ in 0..200 {
            let file = open(driver.node()).expect("open");
            file.write(b"some text").expect("write");
            file.read_at(0, 100).expect("read");
            fs::metadata(driver.node()).expect("stat");
        }
        driver.balance();
        descriptors(driver.pid())
    };
    let first = round(&mut driver);
    let second = round(&mut driver);
    assert!(second <= first, "{second} descriptors after {first}");
}
