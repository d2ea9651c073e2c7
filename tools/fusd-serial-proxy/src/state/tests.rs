//! The rules, over a cable whose wires nobody serves: time and input are what a test gives.

use std::time::{Duration, Instant};

use fusd::{Errno, PollEvents};

use super::{Access, Reading, State, Timing, Writing};
use crate::options::{OnLost, Options, Policy, Share, WriteLock};
use crate::port::{Unit, wire};
use crate::termios::Settings;

const ALL: Access = Access {
    reads: true,
    writes: true,
    trusted: true,
    process: 0,
};

/// A node of these options, raw, with the clients 1 and 2.
fn state(options: Options) -> State {
    let mut state = State::new(options);
    let (mut ports, _) = wire::cable(true, false);
    let raw = Settings::default().raw();
    state.connect(ports.remove(0), Some(raw));
    state.enter(1, ALL);
    state.enter(2, ALL);
    state
}

fn come(state: &mut State, bytes: &[u8]) {
    state.receive(Unit::Bytes(bytes.to_vec()));
}

/// What a read gets that is not to wait.
fn read(state: &mut State, id: u64, wanted: usize) -> Vec<u8> {
    let mut timing = Timing::default();
    match state.reading(id, wanted, false, &mut timing, Instant::now()) {
        Reading::Bytes(piece) => {
            let bytes = state.parts(id, piece).concat();
            state.consume(id, piece);
            bytes
        }
        _ => Vec::new(),
    }
}

fn with_minimum(state: &mut State, minimum: u8, tenths: u8) {
    let mut settings = *state.settings();
    settings.characters[libc::VMIN] = minimum;
    settings.characters[libc::VTIME] = tenths;
    state.set(1, settings).unwrap();
}

#[test]
fn each_reader_has_its_place() {
    let mut state = state(Options::default());
    come(&mut state, b"abc");
    assert_eq!(read(&mut state, 1, 2), b"ab");
    assert_eq!(read(&mut state, 2, 9), b"abc");
    state.enter(3, ALL);
    come(&mut state, b"d");
    assert_eq!(read(&mut state, 3, 9), b"d", "from its open on");
    assert_eq!(read(&mut state, 1, 9), b"cd");
    state.flush_input(2);
    assert_eq!(read(&mut state, 2, 9), b"");
    assert_eq!(state.stats().read, 8);
}

#[test]
fn the_slow_lose_their_oldest() {
    let mut state = state(Options {
        size: 4,
        ..Options::default()
    });
    come(&mut state, b"abc");
    assert_eq!(read(&mut state, 1, 9), b"abc");
    come(&mut state, b"def");
    assert_eq!(state.lost_by(2), 2);
    assert_eq!(state.lost_by(1), 0);
    assert_eq!(read(&mut state, 2, 9), b"cdef");
    assert_eq!(state.stats().dropped, 2);
}

#[test]
fn a_byte_goes_to_one_reader_if_asked() {
    let mut state = state(Options {
        share: Share::First,
        ..Options::default()
    });
    come(&mut state, b"abc");
    assert_eq!(read(&mut state, 1, 1), b"a");
    assert_eq!(read(&mut state, 2, 1), b"b");
    assert_eq!(state.readable(1), 1);
    assert_eq!(read(&mut state, 1, 9), b"c");
}

#[test]
fn reads_wait_for_enough_or_for_long_enough() {
    let mut state = state(Options::default());
    let begin = Instant::now();
    let after = |tenths: u64| begin + Duration::from_millis(100 * tenths);
    with_minimum(&mut state, 0, 3);
    let mut timing = Timing::default();
    let look = |state: &State, timing: &mut Timing, now| state.reading(1, 9, true, timing, now);
    let until = Reading::Wait(Some(after(3)));
    assert_eq!(look(&state, &mut timing, begin), until);
    assert_eq!(look(&state, &mut timing, after(2)), until);
    assert_eq!(look(&state, &mut timing, after(3)), Reading::End);
    // Between bytes, and only after the first.
    with_minimum(&mut state, 5, 2);
    let mut timing = Timing::default();
    assert_eq!(look(&state, &mut timing, after(9)), Reading::Wait(None));
    come(&mut state, b"ab");
    let until = |tenths| Reading::Wait(Some(after(tenths)));
    assert_eq!(look(&state, &mut timing, after(10)), until(12));
    come(&mut state, b"c");
    assert_eq!(look(&state, &mut timing, after(11)), until(13));
    assert_eq!(look(&state, &mut timing, after(12)), until(13));
    let found = look(&state, &mut timing, after(13));
    assert!(matches!(found, Reading::Bytes(piece) if piece.length == 3));
    // A short read is content with less.
    assert_eq!(state.readiness(1), PollEvents::READ | PollEvents::WRITE);
    with_minimum(&mut state, 5, 0);
    assert_eq!(state.readiness(1), PollEvents::WRITE);
    let mut timing = Timing::default();
    let short = state.reading(1, 3, true, &mut timing, begin);
    assert!(matches!(short, Reading::Bytes(_)));
}

