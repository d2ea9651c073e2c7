//! Inserting and removing the module.

use std::path::Path;

use fusd::wire::{Greeting, operation};
use fusd_tests::client;
use fusd_tests::wait::{starts, wait_until};
use nix::errno::Errno;
use nix::fcntl::OFlag;

use crate::driver::{ALL, Driver};
use crate::module::{self, setting};
use crate::raw;

const NAME: &str = "kfusd";

/// Removes the module, once nothing refers to it any more: files are closed a moment after the
/// call that closes them where another process did.
#[track_caller]
pub(crate) fn remove() {
    wait_until("the module is gone", || match raw::remove_module(NAME) {
        Ok(()) => true,
        Err(Errno::EAGAIN | Errno::EBUSY) => false,
        Err(errno) => panic!("remove: {errno}"),
    });
}

#[test]
fn it_stays_while_anything_is_open() {
    let Some(_alone) = module::alone("it_stays_while_anything_is_open") else {
        return;
    };
    let busy = Err(Errno::EWOULDBLOCK);
    let status = client::open_with("/dev/fusd/status".as_ref(), OFlag::O_RDONLY).expect("open");
    assert_eq!(raw::remove_module(NAME), busy, "the status node is open");
    drop(status);
    let (driver, node) = Driver::with_device(ALL, 0);
    assert_eq!(raw::remove_module(NAME), busy, "the control node is open");
    let (file, _) = driver.open(&node);
    drop(driver);
    assert_eq!(raw::remove_module(NAME), busy, "a client has a file open");
    assert_eq!(file.read(1), Err(Errno::EPIPE));
    drop(file);
    remove();
    assert!(!Path::new("/dev/fusd").exists());
    module::insert("").expect("insert");
}

#[test]
fn it_comes_and_goes_a_thousand_times() {
    let Some(_alone) = module::alone("it_comes_and_goes_a_thousand_times") else {
        return;
    };
    // The first FUSD failed after 73 times: it kept its major numbers.
    let rounds = setting("FUSD_KFUSD_LOADS", starts(1000) as u64);
    for round in 0..rounds {
        remove();
        module::insert("").unwrap_or_else(|errno| panic!("insert {round}: {errno}"));
        if round % 50 == 0 {
            let (driver, node) = Driver::with_device(0, 0);
            drop(driver.open(&node));
            driver.expect(operation::RELEASE);
        }
    }
}

#[test]
fn its_limits_are_parameters() {
    let Some(_alone) = module::alone("its_limits_are_parameters") else {
        return;
    };
    remove();
    module::insert("max_transfer=4096 max_devices=2 max_files=3").expect("insert");
    let silent = Driver::silent();
    let greeting = Greeting::from_bytes(&silent.expect(operation::GREETING).body);
    assert_eq!(
        (
            greeting.max_transfer,
            greeting.max_devices,
            greeting.max_files
        ),
        (4096, 2, 3)
    );
    drop(silent);
    let (driver, node) = Driver::with_device(ALL, 0);
    driver
        .register(&crate::driver::name(), 2, ALL, 0)
        .expect("register");
    let third = driver.register(&crate::driver::name(), 3, ALL, 0);
    assert_eq!(third, Err(Errno::ENOSPC));
    driver.unregister(2).expect("unregister");
    driver
        .register(&crate::driver::name(), 3, ALL, 0)
        .expect("there is room again");
    let files: Vec<_> = (0..3).map(|_| driver.open(&node).0).collect();
    assert_eq!(client::open(&node).map(drop), Err(Errno::ENFILE));
    let writing = files[0].start_write(&[0; 5000]);
    let request = driver.expect(operation::WRITE);
    assert_eq!(request.written().len(), 4096);
    driver.answer(request.id(), 1, b"").expect("answer");
    assert_eq!(writing.wait(), Ok(1));
    drop(files);
    for _ in 0..3 {
        driver.expect(operation::RELEASE);
    }
    drop(driver.open(&node));
    drop(driver);
    remove();
    module::insert("").expect("insert");
}
