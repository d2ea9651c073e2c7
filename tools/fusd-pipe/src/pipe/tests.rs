//! The rules of each kind, without clients: what reads and writes come to.

use std::time::Duration;

use fusd::Errno;

use super::*;
use crate::settings::Amount;

/// The settings of a fifo of 16 bytes.
fn fifo() -> Settings {
    Settings {
        mode: Mode::Fifo,
        records: Records::None,
        one_record: false,
        labels: Vec::new(),
        size: amount(16),
        backlog: amount(0),
        full: Full::Block,
        marker: false,
        eof: Eof::LastWriter,
        no_reader: NoReader::Keep,
        wait_peer: false,
        rate: None,
    }
}

fn amount(bytes: usize) -> Amount {
    Amount {
        bytes,
        records: usize::MAX,
    }
}

/// A pipe with writers 1 and 2 and readers 11 and 12.
struct Bench {
    pipe: Pipe,
    now: Instant,
}

impl Bench {
    fn new(settings: Settings) -> Self {
        let now = Instant::now();
        let mut pipe = Pipe::new(settings, now);
        for id in [1, 2] {
            pipe.enter(id, false, true, now);
        }
        for id in [11, 12] {
            pipe.enter(id, true, false, now);
        }
        Self { pipe, now }
    }

    /// What a nonblocking write returns: a count, or an errno.
    fn write(&mut self, id: u64, text: &str) -> Result<usize, Errno> {
        self.labelled(id, text, "")
    }

    fn labelled(&mut self, id: u64, text: &str, label: &str) -> Result<usize, Errno> {
        match self.pipe.writing(id, text.as_bytes(), label.as_bytes()) {
            Writing::Wait => Err(Errno::EAGAIN),
            Writing::Fail(errno) => Err(errno),
            Writing::Taken(taken) => {
                self.pipe.keep(&taken, self.now);
                Ok(taken.count)
            }
        }
    }

    /// What a nonblocking read returns: "EAGAIN", or what was read.
    fn read(&mut self, id: u64, room: usize) -> String {
        self.pipe.tell_of_losses(id);
        match self.pipe.reading(id, room, self.now) {
            Reading::Wait => "EAGAIN".to_owned(),
            Reading::End => String::new(),
            Reading::Bytes(piece) => {
                let bytes = self.pipe.parts(id, piece).concat();
                self.pipe.consume(id, piece, self.now);
                String::from_utf8(bytes).unwrap()
            }
        }
    }

    fn ready(&self, id: u64) -> PollEvents {
        self.pipe.readiness(id, self.now)
    }
}

#[test]
fn a_fifo_gives_each_byte_to_one_reader() {
    let mut bench = Bench::new(fifo());
    assert_eq!(bench.read(11, 4), "EAGAIN");
    assert_eq!(bench.write(1, "abcdef"), Ok(6));
    assert_eq!(bench.pipe.readable(12), 6);
    assert_eq!(bench.read(11, 4), "abcd");
    assert_eq!(bench.read(12, 4), "ef");
    assert_eq!(bench.read(11, 4), "EAGAIN");
}

#[test]
fn small_writes_go_whole_or_not_at_all() {
    let mut settings = fifo();
    settings.size = amount(5000);
    let mut bench = Bench::new(settings);
    let page = "x".repeat(ATOMIC);
    assert_eq!(bench.write(1, &page), Ok(ATOMIC));
    assert!(!bench.ready(1).contains(PollEvents::WRITE));
    assert_eq!(bench.write(1, &page[..905]), Err(Errno::EAGAIN));
    assert_eq!(bench.write(1, &page[..100]), Ok(100));
    let large = "y".repeat(ATOMIC + 1);
    assert_eq!(bench.write(2, &large), Ok(804), "a large one in part");
    assert_eq!(bench.read(11, 9999).len(), 5000);
    assert!(bench.ready(1).contains(PollEvents::WRITE));
}

#[test]
fn the_last_writers_end_is_the_end_of_the_file_after_all_is_read() {
    let mut bench = Bench::new(fifo());
    bench.write(1, "abc").unwrap();
    bench.pipe.leave(1);
    bench.pipe.leave(2);
    let ready = bench.ready(11);
    assert!(ready.contains(PollEvents::READ | PollEvents::HANG_UP));
    assert_eq!(bench.read(11, 9), "abc");
    assert_eq!(bench.read(11, 9), "");
    assert_eq!(bench.read(12, 9), "", "it was there when the last one left");
    bench.pipe.enter(3, false, true, bench.now);
    assert_eq!(bench.read(11, 9), "EAGAIN");
    assert_eq!(bench.ready(11), PollEvents::empty());
}

