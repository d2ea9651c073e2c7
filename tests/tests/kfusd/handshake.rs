//! The greeting, the hello, and what comes before it.

use fusd::wire::{self, Greeting, Hello, operation};
use nix::errno::Errno;
use nix::poll::PollFlags;
use std::time::Duration;

use crate::driver::{ALL, Driver, message, name, node};
use crate::module::tests;

fn hello(version: u32, features: u64) -> Vec<u8> {
    let hello = Hello {
        version,
        reserved: 0,
        features,
    };
    message(operation::HELLO, 0, 0, &[&hello.to_bytes()])
}

tests! {
    fn the_module_speaks_first() {
        let driver = Driver::silent();
        let greeting = driver.expect(operation::GREETING);
        assert_eq!(greeting.header.id, 0);
        let greeting = Greeting::from_bytes(&greeting.body);
        assert_eq!(greeting.version, wire::VERSION);
        assert_eq!(greeting.features, wire::FEATURES);
        assert!((4096..=wire::TRANSFER_MAX).contains(&greeting.max_transfer));
        assert!(greeting.max_devices >= 1 && greeting.max_files >= 1);
        driver.expect_nothing();
    }

    fn nothing_comes_before_hello() {
        let driver = Driver::silent();
        let name = name();
        assert_eq!(driver.register(&name, 1, ALL, 0), Err(Errno::EPROTO));
        assert_eq!(driver.unregister(1), Err(Errno::EPROTO));
        assert_eq!(driver.answer(1, 0, b""), Err(Errno::EPROTO));
        assert_eq!(driver.notify(1, PollFlags::POLLIN), Err(Errno::EPROTO));
        assert!(!node(&name).exists());
        // A refused message changes nothing: it can still be said.
        driver.say(&hello(wire::VERSION, 0)).expect("hello");
        driver.register(&name, 1, ALL, 0).expect("register");
        assert!(node(&name).exists());
    }

    fn a_wrong_hello_is_refused_and_the_next_one_counts() {
        let driver = Driver::silent();
        for version in [0, 2, u32::MAX] {
            assert_eq!(driver.say(&hello(version, 0)), Err(Errno::EPROTONOSUPPORT));
        }
        for features in [wire::FEATURES + 1, 1 << 63, u64::MAX] {
            assert_eq!(driver.say(&hello(1, features)), Err(Errno::EOPNOTSUPP));
        }
        driver.say(&hello(1, wire::FEATURES)).expect("hello");
        assert_eq!(driver.say(&hello(1, 0)), Err(Errno::EPROTO), "a second hello");
    }

    fn features_that_were_not_taken_cannot_be_used() {
        let driver = Driver::silent();
        driver.next();
        driver.say(&hello(1, 0)).expect("hello");
        let mut buffer = [0; 4096];
        let result = crate::raw::exchange(&driver, b"", &mut buffer);
        assert_eq!(result, Err(Errno::EOPNOTSUPP));
        let copy = wire::CopyIn { address: 0, length: 1, reserved: 0 };
        let copy = message(operation::COPY_IN, 0, 1, &[&copy.to_bytes()]);
        assert_eq!(driver.say(&copy), Err(Errno::EOPNOTSUPP));
    }

    fn the_control_file_can_be_polled_and_read_without_waiting() {
        let driver = Driver::connect();
        let control = driver.control();
        let both = PollFlags::POLLIN | PollFlags::POLLOUT;
        assert_eq!(control.ready(both), PollFlags::POLLOUT);
        control.set_nonblocking(true).expect("fcntl");
        assert_eq!(control.read(4096), Err(Errno::EAGAIN));
        let mut buffer = [0; 4096];
        let result = crate::raw::exchange(&driver, b"", &mut buffer);
        assert_eq!(result, Err(Errno::EAGAIN));
        let none = control.poll(PollFlags::POLLIN, Duration::from_millis(20)).expect("poll");
        assert_eq!(none, PollFlags::empty());
    }

    fn a_buffer_that_is_too_small_loses_nothing() {
        let driver = Driver::silent();
        for length in [0, 1, 63, 64, 95] {
            // A read of no bytes is over before it gets to the module in some kernels: either way
            // nothing is lost.
            let result = driver.control().read(length);
            assert!(matches!(result, Err(Errno::EMSGSIZE)), "{length}: {result:?}");
        }
        driver.expect(operation::GREETING);
        let driver = Driver::connect();
        let name = name();
        driver.register(&name, 1, ALL, 0).expect("register");
        let opening = crate::driver::open(&node(&name), nix::fcntl::OFlag::O_RDWR);
        driver.control().poll(PollFlags::POLLIN, fusd_tests::wait::deadline()).expect("poll");
        for length in [1, 16, 63] {
            assert_eq!(driver.control().read(length), Err(Errno::EMSGSIZE));
        }
        let request = driver.expect(operation::OPEN);
        driver.answer(request.id(), 0, b"").expect("answer");
        opening.wait().expect("open");
    }
}
