//! What can happen to a node; each in a directory that the caller gives.

use std::collections::BTreeSet;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Stdio;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::apart::{Holder, again, run_apart};
use super::setup::*;
use crate::backend::fuse::mount::testing::Server;
use crate::backend::fuse::mount::*;

pub(super) fn the_driver_never_sees_a_child(dir: &Path) {
    run_apart("parent_of_nobody", &dir.join("childless"), "CHILDLESS");
}

pub(super) fn nothing_is_left_after_detach(dir: &Path) {
    let path = dir.join("plain");
    let (server, mut node) = served(&path);
    assert_eq!(node.path(), path);
    let found = fs::metadata(&path).unwrap();
    assert!(found.is_file());
    assert_eq!(found.ino(), 1);
    assert_eq!(watchers(&path).len(), 1);
    node.detach().unwrap();
    assert!(is_clean(&path));
    node.detach().unwrap();
    // The kernel has closed the connection.
    server.join();

    drop(served(&path).1);
    assert!(is_clean(&path));
}

pub(super) fn what_exists_is_not_touched(dir: &Path) {
    let file = dir.join("file");
    fs::write(&file, "precious").unwrap();
    let empty = dir.join("empty");
    fs::write(&empty, "").unwrap();
    let link = dir.join("link");
    symlink("nowhere", &link).unwrap();
    let sub = dir.join("sub");
    fs::create_dir(&sub).unwrap();
    let socket = dir.join("socket");
    let _listener = UnixListener::bind(&socket).unwrap();
    for (path, what) in [
        (&file, "a file is there"),
        (&empty, "a file is there"),
        (&link, "a symbolic link is there"),
        (&sub, "a directory is there"),
        (&socket, "a socket is there"),
    ] {
        let before = fs::symlink_metadata(path).unwrap();
        let error = create(path).err().unwrap();
        assert_eq!(
            (error.kind(), error.errno()),
            (ErrorKind::Node, Errno::EEXIST)
        );
        assert!(error.to_string().contains(what), "{error}");
        let after = fs::symlink_metadata(path).unwrap();
        assert_eq!(
            (before.ino(), before.ctime_nsec()),
            (after.ino(), after.ctime_nsec())
        );
        assert!(watchers(path).is_empty());
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
}

pub(super) fn a_living_mount_is_refused(dir: &Path) {
    let path = dir.join("living");
    let (_server, _node) = served(&path);
    let refused = || {
        let start = Instant::now();
        let error = create(&path).err().unwrap();
        assert_eq!(
            (error.kind(), error.errno()),
            (ErrorKind::Node, Errno::EEXIST),
            "{error}"
        );
        assert!(
            error.to_string().contains("another driver serves it"),
            "{error}"
        );
        start.elapsed()
    };
    // Not by waiting for the end of a time, which would take a second each time.
    let at_once = Duration::from_millis(900);
    assert!((0..5).any(|_| refused() < at_once));
    assert!(fs::metadata(&path).is_ok());
}

pub(super) fn a_hanging_mount_is_refused_in_time(dir: &Path) {
    let path = dir.join("hanging");
    let (_device, _node) = create(&path).unwrap();
    let start = Instant::now();
    let error = create(&path).err().unwrap();
    assert_eq!(error.errno(), Errno::EEXIST);
    assert!(start.elapsed() < DEADLINE);
}

pub(super) fn a_dead_mount_is_taken_over(dir: &Path) {
    let path = dir.join("dead");
    abandon(&path);
    let (_server, mut node) = served(&path);
    assert!(fs::metadata(&path).is_ok());
    node.detach().unwrap();
    assert!(is_clean(&path));
}

pub(super) fn a_leftover_placeholder_is_reused(dir: &Path) {
    let path = dir.join("leftover");
    let opened = fs::File::open(dir).unwrap();
    for kind in [Kind::Socket, Kind::File] {
        placeholder::create(std::os::fd::AsFd::as_fd(&opened), c"leftover", kind).unwrap();
        drop(served(&path));
        assert!(is_clean(&path));
    }
}

pub(super) fn of_many_creators_one_wins(dir: &Path) {
    for round in 0..5 {
        let path = dir.join(format!("race{round}"));
        let barrier = Barrier::new(4);
        let results: Vec<_> = std::thread::scope(|scope| {
            let racers: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        barrier.wait();
                        create(&path).map(|(device, node)| (Server::start(device), node))
                    })
                })
                .collect();
            racers
                .into_iter()
                .map(|racer| racer.join().unwrap())
                .collect()
        });
        let (won, lost): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
        assert_eq!(won.len(), 1);
        for error in lost.into_iter().filter_map(Result::err) {
            assert_eq!(
                (error.kind(), error.errno()),
                (ErrorKind::Node, Errno::EEXIST),
                "{error}"
            );
        }
        assert!(is_mounted(&path));
        drop(won);
        assert!(is_clean(&path));
    }
}

