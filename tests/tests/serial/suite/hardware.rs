//! A port that may come and go.

use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::lines::counters;
use crate::helper::{Cable, int, open, proxy, read, run, set_int, stty, text};
use fusd_tests::client::open_with;
use fusd_tests::wait::wait_until;
use fusd_tests::{Case, sys};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::termios::tcdrain;

/// Whether there is a UART that a test may use: QEMU's, in a guest of the lab. It leads nowhere, unless a
/// person is at it.
fn has_uart(port: &Path) -> bool {
    if is_open(port) {
        return false;
    }
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_NONBLOCK;
    let file = match std::env::var_os("FUSD_LAB") {
        Some(_) => open_with(port, flags),
        None => return false,
    };
    // Its type is the first int of struct serial_struct; 4 is a 16550A.
    let mut what = [0; 72];
    let told = file.and_then(|file| sys::ioctl(&file, 0x541e, &mut what));
    told.is_ok() && what[..4] == 4_i32.to_ne_bytes()
}

/// Whether any process has it open.
fn is_open(port: &Path) -> bool {
    let processes = fs::read_dir("/proc").expect("/proc").flatten();
    let mut files = processes.flat_map(|process| {
        let files = fs::read_dir(process.path().join("fd"));
        files.into_iter().flatten().flatten()
    });
    files.any(|file| fs::read_link(file.path()).is_ok_and(|target| target == port))
}

pub(crate) fn a_uart_is_joined_with_itself(case: &Case) {
    use libc::{TIOCM_CTS, TIOCM_DSR, TIOCM_DTR, TIOCM_RTS};
    // There is one for all backends.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let port = Path::new("/dev/ttyS1");
    if !has_uart(port) {
        case.skip("there is no 16550 at /dev/ttyS1 that leads nowhere, as QEMU's guests have one");
        return;
    }
    let driver = proxy(case, port, [""; 0]).start();
    let list = run(case.program("fusd-serial-proxy").arg("--list"));
    let holder = format!("uart 16550A\topen: fusd-serial-pro ({})", driver.pid());
    let listed = |port: &str| list.lines().find_map(|line| line.strip_prefix(port));
    assert_eq!(listed("/dev/ttyS1\t"), Some(&*holder), "{list}");
    assert_eq!(
        listed("/dev/ttyS2\t"),
        None,
        "the kernel has a place for it: {list}"
    );
    let node = open(driver.node());
    stty(case, driver.node(), &["raw", "-echo", "clocal", "115200"]);
    // Its output is its input then, RTS its CTS, and DTR its DSR (TIOCM_LOOP).
    let joined = 0x8000;
    set_int(&node, libc::TIOCMSET, joined | TIOCM_DTR | TIOCM_RTS);
    let sees = |wanted| int(&node, libc::TIOCMGET) & (TIOCM_DSR | TIOCM_CTS) == wanted;
    assert!(sees(TIOCM_DSR | TIOCM_CTS));
    set_int(&node, libc::TIOCMBIC, TIOCM_DTR);
    assert!(sees(TIOCM_CTS));
    set_int(&node, libc::TIOCMSET, joined | TIOCM_DTR);
    assert!(sees(TIOCM_DSR));
    let before = counters(&node);
    let sent: Vec<u8> = (0..=255).collect();
    node.write(&sent).expect("write");
    tcdrain(&node).expect("tcdrain");
    assert!(read(&node, 256) == sent);
    let after = counters(&node);
    assert_eq!([after[4] - before[4], after[5] - before[5]], [256; 2]);
    // RS485 is not for this one.
    let refused = sys::ioctl(&node, 0x542f, &mut [0; 32]);
    assert_eq!(refused, Err(Errno::ENOTTY), "TIOCSRS485");
    for number in [0x5427, 0x5428] {
        assert_eq!(sys::ioctl_value(&node, number, 0), Ok(0), "a break");
    }
    set_int(&node, libc::TIOCMSET, 0);
}

pub(crate) fn settings_reach_the_port_and_come_back(case: &Case) {
    let Some(cable) = Cable::new(case) else {
        return;
    };
    let driver = proxy(case, cable.port(), [""; 0]).start();
    let (node, far) = (open(driver.node()), cable.far());
    stty(
        case,
        driver.node(),
        &["57600", "cstopb", "ixon", "icrnl", "icanon", "-echo"],
    );
    let said = stty(case, &cable.port(), &["-a"]);
    for words in [
        "speed 57600 baud",
        " cstopb",
        " ixon",
        "-icrnl",
        "-icanon",
        "-echo",
    ] {
        assert!(said.contains(words), "{words:?} in {said}");
    }
    node.write(b"out").expect("write");
    tcdrain(&node).expect("tcdrain");
    assert_eq!(text(&far, 3), "out");
    far.write(b"in\xff\r").expect("write");
    assert_eq!(read(&node, 4), b"in\xff\n");
    // What it has not, in its own words: lines, counters of them, RS485 (TIOCGRS485, TIOCSRS485).
    let port = open(&cable.port());
    for number in [libc::TIOCMGET as u32, 0x545d, 0x542e, 0x542f] {
        let [own, same] = [&port, &node].map(|file| file.ioctl(number, &mut [0; 80]));
        assert!(
            own.is_err() && own == same,
            "{number:#x}: {own:?}, {same:?}"
        );
    }
}

pub(crate) fn a_port_that_is_lost_comes_back(case: &Case) {
    let Some(mut cable) = Cable::new(case) else {
        return;
    };
    let driver = proxy(case, cable.port(), [""; 0]).start();
    let node = open(driver.node());
    stty(case, driver.node(), &["19200", "raw"]);
    let waiting = node.start_read(100);
    cable.unplug();
    driver.await_error("is lost");
    assert!(waiting.blocks(), "nothing has come");
    assert_eq!(node.write(b"kept"), Ok(4));
    cable.plug_in();
    driver.await_error("is back");
    let far = cable.far();
    assert_eq!(text(&far, 4), "kept");
    far.write(b"again").expect("write");
    assert_eq!(waiting.wait(), Ok(b"again".to_vec()));
    let said = stty(case, &cable.port(), &["-a"]);
    assert!(said.contains("speed 19200 baud"), "{said}");
    driver.stop();
    for (what, result) in [("eio", Err(Errno::EIO)), ("eof", Ok(Vec::new()))] {
        let driver = proxy(case, cable.port(), ["--on-lost", what]).start();
        let node = open(driver.node());
        stty(case, driver.node(), &["raw"]);
        let waiting = node.start_read(100);
        cable.unplug();
        assert_eq!(waiting.wait(), result, "{what}");
        assert_eq!(node.write(b"x"), Err(Errno::EIO), "{what}");
        cable.plug_in();
        wait_until("it goes on", || node.write(b"y") == Ok(1));
        driver.stop();
    }
}
