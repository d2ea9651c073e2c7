//! Many writers and readers, with signals and with `O_NONBLOCK` coming and going: where nothing is
//! dropped on purpose, every record arrives, once, whole, and in its writer's order.

use std::collections::BTreeMap;
use std::fs;

use crate::helper::{pipe, writer};
use fusd_tests::client::{Process, process};
use fusd_tests::wait::{rounds, wait_until};
use fusd_tests::{Case, Driver, record};
use nix::sys::signal::Signal;

const CLIENTS: usize = 8;

/// Starts readers that keep what they read.
fn readers(case: &Case, driver: &Driver) -> Vec<Process> {
    (0..CLIENTS)
        .map(|number| {
            let file = case.directory().join(format!("read.{number}"));
            let file = file.to_str().expect("test paths are UTF-8");
            process(case, driver.node(), &["alarm", "drain", file])
        })
        .collect()
}

/// Starts writers of so many records each.
fn writers(case: &Case, driver: &Driver, count: usize) -> Vec<Process> {
    (0..CLIENTS)
        .map(|number| {
            let (tag, count) = (format!("w{number}"), count.to_string());
            process(case, driver.node(), &["alarm", "fill", &tag, &count])
        })
        .collect()
}

/// What each reader got, after its end.
fn results(case: &Case, readers: Vec<Process>) -> Vec<BTreeMap<String, Vec<u32>>> {
    readers
        .into_iter()
        .enumerate()
        .map(|(number, reader)| {
            let said = reader.wait();
            let bytes = fs::read(case.directory().join(format!("read.{number}"))).expect("a file");
            assert_eq!(said, format!("ok {}", bytes.len()));
            record::sort(&bytes)
        })
        .collect()
}

/// Waits until all readers are there: in a broadcast, what comes before is not for them.
fn await_readers(driver: &Driver, wanted: usize) {
    let reports = || driver.errors().matches(" readers, ").count();
    let wanted = format!(" {wanted} readers, ");
    wait_until("the readers are there", || {
        let before = reports();
        driver.signal(Signal::SIGUSR1);
        wait_until("the tool reports", || reports() > before);
        driver
            .errors()
            .lines()
            .last()
            .is_some_and(|line| line.contains(&wanted))
    });
}

pub(crate) fn every_record_goes_to_one_reader(case: &Case) {
    let driver = pipe(case, ["--size", "8192"]).start();
    let open = writer(&driver);
    let readers = readers(case, &driver);
    let count = rounds(2000);
    for writer in writers(case, &driver, count) {
        assert_eq!(writer.wait(), format!("ok {count}"));
    }
    drop(open);
    let mut all = BTreeMap::<String, Vec<u32>>::new();
    for read in results(case, readers) {
        for (tag, numbers) in read {
            assert!(numbers.is_sorted(), "{tag}: out of order");
            all.entry(tag).or_default().extend(numbers);
        }
    }
    assert_eq!(all.len(), CLIENTS);
    let expected: Vec<_> = (0..u32::try_from(count).expect("few")).collect();
    for (tag, mut numbers) in all {
        numbers.sort_unstable();
        assert!(numbers == expected, "{tag}: lost or doubled");
    }
}

pub(crate) fn every_record_goes_to_every_reader(case: &Case) {
    let options = ["--kind", "broadcast", "--full", "block", "--size", "8192"];
    let driver = pipe(case, options).start();
    let open = writer(&driver);
    let readers = readers(case, &driver);
    await_readers(&driver, CLIENTS);
    let count = rounds(1000);
    for writer in writers(case, &driver, count) {
        assert_eq!(writer.wait(), format!("ok {count}"));
    }
    drop(open);
    let expected: Vec<_> = (0..u32::try_from(count).expect("few")).collect();
    for read in results(case, readers) {
        assert_eq!(read.len(), CLIENTS);
        for (tag, numbers) in read {
            assert!(numbers == expected, "{tag}: lost, doubled or out of order");
        }
    }
}

pub(crate) fn what_killed_writers_wrote_is_whole(case: &Case) {
    let driver = pipe(case, ["--size", "8192"]).start();
    let open = writer(&driver);
    let readers = readers(case, &driver);
    for round in 0..rounds(8) {
        let writers = writers(case, &driver, 1_000_000);
        let kept = case.directory().join(format!("read.{}", round % CLIENTS));
        let size = || fs::metadata(&kept).map_or(0, |file| file.len());
        let before = size();
        wait_until("something is read", || size() > before);
        writers.into_iter().for_each(Process::kill);
    }
    drop(open);
    let read: usize = results(case, readers)
        .iter()
        .flat_map(BTreeMap::values)
        .map(Vec::len)
        .sum();
    assert!(read > 0);
}