#[test]
fn a_reader_that_comes_first_waits_for_the_first_writer() {
    let now = Instant::now();
    let mut pipe = Pipe::new(fifo(), now);
    pipe.enter(11, true, false, now);
    let mut bench = Bench { pipe, now };
    assert_eq!(bench.read(11, 9), "EAGAIN");
    bench.pipe.enter(1, false, true, now);
    bench.write(1, "abc").unwrap();
    bench.pipe.leave(1);
    bench.pipe.enter(12, true, false, now);
    assert_eq!(bench.read(12, 9), "abc");
    assert_eq!(bench.read(12, 9), "", "it has had what there was");
}

#[test]
fn a_write_that_nobody_learned_of_never_was() {
    let mut settings = fifo();
    settings.records = Records::Line;
    let mut bench = Bench::new(settings);
    bench.write(1, "beg").unwrap();
    let Writing::Taken(taken) = bench.pipe.writing(1, b"in\nx\nmore", b"") else {
        panic!("there is room");
    };
    bench.pipe.undo(1, taken);
    assert_eq!(bench.pipe.readable(11), 0);
    assert_eq!(bench.write(1, "un\n"), Ok(3));
    assert_eq!(bench.read(11, 99), "begun\n");
    assert_eq!(bench.pipe.held, 0);
    assert_eq!(bench.pipe.stats().written.records, 1);
}

#[test]
fn lines_of_two_writers_are_not_mixed() {
    let mut settings = fifo();
    settings.records = Records::Line;
    let mut bench = Bench::new(settings);
    assert_eq!(bench.write(1, "a1"), Ok(2));
    assert_eq!(bench.write(2, "b1\nb2"), Ok(5));
    assert_eq!(bench.write(1, "\n"), Ok(1));
    assert_eq!(bench.read(11, 99), "b1\na1\n");
    bench.pipe.leave(2);
    assert_eq!(bench.read(11, 99), "b2", "what was begun is not lost");
}

#[test]
fn one_record_per_read_and_its_rest_goes_to_the_same_reader() {
    let mut settings = fifo();
    settings.records = Records::Write;
    settings.one_record = true;
    let mut bench = Bench::new(settings);
    for text in ["one", "twotwo", "three"] {
        bench.write(1, text).unwrap();
    }
    assert_eq!(bench.read(11, 99), "one");
    assert_eq!(bench.read(11, 4), "twot");
    assert_eq!(bench.read(12, 99), "three");
    assert_eq!(bench.pipe.readable(11), 2);
    assert_eq!(bench.read(11, 99), "wo");
}

#[test]
fn what_a_reader_has_begun_goes_to_the_next_when_it_closes() {
    let mut settings = fifo();
    settings.records = Records::Write;
    let mut bench = Bench::new(settings);
    bench.write(1, "abcdef").unwrap();
    bench.write(1, "x").unwrap();
    assert_eq!(bench.read(11, 4), "abcd");
    bench.pipe.leave(11);
    assert_eq!(bench.read(12, 99), "efx");
}

#[test]
fn a_record_that_can_never_fit_is_refused() {
    for records in [Records::Line, Records::Write] {
        let mut settings = fifo();
        settings.records = records;
        let mut bench = Bench::new(settings);
        let long = format!("{}\n", "x".repeat(16));
        assert_eq!(bench.write(1, &long), Err(Errno::EMSGSIZE));
        let label = bench.labelled(1, &long[2..], "1: ");
        assert_eq!(label, Err(Errno::EMSGSIZE), "its label counts");
        assert_eq!(bench.write(1, &long[1..]), Ok(16));
    }
}

#[test]
fn lines_that_are_begun_come_to_their_ends() {
    let mut settings = fifo();
    settings.records = Records::Line;
    let mut bench = Bench::new(settings);
    assert_eq!(bench.write(1, "0123456789"), Ok(10));
    assert_eq!(bench.write(2, "01234567"), Ok(8), "nobody could make room");
    assert_eq!(bench.write(1, "\n"), Ok(1));
    assert_eq!(bench.write(2, "\n"), Err(Errno::EAGAIN));
    assert_eq!(bench.read(11, 99), "0123456789\n");
    assert_eq!(bench.write(2, "\n"), Ok(1));
    assert_eq!(bench.read(11, 99), "01234567\n");
}

#[test]
fn each_policy_of_a_full_pipe() {
    for (full, second, left, dropped) in [
        (Full::Block, Err(Errno::EAGAIN), "aaaaaaaaaa", 0),
        (Full::Eagain, Err(Errno::EAGAIN), "aaaaaaaaaa", 0),
        (Full::DropNew, Ok(10), "aaaaaaaaaa", 10),
        (Full::DropOld, Ok(10), "bbbbbbbbbb", 10),
    ] {
        let mut settings = fifo();
        settings.records = Records::Write;
        settings.full = full;
        let mut bench = Bench::new(settings);
        assert_eq!(bench.write(1, "aaaaaaaaaa"), Ok(10));
        assert_eq!(bench.write(1, "bbbbbbbbbb"), second, "{full:?}");
        assert_eq!(bench.read(11, 99), left);
        assert_eq!(bench.pipe.stats().dropped.bytes, dropped);
    }
}

