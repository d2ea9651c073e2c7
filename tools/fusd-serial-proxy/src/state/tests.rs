//! The rules of sharing, at one end of a cable whose other end is the test.

use std::sync::Arc;
use std::time::Instant;

use super::{Access, Reading, State, Timing};
use crate::options::Options;
use crate::port::Unit;
use crate::port::wire::{Wire, cable};
use crate::termios::Settings;

const ALL: Access = Access {
    reads: true,
    writes: true,
    trusted: true,
};

/// A state with the settings of a new terminal (lines, echo, signals), and the wire of what it sends.
fn joined(options: Options) -> (State, Arc<Wire>) {
    let (mut ports, mut wires) = cable(false, false);
    let mut state = State::new(options);
    state.connect(ports.remove(0), Some(Settings::default()));
    (state, wires.remove(0))
}

fn receive(state: &mut State, bytes: &[u8]) {
    state.receive(Unit::Bytes(bytes.to_vec()));
    state.advance(Instant::now());
}

/// What one read gets; `None` where it waits.
fn read(state: &mut State, id: u64) -> Option<Vec<u8>> {
    let now = Instant::now();
    let found = state.reading(id, 4096, true, &mut Timing::default(), now);
    let Reading::Bytes(piece) = found else {
        return None;
    };
    let bytes = state.parts(id, piece).concat();
    state.consume(id, piece);
    state.advance(now);
    Some(bytes)
}

#[test]
fn what_a_signal_character_drops_is_behind_all_readers() {
    let (mut state, _) = joined(Options::default());
    state.enter(0, ALL);
    state.enter(1, ALL);
    receive(&mut state, b"abc\x03x\n");
    receive(&mut state, b"y\n");
    for id in [0, 1] {
        assert_eq!(read(&mut state, id).as_deref(), Some(&b"x\n"[..]));
        assert_eq!(read(&mut state, id).as_deref(), Some(&b"y\n"[..]));
        assert_eq!(read(&mut state, id), None);
    }
}

#[test]
fn input_is_held_no_longer_once_a_signal_character_has_dropped_it() {
    let (mut state, _) = joined(Options::default());
    state.enter(0, ALL);
    receive(&mut state, &b"0123456789abcde\n".repeat(4096));
    assert!(!state.interest().input, "nobody reads");
    receive(&mut state, b"\x03");
    assert!(state.interest().input);
    assert_eq!(state.readable(0), 0);
}

#[test]
fn who_does_not_read_drops_no_reader_s_input() {
    let (mut state, _) = joined(Options::default());
    state.enter(0, ALL);
    let reads = false;
    state.enter(1, Access { reads, ..ALL });
    receive(&mut state, b"line\n");
    state.flush_input(1);
    assert_eq!(state.readable(0), 5);
    state.flush_input(0);
    assert_eq!(state.readable(0), 0);
}
