//! Row 7: mmap of memory that the driver offers.

use fusd_tests::client::{Handle, Outcome, open, open_with};
use fusd_tests::sys::mapping::{How, Mapping, page};
use fusd_tests::{Ability, Case, Driver};
use nix::errno::Errno;
use nix::fcntl::OFlag;

/// A device of two pages, unless its backend has no such thing.
fn shared(case: &Case, word: &str) -> Option<Driver> {
    if case.lacks(Ability::Memory) {
        return None;
    }
    let length = 2 * page();
    Some(case.device(&format!("shared:{length},{word}")).start())
}

fn mapped(file: &Handle, how: How) -> Outcome<Mapping> {
    Mapping::new(file, 0, 2, how)
}

#[track_caller]
fn refused(result: Outcome<Mapping>, errno: Errno) {
    assert_eq!(result.map(drop), Err(errno));
}

pub(crate) fn row7_both_sides_see_what_the_other_writes(case: &Case) {
    let Some(mut driver) = shared(case, "") else {
        return;
    };
    let files = [(); 2].map(|()| open(driver.node()).expect("open"));
    let [one, other] = files.each_ref().map(|file| mapped(file, How::SHARED));
    let (one, other) = (one.expect("mmap"), other.expect("mmap"));
    driver.ask("put 5 driver");
    assert_eq!(one.read(5, 6).expect("read"), b"driver");
    let across = page() - 3;
    one.write(across, b"client").expect("write");
    assert_eq!(driver.ask(&format!("get {across} 6")), "client");
    assert_eq!(other.read(across, 6).expect("read"), b"client");
    let copy = mapped(&files[0], How::PRIVATE).expect("mmap");
    copy.write(5, b"hidden").expect("write");
    assert_eq!(driver.ask("get 5 6"), "driver");
    // An open file is not needed any more.
    drop(files);
    driver.await_number("counts releases", 2);
    one.write(5, b"closed").expect("write");
    assert_eq!(other.read(5, 6).expect("read"), b"closed");
}

pub(crate) fn row7_each_open_may_have_its_own(case: &Case) {
    let Some(driver) = shared(case, "each") else {
        return;
    };
    for number in ["0", "1", "2"] {
        let file = open(driver.node()).expect("open");
        let memory = mapped(&file, How::SHARED).expect("mmap");
        assert_eq!(memory.read(0, 1).expect("read"), number.as_bytes());
    }
}

pub(crate) fn row7_read_only_is_kept(case: &Case) {
    let Some(mut driver) = shared(case, "read-only") else {
        return;
    };
    let file = open(driver.node()).expect("open");
    refused(mapped(&file, How::SHARED), Errno::EACCES);
    let seen = mapped(&file, How::READ_ONLY).expect("mmap");
    driver.ask("put 0 driver");
    assert_eq!(seen.read(0, 6).expect("read"), b"driver");
    let writable = libc::PROT_READ | libc::PROT_WRITE;
    assert_eq!(seen.protect(writable), Err(Errno::EACCES));
    mapped(&file, How::PRIVATE).expect("a copy");
}

pub(crate) fn row7_a_reader_gets_no_write_access(case: &Case) {
    let Some(driver) = shared(case, "") else {
        return;
    };
    let file = open_with(driver.node(), OFlag::O_RDONLY).expect("open");
    refused(mapped(&file, How::SHARED), Errno::EACCES);
    let seen = mapped(&file, How::READ_ONLY).expect("mmap");
    let writable = libc::PROT_READ | libc::PROT_WRITE;
    assert_eq!(seen.protect(writable), Err(Errno::EACCES));
    let file = open_with(driver.node(), OFlag::O_WRONLY).expect("open");
    refused(mapped(&file, How::READ_ONLY), Errno::EACCES);
}

pub(crate) fn row7_length_and_offset_are_checked(case: &Case) {
    let Some(mut driver) = shared(case, "") else {
        return;
    };
    let file = open(driver.node()).expect("open");
    for (first, pages) in [(0, 3), (1, 2), (2, 1), (1000, 1)] {
        refused(Mapping::new(&file, first, pages, How::SHARED), Errno::ENXIO);
    }
    let mut second = Mapping::new(&file, 1, 1, How::SHARED).expect("mmap");
    driver.ask(&format!("put {} second", page()));
    assert_eq!(second.read(0, 6).expect("read"), b"second");
    assert!(second.grow(2).is_err());
}

pub(crate) fn row7_without_an_offer_there_is_nothing_to_map(case: &Case) {
    if case.lacks(Ability::Memory) {
        return;
    }
    let driver = case.device("memory").start();
    let file = open(driver.node()).expect("open");
    refused(mapped(&file, How::SHARED), Errno::ENODEV);
}

pub(crate) fn row7_what_is_mapped_outlives_the_driver(case: &Case) {
    for kill in [false, true] {
        let Some(mut driver) = shared(case, "") else {
            return;
        };
        let file = open(driver.node()).expect("open");
        let memory = mapped(&file, How::SHARED).expect("mmap");
        driver.ask("put 0 driver");
        match kill {
            true => driver.kill(),
            false => driver.stop(),
        }
        assert_eq!(memory.read(0, 6).expect("no signal"), b"driver");
        memory.write(page(), b"client").expect("no signal");
        refused(mapped(&file, How::SHARED), Errno::EPIPE);
        drop(file);
        assert_eq!(memory.read(page(), 6).expect("no signal"), b"client");
    }
}