#[test]
fn a_stream_that_drops_its_oldest_keeps_the_newest_bytes() {
    let mut settings = fifo();
    settings.full = Full::DropOld;
    let mut bench = Bench::new(settings);
    bench.write(1, "abc").unwrap();
    assert_eq!(bench.write(1, "0123456789abcdefghij"), Ok(20));
    assert_eq!(bench.pipe.stats().dropped.bytes, 7);
    assert_eq!(bench.read(11, 99), "456789abcdefghij");
}

#[test]
fn a_marker_stands_where_records_are_missing() {
    for (full, texts) in [
        (Full::DropOld, ["[fusd-pipe: 2 records lost]\n", "c", "d"]),
        (Full::DropNew, ["a", "b", "[fusd-pipe: 1 records lost]\n"]),
    ] {
        let mut settings = fifo();
        settings.records = Records::Write;
        settings.one_record = true;
        settings.size = Amount {
            bytes: 99,
            records: 2,
        };
        settings.full = full;
        settings.marker = true;
        let mut bench = Bench::new(settings);
        for text in ["a", "b", "c"] {
            bench.write(1, text).unwrap();
        }
        let mut read = Vec::new();
        if full == Full::DropNew {
            read = vec![bench.read(11, 99), bench.read(11, 99)];
        }
        bench.write(1, "d").unwrap();
        read.extend(
            (0..3)
                .map(|_| bench.read(11, 99))
                .filter(|text| text != "EAGAIN"),
        );
        assert_eq!(read[..3], texts, "{full:?}");
        if full == Full::DropNew {
            assert_eq!(read[3], "d");
        }
    }
}

#[test]
fn a_broadcast_reaches_everybody_from_their_open_on() {
    let mut settings = fifo();
    settings.mode = Mode::Broadcast;
    settings.full = Full::DropOld;
    settings.records = Records::Write;
    settings.backlog = amount(3);
    let mut bench = Bench::new(settings);
    bench.write(1, "ab").unwrap();
    bench.write(1, "cd").unwrap();
    assert_eq!(bench.read(11, 99), "abcd");
    assert_eq!(bench.read(11, 99), "EAGAIN");
    bench.pipe.enter(13, true, false, bench.now);
    assert_eq!(bench.read(13, 99), "cd", "a whole record of the backlog");
    bench.write(1, "ef").unwrap();
    assert_eq!(bench.read(12, 99), "abcdef");
    assert_eq!(bench.read(13, 99), "ef");
    assert_eq!(bench.read(11, 99), "ef");
    assert_eq!(bench.pipe.stats().kept, 2, "no more than the backlog");
}

#[test]
fn who_is_slow_in_a_broadcast_loses_what_does_not_fit_or_holds_up() {
    let mut settings = fifo();
    settings.mode = Mode::Broadcast;
    settings.records = Records::Write;
    settings.full = Full::DropOld;
    let mut bench = Bench::new(settings.clone());
    for text in ["aaaaaa", "bbbbbb", "cccccc"] {
        bench.write(1, text).unwrap();
        assert_eq!(bench.read(11, 99), text);
    }
    assert_eq!(bench.read(12, 99), "bbbbbbcccccc");
    assert_eq!(
        bench.pipe.stats().dropped,
        Count {
            bytes: 6,
            records: 1
        }
    );
    settings.full = Full::Block;
    let mut bench = Bench::new(settings);
    for text in ["aaaaaa", "bbbbbb"] {
        bench.write(1, text).unwrap();
        assert_eq!(bench.read(11, 99), text);
    }
    assert_eq!(bench.write(1, "cccccc"), Err(Errno::EAGAIN));
    bench.pipe.leave(12);
    assert_eq!(bench.write(1, "cccccc"), Ok(6));
}

#[test]
fn a_ring_keeps_the_newest_while_nobody_reads() {
    let now = Instant::now();
    let mut settings = fifo();
    settings.mode = Mode::Ring;
    settings.full = Full::DropOld;
    settings.records = Records::Line;
    settings.eof = Eof::Content;
    let mut pipe = Pipe::new(settings, now);
    pipe.enter(1, false, true, now);
    let mut bench = Bench { pipe, now };
    for line in ["one\n", "two\n", "three\n", "four\n"] {
        bench.write(1, line).unwrap();
    }
    for id in [11, 12] {
        bench.pipe.enter(id, true, false, now);
        assert_eq!(bench.read(id, 99), "two\nthree\nfour\n");
        assert_eq!(bench.read(id, 99), "", "as in a file that may grow");
    }
    bench.write(1, "five\n").unwrap();
    assert_eq!(bench.read(11, 99), "five\n");
    assert_eq!(
        bench.pipe.stats().dropped,
        Count::default(),
        "nobody missed any"
    );
}

