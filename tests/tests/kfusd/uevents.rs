//! What udev is told of the module's devices, and the rule that is shipped for it.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use fusd::wire::Register;
use nix::poll::{PollFd, PollFlags, PollTimeout};
use std::os::fd::AsFd;

use crate::driver::{ALL, Driver, name, registration};
use crate::module::{self, tests};
use crate::raw::Uevents;

const RULES: &str = include_str!("../../../kfusd/60-fusd.rules");
const CONTROL: &str = "/sys/class/misc/fusd-control";

/// `NAME=VALUE` lines.
fn properties(text: &str) -> BTreeMap<String, String> {
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// Where sysfs has the device of this name.
fn place(name: &str) -> PathBuf {
    Path::new("/sys/class/fusd").join(name.replace('/', "!"))
}

/// The rule's keys that are compared, and those that are set.
fn rule() -> (
    BTreeMap<&'static str, String>,
    BTreeMap<&'static str, String>,
) {
    let mut lines = RULES
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let line = lines.next().expect("a rule");
    assert_eq!(lines.next(), None, "one rule");
    let (mut compared, mut set) = (BTreeMap::new(), BTreeMap::new());
    for part in line.split(", ") {
        let (key, value) = part.split_once('=').expect("KEY=VALUE");
        let map = match value.strip_prefix('=') {
            Some(_) => &mut compared,
            None => &mut set,
        };
        map.insert(
            key,
            value.trim_start_matches('=').trim_matches('"').to_owned(),
        );
    }
    (compared, set)
}

/// Whether the rule is for the device at this place.
fn matches(place: &Path) -> bool {
    let subsystem = fs::read_link(place.join("subsystem")).expect("a subsystem");
    let (compared, _) = rule();
    compared.iter().all(|(key, value)| {
        let found = match *key {
            "KERNEL" => place.file_name(),
            "SUBSYSTEM" => subsystem.file_name(),
            key => panic!("the rule compares {key}"),
        };
        // The kernel's names of devices have "!" for "/".
        found.expect("a name").to_str() == Some(value)
    })
}

tests! {
    fn the_rule_is_for_the_control_node_alone() {
        let (_driver, node) = Driver::with_device(ALL, 0);
        let name = node.strip_prefix("/dev").expect("a node").to_str().expect("ASCII");
        assert!(matches(Path::new(CONTROL)));
        assert!(!matches(Path::new("/sys/class/misc/fusd-status")));
        assert!(!matches(&place(name)));
        let (_, set) = rule();
        assert_eq!(set["GROUP"], "fusd");
        assert_eq!(set["MODE"], "0660");
        let uevent = fs::read_to_string(format!("{CONTROL}/uevent")).expect("its uevent");
        let told = properties(&uevent);
        assert_eq!(told["DEVNAME"], "fusd/control");
        assert_eq!(told["DEVMODE"], "0600", "until udev has been there");
    }

    fn udev_is_told_what_a_driver_said_of_a_device() {
        let events = Uevents::listen().expect("netlink");
        let driver = Driver::connect();
        let name = name();
        let register = Register {
            device: 1,
            operations: ALL,
            mode: 0o640,
            uid: 123,
            gid: 456,
            ..Register::default()
        };
        driver.say(&registration(register, &name)).expect("register");
        let expected = [
            ("SUBSYSTEM", "fusd"),
            ("DEVTYPE", "fusd"),
            ("DEVNAME", &name),
            ("DEVMODE", "0640"),
            ("DEVUID", "123"),
            ("DEVGID", "456"),
        ];
        let told = properties(&fs::read_to_string(place(&name).join("uevent")).expect("uevent"));
        for (key, value) in &expected[1..] {
            assert_eq!(told.get(*key).map(String::as_str), Some(*value), "{key}");
        }
        let event = next(&events, "add", &name);
        for (key, value) in expected {
            assert_eq!(event.get(key).map(String::as_str), Some(value), "{key}");
        }
        driver.unregister(1).expect("unregister");
        next(&events, "remove", &name);
        assert!(!place(&name).exists());
    }
}

/// Waits for the message of what happens to the device of this name.
#[track_caller]
fn next(events: &Uevents, action: &str, name: &str) -> BTreeMap<String, String> {
    loop {
        let mut fds = [PollFd::new(events.as_fd(), PollFlags::POLLIN)];
        let limit = PollTimeout::try_from(fusd_tests::wait::deadline()).expect("a short time");
        assert_ne!(
            nix::poll::poll(&mut fds, limit),
            Ok(0),
            "no {action} of {name}"
        );
        // Other tests have devices, too.
        let event = events.next().expect("an event");
        let says = |key: &str, value: &str| event.get(key).is_some_and(|it| it == value);
        if says("ACTION", action) && says("DEVNAME", name) {
            return event;
        }
    }
}

#[test]
fn udev_takes_the_rule() {
    const NAME: &str = "udev_takes_the_rule";
    let Some(_alone) = module::alone(NAME) else {
        return;
    };
    if std::env::var_os("FUSD_LAB").is_none() {
        println!("SKIP {NAME}: it adds a group and a rule, which vanish in a guest alone");
        return;
    }
    if Command::new("udevadm").arg("--version").output().is_err() {
        println!("SKIP {NAME}: udevadm (package udev) is not installed");
        return;
    }
    let folder = Path::new("/run/udev/rules.d");
    fs::create_dir_all(folder).expect("a folder");
    fs::write(folder.join("60-fusd.rules"), RULES).expect("the rule");
    let mut groups = OpenOptions::new()
        .append(true)
        .open("/etc/group")
        .expect("the groups");
    groups.write_all(b"fusd:x:4711:\n").expect("a group");
    let output = Command::new("udevadm")
        .args(["test", "--action=add", CONTROL])
        .output()
        .expect("udevadm runs");
    let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    for line in said.lines().filter(|line| line.contains("60-fusd.rules:")) {
        let good = ["GROUP 4711", "MODE 0660"];
        assert!(good.iter().any(|good| line.ends_with(good)), "{line}");
    }
    let control = fs::metadata("/dev/fusd/control").expect("the control node");
    assert_eq!(
        (control.permissions().mode() & 0o7777, control.gid()),
        (0o660, 4711),
        "{said}"
    );
    // A new node is as the module makes it.
    crate::loading::remove();
    module::insert("").expect("insert");
}
