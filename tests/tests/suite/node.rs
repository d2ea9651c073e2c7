//! Rows 1 and 15: the node comes and goes, and nothing else is touched.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;

use fusd_tests::client::open;
use fusd_tests::wait::{start, wait_until};
use fusd_tests::{Case, Driver};
use nix::errno::Errno;
use nix::sys::signal::Signal;

pub(crate) fn row1_the_node_has_its_mode_and_owner(case: &Case) {
    for (mode, owner) in [
        (0o640, 12345),
        (0o600, 0),
        (0o666, 65534),
        (0o000, 7),
        (0o4755, 1),
    ] {
        let driver = case
            .device("memory")
            .args([
                "--mode",
                &format!("{mode:o}"),
                "--owner",
                &owner.to_string(),
            ])
            .start();
        let status = fs::metadata(driver.node()).expect("stat");
        assert_eq!(status.permissions().mode() & 0o7777, mode);
        assert_eq!((status.uid(), status.gid()), (owner, owner));
        driver.stop();
        assert_eq!(open(&case.node("node")).unwrap_err(), Errno::ENOENT);
    }
}

/// Whether the ordinary user 4711 of the groups 4711 and `group` can read the node.
fn readable(case: &Case, node: &Path, uid: u32, group: u32) -> bool {
    let output = case
        .command("setpriv")
        .args([
            &format!("--reuid={uid}"),
            &format!("--regid={group}"),
            "--clear-groups",
            "cat",
        ])
        .arg(node)
        .output()
        .expect("setpriv");
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(errors.contains("Permission denied"), "{errors}");
    }
    output.status.success()
}

pub(crate) fn row1_the_mode_decides_who_may_open(case: &Case) {
    let device = |mode| {
        case.device("memory")
            .args(["--mode", mode, "--owner", "4711"])
            .start()
    };
    for (mode, owner, group, others) in [
        ("0600", true, false, false),
        ("0640", true, true, false),
        ("0666", true, true, true),
        ("0060", false, true, false),
    ] {
        let driver = device(mode);
        let found = [(4711, 100), (100, 4711), (100, 100)]
            .map(|(uid, gid)| readable(case, driver.node(), uid, gid));
        assert_eq!(found, [owner, group, others], "mode {mode}");
        driver.stop();
    }
}

pub(crate) fn row1_mode_and_owner_can_be_changed(case: &Case) {
    let driver = case.device("memory").start();
    fs::set_permissions(driver.node(), fs::Permissions::from_mode(0o604)).expect("chmod");
    chown(driver.node(), Some(11), Some(22)).expect("chown");
    let status = fs::metadata(driver.node()).expect("stat");
    assert_eq!(status.permissions().mode() & 0o7777, 0o604);
    assert_eq!((status.uid(), status.gid()), (11, 22));
    assert!(
        !readable(case, driver.node(), 99, 22),
        "the new mode is in force"
    );
    assert!(readable(case, driver.node(), 99, 99));
}

pub(crate) fn row1_the_node_is_gone_however_the_driver_ends(case: &Case) {
    let endings: [fn(&mut Driver); 5] = [
        |driver| driver.stop_by(Signal::SIGTERM),
        |driver| driver.stop_by(Signal::SIGINT),
        |driver| {
            driver.ask("stop");
            assert!(driver.wait().success());
        },
        |driver| {
            driver.signal(Signal::SIGKILL);
            driver.wait();
        },
        |driver| {
            driver.signal(Signal::SIGABRT);
            driver.wait();
        },
    ];
    for end in endings {
        let mut driver = case.device("memory").start();
        let file = open(driver.node()).expect("the node is there");
        end(&mut driver);
        wait_until("the node is gone", || {
            open(driver.node()).err() == Some(Errno::ENOENT)
        });
        drop(file);
        case.check();
    }
}

pub(crate) fn row1_signals_to_the_whole_group_leave_nothing(case: &Case) {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGKILL] {
        let mut driver = case.device("memory").in_own_group().start();
        // As Ctrl-C at a terminal, or a supervisor that kills all it has started.
        driver.signal_group(signal);
        let status = driver.wait();
        assert_eq!(
            status.success(),
            signal != Signal::SIGKILL,
            "{signal}: {status}"
        );
        wait_until("the node is gone", || {
            open(driver.node()).err() == Some(Errno::ENOENT)
        });
        case.check();
    }
}

