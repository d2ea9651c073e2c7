//! A machine that is to sleep: nobody who waits for a driver, or as a driver, holds that up.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use fusd::wire::operation;
use fusd_tests::binaries;
use fusd_tests::wait::{start, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::driver::{ALL, Driver};
use crate::module;

/// What is done of a suspend: here all processes are frozen, and then all go on.
const TEST: &str = "/sys/power/pm_test";

#[test]
fn who_waits_can_be_frozen() {
    const NAME: &str = "who_waits_can_be_frozen";
    let Some(_alone) = module::alone(NAME) else {
        return;
    };
    if !Path::new(TEST).exists() {
        println!("SKIP {NAME}: this kernel cannot try a suspend (CONFIG_PM_DEBUG)");
        return;
    }
    // Three seconds are saved.
    let _ = fs::write("/sys/module/suspend/parameters/pm_test_delay", "2");
    let (driver, node) = Driver::with_device(ALL, 0);
    let (file, _) = driver.open(&node);
    // One waits for an answer.
    let reading = file.start_read(4);
    let first = driver.expect(operation::READ);
    // One has had a signal meanwhile, and waits for the answer alone.
    let mut client = Command::new(binaries::find("client"));
    client.arg(&node).args(["read", "5"]).stdin(Stdio::null());
    let mut child = client
        .stdout(Stdio::piped())
        .spawn()
        .expect("the client can be started");
    let opened = driver.expect(operation::OPEN);
    driver.answer(opened.id(), 0, b"").expect("answer");
    let second = driver.expect(operation::READ);
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
    kill(pid, Signal::SIGUSR1).expect("signal");
    assert_eq!(driver.expect(operation::INTERRUPT).id(), second.id());
    // One waits for a request.
    let other = Driver::connect();
    let waiting = {
        let other = other.duplicate();
        start(move || other.read())
    };
    fs::write(TEST, "freezer").expect("freezer");
    let result = fs::write("/sys/power/state", "freeze");
    fs::write(TEST, "none").expect("none");
    result.expect("all processes can be frozen");
    // Nothing is lost by it.
    driver.answer(first.id(), 0, b"four").expect("answer");
    assert_eq!(reading.wait().expect("read"), b"four");
    driver.answer(second.id(), 0, b"fiver").expect("answer");
    wait_until("the client ends", || {
        child.try_wait().expect("wait").is_some()
    });
    let output = child.wait_with_output().expect("its output");
    assert_eq!(output.stdout, b"ok fiver\n");
    assert!(waiting.blocks());
    let nudge = crate::driver::message(operation::NUDGE, 0, 0, &[]);
    other.say(&nudge).expect("a nudge");
    let message = waiting.wait().expect("a message");
    assert_eq!(message.header.operation, operation::NUDGED);
}
