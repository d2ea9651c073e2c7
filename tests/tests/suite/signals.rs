//! Rows 8 and 9: signals end calls, and lose no data.

use fusd::IoctlCommand;
use fusd_tests::client::{self, Process, open};
use fusd_tests::wait::rounds;
use fusd_tests::{Ability, Case, Driver};
use nix::sys::signal::Signal;

/// The calls that can block, as the client process is told them.
fn blocking_calls() -> Vec<Vec<String>> {
    let ioctl = IoctlCommand::read_write(b'e', 1, 8).raw().to_string();
    [
        vec!["open"],
        vec!["read", "1"],
        vec!["write", "1"],
        vec!["ioctl", &ioctl],
    ]
    .into_iter()
    .map(|words| words.into_iter().map(str::to_owned).collect())
    .collect()
}

fn start(case: &Case, driver: &Driver, call: &[String]) -> Process {
    let words: Vec<&str> = call.iter().map(String::as_str).collect();
    client::process(case, driver.node(), &words)
}

fn gate(case: &Case, call: &[String]) -> Driver {
    case.device(&format!("gate:{}", call[0])).start()
}

pub(crate) fn row8_a_killed_client_is_gone_at_once(case: &Case) {
    for call in blocking_calls() {
        let mut driver = gate(case, &call);
        let client = start(case, &driver, &call);
        driver.await_number("waiting", 1);
        client.kill();
        driver.await_number("waiting", 0);
        driver.stop();
    }
    // A poll does not reach the driver as a call that waits.
    let driver = case.device("stream:1").start();
    let client = client::process(case, driver.node(), &["poll"]);
    client.kill();
}

pub(crate) fn row8_many_killed_clients(case: &Case) {
    let mut driver = case.device("gate:read,write").start();
    let clients: Vec<_> = (0..40)
        .map(|n| {
            let call = if n % 2 == 0 { "read" } else { "write" };
            client::process(case, driver.node(), &[call, "1"])
        })
        .collect();
    driver.await_number("waiting", 40);
    for client in &clients {
        client.signal(Signal::SIGKILL);
    }
    clients.into_iter().for_each(Process::kill);
    driver.await_number("waiting", 0);
    driver.await_number("counts releases", 40);
    driver.ask("let");
    let file = open(driver.node()).expect("open");
    assert_eq!(file.read(3).expect("the device goes on"), b"rrr");
}

pub(crate) fn row8_killed_while_the_handler_is_stuck(case: &Case) {
    let mut driver = case.device("blocking").args(["--workers", "2"]).start();
    // Two in handlers that do not return, three that wait for a worker.
    let clients: Vec<_> = (0..5)
        .map(|_| client::process(case, driver.node(), &["read", "1"]))
        .collect();
    driver.await_number("inside", 2);
    clients.into_iter().for_each(Process::kill);
    driver.ask("let");
    // Some may have been killed before they had opened the node.
    assert!(driver.balance() >= 2);
}

pub(crate) fn row8_killed_while_the_driver_is_stopped(case: &Case) {
    for call in blocking_calls() {
        let mut driver = gate(case, &call);
        let client = start(case, &driver, &call);
        driver.await_number("waiting", 1);
        driver.suspend();
        client.signal(Signal::SIGKILL);
        if !case.can(Ability::KillBesideStopped) {
            driver.signal(Signal::SIGCONT);
        }
        client.kill();
        driver.signal(Signal::SIGCONT);
        driver.await_number("waiting", 0);
        driver.stop();
    }
}

pub(crate) fn row9_calls_begin_again(case: &Case) {
    let restarts = case.can(Ability::Restart);
    for call in blocking_calls() {
        let mut driver = gate(case, &call);
        let again = [&["again".to_owned()], call.as_slice()].concat();
        let client = start(case, &driver, &again);
        driver.await_number("waiting", 1);
        client.signal(Signal::SIGUSR1);
        if restarts {
            driver.ask("let");
            assert!(client.wait().starts_with("ok"), "{call:?}");
        } else {
            assert_eq!(client.wait(), "EINTR", "{call:?}");
        }
        driver.stop();
    }
}

pub(crate) fn row9_signals_interrupt_every_call(case: &Case) {
    for call in blocking_calls() {
        let mut driver = gate(case, &call);
        let client = start(case, &driver, &call);
        driver.await_number("waiting", 1);
        client.signal(Signal::SIGUSR1);
        assert_eq!(client.wait(), "EINTR", "{call:?}");
        driver.await_number("waiting", 0);
        // The driver was told, and the next client is served.
        let client = start(case, &driver, &call);
        driver.await_number("waiting", 1);
        driver.ask("let");
        assert!(client.wait().starts_with("ok"), "{call:?}");
        driver.stop();
    }
}

pub(crate) fn row9_interrupted_reads_lose_nothing(case: &Case) {
    let wanted = rounds(2000);
    let mut late = 0;
    // On a busy machine many signals come before their read has begun.
    for _ in 0..10 {
        late += interrupt_reads(case, wanted);
        if late >= wanted as u64 / 2 {
            return;
        }
    }
    panic!("only {late} answers came too late: nothing was tried");
}

/// Interrupts `wanted` reads of numbers, of which none may be lost. How many had their answer too late.
fn interrupt_reads(case: &Case, wanted: usize) -> u64 {
    let mut driver = case.device("numbers").start();
    let words = ["interrupts", &wanted.to_string(), "700"];
    let said = client::process(case, driver.node(), &words).wait();
    assert!(
        said.starts_with(&format!("ok {wanted} interrupted, ")),
        "{said}"
    );
    assert!(said.ends_with(" in order"), "{said}");
    driver.number("late")
}

pub(crate) fn row13_interrupts_are_answered_when_all_workers_are_busy(case: &Case) {
    let mut driver = case.device("blocking").args(["--workers", "1"]).start();
    let stuck = client::process(case, driver.node(), &["read", "1"]);
    driver.await_number("inside", 1);
    // These wait for the only worker, or would if their alarms did not end that.
    let clients: Vec<_> = (0..3)
        .map(|_| client::process(case, driver.node(), &["alarm", "read", "1"]))
        .collect();
    for client in clients {
        assert_eq!(client.wait(), "EINTR");
    }
    stuck.signal(Signal::SIGUSR1);
    assert_eq!(stuck.wait(), "EINTR", "in the handler that does not return");
    assert_eq!(driver.number("inside"), 1);
    driver.ask("let");
    let file = open(driver.node()).expect("open");
    assert!(file.read(9).is_ok(), "the worker is free again");
}
