//! PUBLISH: what a driver publishes, the module gives to readers. No request goes to the driver for it.

use std::fs;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use fusd::wire::{self, Publish, StatusRecord, operation};
use fusd_tests::client::{Handle, Whence};
use fusd_tests::pattern;
use fusd_tests::sys::mapping::{How, Mapping, memfd, page, system_v};
use fusd_tests::wait::{Started, rounds, start, wait_until};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, SealFlag, fcntl};
use nix::unistd::ftruncate;

use crate::driver::{ALL, Driver, message, name, node};
use crate::module::tests;
use crate::raw;
use crate::status::record;

/// The first `length` bytes of `mapping`, for device 1.
fn part(mapping: &Mapping, length: usize) -> Publish {
    Publish {
        device: 1,
        address: mapping.address(),
        length: length as u64,
        ..Publish::default()
    }
}

/// That nothing is published for device 1 any more.
const NOTHING: Publish = Publish {
    device: 1,
    file: 0,
    address: 0,
    length: 0,
    flags: wire::PUBLISH_NOTHING,
    reserved: 0,
};

impl Driver {
    fn publish(&self, publish: Publish) -> Result<(), Errno> {
        self.say(&message(operation::PUBLISH, 0, 0, &[&publish.to_bytes()]))
    }
}

/// A file of memory that has the pattern in its first `length` bytes, and its mapping, which is longer
/// by up to a page of zeros.
fn content(length: usize) -> (OwnedFd, Mapping) {
    let pages = length.div_ceil(page());
    let file = memfd(pages);
    let mapping = Mapping::new(&file, 0, pages, How::SHARED).expect("mmap");
    for at in (0..length).step_by(page()) {
        let bytes = pattern::bytes(at as u64, page().min(length - at));
        mapping.write(at, &bytes).expect("write");
    }
    (file, mapping)
}

/// A file of one page that begins with `text`.
fn text(text: &[u8]) -> Mapping {
    let mapping = Mapping::new(&memfd(1), 0, 1, How::SHARED).expect("mmap");
    mapping.write(0, text).expect("write");
    mapping
}

/// A driver of one device with an open file, and its number.
fn scene() -> (Driver, Handle, u64) {
    let (driver, node) = Driver::with_device(ALL, 0);
    let (file, number) = driver.open(&node);
    (driver, file, number)
}

/// The node that `file` is of.
fn path_of(file: &Handle) -> std::path::PathBuf {
    let number = file.as_fd().as_raw_fd();
    fs::read_link(format!("/proc/self/fd/{number}")).expect("a path")
}

/// What /proc tells of what is published for a file.
pub(crate) fn told(file: &Handle) -> Option<String> {
    let info = format!("/proc/self/fdinfo/{}", file.as_fd().as_raw_fd());
    let info = fs::read_to_string(info).expect("fdinfo");
    let mut lines = info.lines();
    lines.find_map(|line| line.strip_prefix("fusd-published:\t").map(str::to_owned))
}

/// Reads from the beginning until that fails; with what.
fn read_on(file: Handle, length: usize) -> Started<Errno> {
    start(move || {
        loop {
            match file.read_at(0, length) {
                Ok(bytes) => pattern::check(0, &bytes),
                Err(errno) => return errno,
            }
        }
    })
}

