//! Row 3: reads and writes of any size at any place.

use std::fs;

use fusd_tests::client::{Whence, open, open_with};
use fusd_tests::wait::rounds;
use fusd_tests::{Ability, Case, Driver, pattern};
use nix::errno::Errno;
use nix::fcntl::OFlag;

const MIB: usize = 1 << 20;

/// The content, as a client gets it who opens the node now.
fn content(driver: &Driver) -> Vec<u8> {
    let file = open_with(driver.node(), OFlag::O_RDONLY).expect("open");
    file.read_all(MIB).expect("read")
}

/// Compares the size with what stat(2) shows, if it shows one.
#[track_caller]
fn check_size(driver: &Driver, case: &Case, size: usize) {
    let shown = if case.backend().shows_size() { size } else { 0 };
    let status = fs::metadata(driver.node()).expect("stat");
    assert_eq!(status.len(), shown as u64);
}

pub(crate) fn row3_any_buffer_size_gives_the_same_bytes(case: &Case) {
    let driver = case.device(&format!("pattern:{}", 16 * MIB)).start();
    // The smallest ones only for a few pages, from a place that is no multiple of anything.
    for (size, count) in [(1, 20_000), (7, 10_000), (512, 2048)] {
        let file = open_with(driver.node(), OFlag::O_RDONLY).expect("open");
        let begin = match case.backend().has(Ability::Offsets) {
            true => file.seek(1_048_573, Whence::SeekSet).expect("lseek"),
            false => 0,
        };
        let mut all = Vec::new();
        for _ in 0..rounds(count) {
            let piece = file.read(size).expect("read");
            assert_eq!(piece.len(), size, "a regular read is never short");
            all.extend(piece);
        }
        pattern::check(begin as u64, &all);
    }
    for size in [4096, 65537, MIB, 5 * MIB, 17 * MIB] {
        let file = open_with(driver.node(), OFlag::O_RDONLY).expect("open");
        let all = file.read_all(size).expect("read");
        assert_eq!(all.len(), 16 * MIB, "with buffers of {size}");
        pattern::check(0, &all);
    }
    check_size(&driver, case, 16 * MIB);
}

pub(crate) fn row3_pread_at_any_place(case: &Case) {
    if case.lacks(Ability::Offsets) {
        return;
    }
    let driver = case.device(&format!("pattern:{}", 3 * MIB + 5)).start();
    let end = 3 * MIB as u64 + 5;
    let file = open_with(driver.node(), OFlag::O_RDONLY).expect("open");
    for offset in [
        0,
        1,
        4095,
        4096,
        MIB as u64 - 1,
        2 * MIB as u64 + 77,
        end - 1,
    ] {
        for length in [1, 2, 4097, 2 * MIB] {
            let data = file.read_at(offset, length).expect("pread");
            let left = usize::try_from(end - offset).expect("small");
            assert_eq!(data.len(), length.min(left), "{length} at {offset}");
            pattern::check(offset, &data);
        }
    }
    for beyond in [end, end + 1, 1 << 40, i64::MAX as u64 - 100] {
        assert_eq!(file.read_at(beyond, 100), Ok(vec![]), "at {beyond}");
    }
    assert_eq!(
        file.seek(0, Whence::SeekCur),
        Ok(0),
        "pread leaves the position alone"
    );
}

pub(crate) fn row3_zero_length(case: &Case) {
    let driver = case.device("memory").start();
    let file = open(driver.node()).expect("open");
    file.write(b"abc").expect("write");
    assert_eq!(file.write(b""), Ok(0));
    assert_eq!(file.write_at(100, b""), Ok(0));
    assert_eq!(file.read_at(0, 0), Ok(vec![]));
    assert_eq!(content(&driver), b"abc");
    check_size(&driver, case, 3);
    driver.stop();

    let stream = case.device("stream:4").start();
    let file = open(stream.node()).expect("open");
    assert_eq!(
        file.read(0),
        Ok(vec![]),
        "no bytes are there without waiting"
    );
    assert_eq!(file.write(b""), Ok(0));
}

