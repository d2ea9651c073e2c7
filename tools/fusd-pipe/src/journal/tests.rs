//! Whole journals, in real files: whatever happens, the next run begins with what the last one kept.

mod files;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use tempfile::TempDir;

use super::*;
use crate::pipe::{Given, Pipe, Reading, Writing};
use crate::settings::{Amount, Eof, Full, Mode, NoReader, Records, Settings, SyncPolicy};
use crate::stats::Count;

fn settings(mode: Mode, records: Records, full: Full, size: usize) -> Settings {
    Settings {
        mode,
        records,
        one_record: false,
        labels: Vec::new(),
        size: Amount {
            bytes: size,
            records: usize::MAX,
        },
        backlog: Amount {
            bytes: size / 2,
            records: usize::MAX,
        },
        full,
        marker: false,
        eof: Eof::Never,
        no_reader: NoReader::Keep,
        wait_peer: false,
        rate: None,
    }
}

/// A pipe with a journal, and what it dropped when it was started.
struct Bench {
    pipe: Pipe,
    now: Instant,
    dropped: Count,
}

impl Bench {
    fn open(path: &Path, settings: &Settings) -> Self {
        Self::synced(path, settings, SyncPolicy::Never)
    }

    fn synced(path: &Path, settings: &Settings, sync: SyncPolicy) -> Self {
        let now = Instant::now();
        let (journal, content) = Journal::open(path, sync, settings).unwrap();
        let mut pipe = Pipe::new(settings.clone(), now);
        let dropped = pipe.persist(journal, &content);
        Self { pipe, now, dropped }
    }

    /// Whether it is taken; if so, the client learns of it, or else it does not.
    fn write(&mut self, id: u64, data: &[u8], label: &[u8], learns: bool) -> bool {
        let Writing::Taken(taken) = self.pipe.writing(id, data, label) else {
            return false;
        };
        self.pipe.record(id, &taken).unwrap();
        match learns {
            true => self.pipe.keep(&taken, self.now),
            false => self.pipe.undo(id, taken),
        }
        true
    }

    fn read(&mut self, id: u64, room: usize) -> (Vec<u8>, Given) {
        match self.pipe.reading(id, room, self.now) {
            Reading::Bytes(piece) => {
                let bytes = self.pipe.parts(id, piece).concat();
                (bytes, self.pipe.consume(id, piece, self.now))
            }
            Reading::Wait | Reading::End => (Vec::new(), Given::default()),
        }
    }

    /// All that a new reader gets, a record at a time where there are any.
    fn content(&mut self) -> Vec<Vec<u8>> {
        const READER: u64 = 999;
        self.pipe.enter(READER, true, false, self.now);
        let mut all = Vec::new();
        loop {
            let (bytes, given) = self.read(READER, 1 << 20);
            given.note();
            if bytes.is_empty() {
                break;
            }
            all.push(bytes);
        }
        self.pipe.leave(READER);
        all
    }
}

fn place() -> (TempDir, PathBuf) {
    // In memory, where there is such a place: a disk makes it slow.
    let memory = tempfile::tempdir_in("/dev/shm");
    let directory = memory.or_else(|_| tempfile::tempdir()).unwrap();
    let path = directory.path().join("journal");
    (directory, path)
}

/// What a run finds that begins now, as after a SIGKILL; the one that goes on does not notice.
fn killed(path: &Path, settings: &Settings) -> Vec<Vec<u8>> {
    let copy = path.with_extension("copy");
    fs::copy(path, &copy).unwrap();
    Bench::open(&copy, settings).content()
}

/// Numbers that look random and are the same each time (xorshift64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

const ALL: [(Mode, Full); 8] = [
    (Mode::Fifo, Full::Block),
    (Mode::Fifo, Full::Eagain),
    (Mode::Fifo, Full::DropNew),
    (Mode::Fifo, Full::DropOld),
    (Mode::Broadcast, Full::Block),
    (Mode::Broadcast, Full::DropNew),
    (Mode::Broadcast, Full::DropOld),
    (Mode::Ring, Full::DropOld),
];