pub(super) fn nothing_is_left_after_kill(dir: &Path) {
    let path = dir.join("killed");
    let holder = Holder::start(&path);
    assert!(is_mounted(&path));
    holder.kill();
    wait_until("the node has gone", || is_clean(&path));
}

pub(super) fn a_new_driver_survives_the_watcher_of_the_old(dir: &Path) {
    let path = dir.join("again");
    for _ in 0..50 {
        Holder::start(&path).kill();
        let (_server, mut node) = served(&path);
        // The old watcher has at most waited for our lock: let it end before looking.
        wait_until("the old watcher has gone", || watchers(&path).len() == 1);
        assert!(is_mounted(&path));
        assert!(fs::metadata(&path).is_ok());
        node.detach().unwrap();
        assert!(is_clean(&path));
    }
}

pub(super) fn a_kill_in_the_middle_of_creation_leaves_nothing(dir: &Path) {
    const ROUNDS: u32 = 50;
    let path = dir.join("early");
    let start = Instant::now();
    Holder::start(&path).kill();
    let whole = start.elapsed();
    wait_until("the node has gone", || is_clean(&path));
    for part in 0..ROUNDS {
        let mut child = again("backend::fuse::mount::tests::apart::holder")
            .env(NODE, &path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // Not a wait for anything: the moment of the kill is what is varied.
        std::thread::sleep(whole * part / ROUNDS);
        child.kill().unwrap();
        child.wait().unwrap();
        wait_until("the node has gone", || is_clean(&path));
    }
}

pub(super) fn made_directories_go_with_the_node(dir: &Path) {
    let path = dir.join("a/b/node");
    let create = || {
        NodeMount::create(&MountOptions {
            create_parents: true,
            ..options(&path)
        })
    };
    let (_device, mut node) = create().unwrap();
    assert_eq!(fs::metadata(dir.join("a/b")).unwrap().mode() & 0o777, 0o755);
    node.detach().unwrap();
    assert!(!dir.join("a").exists());

    let (_device, mut node) = create().unwrap();
    fs::write(dir.join("a/other"), "").unwrap();
    node.detach().unwrap();
    assert!(!dir.join("a/b").exists());
    assert!(dir.join("a/other").exists());
}

pub(super) fn a_mount_on_top_is_left_alone(dir: &Path) {
    let path = dir.join("stacked");
    let (_device, mut node) = create(&path).unwrap();
    node.site.unmount().unwrap();
    node.site.unlink().unwrap();
    let (_server, _other) = served(&path);
    node.detach().unwrap();
    assert!(is_mounted(&path));
    assert!(fs::metadata(&path).is_ok());
}

pub(super) fn the_watcher_holds_nothing_and_is_nobodys_child(dir: &Path) {
    let path = dir.join("watched");
    let (_device, _node) = create(&path).unwrap();
    let pid = *watchers(&path).first().unwrap();
    let mut held = BTreeSet::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten() {
        let target = fs::read_link(entry.path()).unwrap();
        let target = target.to_str().unwrap();
        held.insert(target.split(':').next().unwrap().to_owned());
    }
    let wanted = ["/dev/null", "anon_inode", "socket", dir.to_str().unwrap()].map(String::from);
    assert_eq!(held, BTreeSet::from(wanted));
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    assert!(stat.contains("(fusd-watch)"), "{stat}");
    let after_name = stat.rsplit_once(") ").unwrap().1;
    let parent = after_name.split(' ').nth(1).unwrap();
    assert_ne!(parent, std::process::id().to_string());
}

pub(super) fn a_child_that_lives_on_does_not_keep_the_node(dir: &Path) {
    run_apart("ancestor", &dir.join("inherited"), "SURVIVED");
}

pub(super) fn a_full_lock_is_an_error_in_time(dir: &Path) {
    let own = dir.join("locked");
    fs::create_dir(&own).unwrap();
    let opened = OwnedFd::from(fs::File::open(&own).unwrap());
    let _lock = DirLock::acquire(&opened, Duration::ZERO).unwrap();
    let start = Instant::now();
    let error = create(&own.join("node")).err().unwrap();
    assert_eq!(error.errno(), Errno::EBUSY);
    assert!(start.elapsed() < LOCK_PATIENCE + Duration::from_secs(5));
    assert_eq!(fs::read_dir(&own).unwrap().count(), 0);
}

pub(super) fn a_stopped_driver_is_alive(dir: &Path) {
    let path = dir.join("stopped");
    let holder = Holder::start(&path);
    let pid = Pid::from_raw(i32::try_from(holder.0.id()).unwrap());
    kill(pid, Signal::SIGSTOP).unwrap();
    let error = create(&path).err().unwrap();
    assert_eq!(error.errno(), Errno::EEXIST, "{error}");
    kill(pid, Signal::SIGCONT).unwrap();
    assert!(fs::metadata(&path).is_ok());
    holder.kill();
    wait_until("the node has gone", || is_clean(&path));
}