pub(crate) fn row3_seek(case: &Case) {
    if case.lacks(Ability::Offsets) {
        return;
    }
    let driver = case.device("memory").start();
    let file = open(driver.node()).expect("open");
    file.write(b"0123456789").expect("write");
    assert_eq!(file.seek(0, Whence::SeekCur), Ok(10));
    assert_eq!(file.seek(3, Whence::SeekSet), Ok(3));
    assert_eq!(file.read(2).expect("read"), b"34");
    assert_eq!(file.seek(1, Whence::SeekCur), Ok(6));
    assert_eq!(file.read(1).expect("read"), b"6");
    assert_eq!(file.seek(-2, Whence::SeekEnd), Ok(8));
    assert_eq!(file.read(9).expect("read"), b"89");
    assert_eq!(file.seek(-1, Whence::SeekSet), Err(Errno::EINVAL));
    assert_eq!(file.seek(-11, Whence::SeekEnd), Err(Errno::EINVAL));
    assert_eq!(file.seek(5, Whence::SeekEnd), Ok(15));
    assert_eq!(file.read(1), Ok(vec![]));
    // Somebody else makes it longer: the end is where it is now.
    open(driver.node())
        .expect("open")
        .write_at(19, b"!")
        .expect("pwrite");
    assert_eq!(file.seek(0, Whence::SeekEnd), Ok(20));
}

pub(crate) fn row3_offsets_beyond_4_gib(case: &Case) {
    if case.lacks(Ability::Offsets) {
        return;
    }
    let driver = case.device("memory").start();
    let file = open(driver.node()).expect("open");
    for offset in [
        (1u64 << 31) - 1,
        (1 << 32) - 2,
        (1 << 32) + 3,
        1 << 40,
        (1 << 62) + 12345,
    ] {
        let text = format!("at {offset}");
        assert_eq!(file.write_at(offset, text.as_bytes()), Ok(text.len()));
        assert_eq!(
            file.read_at(offset, text.len()).expect("pread"),
            text.as_bytes()
        );
        let signed = i64::try_from(offset).expect("positive");
        assert_eq!(file.seek(signed, Whence::SeekSet), Ok(signed));
        assert_eq!(file.read(text.len()).expect("read"), text.as_bytes());
        let end = signed + i64::try_from(text.len()).expect("small");
        assert_eq!(file.seek(0, Whence::SeekCur), Ok(end));
        assert_eq!(file.seek(0, Whence::SeekEnd), Ok(end));
    }
    // Not at the same place modulo 2^32.
    assert_eq!(file.read_at(3, 8).expect("pread"), [0; 8]);
}

pub(crate) fn row3_read_into_parts_and_write_from_parts(case: &Case) {
    let driver = case.device("memory").start();
    let file = open(driver.node()).expect("open");
    let long = pattern::bytes(0, 100_000);
    let parts: [&[u8]; 5] = [b"a", b"", b"bcd", &long, b"e"];
    assert_eq!(file.write_parts(&parts), Ok(100_005));
    assert_eq!(content(&driver), parts.concat());
    let file = open(driver.node()).expect("open");
    let (mut first, mut second, mut third) = (vec![0; 2], vec![0; 99_999], vec![0; 50]);
    let mut into: [&mut [u8]; 4] = [&mut first, &mut [], &mut second, &mut third];
    assert_eq!(file.read_parts(&mut into), Ok(100_005));
    third.truncate(4);
    assert_eq!([first, second, third].concat(), parts.concat());
}

pub(crate) fn row3_large_writes_arrive_whole(case: &Case) {
    let driver = case.device("memory").start();
    for size in [
        1,
        4095,
        4096,
        4097,
        65537,
        MIB - 1,
        MIB,
        MIB + 1,
        5 * MIB + 3,
    ] {
        let flags = OFlag::O_RDWR | OFlag::O_TRUNC;
        let file = open_with(driver.node(), flags).expect("open");
        let data = pattern::bytes(size as u64, size);
        assert_eq!(file.write(&data), Ok(size));
        check_size(&driver, case, size);
        // Also where O_TRUNC does nothing: each is longer than the one before.
        let file = open(driver.node()).expect("open");
        let back = file.read(size + 1).expect("read");
        assert_eq!(back.len(), size);
        pattern::check(size as u64, &back);
    }
}

