//! MEMORY: what a driver offers, clients map. No request ever goes to the driver for it.

use fusd::wire::{self, Memory, operation};
use fusd_tests::client::Handle;
use fusd_tests::sys::mapping::{How, Mapping, memfd, page, system_v};
use fusd_tests::wait::{rounds, start, wait_until};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, SealFlag, fcntl};
use nix::unistd::ftruncate;

use crate::driver::{ALL, Driver, message, name, node};
use crate::module::tests;

/// An offer of all of `mapping` for device 1.
fn offer(mapping: &Mapping) -> Memory {
    Memory {
        device: 1,
        address: mapping.address(),
        length: mapping.length(),
        ..Memory::default()
    }
}

/// The same, not to be written to.
fn read_only(mapping: &Mapping) -> Memory {
    Memory {
        flags: wire::MEMORY_READ_ONLY,
        ..offer(mapping)
    }
}

/// An offer of nothing.
const NOTHING: Memory = Memory {
    device: 1,
    file: 0,
    address: 0,
    length: 0,
    flags: 0,
    reserved: 0,
};

impl Driver {
    fn offer(&self, memory: Memory) -> Result<(), Errno> {
        self.say(&message(operation::MEMORY, 0, 0, &[&memory.to_bytes()]))
    }
}

/// A driver of one device with an open file, its number, and `pages` pages of memory that the driver
/// has mapped, which begin with "driver".
fn scene(pages: usize) -> (Driver, Handle, u64, Mapping) {
    let (driver, node) = Driver::with_device(ALL, 0);
    let (file, number) = driver.open(&node);
    let memory = Mapping::new(&memfd(pages), 0, pages, How::SHARED).expect("mmap");
    memory.write(0, b"driver").expect("write");
    (driver, file, number, memory)
}

/// What mapping the first page comes to.
fn mapped(file: &Handle) -> Result<Mapping, Errno> {
    Mapping::new(file, 0, 1, How::SHARED)
}

#[track_caller]
fn refused(result: Result<Mapping, Errno>, errno: Errno) {
    assert_eq!(result.map(drop), Err(errno));
}

