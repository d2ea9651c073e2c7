//! What has to happen in a process of its own: this test program, started again with one test.
//!
//! Started by themselves, as any run of all tests does, these have no node to make and do nothing.

use std::io::{BufRead, BufReader};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::errno::Errno as Raw;

use super::setup::{NODE, create, is_clean, is_mounted, kill_hard, served, wait_until};

/// This test program in a process of its own, running [`holder`].
pub(super) struct Holder(pub(super) Child);

impl Holder {
    pub(super) fn start(path: &Path) -> Self {
        let mut child = again("backend::fuse::mount::tests::apart::holder")
            .env(NODE, path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let held = lines
            .map_while(Result::ok)
            .any(|line| line.ends_with("HELD"));
        assert!(held, "the child could not make {}", path.display());
        Self(child)
    }

    pub(super) fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

pub(super) fn again(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([
        "--exact",
        test,
        "--include-ignored",
        "--nocapture",
        "--test-threads=1",
    ]);
    command
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn holder() {
    let Some(path) = std::env::var_os(NODE) else {
        return;
    };
    let (_server, _node) = served(Path::new(&path));
    println!("HELD");
    // Until the parent has gone.
    let _ = std::io::stdin().read_line(&mut String::new());
}

/// In a process of its own: gives up the rights that the removal needs, and then removes.
#[test]
#[ignore = "needs root and /dev/fuse"]
fn dropper() {
    let Some(path) = std::env::var_os(NODE).map(PathBuf::from) else {
        return;
    };
    let (_server, mut node) = served(&path);
    let (uid, gid) = (
        nix::unistd::Uid::from_raw(65534),
        nix::unistd::Gid::from_raw(65534),
    );
    nix::unistd::setresgid(gid, gid, gid).unwrap();
    nix::unistd::setresuid(uid, uid, uid).unwrap();
    node.detach().unwrap();
    assert!(!is_mounted(&path));
    println!("DROPPED");
}

/// In a process of its own, because others in this one have children.
#[test]
#[ignore = "needs root and /dev/fuse"]
fn parent_of_nobody() {
    use nix::sys::wait::{WaitPidFlag, waitpid};
    let Some(path) = std::env::var_os(NODE).map(PathBuf::from) else {
        return;
    };
    let (device, mut node) = create(&path).unwrap();
    let children = waitpid(None, Some(WaitPidFlag::WNOHANG));
    assert_eq!(children, Err(Raw::ECHILD));
    assert!(create(&path).is_err());
    drop(device);
    node.detach().unwrap();
    println!("CHILDLESS");
}

/// In a process of its own: has a child that goes on with all that a node is made of.
#[test]
#[ignore = "needs root and /dev/fuse"]
fn ancestor() {
    let Some(path) = std::env::var_os(NODE).map(PathBuf::from) else {
        return;
    };
    let (device, node) = create(&path).unwrap();
    let copies = [&device, &node.watcher.as_ref().unwrap().socket]
        .map(|fd| crate::sys::process::above_stdio(fd).unwrap());
    let mut keep = copies.each_ref().map(AsRawFd::as_raw_fd);
    crate::sys::process::spawn_detached(c"fusd-heir", &mut keep, || {
        nix::unistd::alarm::set(20);
        nix::unistd::pause();
    })
    .unwrap();
    println!("SURVIVED");
    kill_hard(i32::try_from(std::process::id()).unwrap());
}

/// Runs one of these in a process of its own, until it says `word` and its node has gone.
pub(super) fn run_apart(test: &str, path: &Path, word: &str) {
    let test = format!("backend::fuse::mount::tests::apart::{test}");
    let output = again(&test).env(NODE, path).output().unwrap();
    assert!(
        String::from_utf8_lossy(&output.stdout).contains(word),
        "{output:?}"
    );
    wait_until("the node has gone", || is_clean(path));
}