/// Clients do what comes to them; again and again the journal of that moment is compared with what is
/// there once all have closed the pipe.
fn play(settings: &Settings, seed: u64) {
    let (_directory, path) = place();
    let mut dice = Dice(seed);
    let mut bench = Bench::open(&path, settings);
    for _ in 0..6 {
        for id in 1..=3 {
            bench.pipe.enter(id, false, true, bench.now);
            bench.pipe.enter(10 + id, true, false, bench.now);
        }
        for _ in 0..dice.below(120) {
            let id = 1 + dice.below(3);
            match dice.below(8) {
                0..4 => {
                    let length = dice.below(40);
                    let data: Vec<u8> = (0..length)
                        .map(|_| b"abcdefg\n"[dice.below(8) as usize])
                        .collect();
                    let learns = dice.below(4) > 0;
                    let label: &[u8] = match settings.records {
                        Records::None => b"",
                        Records::Line | Records::Write => b"7: ",
                    };
                    bench.write(id, &data, label, learns);
                }
                4..7 => {
                    let (_, given) = bench.read(10 + id, 1 + dice.below(30) as usize);
                    given.note();
                }
                _ => {
                    let id = id + 10 * dice.below(2);
                    bench.pipe.leave(id);
                    bench.pipe.enter(id, id > 10, id <= 10, bench.now);
                }
            }
        }
        let found = killed(&path, settings);
        for id in 1..=3 {
            bench.pipe.leave(10 + id);
        }
        for id in 1..=3 {
            bench.pipe.leave(id);
        }
        bench.pipe.finish();
        let closed = killed(&path, settings);
        let kept = fs::read(&path).unwrap();
        let left = sorted(settings, bench.content());
        assert_eq!(sorted(settings, closed), left, "{settings:?} {seed}");
        // Who closes first makes a difference to what else there is room for.
        let drops = matches!(settings.full, Full::DropNew | Full::DropOld);
        if !drops || settings.records == Records::None {
            assert_eq!(sorted(settings, found), left, "{settings:?} {seed}");
        }
        drop(bench);
        fs::write(&path, kept).unwrap();
        bench = Bench::open(&path, settings);
    }
}

/// What is left of records that readers have begun may come in another order; where reads of several
/// end tells nothing.
fn sorted(settings: &Settings, mut records: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    match settings.records {
        Records::None => vec![records.concat()],
        _ if settings.one_record => {
            records.sort();
            records
        }
        _ => {
            let mut bytes = records.concat();
            bytes.sort_unstable();
            vec![bytes]
        }
    }
}

#[test]
fn every_run_begins_with_what_the_last_one_kept() {
    for (mode, full) in ALL {
        for records in [Records::None, Records::Line, Records::Write] {
            let mut settings = settings(mode, records, full, 100);
            for seed in 1..=4 {
                settings.one_record = seed % 2 == 0;
                play(&settings, seed << 32 | seed);
            }
        }
    }
}

#[test]
fn what_is_held_of_lines_and_records_is_there_again() {
    let (_directory, path) = place();
    let mut settings = settings(Mode::Fifo, Records::Line, Full::Block, 99);
    settings.one_record = true;
    let mut bench = Bench::open(&path, &settings);
    for id in [1, 2] {
        bench.pipe.enter(id, false, true, bench.now);
    }
    bench.pipe.enter(11, true, false, bench.now);
    bench.write(1, b"first\nsecond\nbeg", b"1: ", true);
    bench.write(2, b"third\n", b"", true);
    bench.write(1, b"in", b"1: ", true);
    bench.write(1, b"never\n", b"1: ", false);
    let (bytes, given) = bench.read(11, 5);
    assert_eq!(bytes, b"1: fi");
    assert_eq!(killed(&path, &settings)[0], b"1: first\n", "it may be lost");
    given.note();
    let expected: [&[u8]; 4] = [b"rst\n", b"1: second\n", b"third\n", b"1: begin"];
    assert_eq!(killed(&path, &settings), expected);
    let _ = bench.read(11, 99).1;
    drop(bench);
    assert_eq!(Bench::open(&path, &settings).content(), expected);
    assert!(Bench::open(&path, &settings).content().is_empty());
}