tests! {
    fn both_sides_see_what_the_other_writes() {
        let (driver, file, _, memory) = scene(2);
        driver.offer(offer(&memory)).expect("offer");
        let shared = Mapping::new(&file, 0, 2, How::SHARED).expect("mmap");
        let private = Mapping::new(&file, 0, 2, How::PRIVATE).expect("mmap");
        assert_eq!(shared.read(0, 6).expect("read"), b"driver");
        shared.write(page() - 2, b"client").expect("write");
        assert_eq!(memory.read(page() - 2, 6).expect("read"), b"client");
        memory.write(2 * page() - 1, b"!").expect("write");
        assert_eq!(shared.read(2 * page() - 1, 1).expect("read"), b"!");
        assert_eq!(private.read(0, 6).expect("read"), b"driver");
        private.write(0, b"mine").expect("write");
        assert_eq!(shared.read(0, 6).expect("read"), b"driver");
        // The second page alone.
        let second = Mapping::new(&file, 1, 1, How::SHARED).expect("mmap");
        assert_eq!(second.read(page() - 1, 1).expect("read"), b"!");
        driver.expect_nothing();
    }

    fn what_is_mapped_outlives_the_driver() {
        let (driver, file, _, memory) = scene(1);
        driver.offer(offer(&memory)).expect("offer");
        let shared = mapped(&file).expect("mmap");
        drop(driver);
        drop(memory);
        assert_eq!(shared.read(0, 6).expect("read"), b"driver");
        shared.write(0, b"client").expect("write");
        // A process that another test starts just now has the driver's file, too, until its exec.
        let ended = || mapped(&file).map(drop) == Err(Errno::EPIPE);
        wait_until("the driver has ended", ended);
        drop(file);
        assert_eq!(shared.read(0, 6).expect("read"), b"client");
    }

    fn nothing_but_what_is_offered() {
        let (driver, file, number, memory) = scene(2);
        refused(mapped(&file), Errno::ENODEV);
        driver.offer(offer(&memory)).expect("offer");
        refused(Mapping::new(&file, 0, 3, How::SHARED), Errno::ENXIO);
        refused(Mapping::new(&file, 2, 1, How::SHARED), Errno::ENXIO);
        refused(Mapping::new(&file, 1, 2, How::SHARED), Errno::ENXIO);
        refused(Mapping::new(&file, usize::MAX >> 14, 1, How::SHARED), Errno::ENXIO);
        // Less than there is, of a mapping that has more.
        driver.offer(Memory { length: page() as u64, ..offer(&memory) }).expect("offer");
        let mut first = mapped(&file).expect("mmap");
        assert_eq!(first.grow(2), Err(Errno::EFAULT));
        refused(Mapping::new(&file, 1, 1, How::SHARED), Errno::ENXIO);
        // A file of its own comes before the device; withdrawn, that one counts again.
        let own = Mapping::new(&memfd(1), 0, 1, How::SHARED).expect("mmap");
        driver.offer(Memory { file: number, ..offer(&own) }).expect("offer");
        assert_eq!(mapped(&file).expect("mmap").read(0, 6).expect("read"), [0; 6]);
        driver.offer(Memory { file: number, ..NOTHING }).expect("withdraw");
        assert_eq!(mapped(&file).expect("mmap").read(0, 6).expect("read"), b"driver");
        driver.offer(NOTHING).expect("withdraw");
        refused(mapped(&file), Errno::ENODEV);
        assert_eq!(first.read(0, 6).expect("read"), b"driver", "what is mapped stays");
    }

    fn read_only_means_read_only() {
        let (driver, file, _, memory) = scene(2);
        driver.offer(read_only(&memory)).expect("offer");
        refused(mapped(&file), Errno::EACCES);
        let seen = Mapping::new(&file, 0, 1, How::READ_ONLY).expect("mmap");
        assert_eq!(seen.read(0, 6).expect("read"), b"driver");
        assert_eq!(seen.protect(libc::PROT_READ | libc::PROT_WRITE), Err(Errno::EACCES));
        assert_eq!(seen.turn(1), Err(Errno::EINVAL));
        assert_eq!(seen.write(0, b"client"), Err(Errno::EFAULT));
        memory.write(0, b"second").expect("write");
        assert_eq!(seen.read(0, 6).expect("read"), b"second");
        let private = Mapping::new(&file, 0, 1, How::PRIVATE).expect("mmap");
        private.write(0, b"mine").expect("write");
        assert_eq!(memory.read(0, 6).expect("read"), b"second");
        // Of a file that is not open for writing, whatever the driver allows.
        driver.offer(offer(&memory)).expect("offer");
        let (reader, _) = driver.open_with(&path_of(&file), OFlag::O_RDONLY);
        refused(mapped(&reader), Errno::EACCES);
        let seen = Mapping::new(&reader, 0, 1, How::READ_ONLY).expect("mmap");
        assert_eq!(seen.protect(libc::PROT_READ | libc::PROT_WRITE), Err(Errno::EACCES));
        assert_eq!(seen.turn(1), Err(Errno::EINVAL));
    }

    fn what_cannot_be_offered() {
        let (driver, file, number, memory) = scene(2);
        let good = offer(&memory);
        let page = page() as u64;
        for (wrong, errno) in [
            (Memory { device: 2, ..good }, Errno::ENOENT),
            (Memory { file: number + 1000, ..good }, Errno::ENOENT),
            (Memory { address: 0, ..good }, Errno::EFAULT),
            (Memory { address: u64::MAX - page + 1, ..good }, Errno::EFAULT),
            (Memory { address: good.address + 1, ..good }, Errno::EINVAL),
            (Memory { address: good.address + page, length: page, ..good }, Errno::EINVAL),
            (Memory { length: 1, ..good }, Errno::EINVAL),
            (Memory { length: 3 * page, ..good }, Errno::EINVAL),
            (Memory { length: u64::MAX - page + 1, ..good }, Errno::EINVAL),
            (Memory { flags: 2, ..good }, Errno::EINVAL),
            (Memory { reserved: 1, ..good }, Errno::EINVAL),
            (Memory { length: 0, ..good }, Errno::EINVAL),
        ] {
            assert_eq!(driver.offer(wrong), Err(errno), "{wrong:?}");
        }
        let file_of_two = memfd(2);
        let beyond = Mapping::new(&file_of_two, 0, 4, How::SHARED).expect("mmap");
        assert_eq!(driver.offer(offer(&beyond)), Err(Errno::EINVAL), "more than the file");
        let late = Mapping::new(&file_of_two, 1, 1, How::SHARED).expect("mmap");
        assert_eq!(driver.offer(offer(&late)), Err(Errno::EINVAL), "not from its beginning on");
        let copy = Mapping::new(&file_of_two, 0, 2, How::PRIVATE).expect("mmap");
        assert_eq!(driver.offer(offer(&copy)), Err(Errno::EINVAL), "private");
        let none = Mapping::anonymous(1, How::PRIVATE);
        assert_eq!(driver.offer(offer(&none)), Err(Errno::EINVAL), "private, of no file");
        let program = std::fs::File::open("/proc/self/exe").expect("this program");
        let program = Mapping::new(&program, 0, 1, How::READ_ONLY).expect("mmap");
        assert_eq!(driver.offer(read_only(&program)), Err(Errno::ENODEV), "of another file system");
        assert_eq!(driver.offer(offer(&system_v())), Err(Errno::ENODEV), "System V");
        let seen = Mapping::new(&file_of_two, 0, 2, How::READ_ONLY).expect("mmap");
        driver.offer(offer(&seen)).expect("it could be written to, after mprotect(2)");
        // Another device's file.
        let name = name();
        driver.register(&name, 2, ALL, 0).expect("register");
        let (_other, other_number) = driver.open(&node(&name));
        let crossed = Memory { file: other_number, ..good };
        assert_eq!(driver.offer(crossed), Err(Errno::ENOENT));
        // Nothing of that has come to anything.
        assert_eq!(mapped(&file).expect("mmap").read(0, 6).expect("read"), [0; 6]);
        // Memory of no file, but shared.
        let anonymous = Mapping::anonymous(1, How::SHARED);
        driver.offer(offer(&anonymous)).expect("offer");
        mapped(&file).expect("mmap").write(0, b"client").expect("write");
        assert_eq!(anonymous.read(0, 6).expect("read"), b"client");
    }

    fn seals_are_kept() {
        let seal = |file: &_, seal| fcntl(file, FcntlArg::F_ADD_SEALS(seal)).map(drop);
        let (driver, file, _, _) = scene(1);
        let content = memfd(1);
        let memory = Mapping::new(&content, 0, 1, How::SHARED).expect("mmap");
        driver.offer(offer(&memory)).expect("offer");
        // Clients may map it at any time, so it cannot be sealed against that.
        drop(memory);
        assert_eq!(seal(&content, SealFlag::F_SEAL_WRITE), Err(Errno::EBUSY));
        drop(mapped(&file).expect("mmap"));
        driver.offer(NOTHING).expect("withdraw");
        seal(&content, SealFlag::F_SEAL_WRITE).expect("sealed");
        let memory = Mapping::new(&content, 0, 1, How::READ_ONLY).expect("mmap");
        assert_eq!(driver.offer(offer(&memory)), Err(Errno::EACCES));
        driver.offer(read_only(&memory)).expect("offer");
        refused(mapped(&file), Errno::EACCES);
        Mapping::new(&file, 0, 1, How::READ_ONLY).expect("mmap");
        let content = memfd(1);
        seal(&content, SealFlag::F_SEAL_FUTURE_WRITE).expect("sealed");
        let memory = Mapping::new(&content, 0, 1, How::READ_ONLY).expect("mmap");
        assert_eq!(driver.offer(offer(&memory)), Err(Errno::EACCES));
    }

    fn memory_that_is_cut_off_is_a_fault_and_no_hang() {
        let (driver, file, _, _) = scene(1);
        let content = memfd(2);
        let memory = Mapping::new(&content, 0, 2, How::SHARED).expect("mmap");
        driver.offer(offer(&memory)).expect("offer");
        let shared = Mapping::new(&file, 0, 2, How::SHARED).expect("mmap");
        shared.write(page(), b"gone").expect("write");
        ftruncate(&content, i64::try_from(page()).expect("a page")).expect("ftruncate");
        assert_eq!(shared.read(page(), 1), Err(Errno::EFAULT));
        shared.write(0, b"here").expect("write");
        assert_eq!(memory.read(0, 4).expect("read"), b"here");
    }

    fn a_driver_without_the_feature_has_no_memory() {
        let driver = Driver::silent();
        driver.expect(operation::GREETING);
        let hello = wire::Hello { version: wire::VERSION, reserved: 0, features: 0 };
        driver.say(&message(operation::HELLO, 0, 0, &[&hello.to_bytes()])).expect("hello");
        assert_eq!(driver.offer(NOTHING), Err(Errno::EOPNOTSUPP));
    }

    fn memory_may_change_while_it_is_mapped() {
        // Clients map, touch and unmap while the memory changes under them and the driver ends.
        for _ in 0..rounds(40) {
            let (driver, file, number, memory) = scene(4);
            let (file, other) = (file.duplicate(), Mapping::new(&memfd(1), 0, 1, How::SHARED));
            let other = other.expect("mmap");
            driver.offer(offer(&memory)).expect("offer");
            let clients: Vec<_> = (0..3)
                .map(|_| {
                    let file = file.duplicate();
                    start(move || {
                        loop {
                            match mapped(&file) {
                                Ok(shared) => {
                                    shared.write(9, b"x").expect("write");
                                    assert_eq!(shared.read(9, 1).expect("read"), b"x");
                                }
                                Err(Errno::ENODEV | Errno::EACCES) => {}
                                Err(Errno::EPIPE) => return,
                                Err(errno) => panic!("mmap: {errno}"),
                            }
                        }
                    })
                })
                .collect();
            for _ in 0..10 {
                driver.offer(read_only(&memory)).expect("offer");
                driver.offer(Memory { file: number, ..offer(&other) }).expect("offer");
                driver.offer(NOTHING).expect("withdraw");
                driver.offer(Memory { file: number, ..NOTHING }).expect("withdraw");
                driver.offer(offer(&memory)).expect("offer");
            }
            drop(driver);
            clients.into_iter().for_each(|client| client.wait());
        }
    }
}

/// The node that `file` is of.
fn path_of(file: &Handle) -> std::path::PathBuf {
    use std::os::fd::{AsFd, AsRawFd};
    let number = file.as_fd().as_raw_fd();
    std::fs::read_link(format!("/proc/self/fd/{number}")).expect("a path")
}
