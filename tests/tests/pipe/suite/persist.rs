//! `--persist`: what outlives the tool, and what keeps a journal from being used.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::helper::{pipe, reader, text, writer};
use fusd_tests::client::Handle;
use fusd_tests::wait::{Started, deadline, rounds, start, starts, wait_until};
use fusd_tests::{Case, Driver, Launch, record};
use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

/// A tool with a journal of the test's own.
fn keeper(case: &Case, options: &[&str]) -> Launch {
    pipe(case, options).arg("--persist").arg(journal(case))
}

fn journal(case: &Case) -> PathBuf {
    case.directory().join("journal")
}

/// Kills the tool, and waits until the node's place is free.
fn kill(driver: Driver) {
    let node = driver.node().to_owned();
    driver.kill();
    await_free(&node);
}

fn await_free(node: &Path) {
    wait_until("the node is gone", || fs::symlink_metadata(node).is_err());
}

pub(crate) fn content_outlives_the_tool(case: &Case) {
    for (options, lines) in [
        (&["--kind", "fifo"][..], "one\ntwo\nthr"),
        (&["--records", "line", "--sync", "always"], "one\ntwo\nthr"),
        (
            &["--kind", "ring", "--records", "line", "--size", "9"],
            "two\nthr",
        ),
        (
            &[
                "-k",
                "broadcast",
                "-r",
                "write",
                "--backlog",
                "1r",
                "--sync",
                "0.01",
            ],
            "one\ntwo\nthr",
        ),
    ] {
        let driver = keeper(case, options).start();
        let file = writer(&driver);
        file.write(b"one\ntwo\nthr").expect("write");
        kill(driver);
        drop(file);
        let driver = keeper(case, options).start();
        assert_eq!(text(&reader(&driver)), lines, "killed: {options:?}");
        let file = writer(&driver);
        file.write(b"four\n").expect("write");
        if options[1] == "line" {
            // What a reader has begun of a record is for the next one.
            assert_eq!(reader(&driver).start_read(2).wait(), Ok(b"fo".to_vec()));
        }
        driver.stop();
        drop(file);
        let driver = keeper(case, options).start();
        let expected = match options[1] {
            "line" => "ur\n",
            "ring" => "thrfour\n",
            _ => "four\n",
        };
        assert_eq!(text(&reader(&driver)), expected, "stopped: {options:?}");
        driver.stop();
        let names = fs::read_dir(case.directory()).expect("the test's directory");
        let names = names.flatten().map(|entry| entry.file_name());
        let of_journal = names.filter(|name| name.to_string_lossy().starts_with("journal"));
        assert_eq!(of_journal.count(), 1, "nothing is left beside it");
        fs::remove_file(journal(case)).expect("a journal");
    }
}

/// Writers' records that are known to be taken, and those that may be.
#[derive(Default)]
struct Written {
    taken: u32,
    unsure: Vec<u32>,
    next: u32,
}

/// Writes records until the tool is gone.
fn fill(file: Handle, tag: &'static str, mut written: Written) -> Started<Written> {
    start(move || {
        loop {
            let number = written.next;
            written.next += 1;
            match file.write(&record::bytes(tag, number)) {
                Ok(record::SIZE) => written.taken += 1,
                Ok(count) => panic!("{count} bytes taken of a record"),
                Err(_) => {
                    written.unsure.push(number);
                    return written;
                }
            }
        }
    })
}

/// Reads records until the tool is gone: what each read got.
fn drain(file: Handle, count: &Arc<AtomicUsize>) -> Started<Vec<Vec<u8>>> {
    let count = Arc::clone(count);
    start(move || {
        let mut reads = Vec::new();
        while let Ok(bytes) = file.read(3 * record::SIZE) {
            assert_ne!(bytes.len(), 0, "there is no end");
            reads.push(bytes);
            count.fetch_add(1, Ordering::Relaxed);
        }
        reads
    })
}

pub(crate) fn kills_lose_and_double_nothing(case: &Case) {
    const TAGS: [&str; 3] = ["a", "b", "c"];
    let options = ["--records", "write", "--size", "2K", "--eof", "never"];
    let mut all = TAGS.map(|_| Written::default());
    // How often each record was read, and how often it may have been read for a second time.
    let mut reads = BTreeMap::<Vec<u8>, (u32, u32)>::new();
    for _ in 0..starts(5) {
        let driver = keeper(case, &options).start();
        let count = Arc::default();
        let readers = [(); 2].map(|()| drain(reader(&driver), &count));
        let mut tags = TAGS.into_iter();
        let writers = all.map(|written| {
            let tag = tags.next().expect("a tag for each");
            fill(writer(&driver), tag, written)
        });
        wait_until("there is something to and fro", || {
            count.load(Ordering::Relaxed) >= rounds(200)
        });
        kill(driver);
        all = writers.map(Started::wait);
        for reader in readers {
            let pieces = reader.wait();
            // What was given in the instant of the kill may be given again.
            for (index, piece) in pieces.iter().enumerate() {
                for record in piece.chunks(record::SIZE) {
                    let entry = reads.entry(record.to_vec()).or_default();
                    entry.0 += 1;
                    entry.1 += u32::from(index + 1 == pieces.len());
                }
            }
        }
    }
    let driver = keeper(case, &["--records", "write", "--eof", "content"]).start();
    let file = reader(&driver);
    loop {
        let bytes = file.start_read(65536).wait().expect("read");
        if bytes.is_empty() {
            break;
        }
        for record in bytes.chunks(record::SIZE) {
            reads.entry(record.to_vec()).or_default().0 += 1;
        }
    }
    for (tag, written) in TAGS.into_iter().zip(all) {
        assert!(written.taken > 0);
        for number in 0..written.next {
            let record = record::bytes(tag, number);
            let (times, again) = reads.remove(&record).unwrap_or_default();
            let least = u32::from(!written.unsure.contains(&number));
            assert!(
                (least..=1 + again).contains(&times),
                "{tag} {number} was read {times} times, and may have been {again} times more than once"
            );
        }
    }
    assert!(reads.is_empty(), "nobody wrote {reads:?}");
}

