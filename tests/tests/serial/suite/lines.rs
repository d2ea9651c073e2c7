//! Modem lines and breaks, over the null modem that a pair is.

use std::convert::Infallible;
use std::sync::mpsc::{self, TryRecvError};
use std::thread;

use crate::helper::{int, open, proxy, read, set_int, stty};
use fusd_tests::wait::{start, wait_until};
use fusd_tests::{Case, sys};
use libc::{TIOCM_CD, TIOCM_CTS, TIOCM_DSR, TIOCM_DTR, TIOCM_RTS};
use libc::{TIOCMBIC, TIOCMBIS, TIOCMGET, TIOCMSET};

/// `struct serial_icounter_struct`, as numbers.
pub(super) fn counters(file: &fusd_tests::client::Handle) -> Vec<i32> {
    let mut bytes = [0; 80];
    sys::ioctl(file, 0x545d, &mut bytes).expect("TIOCGICOUNT");
    let number = |bytes: &[u8]| i32::from_ne_bytes(bytes.try_into().expect("four bytes"));
    bytes.chunks_exact(4).map(number).collect()
}

pub(crate) fn a_null_modem_has_its_lines(case: &Case) {
    let other = case.node("other");
    let driver = proxy(case, "pair", [&other]).start();
    let near = open(driver.node());
    assert_eq!(
        int(&near, TIOCMGET),
        TIOCM_DTR | TIOCM_RTS,
        "nobody is there"
    );
    let far = open(&other);
    let all = TIOCM_DSR | TIOCM_CD | TIOCM_CTS;
    let sees = |lines| wait_until("the lines are seen", || int(&near, TIOCMGET) & all == lines);
    sees(all);
    // As esptool and avrdude reset what is connected: one line after the other, and both at once.
    let both = TIOCM_DTR | TIOCM_RTS;
    let reset = [
        (TIOCMBIC, TIOCM_DTR, TIOCM_CTS),
        (TIOCMBIC, TIOCM_RTS, 0),
        (TIOCMBIS, TIOCM_DTR, TIOCM_DSR | TIOCM_CD),
        (TIOCMSET, TIOCM_RTS, TIOCM_CTS),
        (TIOCMSET, TIOCM_DTR, TIOCM_DSR | TIOCM_CD),
        (TIOCMSET, both, all),
    ];
    for (number, lines, seen) in reset {
        set_int(&far, number, lines);
        sees(seen);
    }
    set_int(&far, TIOCMBIC, TIOCM_DTR);
    sees(TIOCM_CTS);
    let before = counters(&near);
    let waiting = {
        let near = near.duplicate();
        start(move || sys::ioctl_value(&near, 0x545c, TIOCM_CTS as usize))
    };
    set_int(&far, TIOCMBIS, TIOCM_DTR);
    sees(all);
    assert!(waiting.blocks(), "another line");
    // Until the call has begun, a change is none to it: the changes end when it has, or the test.
    let (changes, ended) = mpsc::channel::<Infallible>();
    let changing = thread::spawn({
        let far = far.duplicate();
        move || {
            while ended.try_recv() == Err(TryRecvError::Empty) {
                for change in [TIOCMBIC, TIOCMBIS] {
                    set_int(&far, change, TIOCM_RTS);
                }
            }
        }
    });
    assert_eq!(waiting.wait(), Ok(0), "TIOCMIWAIT");
    drop(changes);
    changing.join().expect("the other side");
    sees(all);
    let after = counters(&near);
    assert!(after[0] > before[0], "cts: {before:?} {after:?}");
    assert_eq!(after[1], before[1] + 1, "dsr: {before:?} {after:?}");
    drop(far);
    sees(0);
    let far = open(&other);
    sees(all);
    stty(case, &other, &["-hupcl"]);
    drop(far);
    // The last close is told later: what follows it on the same way is seen after it.
    let far = open(&other);
    far.write(b"x").expect("write");
    assert_eq!(read(&near, 1), b"x");
    sees(all);
}

pub(crate) fn breaks_are_told_and_counted(case: &Case) {
    let other = case.node("other");
    let driver = proxy(case, "pair", [&other]).start();
    let (near, far) = (open(driver.node()), open(&other));
    stty(case, driver.node(), &["parmrk", "-ignbrk", "-brkint"]);
    far.write(b"a").expect("write");
    nix::sys::termios::tcsendbreak(&far, 0).expect("tcsendbreak");
    far.write(b"b").expect("write");
    assert_eq!(read(&near, 5), b"a\xff\0\0b");
    assert_eq!(counters(&near)[9], 1, "brk");
    assert_eq!(counters(&near)[4], 2, "rx");
    assert_eq!(counters(&far)[5], 2, "tx");
}
