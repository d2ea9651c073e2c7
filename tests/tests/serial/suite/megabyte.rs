//! A megabyte at 1,000,000 baud, compared byte for byte by all who read.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::helper::{Cable, open, proxy, stty};
use fusd_tests::client::Handle;
use fusd_tests::wait::{Started, slowness, start, wait_until};
use fusd_tests::{Backend, Case};

/// Bytes that no two places have alike for long: a megabyte, or less where instructions are interpreted.
fn bytes() -> Arc<[u8]> {
    let count = if slowness() > 4 { 50_000 } else { 1_000_000 };
    (0..count)
        .map(|place: u32| (place.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect()
}

/// How many read: a pseudo-terminal's clients share one input.
fn readers(case: &Case) -> usize {
    match case.backend() {
        Backend::Fuse => 1,
        Backend::Cuse | Backend::Kfusd => 8,
    }
}

/// The bytes as they are, at that speed. A read waits for some, so that it is worth its time.
#[track_caller]
fn prepare(case: &Case, node: &Path) {
    stty(case, node, &["1000000", "raw", "-echo", "min", "255"]);
    assert!(stty(case, node, &[]).contains("speed 1000000 baud"));
}

/// Reads all of it, if all comes as it was sent; else, where the first byte is that does not.
fn compare(file: Handle, sent: &Arc<[u8]>) -> Started<Result<(), usize>> {
    let sent = Arc::clone(sent);
    start(move || {
        let mut seen = 0;
        while seen < sent.len() {
            let piece = file.read(4096.min(sent.len() - seen)).expect("read");
            let right = piece.iter().zip(&sent[seen..]);
            let right = right.take_while(|(found, sent)| found == sent).count();
            seen += right;
            if right < piece.len() || piece.is_empty() {
                return Err(seen);
            }
        }
        Ok(())
    })
}

pub(crate) fn it_arrives_over_a_null_modem(case: &Case) {
    let other = case.node("other");
    // A line of that speed waits for nobody; what is slow here is the machine.
    let driver = proxy(case, "pair", ["--pace", "--size", "2M"])
        .arg(&other)
        .start();
    let sent = bytes();
    for node in [driver.node(), &other] {
        prepare(case, node);
    }
    let compared: Vec<_> = (0..readers(case))
        .map(|_| compare(open(driver.node()), &sent))
        .collect();
    let far = open(&other);
    let begin = Instant::now();
    assert_eq!(far.start_write(&sent).wait(), Ok(sent.len()));
    for compared in compared {
        assert_eq!(compared.wait(), Ok(()));
    }
    // Each byte has ten bits; the first is not waited for.
    let least = Duration::from_micros(10) * (sent.len() as u32 - 1);
    assert!(begin.elapsed() >= least, "{:?}", begin.elapsed());
}

pub(crate) fn it_arrives_from_a_port(case: &Case) {
    let Some(cable) = Cable::new(case) else {
        return;
    };
    let driver = proxy(case, cable.port(), ["--size", "2M"]).start();
    let node = open(driver.node());
    prepare(case, driver.node());
    wait_until("the port has that speed", || {
        stty(case, &cable.port(), &[]).contains("speed 1000000 baud")
    });
    let (sent, far) = (bytes(), cable.far());
    let compared: Vec<_> = (0..readers(case))
        .map(|_| compare(open(driver.node()), &sent))
        .collect();
    let writing = far.start_write(&sent);
    for compared in compared {
        assert_eq!(compared.wait(), Ok(()));
    }
    assert_eq!(writing.wait(), Ok(sent.len()));
    // And the other way.
    let compared = compare(far, &sent);
    assert_eq!(node.start_write(&sent).wait(), Ok(sent.len()));
    assert_eq!(compared.wait(), Ok(()));
}
