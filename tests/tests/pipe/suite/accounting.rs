//! Many writers and readers, with signals, with others that are killed, and with `O_NONBLOCK` coming
//! and going: where nothing is dropped on purpose, every record arrives, once, whole, and in its
//! writer's order.
//!
//! `cargo xtask soak pipe` runs the same with millions of records.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use crate::helper::{pipe, writer};
use crate::soak::Soak;
use fusd_tests::client::{Process, process};
use fusd_tests::wait::{rounds, wait_until};
use fusd_tests::{Case, Driver, record};
use nix::sys::signal::Signal;

const CLIENTS: usize = 8;

/// More than any writer comes to that is to be killed.
const ENDLESS: &str = "10000000";

/// A client whose calls an alarm interrupts, or one that none does: what wakes too late would not be
/// seen where an alarm wakes as well.
fn client(case: &Case, driver: &Driver, number: usize, words: &[&str]) -> Process {
    let alarm: &[_] = if number.is_multiple_of(2) {
        &["alarm"]
    } else {
        &[]
    };
    process(case, driver.node(), &[alarm, words].concat())
}

fn kept(case: &Case, who: &str) -> PathBuf {
    case.directory().join(format!("read.{who}"))
}

/// Starts a reader that keeps what it reads.
fn reader(case: &Case, driver: &Driver, number: usize, who: &str) -> Process {
    let file = kept(case, who);
    let file = file.to_str().expect("test paths are UTF-8");
    client(case, driver, number, &["drain", file])
}

fn readers(case: &Case, driver: &Driver) -> Vec<Process> {
    let start = |number: usize| reader(case, driver, number, &number.to_string());
    (0..CLIENTS).map(start).collect()
}

/// Starts writers of so many records each.
fn writers(case: &Case, driver: &Driver, count: usize) -> Vec<Process> {
    let count = count.to_string();
    let start = |number| {
        let tag = format!("w{number}");
        client(case, driver, number, &["fill", &tag, &count])
    };
    (0..CLIENTS).map(start).collect()
}

/// What all readers have read until now, in records.
fn read(case: &Case) -> usize {
    let size = |number: usize| fs::metadata(kept(case, &number.to_string()));
    let bytes: u64 = (0..CLIENTS).flat_map(size).map(|file| file.len()).sum();
    // Lossless: a soak's files are some hundred MB.
    bytes as usize / record::SIZE
}

/// Waits for the ends of writers, as long as records are read, `total` of them by all readers; kills
/// the client `start(n)` whenever some are, and lets `ended(n)` look at what it has left.
fn finish(
    case: &Case,
    mut writers: Vec<Process>,
    total: usize,
    start: impl Fn(usize) -> Process,
    mut ended: impl FnMut(usize),
) {
    let mut soak = Soak::begin(case, total);
    let mut victim = start(0);
    let mut killed = 0;
    loop {
        let wanted = read(case) + total / soak.kills();
        wait_until("some records are read", || {
            read(case) >= wanted || writers.iter_mut().all(Process::ended)
        });
        victim.kill();
        ended(killed);
        killed += 1;
        soak.tell(read(case), killed);
        if writers.iter_mut().all(Process::ended) {
            break;
        }
        victim = start(killed);
    }
    for writer in writers {
        assert!(writer.wait().starts_with("ok "), "a writer has failed");
    }
}

/// What each reader got, after its end.
fn results(case: &Case, readers: Vec<Process>) -> Vec<BTreeMap<String, Vec<u32>>> {
    readers
        .into_iter()
        .enumerate()
        .map(|(number, reader)| {
            let said = reader.wait();
            let bytes = fs::read(kept(case, &number.to_string())).expect("a file");
            assert_eq!(said, format!("ok {}", bytes.len()));
            record::sort(&bytes)
        })
        .collect()
}

/// All that was read, without a reader's order, which is checked here.
fn merge(read: Vec<BTreeMap<String, Vec<u32>>>) -> BTreeMap<String, Vec<u32>> {
    let mut all = BTreeMap::<String, Vec<u32>>::new();
    for (tag, numbers) in read.into_iter().flatten() {
        assert!(numbers.is_sorted(), "{tag}: out of order");
        all.entry(tag).or_default().extend(numbers);
    }
    all.values_mut().for_each(|numbers| numbers.sort_unstable());
    all
}