#[test]
fn writers_without_readers_fail_if_asked() {
    let mut settings = fifo();
    settings.no_reader = NoReader::Epipe;
    let mut bench = Bench::new(settings);
    assert_eq!(bench.write(1, "a"), Ok(1));
    bench.pipe.leave(11);
    bench.pipe.leave(12);
    assert_eq!(bench.write(1, "a"), Err(Errno::EPIPE));
    assert!(bench.ready(1).contains(PollEvents::ERROR));
}

#[test]
fn silence_is_the_end_of_the_file_if_asked() {
    let mut settings = fifo();
    settings.eof = Eof::Idle(Duration::from_secs(5));
    let mut bench = Bench::new(settings);
    let begin = bench.now;
    assert_eq!(
        bench.pipe.next_change(begin),
        Some(begin + Duration::from_secs(5))
    );
    bench.now = begin + Duration::from_secs(3);
    bench.write(1, "a").unwrap();
    assert_eq!(bench.read(11, 9), "a");
    bench.now = begin + Duration::from_secs(7);
    assert_eq!(bench.read(11, 9), "EAGAIN");
    bench.now = begin + Duration::from_secs(8);
    assert_eq!(bench.read(11, 9), "");
    assert_eq!(bench.pipe.next_change(bench.now), None);
}

#[test]
fn a_rate_holds_readers_back_and_says_when_to_come_again() {
    let mut settings = fifo();
    settings.rate = Some(40);
    let mut bench = Bench::new(settings);
    bench.write(1, "0123456789abcdef").unwrap();
    assert_eq!(bench.read(11, 99), "0123");
    assert_eq!(bench.read(11, 99), "EAGAIN");
    assert!(
        !bench.ready(11).contains(PollEvents::READ),
        "poll(2) agrees"
    );
    bench.now = bench.pipe.next_change(bench.now).unwrap();
    assert_eq!(
        bench.pipe.next_change(bench.now),
        None,
        "it is up to readers"
    );
    assert_eq!(bench.read(11, 99), "4");
}

#[test]
fn what_could_not_be_used_is_read_again_by_the_next() {
    for records in [Records::None, Records::Line] {
        let mut settings = fifo();
        settings.records = records;
        let mut bench = Bench::new(settings);
        bench.write(1, "abc\ndef\n").unwrap();
        assert_eq!(bench.read(11, 4), "abc\n");
        bench.pipe.unread(11, b"c\n", Given::default());
        bench.pipe.leave(11);
        assert_eq!(bench.read(12, 99), "c\ndef\n");
        assert_eq!(bench.read(12, 99), "EAGAIN");
    }
}

#[test]
fn what_comes_from_elsewhere_finds_room_or_does_not() {
    let lines = Settings {
        records: Records::Line,
        ..fifo()
    };
    for (full, marker, arrived, read) in [
        (Full::Block, false, false, "0123456789\n"),
        (Full::DropOld, false, true, "abcdefghij\n"),
        (Full::DropNew, false, true, "0123456789\n"),
    ] {
        let mut bench = Bench::new(Settings {
            full,
            marker,
            ..lines.clone()
        });
        assert!(bench.pipe.arrive(b"0123456789\n", bench.now));
        let room = bench.pipe.room().map(|room| room.bytes);
        assert_eq!(room, Some(if full == Full::Block { 5 } else { 16 }));
        assert_eq!(
            bench.pipe.arrive(b"abcdefghij\n", bench.now),
            arrived,
            "{full:?}"
        );
        assert_eq!(bench.read(11, 99), read, "{full:?}");
        let dropped = bench.pipe.stats().dropped.records;
        assert_eq!(dropped, u64::from(full != Full::Block));
    }
}

#[test]
fn an_empty_pipe_takes_what_is_larger_than_it() {
    let mut bench = Bench::new(fifo());
    assert!(bench.pipe.arrive(&[b'x'; 99], bench.now));
    assert_eq!(bench.pipe.room(), None);
    bench.pipe.arrive_beyond(b"y", bench.now);
    assert_eq!(bench.read(11, 99).len(), 99);
    assert_eq!(bench.read(12, 99), "y");
}

#[test]
fn what_was_not_read_can_be_withdrawn() {
    let mut bench = Bench::new(Settings {
        records: Records::Line,
        ..fifo()
    });
    for line in ["one\n", "two\n", "six\n"] {
        assert!(bench.pipe.arrive(line.as_bytes(), bench.now));
    }
    bench.pipe.withdraw(8);
    assert_eq!(bench.read(11, 99), "one\n");
    bench.pipe.withdraw(0);
    assert_eq!(bench.pipe.stats().kept, 0);
}
