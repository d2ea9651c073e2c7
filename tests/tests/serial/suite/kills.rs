//! SIGKILL in the middle of a transfer: of the proxy, of its clients, of what its port is. No byte comes
//! twice, and nothing is left behind.

use std::fs;
use std::path::PathBuf;

use crate::helper::{Cable, locks_of, open, proxy, read, stty};
use fusd_tests::client::{Handle, process};
use fusd_tests::wait::{start, wait_until};
use fusd_tests::{Case, record};
use nix::poll::PollFlags;

/// Numbers from `start` on, four bytes each: no two places are alike.
fn numbers(start: u32, bytes: u32) -> Vec<u8> {
    (start..start + bytes / 4)
        .flat_map(u32::to_le_bytes)
        .collect()
}

/// Adds what comes to `got`, until that ends with these bytes.
#[track_caller]
fn read_to(file: &Handle, got: &mut Vec<u8>, end: &[u8]) {
    while !got.ends_with(end) {
        got.extend(file.start_read(4096).wait().expect("read"));
    }
}

pub(crate) fn a_killed_proxy_doubles_nothing(case: &Case) {
    let Some(cable) = Cable::new(case) else {
        return;
    };
    let far = cable.far();
    let sent = numbers(0, 8000);
    let mut got = Vec::new();
    for round in 0..2 {
        let driver = proxy(case, cable.port(), [""; 0]).start();
        let pid = driver.pid();
        let node = open(driver.node());
        stty(case, driver.node(), &["raw", "-echo"]);
        // It is killed in the middle of these.
        let writing = node.start_write(&sent);
        if round == 0 {
            got.extend(read(&far, 3000));
            driver.kill();
            let _cut = writing.wait();
            let name = case.node("node");
            wait_until("the node is gone", || fs::symlink_metadata(&name).is_err());
            wait_until("the lock is gone", || locks_of(pid) == 0);
        } else {
            writing.wait().expect("write");
            // What the first had sent before its end comes first: at least those 3000, at most all.
            while got.len() < 3000 + sent.len() || !got.ends_with(&sent) {
                got.extend(far.start_read(4096).wait().expect("read"));
            }
        }
    }
    // What came of the first is a beginning of it.
    let first = got.len() - sent.len();
    assert!(first >= 3000 && sent.starts_with(&got[..first]), "{first}");
    assert_eq!(far.ready(PollFlags::POLLIN), PollFlags::empty());
}

pub(crate) fn a_killed_client_doubles_nothing(case: &Case) {
    let other = case.node("other");
    let driver = proxy(case, "pair", [&other]).start();
    let far = open(&other);
    // Nobody takes all of that.
    let writer = process(case, driver.node(), &["fill", "w", "1000000"]);
    let mut got = read(&far, 3000);
    writer.kill();
    // Whose turn it was is over.
    let next = open(driver.node());
    next.start_write(b"the next").wait().expect("write");
    read_to(&far, &mut got, b"the next");
    got.truncate(got.len() - b"the next".len());
    let count = got.len().div_ceil(record::SIZE) as u32;
    let sent: Vec<u8> = (0..count)
        .flat_map(|number| record::bytes("w", number))
        .collect();
    assert!(sent.starts_with(&got), "{} bytes", got.len());
    assert_eq!(far.ready(PollFlags::POLLIN), PollFlags::empty());
}

pub(crate) fn a_killed_reader_troubles_no_other(case: &Case) {
    let other = case.node("other");
    let driver = proxy(case, "pair", ["--size", "1M"]).arg(&other).start();
    let (near, far) = (open(driver.node()), open(&other));
    let kept = case.directory().join("kept");
    let reader = process(case, driver.node(), &["drain", &kept.to_string_lossy()]);
    let files = PathBuf::from(format!("/proc/{}/fd", reader.pid()));
    wait_until("it has the node open", || {
        let links = fs::read_dir(&files).into_iter().flatten().flatten();
        links
            .filter_map(|file| fs::read_link(file.path()).ok())
            .any(|target| target == driver.node())
    });
    let sent = numbers(0, 200_000);
    let writing = far.start_write(&sent);
    let mut got = read(&near, 3000);
    let length = || fs::metadata(&kept).map_or(0, |kept| kept.len());
    wait_until("it has got something", || length() >= 3000);
    reader.kill();
    read_to(&near, &mut got, &sent[sent.len() - 4..]);
    assert!(got == sent);
    assert_eq!(writing.wait(), Ok(sent.len()));
    assert!(sent.starts_with(&fs::read(&kept).expect("what it has got")));
}

pub(crate) fn a_killed_port_doubles_nothing(case: &Case) {
    let Some(mut cable) = Cable::new(case) else {
        return;
    };
    let driver = proxy(case, cable.port(), [""; 0]).start();
    let (node, far) = (open(driver.node()), cable.far());
    // The port waits for who does not read: so it is in the midst of this.
    stty(case, driver.node(), &["raw", "-echo", "crtscts"]);
    wait_until("the port is told", || {
        stty(case, &cable.port(), &["-a"]).contains(" crtscts")
    });
    let sent = numbers(0, 400_000);
    let out = node.start_write(&sent);
    let there = read(&far, 3000);
    assert!(out.blocks());
    assert!(sent.starts_with(&there));
    cable.unplug();
    driver.await_error("is lost");
    cable.plug_in();
    driver.await_error("is back");
    let far = cable.far();
    let next = numbers(1 << 24, 8000);
    let writing = far.start_write(&next);
    // Both ways at once: socat waits for who does not read, and does nothing else meanwhile.
    let end = sent[sent.len() - 400..].to_vec();
    let arriving = {
        let far = far.duplicate();
        start(move || {
            let mut there = Vec::new();
            read_to(&far, &mut there, &end);
            there
        })
    };
    assert!(
        read(&node, next.len()) == next,
        "what came was not what was sent"
    );
    assert_eq!(writing.wait(), Ok(next.len()));
    // What the cable had in it is gone; nothing of that comes again.
    let there = arriving.wait();
    assert_eq!(out.wait(), Ok(sent.len()));
    let lost = sent.len() - there.len();
    assert!(lost >= 3000 && sent.ends_with(&there), "{lost}");
    for file in [&node, &far] {
        assert_eq!(file.ready(PollFlags::POLLIN), PollFlags::empty());
    }
}
