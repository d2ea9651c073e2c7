//! Several clients of one port.

use std::process::Stdio;
use std::thread;

use crate::helper::{int, open, proxy, read, stty, text, try_open};
use fusd_tests::client::process;
use fusd_tests::wait::{start, wait_until};
use fusd_tests::{Case, sys};
use nix::errno::Errno;
use nix::sys::termios::{BaudRate, SetArg, cfsetspeed, tcgetattr, tcsetattr};
use rustix::fs::{FlockOperation, flock};

/// Bytes that no two places have alike for long.
fn bytes(count: usize) -> Vec<u8> {
    (0..count as u32)
        .map(|place| (place.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect()
}

pub(crate) fn a_slow_client_loses_its_own_alone(case: &Case) {
    let other = case.node("other");
    let driver = proxy(case, "pair", ["--size", "4096", "--stats"])
        .arg(&other)
        .start();
    let (slow, quick, far) = (open(driver.node()), open(driver.node()), open(&other));
    let sent = bytes(20_000);
    let mut got = Vec::new();
    for piece in sent.chunks(500) {
        far.start_write(piece).wait().expect("write");
        got.extend(read(&quick, piece.len()));
    }
    assert!(got == sent);
    assert_eq!(int(&slow, libc::FIONREAD), 4096);
    assert!(read(&slow, 4096) == sent[sent.len() - 4096..], "the newest");
    drop(slow);
    driver.await_error("too slow for 15904 bytes");
    driver.stop();
}

pub(crate) fn clients_take_turns_to_write(case: &Case) {
    let other = case.node("other");
    let driver = proxy(case, "pair", ["--write-lock", "line", "--size", "1M"])
        .arg(&other)
        .start();
    let far = open(&other);
    let writers: Vec<_> = (0..4_u8)
        .map(|number| {
            let file = open(driver.node());
            thread::spawn(move || {
                for _ in 0..10 {
                    // A line in two writes.
                    let half = [b'a' + number; 300];
                    file.write(&half).expect("write");
                    file.write(&[&half[..], b"\n"].concat()).expect("write");
                }
            })
        })
        .collect();
    let all = read(&far, 4 * 10 * 601);
    for writer in writers {
        writer.join().expect("a writer");
    }
    for line in all
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
    {
        assert_eq!(line.len(), 600);
        assert!(line.iter().all(|byte| *byte == line[0]), "mixed");
    }
    // Who has begun a line goes first, until it is gone.
    let (one, two) = (open(driver.node()), open(driver.node()));
    one.write(b"begun ").expect("write");
    two.set_nonblocking(true).expect("fcntl");
    assert_eq!(two.write(b"mine\n"), Err(Errno::EAGAIN));
    drop(one);
    wait_until("its turn has come", || two.write(b"mine\n") == Ok(5));
    assert_eq!(text(&far, 11), "begun mine\n");
}

pub(crate) fn rights_are_kept(case: &Case) {
    let driver = proxy(case, "loop", ["--settings", "owner"]).start();
    let (one, two) = (open(driver.node()), open(driver.node()));
    let (tiocexcl, tiocnxcl) = (0x540c, 0x540d);
    assert_eq!(sys::ioctl_value(&one, tiocexcl, 0), Ok(0));
    assert_eq!(sys::ioctl_value(&two, tiocexcl, 0), Err(Errno::EBUSY));
    assert_eq!(two.write(b"x"), Err(Errno::EBUSY));
    assert_eq!(one.write(b"y"), Ok(1));
    assert_eq!(read(&two, 1), b"y", "all read on");
    assert_eq!(sys::ioctl_value(&one, tiocnxcl, 0), Ok(0));
    assert_eq!(two.write(b"x"), Ok(1));
    assert_eq!(sys::ioctl_value(&one, tiocexcl, 0), Ok(0));
    drop(one);
    wait_until("a close gives it up", || two.write(b"x") == Ok(1));
    driver.stop();
    for option in [&["--ro"][..], &["--writers", "nobody"]] {
        let driver = proxy(case, "loop", option).start();
        let file = open(driver.node());
        assert_eq!(file.write(b"x"), Err(Errno::EPERM), "{option:?}");
        let mut lines = [0; 4];
        let driven = sys::ioctl(&file, libc::TIOCMSET as u32, &mut lines);
        assert_eq!(driven, Err(Errno::EPERM), "{option:?}");
        // They change nothing, which stty(1) would complain of.
        let mut settings = tcgetattr(&file).expect("tcgetattr");
        cfsetspeed(&mut settings, BaudRate::B19200).expect("cfsetspeed");
        tcsetattr(&file, SetArg::TCSANOW, &settings).expect("tcsetattr");
        let said = stty(case, driver.node(), &[]);
        assert!(said.contains("speed 9600 baud"), "{option:?}: {said}");
        driver.stop();
    }
}

pub(crate) fn a_lock_is_the_right_to_write(case: &Case) {
    let driver = proxy(case, "loop", [""; 0]).start();
    let (one, two) = (open(driver.node()), open(driver.node()));
    let alone = FlockOperation::NonBlockingLockExclusive;
    flock(&two, alone).expect("flock");
    let refused = flock(&one, alone).expect_err("another has it");
    assert_eq!(refused, rustix::io::Errno::WOULDBLOCK);
    // Whoever has the locked file may write, by any file of its own: so this process, and no other.
    let other = || process(case, driver.node(), &["write", "1"]).wait();
    assert_eq!(one.write(b"a"), Ok(1));
    assert_eq!(other(), "EBUSY");
    flock(&two, FlockOperation::Unlock).expect("flock");
    assert_eq!(other(), "ok 1");
    assert_eq!(text(&one, 2), "aw");
    // A program that is started with it has it as well (flock(1)).
    let mut locked = case.command("flock");
    locked
        .arg(driver.node())
        .args(["sh", "-c", "echo b >\"$0\""])
        .arg(driver.node())
        .stdin(Stdio::null());
    let status = start(move || locked.status()).wait();
    assert!(status.expect("flock can be started").success());
    assert_eq!(text(&one, 2), "b\n");
    // One that ends gives it up, however it ends.
    let mut holder = case.command("flock");
    holder
        .arg("--no-fork")
        .arg(driver.node())
        .args(["sleep", "1000"])
        .stdin(Stdio::null());
    let mut holder = holder.spawn().expect("flock can be started");
    wait_until("it is locked", || one.write(b"x") == Err(Errno::EBUSY));
    holder.kill().expect("it can be killed");
    holder.wait().expect("it can be waited for");
    wait_until("it is free", || one.write(b"y") == Ok(1));
}

pub(crate) fn one_byte_for_one_client(case: &Case) {
    let driver = proxy(case, "loop", ["--share", "first"]).start();
    let (one, two) = (open(driver.node()), open(driver.node()));
    one.write(b"abcd").expect("write");
    wait_until("they are there", || int(&two, libc::FIONREAD) == 4);
    assert_eq!(read(&two, 2), b"ab");
    assert_eq!(read(&one, 2), b"cd");
    assert_eq!(int(&two, libc::FIONREAD), 0);
    driver.stop();
    let driver = proxy(case, "loop", ["--share", "exclusive"]).start();
    let one = open(driver.node());
    assert_eq!(try_open(driver.node()).map(drop), Err(Errno::EBUSY));
    drop(one);
    wait_until("a close makes room", || try_open(driver.node()).is_ok());
}
