//! That each byte gets where it belongs, once, in its order, and nobody is woken for it in between.

use fusd::wire::{ATTACH_READS, ATTACH_WRITES, REGISTER_STREAM, operation};
use fusd_tests::client::Handle;
use fusd_tests::pattern;
use fusd_tests::wait::{rounds, start, wait_until};
use nix::errno::Errno;

use super::{BOTH, RING, fill, scene};
use crate::driver::{ALL, Driver};
use crate::module::tests;
use crate::raw;

/// Puts in the pattern up to `end`, in portions of many sizes, and then the end.
fn feed_pattern(driver: &Driver, end: usize) {
    let mut at = 0;
    while at < end {
        let length = (at % 7001 + 1).min(end - at);
        match raw::feed(driver, RING, &pattern::bytes(at as u64, length), false) {
            Ok(fed) => at += fed,
            Err(errno) => {
                assert_eq!(errno, Errno::EAGAIN);
                std::thread::yield_now();
            }
        }
    }
    driver.finish();
}

/// Reads to the end, in portions of many sizes. How many bytes of the pattern there were.
fn read_pattern(file: &Handle) -> usize {
    let mut at = 0;
    loop {
        let bytes = file.read(at % 9001 + 1).expect("read");
        if bytes.is_empty() {
            return at;
        }
        pattern::check(at as u64, &bytes);
        at += bytes.len();
    }
}

/// Writes the numbers from `first` on, `count` of them, in blocks of up to `block`.
fn write_numbers(file: &Handle, first: u64, count: u64, block: u64) {
    let mut at = first;
    while at < first + count {
        let end = (at + block).min(first + count);
        let bytes: Vec<u8> = (at..end).flat_map(u64::to_ne_bytes).collect();
        assert_eq!(
            file.write(&bytes),
            Ok(bytes.len()),
            "a blocking write is whole"
        );
        at = end;
    }
}

/// The numbers in `bytes`.
fn numbers(bytes: &[u8]) -> impl Iterator<Item = u64> {
    let eight = bytes.chunks_exact(8);
    assert!(eight.remainder().is_empty(), "a number was torn");
    eight.map(|eight| u64::from_ne_bytes(eight.try_into().expect("eight")))
}

