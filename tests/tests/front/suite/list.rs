//! `fusd list`.

use std::fs;

use fusd_tests::user::{self, World};
use fusd_tests::{Backend, Case, Launch, client, leftovers};
use nix::mount::{MntFlags, umount2};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::helper::{echo, end, fusd, listed, patience};

pub(crate) fn drivers_clients_and_counters(case: &Case) {
    let driver = echo(case).start();
    let file = client::open_with(driver.node(), nix::fcntl::OFlag::O_RDONLY).expect("open");
    assert_eq!(file.read(5).expect("read"), b"Hello");
    let list = fusd(case, &["list", "--json"]).with(0);
    let device = listed(&list.out, driver.node()).expect("the device is listed");
    assert_eq!(device["backend"], case.backend().name());
    assert_eq!(device["state"], "served");
    assert_eq!(device["driver"]["pid"], driver.pid(), "{device}");
    assert_eq!(device["driver"]["program"], "fusd-echo");
    assert_eq!(device["driver"]["uid"], 0);
    let clients = device["clients"].as_array().expect("an array");
    let own = clients
        .iter()
        .any(|client| client["pid"] == std::process::id());
    assert!(own, "{device}");
    let is_driver = |client: &serde_json::Value| client["pid"] == driver.pid();
    assert!(!clients.iter().any(is_driver), "{device}");
    if case.backend() == Backend::Kfusd {
        let counters = &device["counters"];
        assert_eq!(counters["files"], 1, "{device}");
        assert_eq!(counters["bytes"], 5, "{device}");
        assert!(counters["served"].as_u64() >= Some(2), "{device}");
    } else {
        assert!(device["counters"].is_null(), "{device}");
    }
    let text = fusd(case, &["list"]).with(0).out;
    let node = driver.node().to_str().expect("UTF-8");
    let line = text.lines().find(|line| line.starts_with(node));
    let line = line.unwrap_or_else(|| panic!("{node} is not in {text}"));
    assert!(
        line.contains(&format!("fusd-echo({})", driver.pid())),
        "{text}"
    );
    drop(file);
    let gone = driver.node().to_owned();
    driver.stop();
    let list = fusd(case, &["list", "--json"]).with(0);
    assert!(listed(&list.out, &gone).is_none(), "{}", list.out);
}

pub(crate) fn no_device_is_said(case: &Case) {
    // No mount of another test is there, and no kernel module.
    let script = "mount -t tmpfs tmpfs /dev; mount -t tmpfs tmpfs /sys; \
                  umount -l -a -t fuse.fusd; exec \"$0\" list";
    let program = fusd_tests::binaries::find("fusd");
    let mut command = case.command("unshare");
    command.args(["--mount", "sh", "-c", script]).arg(program);
    let list = end(&mut command).with(0);
    assert_eq!(list.out, "There are no devices of fusd here.\n");
}

pub(crate) fn a_dead_mount_is_told_from_a_live_one(case: &Case) {
    let driver = echo(case).start();
    let node = driver.node().to_owned();
    let watchers = leftovers::processes(case.token())
        .filter(|(_, name)| name.starts_with("fusd-watch"))
        .map(|(pid, _)| pid);
    let watchers: Vec<i32> = watchers.collect();
    assert_eq!(watchers.len(), 1, "a watcher is there");
    kill(Pid::from_raw(watchers[0]), Signal::SIGKILL).expect("kill");
    fusd_tests::wait::wait_until("the watcher has gone", || {
        !leftovers::processes(case.token()).any(|(pid, _)| pid == watchers[0])
    });
    let list = fusd(case, &["list", "--json"]).with(0);
    let device = listed(&list.out, &node).expect("the device is listed");
    assert_eq!(
        device["state"], "unknown",
        "nobody tells who serves it: {device}"
    );
    driver.kill();
    let list = fusd(case, &["list", "--json"]).with(0);
    let device = listed(&list.out, &node).expect("its mount is left");
    assert_eq!(device["state"], "dead", "{device}");
    let shown = node.to_str().expect("UTF-8");
    let report = fusd(case, &["doctor"]).with(0).out;
    assert!(
        report.contains("left behind") && report.contains(shown),
        "{report}"
    );
    let refused = fusd(case, &["kill", shown]).with(1);
    let hint = format!("fusermount3 -uz {shown}");
    assert!(refused.err.contains(&hint), "{}", refused.err);
    umount2(&node, MntFlags::MNT_DETACH).expect("umount");
    fs::remove_file(&node).expect("the placeholder");
}

pub(crate) fn a_user_sees_his_own(case: &Case) {
    if fusd_tests::backend::skips(case.name(), case.backend(), user::missing()) {
        return;
    }
    let world = World::open(case);
    let node = world.runtime().join("fusd/hello");
    let driver = Launch::new(case, world.user("fusd-echo"), &node)
        .args(["--name", "hello", "Hello!"])
        .unseen()
        .start();
    let list = end(world.user("fusd").args(["list", "--json"])).with(0);
    let device = listed(&list.out, &node).expect("the device is listed");
    assert_eq!(device["driver"]["pid"], driver.pid(), "{device}");
    let ended = end(world.user("fusd").args(["kill", &patience(), "hello"])).with(0);
    assert_eq!(ended.out, format!("{} has gone\n", node.display()));
    let mut driver = driver;
    assert!(driver.wait().success());
    world.await_clean(&world.runtime());
}
