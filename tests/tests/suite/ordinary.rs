//! Rows 1 and 15 for an ordinary user, where the backend lets one make nodes.

use std::path::Path;
use std::process::Command;

use fusd_tests::user::{self, World};
use fusd_tests::{Case, Launch, backend};

/// Whether the backend is for root alone, or a part of it for users is missing; says so.
fn skips(case: &Case) -> bool {
    if !case.backend().serves_users() {
        let reason = "only root can make nodes with this backend";
        return backend::lacks(case.name(), Some(reason.to_owned()));
    }
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

pub(crate) fn row1_an_ordinary_user_makes_a_node(case: &Case) {
    if skips(case) {
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
    if skips(case) {
        return;
    }
    let world = World::open(case);
    let node = case.nodes().join("node");
    let mut driver = launch(case, world.user("conformance-driver"), &node).spawn();
    assert_eq!(driver.wait().code(), Some(1));
    assert!(driver.errors().contains("EACCES"), "{}", driver.errors());
    assert!(world.mounts().is_empty());

    let without = World::plain(case);
    let node = without.directory("mine").join("node");
    let mut driver = launch(case, without.user("conformance-driver"), &node).spawn();
    assert_eq!(driver.wait().code(), Some(1));
    let said = driver.errors();
    assert!(
        said.contains("/dev/fuse") && said.contains("EACCES"),
        "{said}"
    );
    assert!(!node.exists(), "nothing was made");
}
