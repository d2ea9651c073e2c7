//! What the examples promise.

use std::fs;
use std::time::Duration;

use fusd_tests::client::{self, open, open_with};
use fusd_tests::sys::mapping::{How, Mapping};
use fusd_tests::wait::{deadline, wait_until};
use fusd_tests::{Ability, Case};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::PollFlags;

use crate::helper::{lacks_compiler, node, start_example};

pub(crate) fn hello_says_hello(case: &Case) {
    if lacks_compiler(case) {
        return;
    }
    let driver = start_example(case, "hello");
    let node = node(case);
    assert_eq!(fs::read(&node).expect("read"), b"Hello, world!\n");
    let file = open_with(&node, OFlag::O_RDONLY).expect("open");
    assert_eq!(file.read(5), Ok(b"Hello".to_vec()));
    if case.backend().has(Ability::Offsets) {
        assert_eq!(file.read_at(7, 3), Ok(b"wor".to_vec()));
    }
    assert_eq!(file.read(100), Ok(b", world!\n".to_vec()));
    assert_eq!(file.read(100), Ok(Vec::new()));
    // No callback for that.
    let writer = open(&node).expect("open");
    assert_eq!(writer.write(b"x"), Err(Errno::ENOSYS));
    drop(driver);
    wait_until("the killed driver's node is gone", || !node.exists());
}

pub(crate) fn greetings_are_for_the_caller(case: &Case) {
    if lacks_compiler(case) {
        return;
    }
    let driver = start_example(case, "greeting");
    let node = node(case);
    assert_eq!(fs::read(&node).expect("read"), b"Hello, user 0!\n");
    let (_, text) = case.cat_as(&node, 65534, 65534);
    assert_eq!(text, "Hello, user 65534!\n");
    drop(driver);
    wait_until("the killed driver's node is gone", || !node.exists());
}

pub(crate) fn echo_gives_back_what_it_got(case: &Case) {
    if lacks_compiler(case) {
        return;
    }
    let _driver = start_example(case, "echo");
    let one = open(&node(case)).expect("open");
    let other = open(&node(case)).expect("open");
    let large: Vec<u8> = (0..100_000u32).map(|at| at as u8).collect();
    assert_eq!(one.write(b"one"), Ok(3));
    assert_eq!(other.write(&large), Ok(large.len()));
    assert_eq!(one.read(2), Ok(b"on".to_vec()));
    assert_eq!(one.read(2), Ok(b"e".to_vec()));
    assert_eq!(one.read(2), Ok(Vec::new()));
    assert!(other.read_all(30_000).expect("read") == large);
    assert_eq!(one.write(b""), Ok(0));
}

/// The number of an ioctl of the calculator.
fn number(direction: u32, number: u32, size: u32) -> u32 {
    direction << 30 | size << 16 | u32::from(b'k') << 8 | number
}

pub(crate) fn the_calculator_calculates(case: &Case) {
    if lacks_compiler(case) {
        return;
    }
    let _driver = start_example(case, "calculator");
    let file = open(&node(case)).expect("open");
    let calculate = |which: u32, a: i32, b: i32| {
        let mut sum: Vec<u8> = [a, b, 0].iter().flat_map(|n| n.to_ne_bytes()).collect();
        let result = file.ioctl(number(3, which, 12), &mut sum);
        let (head, tail) = sum.split_at(8);
        assert_eq!(head[..4], a.to_ne_bytes(), "what came in goes back");
        result.map(|_| i32::from_ne_bytes(tail.try_into().expect("4 bytes")))
    };
    assert_eq!(calculate(1, 2, 3), Ok(5));
    assert_eq!(calculate(2, -7, 2), Ok(-3));
    assert_eq!(calculate(2, 1, 0), Err(Errno::EDOM));
    assert_eq!(calculate(1, i32::MAX, 1), Err(Errno::ERANGE));
    assert_eq!(calculate(9, 1, 1), Err(Errno::ENOTTY));
    let last = || {
        let mut last = [0; 4];
        file.ioctl(number(2, 3, 4), &mut last)
            .map(|_| i32::from_ne_bytes(last))
    };
    assert_eq!(last(), Ok(-3));
    let mut preset = 1234i32.to_ne_bytes();
    assert_eq!(file.ioctl(number(1, 4, 4), &mut preset), Ok(0));
    assert_eq!(last(), Ok(1234));
    assert_eq!(
        fusd_tests::sys::ioctl_value(&file, number(0, 5, 0), 77),
        Ok(0)
    );
    assert_eq!(last(), Ok(77));
}

pub(crate) fn the_log_ring_blocks_and_wakes(case: &Case) {
    if lacks_compiler(case) {
        return;
    }
    let _driver = start_example(case, "logring");
    let node = node(case);
    let reader = open_with(&node, OFlag::O_RDONLY).expect("open");
    let writer = open_with(&node, OFlag::O_WRONLY).expect("open");
    let input = PollFlags::POLLIN;
    assert_eq!(reader.ready(input), PollFlags::empty(), "the first poll");
    assert_eq!(writer.ready(PollFlags::POLLOUT), PollFlags::POLLOUT);
    reader.set_nonblocking(true).expect("fcntl");
    assert_eq!(reader.read(10), Err(Errno::EAGAIN));
    reader.set_nonblocking(false).expect("fcntl");

    let waiting = reader.start_read(100);
    // A killed reader takes nothing with it, and leaves nothing behind.
    let killed = client::process(case, &node, &["read", "100"]);
    killed.kill();
    assert_eq!(writer.write(b"one\n"), Ok(4));
    assert_eq!(waiting.wait(), Ok(b"one\n".to_vec()));
    assert_eq!(reader.ready(input), PollFlags::empty());

    assert_eq!(writer.write(b"two\n"), Ok(4));
    assert_eq!(reader.ready(input), input);
    assert_eq!(reader.read(2), Ok(b"tw".to_vec()));
    assert_eq!(reader.ready(input), input, "there is more");
    assert_eq!(reader.read(100), Ok(b"o\n".to_vec()));
    assert_eq!(reader.ready(input), PollFlags::empty(), "never stale");
    assert_eq!(reader.poll(input, Duration::ZERO), Ok(PollFlags::empty()));

    let duplicate = reader.duplicate();
    let polling = fusd_tests::wait::start(move || duplicate.poll(input, deadline()));
    assert_eq!(writer.write(b"three\n"), Ok(6));
    assert_eq!(polling.wait(), Ok(input));
    let late = open_with(&node, OFlag::O_RDONLY).expect("open");
    assert_eq!(late.ready(input), input);
    assert_eq!(late.read(100), Ok(b"one\ntwo\nthree\n".to_vec()));
}

pub(crate) fn a_counter_is_shared(case: &Case) {
    if case.lacks(Ability::Memory) || lacks_compiler(case) {
        return;
    }
    let _driver = start_example(case, "counter");
    let file = open(&node(case)).expect("open");
    let count = |number: u64| {
        let mapped = Mapping::new(&file, 0, 1, How::SHARED).expect("mmap");
        mapped.write(0, &number.to_ne_bytes()).expect("write");
    };
    let says = || fs::read_to_string(node(case)).expect("read");
    assert_eq!(says(), "0\n");
    count(41);
    assert_eq!(says(), "41\n");
    count(1 << 40);
    assert_eq!(says(), "1099511627776\n");
    let beyond = Mapping::new(&file, 1, 1, How::SHARED).map(drop);
    assert_eq!(beyond, Err(Errno::ENXIO));
}
