//! A USB adapter, and the list of the machine's ports.

use crate::gadget::{Gadget, IDS, MAKER, PRODUCT};
use crate::helper::{int, open, proxy, run, stty, text};
use fusd_tests::Case;
use fusd_tests::wait::wait_until;
use libc::{TIOCM_CD, TIOCMGET};

/// The line of `--list` that has `words`, once there is one.
#[track_caller]
fn await_listed(case: &Case, words: &str) -> String {
    let mut found = None;
    wait_until("the port is in the list", || {
        let list = run(case.program("fusd-serial-proxy").arg("--list"));
        found = list
            .lines()
            .find(|line| line.contains(words))
            .map(str::to_owned);
        found.is_some()
    });
    found.expect("it was found")
}

pub(crate) fn an_adapter_is_found_wherever_it_is(case: &Case) {
    let serial = case.token();
    let Some(adapter) = Gadget::new(case, serial) else {
        return;
    };
    let find = || {
        proxy(
            case,
            "/dev/no-such-port",
            ["--find", &format!("{IDS}/{serial}")],
        )
    };
    let mut none = find().spawn();
    assert_eq!(none.wait().code(), Some(1));
    assert!(none.errors().contains("ENOENT"), "{}", none.errors());
    adapter.plug_in();
    let line = await_listed(case, serial);
    let (path, what) = line.split_once('\t').expect("a path, and what it is");
    assert_eq!(what, format!("usb {IDS} {serial} {MAKER} {PRODUCT}"));
    let driver = find().start();
    let holder = format!("\topen: fusd-serial-pro ({})", driver.pid());
    assert!(await_listed(case, serial).ends_with(&holder));
    let node = open(driver.node());
    stty(case, driver.node(), &["57600", "raw", "-echo"]);
    let far = adapter.far();
    let has_carrier = || int(&node, TIOCMGET) & TIOCM_CD != 0;
    wait_until("there is a carrier", has_carrier);
    node.write(b"out").expect("write");
    assert_eq!(text(&far, 3), "out");
    far.write(b"in").expect("write");
    assert_eq!(text(&node, 2), "in");
    // Who still has it open keeps its name from the next one.
    let kept = open(path.as_ref());
    let waiting = node.start_read(100);
    drop(far);
    adapter.unplug();
    driver.await_error("is lost");
    assert!(!has_carrier());
    assert!(waiting.blocks(), "nothing has come");
    node.write(b"kept").expect("write");
    let far = adapter.far();
    adapter.plug_in();
    driver.await_error("is back");
    assert_eq!(text(&far, 4), "kept");
    far.write(b"again").expect("write");
    assert_eq!(waiting.wait(), Ok(b"again".to_vec()));
    wait_until("there is a carrier", has_carrier);
    let line = await_listed(case, serial);
    let (now, _) = line.split_once('\t').expect("a path, and what it is");
    assert_ne!(now, path, "it has another name");
    assert!(line.ends_with(&holder), "{line}");
    let said = stty(case, now.as_ref(), &[]);
    assert!(said.contains("speed 57600 baud"), "{said}");
    // RS485 (TIOCSRS485) is for the port to refuse.
    let port = open(now.as_ref());
    let [own, same] = [&port, &node].map(|file| file.ioctl(0x542f, &mut [0; 32]));
    assert!(own.is_err() && own == same, "{own:?}, {same:?}");
    drop(kept);
}
