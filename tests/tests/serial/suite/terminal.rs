//! The node is a terminal to its clients.

use std::time::Duration;

use crate::helper::{int, open, proxy, read, set_int, stty, text};
use fusd_tests::wait::wait_until;
use fusd_tests::{Case, sys};
use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::termios::{FlowArg, FlushArg, tcdrain, tcflow, tcflush};
use nix::unistd::isatty;

pub(crate) fn it_is_a_terminal(case: &Case) {
    let driver = proxy(case, "loop", ["--size", "4096"]).start();
    let file = open(driver.node());
    assert_eq!(isatty(&file), Ok(true));
    stty(case, driver.node(), &["115200", "cs7", "parenb", "-ixon"]);
    let said = stty(case, driver.node(), &["-a"]);
    for words in ["speed 115200 baud", "cs7", "parenb -parodd", "-ixon"] {
        assert!(said.contains(words), "{words:?} in {said}");
    }
    // A speed that has no code (struct termios2).
    let mut settings = [0; 44];
    sys::ioctl(&file, 0x802c_542a, &mut settings).expect("TCGETS2");
    settings[8..12].copy_from_slice(&(libc::BOTHER | libc::CS8 | libc::CREAD).to_ne_bytes());
    settings[36..44].copy_from_slice(&[250_000_u32.to_ne_bytes(); 2].concat());
    sys::ioctl(&file, 0x402c_542b, &mut settings).expect("TCSETS2");
    let mut found = [0; 44];
    sys::ioctl(&file, 0x802c_542a, &mut found).expect("TCGETS2");
    assert_eq!(found, settings);
    // Rows and columns harm nobody; what takes a session of one's own is refused.
    let mut window = [24, 0, 80, 0, 0, 0, 0, 0];
    sys::ioctl(&file, 0x5414, &mut window).expect("TIOCSWINSZ");
    let mut found = [0; 8];
    sys::ioctl(&file, 0x5413, &mut found).expect("TIOCGWINSZ");
    assert_eq!(found, window);
    let controlling = sys::ioctl_value(&file, 0x540e, 0);
    assert_eq!(controlling, Err(Errno::ENOTTY), "TIOCSCTTY");
    let mut rs485 = [0; 32];
    let there = sys::ioctl(&file, 0x542e, &mut rs485);
    assert_eq!(there, Err(Errno::ENOTTY), "TIOCGRS485");
    let mut hardware = [0xff; 72];
    sys::ioctl(&file, 0x541e, &mut hardware).expect("TIOCGSERIAL");
    assert_eq!(hardware[..4], [0; 4], "there is none: PORT_UNKNOWN");
    let mut ppp = 3_i32.to_ne_bytes();
    let refused = sys::ioctl(&file, 0x5423, &mut ppp);
    assert_eq!(refused, Err(Errno::EINVAL), "TIOCSETD");
}

pub(crate) fn lines_are_edited_and_echoed(case: &Case) {
    let other = case.node("other");
    let driver = proxy(case, "pair", [&other]).start();
    let (near, far) = (open(driver.node()), open(&other));
    stty(case, driver.node(), &["sane", "-ixon"]);
    far.write(b"hex\x7fllo\rwor").expect("write");
    // What the person at the other end sees.
    assert_eq!(read(&far, 12), b"hex\x08 \x08llo\r\nw"[..12]);
    assert_eq!(text(&near, 6), "hello\n");
    assert_eq!(int(&near, libc::FIONREAD), 0, "the line has no end");
    far.write(b"ld\x04").expect("write");
    assert_eq!(near.start_read(100).wait(), Ok(b"world".to_vec()));
    far.write(b"\x04").expect("write");
    let events = near.poll(PollFlags::POLLIN, fusd_tests::wait::deadline());
    assert_eq!(events, Ok(PollFlags::POLLIN), "an end of file is something");
    assert_eq!(near.start_read(100).wait(), Ok(Vec::new()), "end of file");
    near.write(b"a\n").expect("write");
    assert_eq!(text(&far, 7), "orlda\r\n");
}

pub(crate) fn reads_wait_as_they_are_told(case: &Case) {
    let other = case.node("other");
    let driver = proxy(case, "pair", [&other]).start();
    let (near, far) = (open(driver.node()), open(&other));
    let set = |min: &str, time: &str| {
        stty(case, driver.node(), &["min", min, "time", time]);
    };
    set("3", "0");
    assert_eq!(near.ready(PollFlags::POLLIN), PollFlags::empty());
    let waiting = near.start_read(10);
    far.write(b"ab").expect("write");
    // It has arrived, and is not enough.
    wait_until("both bytes are there", || int(&near, libc::FIONREAD) == 2);
    assert!(waiting.blocks());
    assert_eq!(near.ready(PollFlags::POLLIN), PollFlags::empty());
    far.write(b"c").expect("write");
    assert_eq!(waiting.wait(), Ok(b"abc".to_vec()));
    set("0", "0");
    assert_eq!(near.read(10), Ok(Vec::new()), "what there is");
    set("0", "2");
    let begin = std::time::Instant::now();
    assert_eq!(near.start_read(10).wait(), Ok(Vec::new()), "for so long");
    assert!(begin.elapsed() >= Duration::from_millis(200));
    set("10", "2");
    let waiting = near.start_read(10);
    far.write(b"de").expect("write");
    assert_eq!(waiting.wait(), Ok(b"de".to_vec()), "nothing follows");
    near.set_nonblocking(true).expect("fcntl");
    assert_eq!(near.read(10), Err(Errno::EAGAIN));
    let none = near.poll(PollFlags::POLLIN, Duration::ZERO);
    assert_eq!(none, Ok(PollFlags::empty()));
}

pub(crate) fn queues_are_counted_and_flushed(case: &Case) {
    let other = case.node("other");
    let driver = proxy(case, "pair", [&other]).start();
    let (near, far) = (open(driver.node()), open(&other));
    let queued = |file| int(file, libc::TIOCOUTQ);
    let there = |count| {
        let readable = || int(&far, libc::FIONREAD) == count;
        wait_until("the bytes are there", readable);
    };
    tcflow(&near, FlowArg::TCOOFF).expect("tcflow");
    near.write(b"12345").expect("write");
    assert_eq!(queued(&near), 5);
    tcflush(&near, FlushArg::TCOFLUSH).expect("tcflush");
    assert_eq!(queued(&near), 0);
    near.write(b"67").expect("write");
    let drained = {
        let near = near.duplicate();
        near.set_nonblocking(true).expect("fcntl");
        fusd_tests::wait::start(move || tcdrain(&near))
    };
    assert_eq!(queued(&near), 2);
    assert!(drained.blocks(), "also without O_NONBLOCK");
    tcflow(&near, FlowArg::TCOON).expect("tcflow");
    drained.wait().expect("tcdrain");
    assert_eq!(queued(&near), 0);
    there(2);
    assert_eq!(text(&far, 2), "67");
    // The stop character of the other side does the same.
    stty(case, driver.node(), &["ixon"]);
    tcflow(&far, FlowArg::TCIOFF).expect("tcflow");
    tcdrain(&far).expect("tcdrain");
    near.write(b"89").expect("write");
    assert_eq!(queued(&near), 2);
    tcflow(&far, FlowArg::TCION).expect("tcflow");
    there(2);
    tcflush(&far, FlushArg::TCIFLUSH).expect("tcflush");
    assert_eq!(int(&far, libc::FIONREAD), 0);
    // A modem line, in passing: nothing else here sets one.
    set_int(&near, libc::TIOCMSET, 0);
}