pub(crate) fn row1_a_restart_takes_the_same_place_at_once(case: &Case) {
    for _ in 0..20 {
        let driver = case.device("memory").start();
        let file = open(driver.node()).expect("open");
        driver.kill();
        // A client of the dead driver is still there, and so may be its mount.
        let driver = case.device("memory").start();
        open(driver.node())
            .expect("open of the new driver")
            .write(b"x")
            .expect("write");
        drop(file);
        driver.stop();
    }
}

pub(crate) fn row1_one_driver_serves_several_nodes(case: &Case) {
    let beside = ["second", "third"].map(|name| case.node(name));
    let endings: [fn(Driver); 2] = [Driver::stop, Driver::kill];
    for end in endings {
        let mut launch = case.device("blocking");
        for node in &beside {
            launch = launch.arg("--beside").arg(node.to_str().expect("UTF-8"));
        }
        let mut driver = launch.start();
        // A device whose handler does not come back holds up no other.
        let file = open(driver.node()).expect("open");
        let reader = start(move || file.read(1));
        driver.await_number("inside", 1);
        for (node, text) in beside.iter().zip(["two", "three"]) {
            open(node)
                .expect("open")
                .write(text.as_bytes())
                .expect("write");
        }
        for (node, text) in beside.iter().zip(["two", "three"]) {
            let file = open(node).expect("open");
            assert_eq!(file.read(9).expect("read"), text.as_bytes());
        }
        let main = driver.node().to_owned();
        driver.ask("let");
        assert_eq!(reader.wait(), Ok(b"0".to_vec()));
        end(driver);
        for node in beside.iter().chain([&main]) {
            wait_until("the node is gone", || {
                open(node).err() == Some(Errno::ENOENT)
            });
        }
        case.check();
    }
}

/// Starts a driver that must not come up; gives what it says.
fn refused(case: &Case, node: &Path) -> String {
    let mut driver = case
        .device_at("memory", node.to_str().expect("UTF-8"))
        .spawn();
    let status = driver.wait();
    assert_eq!(status.code(), Some(1), "{}", driver.errors());
    driver.errors()
}

pub(crate) fn row15_nothing_that_exists_is_touched(case: &Case) {
    let [file, directory, link] = ["file", "directory", "link"].map(|name| case.node(name));
    fs::write(&file, b"precious").expect("write");
    let before = fs::metadata(&file).expect("stat");
    fs::create_dir(&directory).expect("mkdir");
    symlink("nowhere", &link).expect("symlink");
    for there in [&file, &directory, &link] {
        let said = refused(case, there);
        assert!(said.contains("EEXIST"), "{}: {said}", there.display());
        assert!(
            said.contains(there.to_str().expect("UTF-8")),
            "names the place: {said}"
        );
    }
    let after = fs::metadata(&file).expect("stat");
    assert_eq!(fs::read(&file).expect("read"), b"precious");
    assert_eq!((before.ino(), before.mode()), (after.ino(), after.mode()));
    assert_eq!(
        fs::read_link(&link).expect("still a link"),
        Path::new("nowhere")
    );
    assert!(
        fs::read_dir(&directory)
            .expect("still a directory")
            .next()
            .is_none()
    );
    fs::remove_file(&file).expect("unlink");
    fs::remove_file(&link).expect("unlink");
    fs::remove_dir(&directory).expect("rmdir");
}

pub(crate) fn row15_a_live_node_is_refused(case: &Case) {
    let driver = case.device("memory").start();
    let file = open(driver.node()).expect("open");
    file.write(b"kept").expect("write");
    let said = refused(case, driver.node());
    assert!(said.contains("EEXIST"), "{said}");
    file.write(b"!").expect("the first driver goes on");
    assert_eq!(
        open(driver.node()).expect("open").read(9).expect("read"),
        b"kept!"
    );
}

pub(crate) fn row15_a_missing_directory_is_named(case: &Case) {
    let missing = case.node("missing");
    let said = refused(case, &missing.join("node"));
    assert!(said.contains("ENOENT"), "{said}");
    assert!(said.contains("missing"), "{said}");
    assert!(!missing.exists(), "nothing was made");
    let file = case.node("file");
    fs::write(&file, b"").expect("write");
    let said = refused(case, &file.join("node"));
    assert!(said.contains("ENOTDIR"), "{said}");
    fs::remove_file(&file).expect("unlink");
}