/// The records of a writer that was not killed.
fn all_of(count: usize) -> Vec<u32> {
    (0..u32::try_from(count).expect("less than 2^32 records")).collect()
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
    let count = Soak::records().map_or_else(|| rounds(2000), |total| total / CLIENTS);
    let told = case.directory().join("told");
    let victim = |number: usize| {
        let (tag, told) = (format!("v{number}"), told.to_str().expect("UTF-8"));
        client(case, &driver, number, &["fill", &tag, ENDLESS, told])
    };
    let mut taken = Vec::new();
    let look = |_| {
        // Killed early, it has made no file, or has not told of anything.
        let told_now = fs::read(&told).unwrap_or_default();
        taken.push(told_now.try_into().map_or(0, u32::from_le_bytes));
        let _ = fs::remove_file(&told);
    };
    let all_writers = writers(case, &driver, count);
    finish(case, all_writers, count * CLIENTS, victim, look);
    drop(open);
    let mut all = merge(results(case, readers));
    for number in 0..CLIENTS {
        let numbers = all.remove(&format!("w{number}")).unwrap_or_default();
        assert!(numbers == all_of(count), "w{number}: lost or doubled");
    }
    for (number, told) in taken.into_iter().enumerate() {
        let numbers = all.remove(&format!("v{number}")).unwrap_or_default();
        assert!(
            numbers == all_of(numbers.len()),
            "v{number}: lost or doubled"
        );
        let read = u32::try_from(numbers.len()).expect("less than 2^32 records");
        // What was written when it was killed, nobody can say.
        let possible = told..=told + record::AT_ONCE;
        assert!(possible.contains(&read), "v{number}: {read} of {told}");
    }
    assert!(all.is_empty(), "records of nobody: {:?}", all.keys());
}

pub(crate) fn every_record_goes_to_every_reader(case: &Case) {
    let options = ["--kind", "broadcast", "--full", "block", "--size", "8192"];
    let driver = pipe(case, options).start();
    let open = writer(&driver);
    let readers = readers(case, &driver);
    await_readers(&driver, CLIENTS);
    let total = Soak::records().unwrap_or_else(|| CLIENTS * CLIENTS * rounds(1000));
    let count = total / CLIENTS / CLIENTS;
    let victim = |number| reader(case, &driver, number, "victim");
    let look = |_| {
        let mut bytes = fs::read(kept(case, "victim")).unwrap_or_default();
        let torn = bytes.len() % record::SIZE;
        bytes.truncate(bytes.len() - torn);
        for (tag, numbers) in record::sort(&bytes) {
            let whole = numbers.is_sorted_by(|one, next| one + 1 == *next);
            assert!(whole, "{tag}: a reader that came later has lost some");
        }
    };
    let writers = writers(case, &driver, count);
    finish(case, writers, count * CLIENTS * CLIENTS, victim, look);
    drop(open);
    for read in results(case, readers) {
        assert_eq!(read.len(), CLIENTS);
        for (tag, numbers) in read {
            assert!(
                numbers == all_of(count),
                "{tag}: lost, doubled or out of order"
            );
        }
    }
}

pub(crate) fn a_killed_reader_takes_one_read_at_most(case: &Case) {
    let driver = pipe(case, ["--size", "8192"]).start();
    let open = writer(&driver);
    let readers = readers(case, &driver);
    let count = Soak::records().map_or_else(|| rounds(1000), |total| total / CLIENTS);
    let victim = |number| reader(case, &driver, number, &format!("victim.{number}"));
    let mut read = Vec::new();
    let look = |number| {
        let file = kept(case, &format!("victim.{number}"));
        let mut bytes = fs::read(&file).unwrap_or_default();
        let torn = bytes.len() % record::SIZE;
        bytes.truncate(bytes.len() - torn);
        read.push(record::sort(&bytes));
    };
    let writers = writers(case, &driver, count);
    finish(case, writers, count * CLIENTS, victim, look);
    drop(open);
    let killed = read.len();
    read.extend(results(case, readers));
    let all = merge(read);
    assert_eq!(all.len(), CLIENTS, "{:?}", all.keys());
    let mut missing = CLIENTS * count;
    for (tag, numbers) in &all {
        let once = numbers.is_sorted_by(|one, next| one < next);
        assert!(once, "{tag}: doubled");
        missing -= numbers.len();
    }
    let limit = killed * record::READ / record::SIZE;
    assert!(
        missing <= limit,
        "{missing} records lost with {killed} readers"
    );
}