#[test]
fn a_damaged_tail_is_left_out_wherever_it_begins() {
    let (directory, path) = place();
    let mut settings = settings(Mode::Fifo, Records::Write, Full::Block, 99);
    settings.one_record = true;
    let mut bench = Bench::open(&path, &settings);
    bench.pipe.enter(1, false, true, bench.now);
    let mut ends = vec![fs::metadata(&path).unwrap().len()];
    for record in ["one", "two", "three"] {
        bench.write(1, record.as_bytes(), b"", true);
        ends.push(fs::metadata(&path).unwrap().len());
    }
    drop(bench);
    let whole = fs::read(&path).unwrap();
    let other = directory.path().join("other");
    let left = |bytes: &[u8]| {
        fs::write(&other, bytes).unwrap();
        Bench::open(&other, &settings).content().len()
    };
    let first = usize::try_from(ends[0]).unwrap();
    for at in first..whole.len() {
        let expected = ends[1..].iter().filter(|end| **end <= at as u64).count();
        assert_eq!(left(&whole[..at]), expected, "cut off at {at}");
        let mut changed = whole.clone();
        changed[at] ^= 0x20;
        assert_eq!(left(&changed), expected, "changed at {at}");
    }
    let zeros = [&whole[..], &[0; 100]].concat();
    assert_eq!(left(&zeros), 3);
}

#[test]
fn a_smaller_size_drops_only_where_that_is_the_policy_and_says_so() {
    for (full, left, dropped) in [
        (Full::Block, 4, 0),
        (Full::DropNew, 4, 0),
        (Full::DropOld, 1, 3),
    ] {
        let (_directory, path) = place();
        let mut settings = settings(Mode::Fifo, Records::Write, full, 99);
        settings.one_record = true;
        let mut bench = Bench::open(&path, &settings);
        bench.pipe.enter(1, false, true, bench.now);
        for record in ["one", "two", "three", "four"] {
            bench.write(1, record.as_bytes(), b"", true);
        }
        drop(bench);
        settings.size.bytes = 8;
        let mut bench = Bench::open(&path, &settings);
        assert_eq!(bench.dropped.records, dropped, "{full:?}");
        bench.pipe.enter(1, false, true, bench.now);
        if full == Full::Block {
            assert!(!bench.write(1, b"x", b"", true), "it waits");
        }
        assert_eq!(bench.content().len(), left, "{full:?}");
        assert!(bench.write(1, b"x", b"", true));
        drop(bench);
        let bench = Bench::open(&path, &settings);
        assert_eq!(bench.dropped, Count::default(), "once is enough");
    }
}

#[test]
fn losses_that_nobody_was_told_of_are_told_later() {
    for full in [Full::DropNew, Full::DropOld] {
        let (_directory, path) = place();
        let mut settings = settings(Mode::Fifo, Records::Write, full, 99);
        settings.marker = true;
        settings.one_record = true;
        settings.size.records = 2;
        let mut bench = Bench::open(&path, &settings);
        bench.pipe.enter(1, false, true, bench.now);
        for record in ["a", "b", "c", "d"] {
            assert!(bench.write(1, record.as_bytes(), b"", true));
        }
        drop(bench);
        let mut bench = Bench::open(&path, &settings);
        bench.pipe.enter(1, false, true, bench.now);
        bench.pipe.enter(11, true, false, bench.now);
        bench.pipe.tell_of_losses(11);
        let first = bench.read(11, 99).0;
        let second = bench.read(11, 99).0;
        let marker = b"[fusd-pipe: 2 records lost]\n".to_vec();
        match full {
            Full::DropNew => {
                assert_eq!([first, second], [b"a", b"b"]);
                assert!(bench.write(1, b"e", b"", true));
                assert_eq!(bench.read(11, 99).0, marker);
            }
            _ => assert_eq!([first, second], [marker, b"c".to_vec()]),
        }
    }
}

#[test]
fn what_was_read_and_could_not_be_used_is_there_again() {
    for records in [Records::None, Records::Write] {
        let (_directory, path) = place();
        let settings = settings(Mode::Fifo, records, Full::Block, 99);
        let mut bench = Bench::open(&path, &settings);
        bench.pipe.enter(1, false, true, bench.now);
        bench.pipe.enter(11, true, false, bench.now);
        bench.write(1, b"abcdef", b"", true);
        bench.write(1, b"ghi", b"", true);
        let (bytes, mut given) = bench.read(11, 6);
        assert_eq!(bytes, b"abcdef");
        given.split(2).note();
        bench.pipe.unread(11, b"cdef", given);
        assert_eq!(killed(&path, &settings).concat(), b"cdefghi");
        let (bytes, given) = bench.read(11, 3);
        assert_eq!(bytes, b"cde");
        given.note();
        bench.pipe.leave(11);
        assert_eq!(killed(&path, &settings).concat(), b"fghi");
        assert_eq!(bench.content().concat(), b"fghi");
        assert!(killed(&path, &settings).is_empty());
    }
}
