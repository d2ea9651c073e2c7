//! Names and nodes: what may be registered, and that what is refused leaves nothing.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};

use fusd::wire::{self, Register};
use fusd_tests::wait::{start, wait_until};
use nix::errno::Errno;

use crate::driver::{ALL, Driver, name, node, registration};
use crate::module::tests;

/// A registration of device 1.
fn plain() -> Register {
    Register {
        device: 1,
        operations: ALL,
        mode: 0o640,
        ..Register::default()
    }
}

tests! {
    fn the_node_has_mode_and_owner_when_registration_returns() {
        let driver = Driver::connect();
        let name = name();
        let register = Register { uid: 123, gid: 456, ..plain() };
        driver.say(&registration(register, &name)).expect("register");
        let status = fs::metadata(node(&name)).expect("the node");
        assert!(status.file_type().is_char_device());
        assert_eq!(status.permissions().mode() & 0o7777, 0o640);
        assert_eq!((status.uid(), status.gid()), (123, 456));
        drop(driver);
        wait_until("the node goes with its driver", || !node(&name).exists());
    }

    fn bad_names_are_refused_and_nothing_is_made() {
        let driver = Driver::connect();
        let long = "x".repeat(wire::NAME_MAX + 1);
        for bad in [
            "/", "/a", "a/", "a//b", ".", "..", "./a", "../x", "a/../b", "%s%n%x", "%p", "a b",
            "a\n", "a!b", "a\0b", "ü", "a:b", "a*",
        ] {
            let result = driver.say(&registration(plain(), bad));
            assert_eq!(result, Err(Errno::EINVAL), "{bad:?}");
        }
        assert_eq!(driver.say(&registration(plain(), "")), Err(Errno::EINVAL));
        assert_eq!(driver.say(&registration(plain(), &long)), Err(Errno::ENAMETOOLONG));
        assert!(!node(&long[..255]).exists());
        // The longest name there may be, and a percent sign's place taken by what may stay.
        let longest = &long[..wire::NAME_MAX];
        driver.say(&registration(plain(), longest)).expect("register");
        assert!(node(longest).exists());
    }

    fn what_exists_is_refused_and_not_touched() {
        let driver = Driver::connect();
        let before = fs::metadata("/dev/null").expect("null").rdev();
        assert_eq!(driver.say(&registration(plain(), "null")), Err(Errno::EEXIST));
        assert_eq!(fs::metadata("/dev/null").expect("null").rdev(), before);
        for taken in ["fusd/control", "fusd", "pts"] {
            assert_eq!(driver.say(&registration(plain(), taken)), Err(Errno::EEXIST), "{taken}");
        }
        assert_eq!(driver.say(&registration(plain(), "null/x")), Err(Errno::ENOTDIR));
        let name = name();
        driver.register(&name, 1, ALL, 0).expect("register");
        assert_eq!(driver.register(&name, 2, ALL, 0), Err(Errno::EEXIST), "the own one");
        let other = Driver::connect();
        assert_eq!(other.register(&name, 1, ALL, 0), Err(Errno::EEXIST), "another's");
        drop(driver);
        // A program that another test starts just now may have the driver's file until its exec.
        wait_until("the name is free again", || other.register(&name, 1, ALL, 0) == Ok(()));
    }

    fn a_race_for_a_name_has_one_winner() {
        for _ in 0..20 {
            let name = name();
            let racers: Vec<_> = (0..4)
                .map(|_| {
                    let name = name.clone();
                    let driver = Driver::connect();
                    start(move || {
                        let result = driver.register(&name, 1, ALL, 0);
                        (driver, result)
                    })
                })
                .collect();
            let results: Vec<_> = racers.into_iter().map(fusd_tests::wait::Started::wait).collect();
            let won = results.iter().filter(|(_, result)| result.is_ok()).count();
            assert_eq!(won, 1);
            for (_, result) in &results {
                assert!(matches!(result, Ok(()) | Err(Errno::EEXIST)), "{result:?}");
            }
        }
    }

    fn a_number_is_one_device() {
        let driver = Driver::connect();
        let (first, second) = (name(), name());
        driver.register(&first, 7, ALL, 0).expect("register");
        assert_eq!(driver.register(&second, 7, ALL, 0), Err(Errno::EBUSY));
        assert!(!node(&second).exists());
        assert_eq!(driver.unregister(8), Err(Errno::ENOENT));
        driver.unregister(7).expect("unregister");
        assert!(!node(&first).exists());
        assert_eq!(driver.unregister(7), Err(Errno::ENOENT));
        driver.register(&second, 7, ALL, 0).expect("the number is free again");
    }

    fn subdirectories_come_and_go() {
        let driver = Driver::connect();
        let deep = format!("{}-d/e/f/g", name());
        driver.register(&deep, 1, ALL, 0).expect("register");
        assert!(node(&deep).exists());
        driver.unregister(1).expect("unregister");
        let top = node(&deep).ancestors().nth(3).expect("a directory").to_owned();
        wait_until("the directories are gone", || !top.exists());
    }

    fn an_owner_that_cannot_be_is_refused() {
        let driver = Driver::connect();
        let name = name();
        let register = Register { uid: u32::MAX, ..plain() };
        assert_eq!(driver.say(&registration(register, &name)), Err(Errno::EINVAL));
        let register = Register { gid: u32::MAX, ..plain() };
        assert_eq!(driver.say(&registration(register, &name)), Err(Errno::EINVAL));
        assert!(!node(&name).exists());
    }

    fn many_devices_on_one_connection() {
        let driver = Driver::connect();
        let base = name();
        let count = 300;
        for number in 0..count {
            driver.register(&format!("{base}-{number}"), number, ALL, 0).expect("register");
        }
        let some = node(&format!("{base}-{}", count - 1));
        let (file, _) = driver.open(&some);
        drop(file);
        let release = driver.next();
        assert_eq!(release.header.device, count - 1);
        drop(driver);
        // As above.
        wait_until("all nodes are gone", || {
            (0..count).all(|number| !node(&format!("{base}-{number}")).exists())
        });
    }
}
