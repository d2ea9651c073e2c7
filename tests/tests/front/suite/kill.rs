//! `fusd kill`.

use std::fs;
use std::os::unix::process::ExitStatusExt;

use fusd_tests::Case;
use fusd_tests::user::World;
use fusd_tests::wait::wait_until;

use crate::helper::{echo, end, fusd, patience};

pub(crate) fn the_driver_ends_and_the_node_goes(case: &Case) {
    let mut driver = echo(case).start();
    let node = driver.node().to_owned();
    let shown = node.to_str().expect("UTF-8");
    // By its name, where it has one.
    let name = shown.strip_prefix("/dev/").unwrap_or(shown);
    let ended = fusd(case, &["kill", &patience(), name]).with(0);
    assert_eq!(ended.out, format!("{shown} has gone\n"));
    assert!(driver.wait().success(), "it was asked, and not killed");
    assert!(!node.exists());
}

pub(crate) fn what_does_not_end_is_said_and_killed_by_force(case: &Case) {
    let mut driver = echo(case).start();
    let node = driver.node().to_str().expect("UTF-8").to_owned();
    driver.suspend();
    let refused = fusd(case, &["kill", "--timeout", "50ms", &node]).with(1);
    let says = format!("fusd-echo({}) still serves it", driver.pid());
    assert!(refused.err.contains(&says), "{}", refused.err);
    assert!(refused.err.contains("--force"), "{}", refused.err);
    let words = ["kill", "--force", "--timeout", "50ms", &node];
    let ended = fusd(case, &words);
    // What is killed needs a moment of its own, which may be longer here.
    let in_time = ended.code == Some(0) && ended.out == format!("{node} has gone\n");
    assert!(
        in_time || ended.err.contains("still serves it"),
        "{ended:?}"
    );
    wait_until("the killed driver's node has gone", || {
        fs::symlink_metadata(&node).is_err()
    });
    assert_eq!(driver.wait().signal(), Some(9));
}

pub(crate) fn what_is_no_device_is_refused(case: &Case) {
    let driver = echo(case).start();
    let node = driver.node().to_str().expect("UTF-8").to_owned();
    let file = case.file("file", b"precious");
    let file = file.to_str().expect("UTF-8");
    for other in ["/dev/null", file, "no-such-device"] {
        let refused = fusd(case, &["kill", &node, other]).with(1);
        assert!(refused.err.contains("no device of fusd"), "{}", refused.err);
        assert!(refused.err.contains(other), "{}", refused.err);
        assert_eq!(refused.out, "");
    }
    assert_eq!(
        fs::read(&node).expect("it is still served"),
        b"Hello, world!\n"
    );
    driver.stop();
}

pub(crate) fn a_user_cannot_end_what_is_roots(case: &Case) {
    let driver = echo(case).start();
    let node = driver.node().to_str().expect("UTF-8").to_owned();
    // It has the mounts that are there when it is made.
    let world = World::open(case);
    let refused = end(world.user("fusd").args(["kill", &node])).with(77);
    assert!(refused.err.contains("run as root"), "{}", refused.err);
    driver.stop();
}
