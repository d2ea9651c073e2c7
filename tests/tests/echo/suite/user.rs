//! An ordinary user, who mounts with the help of fusermount3. The user's view of the machine is
//! one of its own, in which /dev/fuse is open to everybody.

use std::fs;
use std::path::Path;

use crate::helper::run;
use fusd_tests::user::{self, World};
use fusd_tests::wait::wait_until;
use fusd_tests::{Case, Driver, Launch};
use nix::errno::Errno;
use nix::sys::signal::Signal;

/// Whether fusermount3 is missing; says so.
fn skips(case: &Case) -> bool {
    fusd_tests::backend::skips(case.name(), case.backend(), user::missing())
}

fn echo(case: &Case, world: &World<'_>, node: &Path, words: &[&str]) -> Launch {
    Launch::new(case, world.user("fusd-echo"), node)
        .args(words)
        .unseen()
}

/// The node's content as its user gets it.
fn content(world: &World<'_>, driver: &Driver) -> String {
    let output = run(world.user("cat").arg(driver.node()));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn by_name_in_the_runtime_directory(case: &Case) {
    if skips(case) {
        return;
    }
    let world = World::open(case);
    let node = world.runtime().join("fusd/hello");
    let driver = echo(case, &world, &node, &["--name", "hello", "Hello, world!"]).start();
    assert_eq!(
        world.mounts(),
        std::slice::from_ref(&node),
        "a mount of fusd serves it"
    );
    driver.await_error(node.to_str().expect("UTF-8"));
    for _ in 0..3 {
        assert_eq!(content(&world, &driver), "Hello, world!\n");
    }
    driver.stop();
    assert!(world.mounts().is_empty());
    world.await_clean(&world.runtime());
}

pub(crate) fn by_path_and_killed(case: &Case) {
    if skips(case) {
        return;
    }
    let world = World::open(case);
    let directory = world.directory("mine");
    let node = directory.join("node");
    let words = ["--path", node.to_str().expect("UTF-8"), "text"];
    for _ in 0..10 {
        let driver = echo(case, &world, &node, &words).start();
        assert_eq!(world.mounts(), std::slice::from_ref(&node));
        assert_eq!(content(&world, &driver), "text\n");
        driver.kill();
    }
    world.await_clean(&directory);
    let mut driver = echo(case, &world, &node, &words).start();
    driver.stop_by(Signal::SIGINT);
    world.await_clean(&directory);
}

pub(crate) fn a_users_dead_mount_is_taken_over(case: &Case) {
    if skips(case) {
        return;
    }
    let world = World::open(case);
    let directory = world.directory("mine");
    let node = directory.join("node");
    let words = ["--path", node.to_str().expect("UTF-8"), "text"];
    let driver = echo(case, &world, &node, &words).start();
    let watchers = fusd_tests::leftovers::processes(case.token())
        .filter(|(_, name)| name.starts_with("fusd-watch"))
        .map(|(pid, _)| pid);
    let watchers: Vec<_> = watchers.collect();
    assert!(!watchers.is_empty(), "a watcher is there");
    for pid in watchers {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), Signal::SIGKILL).expect("kill");
    }
    driver.kill();
    assert_eq!(world.mounts().len(), 1, "nobody cleans up");
    let driver = echo(case, &world, &node, &words).start();
    assert_eq!(content(&world, &driver), "text\n");
    driver.stop();
    world.await_clean(&directory);
}

pub(crate) fn other_users_nodes_are_not_theirs(case: &Case) {
    if skips(case) {
        return;
    }
    let world = World::open(case);
    let directory = world.directory("mine");
    fs::set_permissions(
        &directory,
        std::os::unix::fs::PermissionsExt::from_mode(0o777),
    )
    .expect("chmod");
    let node = directory.join("node");
    let words = [
        "--path",
        node.to_str().expect("UTF-8"),
        "--owner",
        "1",
        "text",
    ];
    let mut driver = echo(case, &world, &node, &words).spawn();
    assert_eq!(driver.wait().code(), Some(77), "{}", driver.errors());
    assert!(
        driver.errors().contains(&format!("{:?}", Errno::EPERM)),
        "{}",
        driver.errors()
    );
    wait_until("nothing is there", || {
        fs::read_dir(&directory).is_ok_and(|mut entries| entries.next().is_none())
    });
}
