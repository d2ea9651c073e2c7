//! Row 11: drivers that wait for themselves; and row 13, where they do not.

use std::path::Path;

use fusd_tests::client::{Outcome, open};
use fusd_tests::driver::Driver;
use fusd_tests::wait::start;
use fusd_tests::{Ability, Case};
use nix::errno::Errno;

/// A driver at the node `node` whose handlers read the node `next`.
fn circle(case: &Case, node: &str, next: &str, workers: &str) -> Driver {
    let next = case.node(next);
    let device = format!("circle:{}", next.display());
    let driver = case.device_at(&device, node).arg("--workers").arg(workers);
    driver.start()
}

/// What a read of the node gives.
fn read(node: &Path) -> Outcome<Vec<u8>> {
    let node = node.to_owned();
    start(move || open(&node)?.read(64)).wait()
}

pub(crate) fn row11_a_driver_of_its_own_device_is_told(case: &Case) {
    if case.lacks(Ability::Deadlock) {
        return;
    }
    let driver = circle(case, "node", "node", "1");
    for _ in 0..3 {
        assert_eq!(read(driver.node()), Err(Errno::EDEADLK));
    }
}

pub(crate) fn row11_many_workers_that_all_wait_are_told(case: &Case) {
    if case.lacks(Ability::Deadlock) {
        return;
    }
    let mut driver = circle(case, "node", "node", "3");
    assert_eq!(read(driver.node()), Err(Errno::EDEADLK));
    // Each of the three has read, and the third could not even open.
    assert_eq!(driver.number("counts reads"), 3);
    assert_eq!(driver.number("counts opens"), 3);
}

pub(crate) fn row11_a_circle_of_drivers_is_told(case: &Case) {
    if case.lacks(Ability::Deadlock) {
        return;
    }
    let mut drivers = [("node", "b"), ("b", "c"), ("c", "node")]
        .map(|(node, next)| circle(case, node, next, "1"));
    // Wherever one enters it.
    for driver in &drivers {
        assert_eq!(read(driver.node()), Err(Errno::EDEADLK));
    }
    for driver in &mut drivers {
        assert_eq!(driver.number("counts reads"), 3);
    }
}

pub(crate) fn row11_free_workers_of_one_driver_are_of_no_use_to_another(case: &Case) {
    if case.lacks(Ability::Deadlock) {
        return;
    }
    let mut narrow = circle(case, "node", "b", "1");
    let mut wide = circle(case, "b", "node", "16");
    for round in 1..=5 {
        assert_eq!(read(narrow.node()), Err(Errno::EDEADLK));
        // Whichever thread of it takes the second read, the narrow one waits for that.
        assert_eq!(read(wide.node()), Err(Errno::EDEADLK));
        assert_eq!(narrow.number("counts reads"), 2 * round);
        assert_eq!(wide.number("counts reads"), 3 * round);
    }
}

pub(crate) fn row13_a_handler_calls_its_own_device(case: &Case) {
    let node = case.node("node");
    let device = format!("circle:once,{}", node.display());
    let driver = case.device(&device).arg("--workers").arg("2").start();
    for _ in 0..20 {
        assert_eq!(read(driver.node()).as_deref(), Ok(&b"end"[..]));
    }
}
