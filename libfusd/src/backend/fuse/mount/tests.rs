//! Real mounts, made and lost in all the ways there are. What is tested as root is tested as an
//! ordinary user too: [`as_an_ordinary_user`] runs the same scenarios through `fusermount3`.

mod apart;
mod scenarios;
mod setup;

use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::geteuid;

use self::setup::{create, is_clean, options};
use super::testing::Server;
use super::*;

const USER_DIR: &str = "FUSD_TEST_USER_DIR";

/// Lists the scenarios once: a test as root each, and `SCENARIOS` for the ordinary user.
macro_rules! scenarios {
    ($($scenario:ident,)*) => {
        const SCENARIOS: &[fn(&Path)] = &[$(scenarios::$scenario,)*];

        mod as_root {
            $(
                #[test]
                #[ignore = "needs root and /dev/fuse"]
                fn $scenario() {
                    super::scenarios::$scenario(&tempfile::tempdir().unwrap().path().canonicalize().unwrap());
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

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_driver_without_rights_has_its_watcher_remove_the_node() {
    let dir = tempfile::tempdir().unwrap();
    // Not even a look is allowed to it then.
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
    apart::run_apart("dropper", &dir.path().join("node"), "DROPPED");
}