pub(crate) fn row3_append(case: &Case) {
    let driver = case.device("memory").start();
    open(driver.node())
        .expect("open")
        .write(b"first\n")
        .expect("write");
    let append = open_with(driver.node(), OFlag::O_WRONLY | OFlag::O_APPEND).expect("open");
    append.write(b"second\n").expect("write");
    // Somebody else makes it longer: the end is where it is now.
    let other = open(driver.node()).expect("open");
    other.read(13).expect("read");
    other.write(b"third\n").expect("write");
    append.write(b"fourth\n").expect("write");
    assert_eq!(content(&driver), b"first\nsecond\nthird\nfourth\n");
}

pub(crate) fn row3_truncate(case: &Case) {
    if case.lacks(Ability::Truncate) {
        return;
    }
    let driver = case.device("memory").start();
    open(driver.node())
        .expect("open")
        .write(b"something long\n")
        .expect("write");
    // As shells do.
    let script = "echo new >\"$0\" && echo line >>\"$0\" && cat \"$0\"";
    let output = case
        .command("sh")
        .args(["-c", script])
        .arg(driver.node())
        .output();
    let output = output.expect("sh");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.stdout, b"new\nline\n");
    drop(open_with(driver.node(), OFlag::O_WRONLY | OFlag::O_TRUNC).expect("open"));
    assert_eq!(content(&driver), b"");
}

pub(crate) fn row3_streams_have_no_position(case: &Case) {
    if case.lacks(Ability::Offsets) {
        return;
    }
    let mut driver = case.device("stream:100").start();
    let file = open(driver.node()).expect("open");
    driver.ask("push abcdef");
    for whence in [Whence::SeekSet, Whence::SeekCur, Whence::SeekEnd] {
        assert_eq!(file.seek(0, whence), Err(Errno::ESPIPE));
    }
    assert_eq!(file.read_at(0, 1), Err(Errno::ESPIPE));
    assert_eq!(file.write_at(0, b"x"), Err(Errno::ESPIPE));
    assert_eq!(file.read(9).expect("read"), b"abcdef", "nothing was taken");
}

pub(crate) fn row3_partial_results(case: &Case) {
    let mut driver = case.device("stream:10").start();
    let file = open(driver.node()).expect("open");
    assert_eq!(
        file.write(b"0123456789abcdef"),
        Ok(10),
        "as much as there is room"
    );
    assert_eq!(file.read(4).expect("read"), b"0123");
    assert_eq!(
        file.read(100).expect("read"),
        b"456789",
        "as much as there is"
    );
    driver.ask("push xyz");
    driver.ask("end");
    assert_eq!(file.read(2).expect("read"), b"xy");
    assert_eq!(file.read(2).expect("read"), b"z");
    assert_eq!(file.read(2), Ok(vec![]), "the end of the file");
}

/// Where the kernel cuts a call into requests depends on where in a page its memory begins. However it
/// does, a read that has got something must not wait for more.
pub(crate) fn row3_a_large_read_takes_what_is_there(case: &Case) {
    let mut driver = case.device(&format!("stream:{}", 8 * MIB)).start();
    let file = open(driver.node()).expect("open");
    for start in [0, 1, 4095] {
        for full in [128 * 1024, 2 * MIB] {
            for size in [full - start, full] {
                let data = pattern::bytes(0, size);
                assert_eq!(file.write(&data), Ok(size));
                let mut all = Vec::new();
                while all.len() < size {
                    let piece = file.start_read_behind_page(start, 4 * MIB).wait();
                    let piece = piece.expect("read");
                    assert!(!piece.is_empty(), "no end of the file");
                    all.extend(piece);
                }
                assert_eq!(all.len(), size);
                pattern::check(0, &all);
            }
        }
    }
    driver.await_number("waiting", 0);
}