tests! {
    fn what_was_fed_is_read() {
        let end = rounds(1 << 20);
        let (driver, file) = scene(10_000, ATTACH_READS);
        let feeding = { let driver = driver.duplicate(); start(move || feed_pattern(&driver, end)) };
        assert_eq!(read_pattern(&file), end);
        feeding.wait();
        driver.expect_nothing();
    }

    fn what_was_written_is_taken() {
        let end = rounds(1 << 20);
        let (driver, file) = scene(10_000, ATTACH_WRITES);
        let writing = start(move || {
            let mut at = 0;
            while at < end {
                let length = (at % 30_011 + 1).min(end - at);
                let written = file.write(&pattern::bytes(at as u64, length));
                assert_eq!(written, Ok(length), "a blocking write is whole");
                at += length;
            }
            file
        });
        let mut at = 0;
        while at < end {
            match raw::take(&driver, RING, at % 5003 + 1, false) {
                Ok(bytes) => {
                    pattern::check(at as u64, &bytes);
                    at += bytes.len();
                }
                Err(errno) => {
                    assert_eq!(errno, Errno::EAGAIN);
                    std::thread::yield_now();
                }
            }
        }
        let _file = writing.wait();
        assert_eq!(driver.take(), Err(Errno::EAGAIN));
        driver.expect_nothing();
    }

    fn a_ring_among_clients_is_a_pipe() {
        let end = rounds(1 << 20);
        let (driver, node) = Driver::with_device(ALL, REGISTER_STREAM);
        driver.ring(RING, 65_536);
        let (reader, _) = driver.open_at(&node, RING, ATTACH_READS);
        let (writer, _) = driver.open_at(&node, RING, ATTACH_WRITES);
        let reading = start(move || read_pattern(&reader));
        let mut at = 0;
        while at < end {
            let length = (at % 100_003 + 1).min(end - at);
            assert_eq!(writer.write(&pattern::bytes(at as u64, length)), Ok(length));
            at += length;
        }
        driver.expect_nothing();
        driver.finish();
        assert_eq!(reading.wait(), end);
    }

    fn many_readers_get_each_byte_once_and_no_write_is_torn() {
        let (driver, node) = Driver::with_device(ALL, REGISTER_STREAM);
        driver.ring(RING, 8192);
        let count = rounds(20_000) as u64;
        // Of up to 4096 bytes, so that none is mixed with another.
        // First all of them: who is done closes its file, and that is a message.
        let files = |flags| [0; 4].map(|_| driver.open_at(&node, RING, flags).0);
        let (to, from) = (files(ATTACH_WRITES), files(ATTACH_READS));
        let writers: Vec<_> = to.into_iter().zip([1, 3, 100, 512]).zip(0..).map(|((file, block), which)| {
            start(move || write_numbers(&file, which << 40, count, block))
        }).collect();
        let readers: Vec<_> = from.into_iter().zip([8, 24, 4096, 65_536]).map(|(file, size)| {
            start(move || {
                let mut all: Vec<u64> = Vec::new();
                loop {
                    let bytes = file.read(size).expect("read");
                    if bytes.is_empty() {
                        return all;
                    }
                    all.extend(numbers(&bytes));
                }
            })
        }).collect();
        writers.into_iter().for_each(|writer| writer.wait());
        driver.finish();
        let mut all = Vec::new();
        for reader in readers {
            let some = reader.wait();
            // What one writer wrote comes in its order to each reader.
            for which in 0..4 {
                let of_one = some.iter().filter(|number| **number >> 40 == which);
                assert!(of_one.is_sorted(), "out of order");
            }
            all.extend(some);
        }
        all.sort_unstable();
        let expected: Vec<u64> = (0..4).flat_map(|which| (which << 40)..(which << 40) + count).collect();
        assert!(all == expected, "{} numbers instead of {}", all.len(), expected.len());
    }

    fn a_read_gets_what_there_is() {
        let (driver, file) = scene(4096, ATTACH_READS);
        driver.feed(b"hello");
        assert_eq!(file.read(100).as_deref(), Ok(&b"hello"[..]));
        driver.feed(b"hello");
        assert_eq!(file.read(2).as_deref(), Ok(&b"he"[..]));
        assert_eq!(file.read(0).as_deref(), Ok(&b""[..]));
        let (mut first, mut second) = ([0; 2], [0; 2]);
        assert_eq!(file.read_parts(&mut [&mut first, &mut second]), Ok(3));
        assert_eq!((&first, &second), (b"ll", b"o\0"));
        let reading = file.start_read(100);
        assert!(reading.blocks(), "nothing is there");
        driver.feed(b"!");
        assert_eq!(reading.wait().as_deref(), Ok(&b"!"[..]));
        // And where there is no position, there is none.
        assert_eq!(file.read_at(0, 1), Err(Errno::ESPIPE));
    }

    fn a_write_waits_for_room() {
        let (driver, file) = scene(4096, ATTACH_WRITES);
        let size = fill(&file);
        assert_eq!(size, 4096);
        let writing = file.start_write(b"more");
        assert!(writing.blocks(), "there is no room");
        assert_eq!(raw::take(&driver, RING, 3, false).map(|bytes| bytes.len()), Ok(3));
        assert!(writing.blocks(), "not for all of it, which is to go in whole");
        assert_eq!(raw::take(&driver, RING, 1, false).map(|bytes| bytes.len()), Ok(1));
        assert_eq!(writing.wait(), Ok(4));
        let rest = driver.take().expect("take");
        assert_eq!((rest.len(), &rest[4092..]), (4096, &b"more"[..]));
    }

    fn who_does_not_wait_is_told_to() {
        let (driver, file) = scene(4096, BOTH);
        file.set_nonblocking(true).expect("fcntl");
        assert_eq!(file.read(1), Err(Errno::EAGAIN));
        assert_eq!(file.write(&[b'w'; 4000]), Ok(4000));
        assert_eq!(file.write(&[b'w'; 97]), Err(Errno::EAGAIN), "all or nothing");
        assert_eq!(file.write(&[b'w'; 5000]), Ok(96), "of more, what there is room for");
        assert_eq!(file.write(b"w"), Err(Errno::EAGAIN));
        assert_eq!(raw::feed(&driver, RING, b"d", false), Err(Errno::EAGAIN));
        assert_eq!(file.read(5000).map(|bytes| bytes.len()), Ok(4096));
        assert_eq!(driver.take(), Err(Errno::EAGAIN));
    }

    fn a_file_may_read_from_one_and_write_to_another() {
        let (driver, node) = Driver::with_device(ALL, REGISTER_STREAM);
        driver.ring(RING, 4096);
        driver.ring(RING + 1, 4096);
        let opening = crate::driver::open(&node, nix::fcntl::OFlag::O_RDWR);
        let request = driver.expect(operation::OPEN);
        driver.attach(request.header.file, RING, ATTACH_READS).expect("attach");
        driver.attach(request.header.file, RING + 1, ATTACH_WRITES).expect("attach");
        driver.answer(request.id(), 0, b"").expect("answer");
        let file = opening.wait().expect("open");
        driver.feed(b"in");
        assert_eq!(file.write(b"out"), Ok(3));
        assert_eq!(file.read(9).as_deref(), Ok(&b"in"[..]));
        assert_eq!(raw::take(&driver, RING + 1, 9, false).as_deref(), Ok(&b"out"[..]));
    }

    fn a_file_that_is_attached_for_reads_alone_writes_as_ever() {
        let (driver, file) = scene(4096, ATTACH_READS);
        let writing = file.start_write(b"as ever");
        let request = driver.expect(operation::WRITE);
        assert_eq!(request.written(), b"as ever");
        driver.answer(request.id(), 7, b"").expect("answer");
        assert_eq!(writing.wait(), Ok(7));
    }

    fn splice_takes_from_it() {
        let (driver, file) = scene(65_536, ATTACH_READS);
        let bytes = pattern::bytes(0, 10_000);
        driver.feed(&bytes);
        let (out, into) = nix::unistd::pipe().expect("a pipe");
        let out = Handle::from(out);
        let mut all = Vec::new();
        while all.len() < bytes.len() {
            let moved = raw::splice(&file, &into, 4096).expect("splice");
            all.extend(out.read(moved).expect("read"));
        }
        assert!(all == bytes);
    }

    fn what_there_is_can_be_asked() {
        let (driver, file) = scene(5000, BOTH);
        let info = || {
            let path = format!("/proc/self/fdinfo/{}", std::os::fd::AsRawFd::as_raw_fd(&std::os::fd::AsFd::as_fd(&file)));
            std::fs::read_to_string(path).expect("fdinfo")
        };
        // Whole pages.
        assert!(info().contains("fusd-ring-reads:\t0 of 8192\n"), "{}", info());
        driver.feed(b"12345");
        assert!(info().contains("fusd-ring-writes:\t5 of 8192\n"), "{}", info());
        let mut portion = fusd::wire::Portion { ring: RING, ..Default::default() };
        raw::portion(&driver, fusd::wire::IOCTL_FEED, &mut portion).expect("feed");
        assert_eq!(portion.filled, 5);
        wait_until("reads are counted", || {
            file.read(1).expect("read");
            info().contains("of 8192")
        });
    }
}
