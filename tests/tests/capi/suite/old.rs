//! Drivers that are written as they were for the original.

use fusd_tests::client::{Handle, open_with, process};
use fusd_tests::sys::mapping::{How, Mapping};
use fusd_tests::{Ability, Case};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::PollFlags;

use crate::helper::{PROGRAMS, lacks_compiler, node, old, program, start};

pub(crate) fn a_pager_of_2003(case: &Case) {
    if lacks_compiler(case) {
        return;
    }
    let driver = start(case, &old("pager"));
    let node = node(case);
    let reader = open_with(&node, OFlag::O_RDONLY).expect("open");
    driver.says("open 1 0 0 info");
    let writer = open_with(&node, OFlag::O_WRONLY).expect("open");
    driver.says("open 1 0 0 info");
    assert_eq!(reader.ready(PollFlags::POLLIN), PollFlags::empty());
    assert_eq!(reader.read(1), Err(Errno::EINVAL));
    let waiting = reader.start_read(200);
    driver.says("waits");
    assert_eq!(writer.write(b"hello"), Ok(5));
    assert_eq!(waiting.wait(), Ok(b"hello".to_vec()));
    assert_eq!(writer.write(b"again"), Ok(5));
    assert_eq!(reader.ready(PollFlags::POLLIN), PollFlags::POLLIN);
    assert_eq!(reader.read(200), Ok(b"again".to_vec()));
    assert_eq!(writer.write(&[b'x'; 500]), Err(Errno::EMSGSIZE));
    drop(reader);
    driver.says("close");
    drop(writer);
    driver.says("close");
    assert!(driver.is_silent());
}

pub(crate) fn interrupted_calls_are_unblocked(case: &Case) {
    if lacks_compiler(case) {
        return;
    }
    let driver = start(case, &old("pager"));
    let client = process(case, &node(case), &["read", "200"]);
    driver.says("open 1 0 0 info");
    driver.says("waits");
    client.kill();
    driver.says("unblock 1");
    driver.says("late 1");
    driver.says("close");
}

pub(crate) fn two_devices_and_two_threads(case: &Case) {
    if lacks_compiler(case) {
        return;
    }
    let mut driver = start(case, &old("udev"));
    let threads = open_with(&node(case), OFlag::O_RDONLY).expect("open");
    assert_eq!(threads.read(100), Ok(b"threads at 0".to_vec()));
    if case.backend().has(Ability::Offsets) {
        assert_eq!(threads.read_at(1000, 100), Ok(b"threads at 1000".to_vec()));
    }
    let many: Vec<_> = (0..8)
        .map(|_| open_with(&node(case), OFlag::O_RDONLY).expect("open"))
        .map(|file| file.start_read(100))
        .collect();
    for read in many {
        assert_eq!(read.wait(), Ok(b"threads at 0".to_vec()));
    }
    let mut count = node(case).into_os_string();
    count.push("-count");
    let count = open_with(count.as_ref(), OFlag::O_RDONLY).expect("open");
    for expected in [b"1 ", b"2 ", b"3 "] {
        assert_eq!(count.read(100), Ok(expected.to_vec()), "its own position");
    }
    drop((threads, count));
    driver.end_input();
    let (status, errors) = driver.wait();
    assert!(status.success(), "{status}: {errors}");
    assert!(
        errors.contains("EEXIST") && errors.contains("-count"),
        "{errors}"
    );
}

/// Three threads in fusd_run: all of them serve a device that one has registered meanwhile.
pub(crate) fn threads_share_what_comes_later(case: &Case) {
    if lacks_compiler(case) {
        return;
    }
    let source = format!("{PROGRAMS}/threads.c");
    let threads = program(&source, "", &["-Wall", "-Wextra", "-Werror"]);
    let driver = start(case, &threads);
    let first = open_with(&node(case), OFlag::O_RDONLY).expect("open");
    let first = first.start_read(10);
    driver.says("registered");
    let mut second = node(case).into_os_string();
    second.push("-second");
    let both: Vec<_> = (0..2)
        .map(|_| open_with(second.as_ref(), OFlag::O_RDONLY).expect("open"))
        .map(|file| file.start_read(10))
        .collect();
    for read in both {
        assert_eq!(read.wait(), Ok(b"met".to_vec()));
    }
    assert_eq!(first.wait(), Ok(b"done".to_vec()));
}

/// A driver's own memory, as it came from its compiler and from malloc.
pub(crate) fn memory_of_the_driver_is_mapped(case: &Case) {
    if lacks_compiler(case) {
        return;
    }
    let source = format!("{PROGRAMS}/map.c");
    let map = program(&source, "", &["-Wall", "-Wextra", "-Werror"]);
    let driver = start(case, &map);
    let path = node(case);
    let file = open_with(&path, OFlag::O_RDWR).expect("open");
    assert_eq!(
        file.read(5),
        Ok(b"first".to_vec()),
        "what it has in its memory"
    );
    if case.lacks(Ability::Memory) {
        assert!(driver.is_silent(), "it is not asked");
        return;
    }
    let map = |file: &Handle| Mapping::new(file, 0, 1, How::SHARED);
    driver.says("mmap 3");
    let mapped = map(&file).expect("mmap");
    assert_eq!(mapped.read(0, 5), Ok(b"first".to_vec()));
    mapped.write(0, b"from client").expect("write");
    assert_eq!(file.read_at(0, 11), Ok(b"from client".to_vec()));
    assert_eq!(file.write_at(0, b"from driver"), Ok(11));
    assert_eq!(mapped.read(0, 11), Ok(b"from driver".to_vec()));

    // The same memory once more; to be read; none; what cannot be mapped.
    let other = open_with(&path, OFlag::O_RDWR).expect("open");
    driver.says("mmap 3");
    let again = map(&other).expect("mmap");
    assert_eq!(again.read(0, 11), Ok(b"from driver".to_vec()));
    let reader = open_with(&path, OFlag::O_RDWR | OFlag::O_SYNC).expect("open");
    driver.says("mmap 3");
    driver.says("mmap 1");
    assert_eq!(map(&reader).map(drop), Err(Errno::EACCES));
    let seen = Mapping::new(&reader, 0, 1, How::READ_ONLY).expect("mmap");
    assert_eq!(seen.read(0, 11), Ok(b"from driver".to_vec()));
    let without = open_with(&path, OFlag::O_RDWR | OFlag::O_APPEND).expect("open");
    driver.says("mmap 3");
    driver.says("mmap 1");
    assert_eq!(map(&without).map(drop), Err(Errno::ENODEV));
    let code = open_with(&path, OFlag::O_RDWR | OFlag::O_NONBLOCK).expect("open");
    driver.says("mmap 3");
    assert_eq!(map(&code).map(drop), Err(Errno::ENODEV));
    // An open that is answered later.
    let late = open_with(&path, OFlag::O_RDWR | OFlag::O_NOATIME).expect("open");
    driver.says("mmap 3");
    let late = map(&late).expect("mmap");
    assert_eq!(late.read(0, 11), Ok(b"from driver".to_vec()));

    drop((file, other, reader, without, code, driver));
    assert_eq!(
        again.read(0, 11),
        Ok(b"from driver".to_vec()),
        "it outlives all"
    );
}