#[test]
fn writes_wait_for_room_and_for_others() {
    let mut state = state(Options {
        write_lock: WriteLock::Line,
        ..Options::default()
    });
    assert_eq!(state.writing(1, 10), Writing::Take(10));
    state.write(1, b"begun", false);
    assert_eq!(state.writing(2, 1), Writing::Wait);
    state.write(1, b"ended\n", false);
    assert_eq!(state.writing(2, 1), Writing::Take(1));
    state.write(2, &[b'x'; 4000], true);
    assert_eq!(state.writing(2, 5000), Writing::Take(4096 - 4011));
    state.leave(2);
    assert_eq!(
        state.writing(1, 1),
        Writing::Take(1),
        "its line ends with it"
    );
    state.flush_output();
    assert_eq!(state.queued(), 0);
}

#[test]
fn what_is_not_mixed_is_as_long_as_asked_for() {
    for (lock, waits) in [
        (WriteLock::None, [false; 3]),
        (WriteLock::Write, [true, false, false]),
        (WriteLock::Line, [true, true, false]),
        (WriteLock::Open, [true; 3]),
    ] {
        let mut state = state(Options {
            write_lock: lock,
            ..Options::default()
        });
        let mut other_waits = |bytes: &[u8], more| {
            state.write(1, bytes, more);
            state.writing(2, 1) == Writing::Wait
        };
        let found = [
            other_waits(b"a part", true),
            other_waits(b" of a line", false),
            other_waits(b" and its end\n", false),
        ];
        assert_eq!(found, waits, "{lock:?}");
        state.leave(1);
        assert_eq!(state.writing(2, 1), Writing::Take(1), "{lock:?}");
    }
}

#[test]
fn who_may_only_read_changes_nothing() {
    let mut state = state(Options {
        settings: Policy::Owner,
        ..Options::default()
    });
    let guest = Access {
        trusted: false,
        ..ALL
    };
    state.enter(3, guest);
    assert_eq!(state.writing(3, 1), Writing::Fail(Errno::EPERM));
    let before = *state.settings();
    let faster = Settings {
        output_speed: 115_200,
        input_speed: 115_200,
        ..before
    };
    for (id, speed) in [(3, 9600), (2, 9600), (1, 115_200)] {
        state.set(id, faster).unwrap();
        assert_eq!(state.settings().output_speed, speed, "client {id}");
    }
    assert_eq!(state.claim(3, true), Err(Errno::EPERM));
    state.claim(2, true).unwrap();
    assert_eq!(state.writing(1, 1), Writing::Fail(Errno::EBUSY));
    state.leave(2);
    assert_eq!(state.writing(1, 1), Writing::Take(1));
}

#[test]
fn a_lost_port_is_what_was_asked_for() {
    for (on_lost, found) in [
        (OnLost::Wait, Reading::Wait(None)),
        (OnLost::Eio, Reading::Lost),
        (OnLost::Eof, Reading::End),
    ] {
        let mut state = state(Options {
            on_lost,
            ..Options::default()
        });
        come(&mut state, b"a");
        state.disconnect();
        assert_eq!(read(&mut state, 1, 9), b"a", "what had come");
        let mut timing = Timing::default();
        let reading = state.reading(1, 9, true, &mut timing, Instant::now());
        assert_eq!(reading, found);
        let waits = on_lost == OnLost::Wait;
        assert_eq!(state.writing(1, 1) == Writing::Take(1), waits);
        assert_eq!(state.lines().unwrap() & libc::TIOCM_CD as u32, 0);
    }
}
