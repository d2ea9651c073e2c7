//! Clients of the drivers that are fuzzed: they do all that can be done with a file, and take what
//! comes. And a pair of a good driver and a good client, who must not notice any of it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use fusd::wire::{self, operation};
use fusd_tests::client::{self, Handle, Whence};
use fusd_tests::pattern;
use fusd_tests::sys::mapping::{How, Mapping};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::PollFlags;
use std::os::fd::AsFd;

use crate::driver::{Driver, answer, message};
use crate::raw::{self, Arena};
use crate::stress::Random;

/// Calls, until the drivers end. Returns how many were made.
pub(crate) fn call(nodes: &[PathBuf], arena: &Arena, stop: &AtomicBool, seed: u64) -> u64 {
    let mut random = Random::new(seed);
    let mut calls = 0;
    while !stop.load(Ordering::Relaxed) {
        let flags = [OFlag::O_RDWR, OFlag::O_RDWR | OFlag::O_NONBLOCK][random.below(2)];
        calls += 1;
        let Ok(file) = client::open_with(&nodes[random.below(nodes.len())], flags) else {
            // While it is replaced, a node is missing for a moment.
            std::thread::yield_now();
            continue;
        };
        for _ in 0..random.below(16) {
            calls += 1;
            if one_call(&file, arena, &mut random) == Err(Errno::EPIPE) {
                break;
            }
        }
    }
    calls
}

fn one_call(file: &Handle, arena: &Arena, random: &mut Random) -> Result<(), Errno> {
    let length = match random.below(32) {
        0 => 300_000,
        1..=4 => 5000,
        5..=18 => 100,
        _ => 1,
    };
    match random.below(11) {
        0 | 1 => file.read(length).map(drop),
        2 => file.write(&vec![b'c'; length]).map(drop),
        3 => file.read_at(random.next() >> 2, length).map(drop),
        // Of any size and direction: what the driver writes stays within the arena.
        4 | 5 => {
            let number = (random.below(4) << 30 | random.below(1 << 14) << 16) as u32;
            arena.ioctl(file, number | 0x6b01).map(drop)
        }
        6 => file
            .poll(PollFlags::POLLIN, Duration::from_millis(1))
            .map(drop),
        7 => {
            let whence = [Whence::SeekEnd, Whence::SeekSet, Whence::SeekData];
            file.seek(1, whence[random.below(3)]).map(drop)
        }
        8 => nix::unistd::fsync(file.as_fd()),
        9 => {
            let how = [How::SHARED, How::READ_ONLY, How::PRIVATE][random.below(3)];
            let mapped = Mapping::new(file, random.below(2), 1 + random.below(2), how)?;
            mapped.read(0, length.min(100)).map(drop)
        }
        _ => {
            drop(file.duplicate());
            Ok(())
        }
    }
}

/// Serves a device that gives and takes the bytes of the pattern, until it is nudged.
pub(crate) fn serve_well(driver: &Driver) {
    let mut buffer = vec![0; 1 << 16];
    let mut command = Vec::new();
    loop {
        let length = raw::exchange(driver, &command, &mut buffer).expect("a good driver's call");
        let request = crate::driver::Message::parse(&buffer[..length]);
        let id = request.id();
        command = match request.header.operation {
            operation::NUDGED => return,
            operation::READ => {
                let asked = request.transfer();
                answer(id, 0, 0, &pattern::bytes(asked.offset, asked.size as usize))
            }
            operation::WRITE => {
                let asked = request.transfer();
                pattern::check(asked.offset, request.written());
                answer(id, 0, asked.size.into(), b"")
            }
            _ if id == 0 => Vec::new(),
            _ => answer(id, 0, 0, b""),
        };
    }
}

/// Reads and writes the pattern, until it is told to stop; every call has to do what it should, and
/// is counted.
pub(crate) fn call_well(node: &Path, stop: &AtomicBool, calls: &AtomicU64, seed: u64) {
    let mut random = Random::new(seed);
    while !stop.load(Ordering::Relaxed) {
        let file = client::open(node).expect("the good device opens");
        for _ in 0..10 {
            let most = [100, 100, 100, 3000][random.below(4)];
            let (offset, length) = (random.next() >> 2, 1 + random.below(most));
            let data = file.read_at(offset, length).expect("the good device reads");
            assert_eq!(data.len(), length);
            pattern::check(offset, &data);
            let data = pattern::bytes(offset, length);
            assert_eq!(file.write_at(offset, &data), Ok(length));
            calls.fetch_add(2, Ordering::Relaxed);
        }
    }
}

/// Reads the pattern once.
pub(crate) fn check_once(node: &Path) {
    let file = client::open(node).expect("the good device opens");
    let data = file.read_at(1000, 10).expect("the good device reads");
    assert_eq!(data, pattern::bytes(1000, 10));
}

/// Has [`serve_well`] return.
pub(crate) fn dismiss(driver: &Driver) {
    let nudge = message(operation::NUDGE, 0, 0, &[]);
    driver.say(&nudge).expect("a nudge");
}

/// What the good device implements.
pub(crate) const GOOD: u64 = wire::IMPLEMENTS_READ | wire::IMPLEMENTS_WRITE;
