//! Making nodes, and looking for what is left of them.

use std::collections::BTreeSet;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::Result;
use crate::backend::fuse::mount::testing::Server;
use crate::backend::fuse::mount::{MountOptions, NodeMount};

pub(super) const NODE: &str = "FUSD_TEST_NODE";
pub(super) const DEADLINE: Duration = Duration::from_secs(30);

pub(super) fn options(path: &Path) -> MountOptions<'_> {
    MountOptions {
        path,
        mode: 0o640,
        max_read: 65536,
        create_parents: false,
    }
}

pub(super) fn create(path: &Path) -> Result<(OwnedFd, NodeMount)> {
    NodeMount::create(&options(path))
}

/// A node whose server answers.
pub(super) fn served(path: &Path) -> (Server, NodeMount) {
    let (device, node) = create(path).unwrap();
    (Server::start(device), node)
}

pub(super) fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(
            start.elapsed() < DEADLINE,
            "not within {DEADLINE:?}: {what}"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The processes whose title is exactly that of the watcher of `path`.
pub(super) fn watchers(path: &Path) -> BTreeSet<i32> {
    let title = format!("fusd-watch: {}", path.display());
    let is_it = |pid: &i32| {
        let text = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&text).trim_end_matches('\0') == title
    };
    let pids = fs::read_dir("/proc").unwrap().flatten();
    pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(is_it)
        .collect()
}

pub(super) fn is_mounted(path: &Path) -> bool {
    let text = fs::read_to_string("/proc/self/mountinfo").unwrap();
    text.lines()
        .any(|line| line.split(' ').nth(4) == path.to_str())
}

pub(super) fn is_clean(path: &Path) -> bool {
    !is_mounted(path) && fs::symlink_metadata(path).is_err() && watchers(path).is_empty()
}

pub(super) fn kill_hard(pid: i32) {
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
}

/// Leaves at `path` what a driver leaves that is killed together with its watcher.
pub(super) fn abandon(path: &Path) {
    let (server, node) = served(path);
    let pids = watchers(path);
    assert_eq!(pids.len(), 1);
    for pid in pids {
        kill_hard(pid);
    }
    wait_until("the watcher is dead", || watchers(path).is_empty());
    server.stop();
    std::mem::forget(node);
    let errno = fs::metadata(path).unwrap_err().raw_os_error().unwrap();
    let errno = nix::errno::Errno::from_raw(errno);
    assert!(super::super::site::is_dead(errno), "{errno}");
}
