//! SIGKILL for drivers and for clients in every state: 200 times each, and nothing is left behind.

use fusd::IoctlCommand;
use fusd_tests::client::{self, Process, open};
use fusd_tests::leftovers::descriptors;
use fusd_tests::wait::{Started, start, starts};
use fusd_tests::{Ability, Backend, Case, Driver};
use nix::errno::Errno;

use super::ending::gone;

/// Kills per state: six states, 200 kills and a few more. Where all is slow, that often only for the
/// kernel code that is ours.
fn times(case: &Case) -> usize {
    match case.backend() {
        Backend::Kfusd => 34,
        Backend::Cuse | Backend::Fuse => starts(34),
    }
}

fn ioctl_number() -> String {
    IoctlCommand::read_write(b'e', 1, 8).raw().to_string()
}

/// Starts the device, brings clients into a state, kills the driver; again and again, each time
/// at the same place. What the clients say must be an error that tells of the end.
fn kill_drivers(case: &Case, device: &str, words: &[&str], clients: usize) {
    let gone = gone(case);
    for _ in 0..times(case) {
        let mut driver = case.device(device).start();
        let clients: Vec<_> = (0..clients)
            .map(|_| client::process(case, driver.node(), words))
            .collect();
        if !clients.is_empty() {
            driver.await_number("waiting", clients.len() as u64);
        }
        driver.kill();
        for client in clients {
            let said = client.wait();
            let expected = gone.iter().any(|errno| format!("{errno:?}") == said);
            assert!(expected, "{words:?}: {said}");
        }
    }
    case.check();
}

pub(crate) fn kill_of_an_idle_driver(case: &Case) {
    kill_drivers(case, "memory", &[], 0);
}

pub(crate) fn kill_of_a_driver_during_open(case: &Case) {
    kill_drivers(case, "gate:open", &["open"], 2);
}

pub(crate) fn kill_of_a_driver_with_blocked_readers(case: &Case) {
    kill_drivers(case, "gate:read", &["read", "1"], 2);
}

pub(crate) fn kill_of_a_driver_with_blocked_writers(case: &Case) {
    kill_drivers(case, "gate:write", &["write", "1"], 2);
}

pub(crate) fn kill_of_a_driver_in_ioctls(case: &Case) {
    kill_drivers(case, "gate:ioctl", &["ioctl", &ioctl_number()], 2);
}

/// How a reader under load came to its end: how many of its calls were cut off, and what the last
/// one failed with.
struct End {
    cut_off: u64,
    errno: Errno,
}

/// Threads that read until the driver's end.
fn load(driver: &Driver) -> Vec<Started<End>> {
    (0..6)
        .map(|_| {
            let file = open(driver.node()).expect("open");
            start(move || {
                let mut cut_off = 0;
                loop {
                    match file.read_at(0, 4096) {
                        Ok(_) => {}
                        Err(Errno::EIO) => cut_off += 1,
                        Err(errno) => return End { cut_off, errno },
                    }
                }
            })
        })
        .collect()
}

/// The workers of a driver under load.
const WORKERS: u64 = 4;

/// How many calls may fail with `EIO` when a driver under load is killed: none, or one for each
/// thread of the session: the workers, one that leads, one that watches.
///
/// SIGKILL may come while the kernel copies a call to a thread of the driver, or its answer from
/// there (mm/gup.c, __get_user_pages, then looks up no further page). FUSE and CUSE fail that call
/// with `EIO` (fs/fuse/dev.c, fuse_dev_do_read and fuse_dev_do_write), and the thread is gone.
fn may_be_cut_off(case: &Case) -> u64 {
    match case.can(Ability::Epipe) {
        true => 0,
        false => WORKERS + 2,
    }
}

pub(crate) fn kill_of_a_driver_under_load(case: &Case) {
    let (gone, limit) = (gone(case), may_be_cut_off(case));
    for _ in 0..times(case) {
        let mut driver = case
            .device("pattern:10000")
            .args(["--workers", &WORKERS.to_string()])
            .start();
        let readers = load(&driver);
        fusd_tests::wait::wait_until("readers are at it", || driver.number("counts reads") > 100);
        driver.kill();
        let mut cut_off = 0;
        for reader in readers {
            let end = reader.wait();
            assert!(gone.contains(&end.errno), "{}", end.errno);
            cut_off += end.cut_off;
        }
        assert!(cut_off <= limit, "{cut_off} calls failed with EIO");
    }
    case.check();
}

pub(crate) fn kill_of_clients_in_every_state(case: &Case) {
    let number = ioctl_number();
    for (device, words) in [
        ("gate:open", vec!["open"]),
        ("gate:read", vec!["read", "1"]),
        ("gate:write", vec!["write", "1"]),
        ("gate:ioctl", vec!["ioctl", &number]),
        ("gate:flush", vec!["open"]),
    ] {
        if device == "gate:flush" && !case.can(Ability::Flush) {
            continue;
        }
        let mut driver = case.device(device).start();
        let mut before = 0;
        // The first round tells how many descriptors the driver needs.
        for round in 0..5 {
            let clients: Vec<_> = (0..8)
                .map(|_| client::process(case, driver.node(), &words))
                .collect();
            driver.await_number("waiting", clients.len() as u64);
            clients.into_iter().for_each(Process::kill);
            driver.await_number("waiting", 0);
            match round {
                0 => before = descriptors(driver.pid()),
                _ => assert!(
                    descriptors(driver.pid()) <= before,
                    "{device}: descriptors leak"
                ),
            }
        }
        // An open that was never accepted is no file.
        let files = if device == "gate:open" { 0 } else { 40 };
        driver.await_number("counts releases", files);
        driver.ask("let");
        open(driver.node()).expect("the device goes on");
        driver.await_number("counts releases", files + 1);
        driver.stop();
    }
    // In the middle of reading, wherever that may be.
    let mut driver = case.device("pattern:1000000").start();
    for _ in 0..20 {
        let before = driver.number("counts reads");
        let client = client::process(case, driver.node(), &["reads", "4096"]);
        fusd_tests::wait::wait_until("it reads", || driver.number("counts reads") > before + 50);
        client.kill();
    }
    driver.await_number("counts releases", 20);
}
