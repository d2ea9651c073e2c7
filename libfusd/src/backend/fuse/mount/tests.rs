//! Real mounts, made and lost in all the ways there are. What is tested as root is tested as an
//! ordinary user too: [`as_an_ordinary_user`] runs the same scenarios through `fusermount3`.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Barrier;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};

use super::testing::Server;
use super::*;

const NODE: &str = "FUSD_TEST_NODE";
const USER_DIR: &str = "FUSD_TEST_USER_DIR";
const DEADLINE: Duration = Duration::from_secs(10);

fn options(path: &Path) -> MountOptions<'_> {
    MountOptions {
        path,
        mode: 0o640,
        max_read: 65536,
        create_parents: false,
    }
}

fn create(path: &Path) -> Result<(OwnedFd, NodeMount)> {
    NodeMount::create(&options(path))
}

/// A node whose server answers.
fn served(path: &Path) -> (Server, NodeMount) {
    let (device, node) = create(path).unwrap();
    (Server::start(device), node)
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
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
fn watchers(path: &Path) -> BTreeSet<i32> {
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

fn is_mounted(path: &Path) -> bool {
    let text = fs::read_to_string("/proc/self/mountinfo").unwrap();
    text.lines()
        .any(|line| line.split(' ').nth(4) == path.to_str())
}

fn is_clean(path: &Path) -> bool {
    !is_mounted(path) && fs::symlink_metadata(path).is_err() && watchers(path).is_empty()
}

fn kill_hard(pid: i32) {
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
}

/// Leaves at `path` what a driver leaves that is killed together with its watcher.
fn abandon(path: &Path) {
    let (server, node) = served(path);
    let pids = watchers(path);
    assert_eq!(pids.len(), 1);
    for pid in pids {
        kill_hard(pid);
    }
    wait_until("the watcher is dead", || watchers(path).is_empty());
    server.stop();
    std::mem::forget(node);
    assert_eq!(
        fs::metadata(path).unwrap_err().raw_os_error(),
        Some(libc::ENOTCONN)
    );
}

/// This test program in a process of its own, running [`holder`].
struct Holder(Child);

impl Holder {
    fn start(path: &Path) -> Self {
        let mut child = again("backend::fuse::mount::tests::holder")
            .env(NODE, path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let held = lines
            .map_while(std::result::Result::ok)
            .any(|line| line.ends_with("HELD"));
        assert!(held, "the child could not make {}", path.display());
        Self(child)
    }

    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn again(test: &str) -> Command {
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

/// Runs one of those above.
fn run_apart(test: &str, path: &Path, word: &str) {
    let test = format!("backend::fuse::mount::tests::{test}");
    let output = again(&test).env(NODE, path).output().unwrap();
    assert!(
        String::from_utf8_lossy(&output.stdout).contains(word),
        "{output:?}"
    );
    wait_until("the node has gone", || is_clean(path));
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_driver_without_rights_has_its_watcher_remove_the_node() {
    let dir = tempfile::tempdir().unwrap();
    // Not even a look is allowed to it then.
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
    run_apart("dropper", &dir.path().join("node"), "DROPPED");
}

// The scenarios.

fn the_driver_never_sees_a_child(dir: &Path) {
    run_apart("parent_of_nobody", &dir.join("childless"), "CHILDLESS");
}

fn nothing_is_left_after_detach(dir: &Path) {
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

fn what_exists_is_not_touched(dir: &Path) {
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

fn a_living_mount_is_refused(dir: &Path) {
    let path = dir.join("living");
    let (_server, _node) = served(&path);
    let start = Instant::now();
    let error = create(&path).err().unwrap();
    assert_eq!(
        (error.kind(), error.errno()),
        (ErrorKind::Node, Errno::EEXIST),
        "{error}"
    );
    assert!(start.elapsed() < Duration::from_millis(900));
    assert!(
        error.to_string().contains("another driver serves it"),
        "{error}"
    );
    assert!(fs::metadata(&path).is_ok());
}

fn a_hanging_mount_is_refused_in_time(dir: &Path) {
    let path = dir.join("hanging");
    let (_device, _node) = create(&path).unwrap();
    let start = Instant::now();
    let error = create(&path).err().unwrap();
    assert_eq!(error.errno(), Errno::EEXIST);
    assert!(start.elapsed() < Duration::from_secs(3));
}

fn a_dead_mount_is_taken_over(dir: &Path) {
    let path = dir.join("dead");
    abandon(&path);
    let (_server, mut node) = served(&path);
    assert!(fs::metadata(&path).is_ok());
    node.detach().unwrap();
    assert!(is_clean(&path));
}

fn a_leftover_placeholder_is_reused(dir: &Path) {
    let path = dir.join("leftover");
    let opened = fs::File::open(dir).unwrap();
    for kind in [Kind::Socket, Kind::File] {
        placeholder::create(std::os::fd::AsFd::as_fd(&opened), c"leftover", kind).unwrap();
        drop(served(&path));
        assert!(is_clean(&path));
    }
}

fn of_many_creators_one_wins(dir: &Path) {
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

fn nothing_is_left_after_kill(dir: &Path) {
    let path = dir.join("killed");
    let holder = Holder::start(&path);
    assert!(is_mounted(&path));
    holder.kill();
    wait_until("the node has gone", || is_clean(&path));
}

fn a_new_driver_survives_the_watcher_of_the_old(dir: &Path) {
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

fn a_kill_in_the_middle_of_creation_leaves_nothing(dir: &Path) {
    const ROUNDS: u32 = 50;
    let path = dir.join("early");
    let start = Instant::now();
    Holder::start(&path).kill();
    let whole = start.elapsed();
    wait_until("the node has gone", || is_clean(&path));
    for part in 0..ROUNDS {
        let mut child = again("backend::fuse::mount::tests::holder")
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

fn made_directories_go_with_the_node(dir: &Path) {
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

fn a_mount_on_top_is_left_alone(dir: &Path) {
    let path = dir.join("stacked");
    let (_device, mut node) = create(&path).unwrap();
    node.site.unmount().unwrap();
    node.site.unlink().unwrap();
    let (_server, _other) = served(&path);
    node.detach().unwrap();
    assert!(is_mounted(&path));
    assert!(fs::metadata(&path).is_ok());
}

fn the_watcher_holds_nothing_and_is_nobodys_child(dir: &Path) {
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

fn a_child_that_lives_on_does_not_keep_the_node(dir: &Path) {
    run_apart("ancestor", &dir.join("inherited"), "SURVIVED");
}

fn a_full_lock_is_an_error_in_time(dir: &Path) {
    let own = dir.join("locked");
    fs::create_dir(&own).unwrap();
    let opened = OwnedFd::from(fs::File::open(&own).unwrap());
    let _lock = DirLock::acquire(&opened, Duration::ZERO).unwrap();
    let start = Instant::now();
    let error = create(&own.join("node")).err().unwrap();
    assert_eq!(error.errno(), Errno::EBUSY);
    assert!(start.elapsed() < Duration::from_secs(4));
    assert_eq!(fs::read_dir(&own).unwrap().count(), 0);
}

/// Lists the scenarios once: a test as root each, and `SCENARIOS` for the ordinary user.
macro_rules! scenarios {
    ($($scenario:ident,)*) => {
        const SCENARIOS: &[fn(&Path)] = &[$($scenario,)*];

        mod as_root {
            $(
                #[test]
                #[ignore = "needs root and /dev/fuse"]
                fn $scenario() {
                    super::$scenario(&tempfile::tempdir().unwrap().path().canonicalize().unwrap());
                }
            )*
        }
    };
}

scenarios! {
    nothing_is_left_after_detach,
    what_exists_is_not_touched,
    a_living_mount_is_refused,
    a_hanging_mount_is_refused_in_time,
    a_dead_mount_is_taken_over,
    a_leftover_placeholder_is_reused,
    of_many_creators_one_wins,
    nothing_is_left_after_kill,
    a_new_driver_survives_the_watcher_of_the_old,
    a_kill_in_the_middle_of_creation_leaves_nothing,
    made_directories_go_with_the_node,
    a_mount_on_top_is_left_alone,
    the_watcher_holds_nothing_and_is_nobodys_child,
    a_full_lock_is_an_error_in_time,
    the_driver_never_sees_a_child,
    making_and_removing_a_node_takes_milliseconds,
    a_stopped_driver_is_alive,
    a_child_that_lives_on_does_not_keep_the_node,
}

/// Runs all scenarios as uid 65534, in a mount namespace where that user may open `/dev/fuse`.
#[test]
#[ignore = "needs root and /dev/fuse"]
fn as_an_ordinary_user() {
    if std::env::var_os(USER_DIR).is_some() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let script = r#"
        set -e
        dir=$1; program=$2; shift 2
        mount -t tmpfs -o mode=755 tmpfs "$dir"
        mkdir -m 777 "$dir/work"
        cp "$program" "$dir/program"
        mknod -m 666 "$dir/fuse" c 10 229
        mount --bind "$dir/fuse" /dev/fuse
        export FUSD_TEST_USER_DIR="$dir/work"
        cd /
        exec setpriv --reuid=65534 --regid=65534 --clear-groups "$dir/program" "$@"
    "#;
    let output = Command::new("unshare")
        .args(["-m", "sh", "-c", script, "sh"])
        .arg(dir.path())
        .arg(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "backend::fuse::mount::tests::scenarios_of_a_user",
        ])
        .args(["--include-ignored", "--nocapture"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{errors}");
    assert!(text.contains("SCENARIOS DONE"), "{text}\n{errors}");
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn scenarios_of_a_user() {
    let Some(dir) = std::env::var_os(USER_DIR).map(PathBuf::from) else {
        return;
    };
    assert!(!geteuid().is_root());
    for scenario in SCENARIOS {
        scenario(&dir);
    }
    let (_device, node) = create(&dir.join("shared")).unwrap();
    assert!(!node.shared());
    println!("SCENARIOS DONE");
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn the_connection_is_not_inherited() {
    let dir = tempfile::tempdir().unwrap();
    let (device, node) = create(&dir.path().join("node")).unwrap();
    let flags = nix::fcntl::fcntl(&device, nix::fcntl::FcntlArg::F_GETFD).unwrap();
    assert_eq!(flags, libc::FD_CLOEXEC, "descriptor {}", device.as_raw_fd());
    assert!(node.shared());
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn one_call_mounts_where_the_calls_that_prepare_a_mount_are_missing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("node");
    let options = options(&path);
    let (parent, name) = parent::split(&path).unwrap();
    let device = open(DEVICE, OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty()).unwrap();
    let prepared = direct::prepare_for_one_call(&device, &options);
    let (mut node, lock) = NodeMount::reserve(&options, &parent, name, None).unwrap();
    let device = node
        .build(Route::Direct(device, prepared), None, &options)
        .unwrap();
    drop(lock);
    let server = Server::start(device);
    assert_eq!(fs::metadata(&path).unwrap().ino(), 1);
    node.detach().unwrap();
    assert!(is_clean(&path));
    server.join();
}

fn making_and_removing_a_node_takes_milliseconds(dir: &Path) {
    let path = dir.join("quick");
    let mut best = (Duration::MAX, Duration::MAX);
    for _ in 0..20 {
        let start = Instant::now();
        let (_device, mut node) = create(&path).unwrap();
        let made = start.elapsed();
        node.detach().unwrap();
        best = best.min((made, start.elapsed() - made));
    }
    println!("made in {:?}, removed in {:?}", best.0, best.1);
    assert!(best.0 + best.1 < Duration::from_millis(100), "{best:?}");
}

fn a_stopped_driver_is_alive(dir: &Path) {
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
