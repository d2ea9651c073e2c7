//! Rows 1 and 15 for an ordinary user.

use std::path::Path;
use std::process::Command;

use fusd_tests::user::{self, World};
use fusd_tests::{Ability, Backend, Case, Launch, backend};

/// Whether what users need to mount is missing; says so.
fn skips(case: &Case) -> bool {
    backend::skips(case.name(), case.backend(), user::missing())
}

fn launch(case: &Case, command: Command, node: &Path) -> Launch {
    Launch::new(case, command, node)
        .args([
            "--device",
            "memory",
            "--backend",
            case.backend().name(),
            "--path",
        ])
        .arg(node)
        .unseen()
}

/// Starts a driver that must not come up; gives what it says.
fn refused(case: &Case, command: Command, node: &Path) -> String {
    let mut driver = launch(case, command, node).spawn();
    assert_eq!(driver.wait().code(), Some(1), "{}", driver.errors());
    driver.errors()
}

pub(crate) fn row1_an_ordinary_user_makes_a_node(case: &Case) {
    if case.lacks(Ability::Users) || skips(case) {
        return;
    }
    let world = World::open(case);
    let directory = world.directory("mine");
    let node = directory.join("node");
    for kill in [false, true, true, false] {
        let driver = launch(case, world.user("conformance-driver"), &node).start();
        assert_eq!(world.mounts(), std::slice::from_ref(&node));
        let script = "echo text > \"$0\" && cat \"$0\"";
        let output = world
            .user("sh")
            .args(["-c", script])
            .arg(&node)
            .output()
            .expect("sh");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        assert_eq!(output.stdout, b"text\n");
        if kill {
            driver.kill();
        } else {
            driver.stop();
        }
        world.await_clean(&directory);
    }
}

pub(crate) fn row15_no_permission_is_said_before_anything_is_made(case: &Case) {
    if case.backend().has(Ability::Users) {
        if skips(case) {
            return;
        }
        let world = World::open(case);
        let node = case.nodes().join("node");
        let said = refused(case, world.user("conformance-driver"), &node);
        assert!(said.contains("EACCES"), "{said}");
        assert!(world.mounts().is_empty());
    }
    let without = World::plain(case);
    let own = without.directory("mine");
    // A path of the user's own, or one for which the backend is asked first.
    let (node, device) = match case.backend() {
        Backend::Fuse => (own.join("node"), "/dev/fuse"),
        Backend::Cuse => (case.node("node"), "/dev/cuse"),
        Backend::Kfusd => (case.node("node"), "/dev/fusd/control"),
    };
    let said = refused(case, without.user("conformance-driver"), &node);
    assert!(said.contains(device) && said.contains("EACCES"), "{said}");
    assert!(!node.exists(), "nothing was made");
}