pub(crate) fn journals_that_cannot_be_used(case: &Case) {
    let refused = |launch: Launch, code: i32, words: &str| {
        let mut driver = launch.spawn();
        assert_eq!(driver.wait().code(), Some(code), "{}", driver.errors());
        let errors = driver.errors();
        assert!(errors.contains(words), "{errors}");
        assert_eq!(errors.lines().count(), 1, "{errors}");
    };
    let driver = keeper(case, &["--records", "line"]).start();
    writer(&driver).write(b"one\ntwo\n").expect("write");
    refused(
        keeper(case, &["--records", "line"]),
        1,
        "is in use by another program",
    );
    driver.stop();
    let kept = fs::read(journal(case)).expect("the journal");
    for options in [&["-k", "ring", "-r", "line"][..], &["--kind", "fifo"]] {
        refused(
            keeper(case, options),
            2,
            "is the journal of a fifo of records; say so with",
        );
    }
    let other = case.file("other", b"somebody's notes, which are to stay as they are");
    let with = |path: &Path| pipe(case, ["--records", "line", "--persist"]).arg(path);
    refused(with(&other), 2, "is not a journal of fusd-pipe");
    refused(with(case.directory()), 2, "is no regular file");
    refused(
        with(&case.directory().join("no/where")),
        1,
        "cannot open the journal",
    );
    let beside = case.file("journal.new", b"somebody's");
    refused(keeper(case, &["--records", "line"]), 1, "move it away");
    fs::remove_file(beside).expect("it is there");
    let mut newer = kept.clone();
    newer[16] = 9;
    refused(
        with(&case.file("newer", &newer)),
        1,
        "is a journal of version 9",
    );
    assert_eq!(
        fs::read(journal(case)).expect("the journal"),
        kept,
        "untouched"
    );
    assert!(fs::read(other).expect("the other").starts_with(b"somebody"));

    case.file("journal", &kept[..kept.len() - 1]);
    let driver = keeper(case, &["--records", "line"]).start();
    driver.await_error("bytes that are damaged; they are left out");
}

/// A tool that keeps records in a file which cannot grow beyond 16 KiB.
fn cramped(case: &Case, redirection: &str) -> Launch {
    let node = case.node("node");
    let mut command = case.command("bash");
    command
        .arg("-c")
        .arg(format!("ulimit -f 16; exec \"$0\" \"$@\" {redirection}"))
        .arg(fusd_tests::binaries::find("fusd-pipe"));
    Launch::new(case, command, &node)
        .args(["--backend", case.backend().name()])
        .arg(&node)
        .args(["--records", "write", "--persist"])
        .arg(journal(case))
}

pub(crate) fn standard_input_waits_for_the_disk(case: &Case) {
    let fifo = case.directory().join("input");
    mkfifo(&fifo, Mode::S_IRWXU).expect("mkfifo");
    // Open for both, neither side waits for the other.
    let mut input = File::options()
        .read(true)
        .write(true)
        .open(&fifo)
        .expect("the fifo");
    let mut driver = cramped(case, "<\"$INPUT\"")
        .env("INPUT", &fifo)
        .arg("--stdin")
        .start();
    let client = reader(&driver);
    let parts = [[b'1'; 9000], [b'2'; 9000]];
    input.write_all(&parts[0]).expect("write");
    let ready = client.poll(PollFlags::POLLIN, deadline()).expect("poll");
    assert!(ready.contains(PollFlags::POLLIN));
    input.write_all(&parts[1]).expect("write");
    driver.await_error("standard input waits until its journal takes it");
    for part in parts {
        let read = client.start_read(9000).wait().expect("read");
        assert!(read == part, "{} bytes", read.len());
    }
    drop((input, client));
    assert!(driver.wait().success(), "{}", driver.errors());
}

pub(crate) fn a_write_that_the_disk_does_not_take_fails(case: &Case) {
    let driver = cramped(case, "").start();
    let (file, client) = (writer(&driver), reader(&driver));
    let mut number = 0;
    let mut taken = Vec::new();
    let mut write = || {
        let record = format!("{number:1000}");
        number += 1;
        file.write(record.as_bytes()).map(|_| taken.push(record))
    };
    let refusal = loop {
        if let Err(errno) = write() {
            break errno;
        }
    };
    assert_eq!(refusal, Errno::EFBIG);
    let mut read = Vec::new();
    for _ in 0..3 {
        let record = client.start_read(1000).wait().expect("read");
        read.push(String::from_utf8(record).expect("text"));
    }
    write().expect("there is room again");
    kill(driver);
    drop((file, client));
    let driver = keeper(case, &["--records", "write", "--one"]).start();
    let client = reader(&driver);
    loop {
        let record = text(&client);
        if record.is_empty() {
            break;
        }
        read.push(record);
    }
    assert_eq!(read, taken);
}