tests! {
    fn reads_need_no_driver() {
        let (driver, file, number) = scene();
        let length = 2 * page() + 5;
        let (_, mapping) = content(length);
        driver.publish(Publish { file: number, ..part(&mapping, length) }).expect("publish");
        assert_eq!(told(&file), Some(length.to_string()));
        // The driver need not keep it.
        drop(mapping);
        for size in [1, 7, 4095, 4097, 1 << 20] {
            file.seek(0, Whence::SeekSet).expect("lseek");
            let all = file.read_all(size).expect("read");
            assert_eq!(all.len(), length, "with buffers of {size}");
            pattern::check(0, &all);
        }
        for offset in [0, 1, 4095, 4096, length - 1] {
            for size in [1, 2, 4096, 4097, 20_000] {
                let bytes = file.read_at(offset as u64, size).expect("pread");
                assert_eq!(bytes.len(), size.min(length - offset), "{size} at {offset}");
                pattern::check(offset as u64, &bytes);
            }
        }
        let most = i64::MAX as u64;
        for beyond in [length as u64, length as u64 + 1, 3 * page() as u64, 1 << 40, most - 1] {
            assert_eq!(file.read_at(beyond, 1), Ok(vec![]), "at {beyond}");
        }
        assert_eq!(file.read_at(most, 1), Err(Errno::EINVAL));
        assert_eq!(file.read_at(0, 0), Ok(vec![]));
        let (mut first, mut second) = (vec![0; 3], vec![0; 2 * page()]);
        file.seek(1, Whence::SeekSet).expect("lseek");
        assert_eq!(file.read_parts(&mut [&mut first, &mut [], &mut second]), Ok(length - 2));
        pattern::check(1, &[first, second].concat()[..length - 2]);
        file.set_nonblocking(true).expect("fcntl");
        pattern::check(0, &file.read_at(0, length).expect("pread"));
        let (mut out, input) = std::io::pipe().expect("pipe");
        file.seek(page() as i64 - 1, Whence::SeekSet).expect("lseek");
        assert_eq!(raw::splice(&file, &input, 100), Ok(100));
        drop(input);
        let mut spliced = Vec::new();
        assert_eq!(out.read_to_end(&mut spliced).expect("read"), 100);
        pattern::check(page() as u64 - 1, &spliced);
        driver.expect_nothing();
    }

    fn the_end_is_where_the_content_ends() {
        let (driver, file, number) = scene();
        let mapping = text(b"0123456789");
        driver.publish(Publish { file: number, ..part(&mapping, 10) }).expect("publish");
        assert_eq!(file.seek(0, Whence::SeekEnd), Ok(10));
        assert_eq!(file.read(1), Ok(vec![]));
        assert_eq!(file.seek(-3, Whence::SeekEnd), Ok(7));
        assert_eq!(file.read(9).expect("read"), b"789");
        assert_eq!(file.seek(5, Whence::SeekEnd), Ok(15));
        assert_eq!(file.read(1), Ok(vec![]));
        assert_eq!(file.seek(-11, Whence::SeekEnd), Err(Errno::EINVAL));
        assert_eq!(file.seek(i64::MAX, Whence::SeekEnd), Err(Errno::EINVAL));
        assert_eq!(file.seek(9, Whence::SeekData), Ok(9));
        assert_eq!(file.seek(10, Whence::SeekData), Err(Errno::ENXIO));
        assert_eq!(file.seek(-1, Whence::SeekData), Err(Errno::ENXIO));
        assert_eq!(file.seek(3, Whence::SeekHole), Ok(10));
        assert_eq!(file.seek(4, Whence::SeekSet), Ok(4));
        assert_eq!(file.seek(1, Whence::SeekCur), Ok(5));
        assert_eq!(file.read(1).expect("read"), b"5");
        driver.publish(Publish { file: number, ..part(&mapping, 0) }).expect_err("no address");
        let empty = Publish { device: 1, file: number, ..Publish::default() };
        driver.publish(empty).expect("no bytes");
        assert_eq!(file.read_at(0, 1), Ok(vec![]));
        assert_eq!(file.seek(0, Whence::SeekEnd), Ok(0));
        driver.expect_nothing();
    }

    fn a_file_keeps_what_it_was_opened_with() {
        let (driver, early, _) = scene();
        let node = path_of(&early);
        let texts = [&b"first"[..], b"second", b"third"].map(text);
        driver.publish(part(&texts[0], 5)).expect("publish");
        assert_eq!(told(&early), None, "it was open before");
        let (first, first_number) = driver.open(&node);
        assert_eq!(first.read(2).expect("read"), b"fi");
        driver.publish(part(&texts[1], 6)).expect("publish");
        let (second, second_number) = driver.open(&node);
        assert_eq!(first.read(9).expect("read"), b"rst");
        assert_eq!(second.read(9).expect("read"), b"second");
        // Unless it is told otherwise of that very file, as one whose open has no answer yet.
        driver.publish(Publish { file: first_number, ..part(&texts[2], 5) }).expect("publish");
        assert_eq!(first.read_at(0, 9).expect("pread"), b"third");
        let opening = crate::driver::open(&node, OFlag::O_RDONLY);
        let open = driver.expect(operation::OPEN);
        driver.publish(Publish { file: open.header.file, ..part(&texts[2], 3) }).expect("publish");
        driver.publish(NOTHING).expect("withdraw");
        driver.answer(open.id(), 0, b"").expect("answer");
        assert_eq!(opening.wait().expect("open").read(9).expect("read"), b"thi");
        driver.expect(operation::RELEASE);
        driver.expect_nothing();
        // What nothing is published for is the driver's.
        let (late, _) = driver.open(&node);
        driver.publish(Publish { file: second_number, ..NOTHING }).expect("withdraw");
        for (file, offset) in [(early, 0), (late, 0), (second, 6)] {
            let reading = file.start_read(1);
            let read = driver.expect(operation::READ);
            assert_eq!(read.transfer().offset, offset);
            driver.answer(read.id(), 0, b"d").expect("answer");
            assert_eq!(reading.wait().expect("read"), b"d");
            drop(file);
            driver.expect(operation::RELEASE);
        }
        assert_eq!(first.read_at(0, 9).expect("pread"), b"third");
    }

    fn all_but_reads_still_goes_to_the_driver() {
        let (driver, file, number) = scene();
        let mapping = text(b"before");
        driver.publish(Publish { file: number, ..part(&mapping, 6) }).expect("publish");
        let writing = file.start_write(b"after!");
        let write = driver.expect(operation::WRITE);
        // What the driver changes in its memory, readers see.
        mapping.write(0, write.written()).expect("write");
        driver.answer(write.id(), 6, b"").expect("answer");
        assert_eq!(writing.wait(), Ok(6));
        assert_eq!(file.read_at(0, 9).expect("pread"), b"after!");
        let polled = file.ready(nix::poll::PollFlags::POLLIN);
        assert!(polled.is_empty(), "it is the driver's business what poll tells");
        drop(file);
        driver.expect(operation::RELEASE);
        driver.expect_nothing();
    }

    fn a_device_need_not_implement_read() {
        let (driver, node) = Driver::with_device(0, 0);
        driver.publish(part(&text(b"text"), 4)).expect("publish");
        let (file, number) = driver.open(&node);
        assert_eq!(file.read(9).expect("read"), b"text");
        assert_eq!(file.seek(0, Whence::SeekEnd), Ok(4));
        driver.publish(Publish { file: number, ..NOTHING }).expect("withdraw");
        assert_eq!(file.read_at(0, 9), Err(Errno::EINVAL));
        assert_eq!(file.seek(0, Whence::SeekEnd), Err(Errno::EINVAL));
        driver.publish(Publish { file: number, ..part(&text(b"more"), 4) }).expect("publish");
        drop(driver);
        wait_until("the driver's end", || file.read_at(0, 9) == Err(Errno::EPIPE));
        assert_eq!(file.seek(0, Whence::SeekEnd), Err(Errno::EPIPE));
    }

    fn reads_are_counted() {
        let (driver, file, number) = scene();
        let name = path_of(&file);
        let name = name.strip_prefix("/dev").expect("a node").to_str().expect("ASCII");
        let counts = || {
            let (record, _): (StatusRecord, _) = record(name, wire::STATUS_SIZE);
            (record.served, record.bytes, record.waiting)
        };
        let before = counts();
        driver.publish(Publish { file: number, ..part(&text(b"0123456789"), 10) }).expect("publish");
        for (at, count) in [(0, 4), (4, 4), (8, 2), (10, 0)] {
            assert_eq!(file.read_at(at, 4).map(|bytes| bytes.len()), Ok(count));
        }
        file.read_at(0, 0).expect("no bytes, and no read");
        assert_eq!(counts(), (before.0 + 4, before.1 + 10, 0));
    }

    fn what_cannot_be_published() {
        let (driver, file, number) = scene();
        let (content, mapping) = content(2 * page());
        let good = part(&mapping, 2 * page());
        let page = page() as u64;
        for (wrong, errno) in [
            (Publish { device: 2, ..good }, Errno::ENOENT),
            (Publish { file: number + 1000, ..good }, Errno::ENOENT),
            (Publish { address: 0, ..good }, Errno::EFAULT),
            (Publish { address: u64::MAX - page + 1, ..good }, Errno::EFAULT),
            (Publish { address: good.address + 1, ..good }, Errno::EINVAL),
            (Publish { address: good.address + page, length: page, ..good }, Errno::EINVAL),
            (Publish { length: 2 * page + 1, ..good }, Errno::EINVAL),
            (Publish { length: i64::MAX as u64, ..good }, Errno::EINVAL),
            (Publish { length: i64::MAX as u64 + 1, ..good }, Errno::EINVAL),
            (Publish { length: u64::MAX, ..good }, Errno::EINVAL),
            (Publish { length: 0, ..good }, Errno::EINVAL),
            (Publish { flags: wire::PUBLISH_NOTHING, ..good }, Errno::EINVAL),
            (Publish { flags: 2, ..good }, Errno::EINVAL),
            (Publish { reserved: 1, ..good }, Errno::EINVAL),
        ] {
            assert_eq!(driver.publish(wrong), Err(errno), "{wrong:?}");
        }
        // More than the file has, though the page has it.
        ftruncate(&content, 5000).expect("ftruncate");
        assert_eq!(driver.publish(Publish { length: 5001, ..good }), Err(Errno::EINVAL));
        let refused = |mapping: &Mapping, errno| {
            assert_eq!(driver.publish(part(mapping, 1)), Err(errno));
        };
        refused(&Mapping::new(&content, 1, 1, How::SHARED).expect("mmap"), Errno::EINVAL);
        refused(&Mapping::new(&content, 0, 1, How::PRIVATE).expect("mmap"), Errno::EINVAL);
        refused(&Mapping::anonymous(1, How::PRIVATE), Errno::EINVAL);
        let program = fs::File::open("/proc/self/exe").expect("this program");
        refused(&Mapping::new(&program, 0, 1, How::READ_ONLY).expect("mmap"), Errno::ENODEV);
        refused(&system_v(), Errno::ENODEV);
        // Another device's file, another driver's, and what is its own.
        let name = name();
        driver.register(&name, 2, ALL, 0).expect("register");
        let (_other, other_number) = driver.open(&node(&name));
        let foreign = Publish { file: other_number, length: 5000, ..good };
        assert_eq!(driver.publish(foreign), Err(Errno::ENOENT));
        let (stranger, _strange, strange_number) = scene();
        let foreign = Publish { file: strange_number + 1000, length: 5000, ..good };
        assert_eq!(driver.publish(foreign), Err(Errno::ENOENT));
        stranger.expect_nothing();
        assert_eq!(told(&file), None, "nothing of that has come to anything");
        driver.publish(Publish { file: number, length: 5000, ..good }).expect("publish");
        pattern::check(0, &file.read_at(0, 5000).expect("pread"));
        driver.unregister(1).expect("unregister");
        assert_eq!(driver.publish(Publish { file: number, length: 1, ..good }), Err(Errno::ENOENT));
    }

    fn a_stream_has_no_place_to_read_from() {
        let (driver, node) = Driver::with_device(ALL, wire::REGISTER_STREAM);
        let (_file, number) = driver.open(&node);
        let mapping = text(b"text");
        for file in [0, number] {
            let publish = Publish { file, ..part(&mapping, 4) };
            assert_eq!(driver.publish(publish), Err(Errno::EINVAL));
        }
    }

    fn a_driver_without_the_feature_publishes_nothing() {
        let driver = Driver::silent();
        driver.expect(operation::GREETING);
        let hello = wire::Hello { version: wire::VERSION, reserved: 0, features: 0 };
        driver.say(&message(operation::HELLO, 0, 0, &[&hello.to_bytes()])).expect("hello");
        assert_eq!(driver.publish(NOTHING), Err(Errno::EOPNOTSUPP));
    }

    fn sealed_content_is_read_and_never_written() {
        let (driver, file, number) = scene();
        let (content, mapping) = content(100);
        drop(mapping);
        let seals = SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW;
        fcntl(&content, FcntlArg::F_ADD_SEALS(seals)).expect("seal");
        let mapping = Mapping::new(&content, 0, 1, How::READ_ONLY).expect("mmap");
        driver.publish(Publish { file: number, ..part(&mapping, 100) }).expect("publish");
        pattern::check(0, &file.read_at(0, 100).expect("pread"));
        // It is no reason for the driver not to seal what it publishes later.
        let open = memfd(1);
        let mapping = Mapping::new(&open, 0, 1, How::SHARED).expect("mmap");
        driver.publish(part(&mapping, 1)).expect("publish");
        drop(mapping);
        fcntl(&open, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_WRITE)).expect("seal");
    }

    fn what_is_cut_off_is_the_end_and_no_fault() {
        let (driver, file, number) = scene();
        let length = 3 * page();
        let (content, mapping) = content(length);
        driver.publish(Publish { file: number, ..part(&mapping, length - 9) }).expect("publish");
        let cut = |length: usize| ftruncate(&content, length as i64).expect("ftruncate");
        cut(page() + 7);
        let bytes = file.read_at(0, length).expect("pread");
        assert_eq!(bytes.len(), page() + 7);
        pattern::check(0, &bytes);
        assert_eq!(file.read_at(2 * page() as u64, 9), Ok(vec![]));
        assert_eq!(file.seek(0, Whence::SeekEnd), Ok(length as i64 - 9), "as was said");
        cut(0);
        assert_eq!(file.read_at(0, 9), Ok(vec![]));
        // And longer than ever: what is behind the content is nobody's business.
        cut(100 * page());
        assert_eq!(file.read_at(0, 200 * page()), Ok(vec![0; length - 9]));
    }

    fn a_driver_that_cuts_and_fills_under_its_readers() {
        let (driver, file, number) = scene();
        let length = 5 * page();
        let (content, mapping) = content(length);
        driver.publish(Publish { file: number, ..part(&mapping, length) }).expect("publish");
        let readers: Vec<_> = (0..4)
            .map(|_| {
                let file = file.duplicate();
                start(move || {
                    loop {
                        match file.read_at(0, length + 1) {
                            Ok(bytes) => assert!(bytes.len() <= length),
                            Err(errno) => return errno,
                        }
                    }
                })
            })
            .collect();
        for round in 0..rounds(300) {
            ftruncate(&content, (round * 977 % length) as i64).expect("ftruncate");
            ftruncate(&content, 2 * length as i64).expect("ftruncate");
            mapping.write(page(), b"filled").expect("write");
        }
        drop(driver);
        for reader in readers {
            assert_eq!(reader.wait(), Errno::EPIPE);
        }
    }

    fn memory_of_the_reader_that_is_not_there() {
        let (driver, file, number) = scene();
        driver.publish(Publish { file: number, ..part(&text(b"0123456789"), 10) }).expect("publish");
        let memory = raw::HalfMapped::new();
        assert_eq!(memory.read(&file, 4, 10), Ok(4));
        assert_eq!(memory.tail(4), b"0123");
        assert_eq!(memory.read(&file, 0, 10), Err(Errno::EFAULT));
        assert_eq!(file.read(9).expect("read"), b"456789", "nothing is lost");
        driver.expect_nothing();
    }

    fn the_end_of_the_driver_is_the_end_of_reading() {
        for _ in 0..rounds(40) {
            let (driver, file, number) = scene();
            let length = page() + 1;
            let (_, mapping) = content(length);
            driver.publish(part(&mapping, length)).expect("publish");
            driver.publish(Publish { file: number, ..part(&mapping, length) }).expect("publish");
            let node = path_of(&file);
            let (other, _) = driver.open(&node);
            let readers: Vec<_> = (0..8)
                .map(|number| match number % 2 {
                    0 => read_on(file.duplicate(), length),
                    _ => read_on(other.duplicate(), 1),
                })
                .collect();
            driver.publish(Publish { file: number, ..part(&mapping, length - 1) }).expect("publish");
            match number % 2 {
                0 => drop(driver),
                _ => driver.unregister(1).expect("unregister"),
            }
            for reader in readers {
                assert_eq!(reader.wait(), Errno::EPIPE);
            }
            assert_eq!(file.read(1), Err(Errno::EPIPE));
            assert_eq!(file.seek(0, Whence::SeekEnd), Err(Errno::EPIPE));
            assert_eq!(file.seek(1, Whence::SeekSet), Ok(1));
            assert_eq!(told(&file), None);
        }
    }

    fn content_may_change_while_it_is_read() {
        // Readers open, read and close while the content changes under them.
        let (driver, file, number) = scene();
        let node = path_of(&file);
        let length = 2 * page() + 3;
        let (_, mapping) = content(length);
        driver.publish(part(&mapping, length)).expect("publish");
        driver.publish(Publish { file: number, ..part(&mapping, length) }).expect("publish");
        let reader = read_on(file.duplicate(), length);
        for round in 1..=rounds(100) {
            driver.publish(Publish { file: number, ..part(&mapping, round % length) }).expect("publish");
            driver.publish(part(&mapping, length - round % 2)).expect("publish");
            let (opened, own) = driver.open_with(&node, OFlag::O_RDONLY);
            assert_eq!(opened.seek(0, Whence::SeekEnd), Ok((length - round % 2) as i64));
            let other = read_on(opened.duplicate(), 9);
            driver.publish(Publish { file: own, ..part(&mapping, 1) }).expect("publish");
            driver.publish(Publish { file: own, ..part(&mapping, round % length) }).expect("publish");
            assert!(other.blocks() && reader.blocks(), "they read");
            // What is left of it is the driver's, who refuses.
            driver.publish(Publish { file: own, ..NOTHING }).expect("withdraw");
            let read = driver.expect(operation::READ);
            driver.refuse(read.id(), Errno::ENODATA).expect("refuse");
            assert_eq!(other.wait(), Errno::ENODATA);
            drop(opened);
            driver.expect(operation::RELEASE);
        }
        driver.publish(NOTHING).expect("withdraw");
        drop(driver);
        assert_eq!(reader.wait(), Errno::EPIPE);
    }
}
