//! The end of a driver, or of one device: blocked and later calls fail, the node is gone.

use std::process::Command;

use fusd::wire::operation;
use fusd_tests::client;
use fusd_tests::wait::{start, wait_until};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::driver::{ALL, Driver, name, node, open};
use crate::module::tests;

tests! {
    fn blocked_and_later_calls_fail() {
        let (driver, node) = Driver::with_device(ALL, 0);
        let (file, _) = driver.open(&node);
        let queued = file.start_read(1);
        driver.control().poll(nix::poll::PollFlags::POLLIN, fusd_tests::wait::deadline()).expect("poll");
        let reads: Vec<_> = (0..3).map(|_| file.start_read(1)).collect();
        for _ in 0..2 {
            driver.expect(operation::READ);
        }
        let opening = open(&node, OFlag::O_RDWR);
        drop(driver);
        assert_eq!(queued.wait(), Err(Errno::EPIPE));
        for read in reads {
            assert_eq!(read.wait(), Err(Errno::EPIPE));
        }
        // While it waited, or before it began: nobody can tell from here.
        let opened = opening.wait().map(drop);
        assert!(matches!(opened, Err(Errno::EPIPE | Errno::ENOENT)), "{opened:?}");
        assert_eq!(file.read(1), Err(Errno::EPIPE));
        assert_eq!(file.write(b"x"), Err(Errno::EPIPE));
        assert_eq!(file.ioctl(1, &mut []), Err(Errno::EPIPE));
        assert_eq!(client::open(&node).map(drop), Err(Errno::ENOENT));
    }

    fn unregistering_ends_one_device_alone() {
        let driver = Driver::connect();
        let names = [name(), name()];
        driver.register(&names[0], 1, ALL, 0).expect("register");
        driver.register(&names[1], 2, ALL, 0).expect("register");
        let (first, number) = driver.open(&node(&names[0]));
        let (second, _) = driver.open(&node(&names[1]));
        let blocked = first.start_read(1);
        let request = driver.expect(operation::READ);
        let other = second.start_read(1);
        let alive = driver.expect(operation::READ);
        driver.unregister(1).expect("unregister");
        assert_eq!(blocked.wait(), Err(Errno::EPIPE));
        assert_eq!(driver.answer(request.id(), 0, b"x"), Err(Errno::ENOENT));
        assert!(!node(&names[0]).exists());
        driver.answer(alive.id(), 0, b"y").expect("answer");
        assert_eq!(other.wait().expect("read"), b"y");
        // Nothing more is heard of the first, not even the end of its file.
        drop(first);
        driver.expect_nothing();
        // A process that another test starts just now has the file, too, until it is another program.
        let notify = || driver.notify(number, nix::poll::PollFlags::POLLIN);
        wait_until("the file is gone", || notify() == Err(Errno::ENOENT));
        driver.expect_nothing();
        // The name and the number are free, and lead to the new device alone.
        driver.register(&names[0], 1, ALL, 0).expect("register");
        drop(driver.open(&node(&names[0])));
        driver.expect(operation::RELEASE);
    }

    fn a_connection_ends_with_its_last_descriptor() {
        let (driver, node) = Driver::with_device(ALL, 0);
        let copy = driver.duplicate();
        drop(driver);
        assert!(node.exists());
        let (file, _) = copy.open(&node);
        drop(copy);
        // A process that another test starts just now has a copy, too, until it is another program.
        wait_until("the node is gone", || !node.exists());
        assert_eq!(file.read(1), Err(Errno::EPIPE));
    }

    fn a_killed_driver_leaves_nothing() {
        let name = name();
        let mut example = crate::languages::example("perl", "hello.pl", &[&name]);
        let child = &mut example.0;
        let node = node(&name);
        let file = client::open_with(&node, OFlag::O_RDONLY).expect("open");
        let pid = Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
        // Stopped, so that the read stays with it.
        kill(pid, Signal::SIGSTOP).expect("stop");
        let reading = file.start_read(1);
        kill(pid, Signal::SIGKILL).expect("kill");
        child.wait().expect("wait");
        assert_eq!(reading.wait(), Err(Errno::EPIPE));
        wait_until("the node is gone", || !node.exists());
    }

    fn the_end_may_come_at_any_moment() {
        // Opens, reads and closes against a driver that ends somewhere in between.
        for round in 0..60 {
            let (driver, node) = Driver::with_device(ALL, 0);
            let clients: Vec<_> = (0..4)
                .map(|_| {
                    let node = node.clone();
                    start(move || {
                        loop {
                            match client::open(&node) {
                                Ok(file) => {
                                    let result = file.read(1);
                                    assert!(
                                        matches!(result, Ok(_) | Err(Errno::EPIPE)),
                                        "{result:?}"
                                    );
                                }
                                // Before it began, or while it waited.
                                Err(Errno::ENOENT | Errno::ENXIO | Errno::EPIPE) => return,
                                Err(errno) => panic!("open: {errno}"),
                            }
                        }
                    })
                })
                .collect();
            for _ in 0..round {
                let message = driver.next();
                if message.id() != 0 {
                    driver.answer(message.id(), 0, b"").expect("answer");
                }
            }
            drop(driver);
            clients.into_iter().for_each(fusd_tests::wait::Started::wait);
        }
    }

    fn a_driver_that_holds_its_own_device_can_end() {
        let (driver, node) = Driver::with_device(fusd::wire::IMPLEMENTS_ALL, 0);
        let (file, _) = driver.open(&node);
        drop(driver);
        drop(file);
        wait_until("the node is gone", || !node.exists());
    }

    fn a_program_is_started_though_the_driver_answers_nothing() {
        let (driver, node) = Driver::with_device(fusd::wire::IMPLEMENTS_ALL, 0);
        let (file, _) = driver.open(&node);
        // The child has copies of the file and of the driver's own descriptor, and closes them.
        let started = start(|| Command::new("true").status().expect("true can be started"));
        assert!(started.wait().success());
        let flush = driver.expect(operation::FLUSH);
        assert_eq!(flush.id(), 0, "nobody waits for the answer");
        drop(driver);
        drop(file);
        wait_until("the node is gone", || !node.exists());
    }
}
