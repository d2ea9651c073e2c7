//! The rules of sharing, at one end of a cable whose other end is the test.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fusd::{Errno, PollEvents};

use super::lines::{CLOSING, DRIVEN};
use super::{Access, Reading, State, Timing};
use crate::options::{Options, Policy, WriteLock};
use crate::port::Unit;
use crate::port::wire::{Wire, cable};
use crate::termios::Settings;

const ALL: Access = Access {
    reads: true,
    writes: true,
    trusted: true,
    process: 0,
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

#[test]
fn nothing_is_echoed_while_nobody_has_the_node_open() {
    let (mut state, wire) = joined(Options::default());
    receive(&mut state, b"login: \r\n");
    assert_eq!(wire.take_bytes(), b"");
    state.enter(0, ALL);
    receive(&mut state, b"a\r");
    assert_eq!(wire.take_bytes(), b"a\r\n");
    state.leave(0);
    receive(&mut state, b"b\r");
    assert_eq!(wire.take_bytes(), b"");
}

#[test]
fn a_read_only_proxy_sends_no_echo() {
    let (mut state, wire) = joined(Options {
        read_only: true,
        settings: Policy::Fixed,
        ..Options::default()
    });
    state.enter(0, ALL);
    receive(&mut state, b"a\r");
    assert_eq!(read(&mut state, 0).as_deref(), Some(&b"a\n"[..]));
    assert_eq!(wire.take_bytes(), b"");
}

#[test]
fn bytes_are_handed_on_as_they_are_to_who_has_a_discipline_of_its_own() {
    let (mut state, wire) = joined(Options {
        settings: Policy::Fixed,
        ..Options::default()
    });
    assert_eq!(state.bypass(), Settings::default());
    state.attend(0, ALL);
    receive(&mut state, b"a\r\x7f\x03");
    assert_eq!(read(&mut state, 0).as_deref(), Some(&b"a\r\x7f\x03"[..]));
    state.set(0, Settings::default()).unwrap();
    receive(&mut state, b"b");
    assert_eq!(read(&mut state, 0).as_deref(), Some(&b"b"[..]));
    assert_eq!(wire.take_bytes(), b"");
}

#[test]
fn echoes_do_not_pile_up() {
    let (mut state, wire) = joined(Options::default());
    state.enter(0, ALL);
    state.halt(true);
    for _ in 0..100 {
        receive(&mut state, &[b'x'; 1000]);
    }
    assert_eq!(state.queued(), 8192);
    assert_eq!(wire.take_bytes(), b"", "stopped");
}

#[test]
fn a_write_is_announced_to_whose_turn_it_is() {
    let (mut state, _) = joined(Options {
        write_lock: WriteLock::Line,
        ..Options::default()
    });
    state.enter(0, ALL);
    state.enter(1, ALL);
    state.write(0, b"half a ", false);
    assert!(state.readiness(0).contains(PollEvents::WRITE));
    assert!(!state.readiness(1).contains(PollEvents::WRITE));
    state.write(0, b"line\n", false);
    assert!(state.readiness(1).contains(PollEvents::WRITE));
}

/// One whose clients and other side stop each other, and whose reader is slow.
fn full() -> (State, Arc<Wire>) {
    let (mut state, wire) = joined(Options::default());
    state.enter(0, ALL);
    let mut settings = Settings::default().raw();
    settings.input = libc::IXON | libc::IXOFF;
    state.set(0, settings).unwrap();
    receive(&mut state, b"\x13");
    state.write(0, b"stopped", false);
    receive(&mut state, &[b'x'; 40_000]);
    (state, wire)
}

#[test]
fn a_stop_character_is_not_stopped_itself() {
    let (mut state, wire) = full();
    assert_eq!(wire.take_bytes(), b"\x13");
    state.flush_input(0);
    state.flush_output();
    state.advance(Instant::now());
    assert_eq!(wire.take_bytes(), b"\x11");
    assert_eq!(state.queued(), 0);
}

#[test]
fn stopping_again_and_again_fills_nothing() {
    let (mut state, wire) = joined(Options::default());
    state.enter(0, ALL);
    state.write(0, &[b'x'; 4096], false);
    state.advance(Instant::now());
    for _ in 0..1000 {
        state.send_flow(true);
        state.advance(Instant::now());
    }
    assert_eq!(state.queued(), 4096, "the wire has no room");
    wire.take_bytes();
    state.advance(Instant::now());
    assert_eq!(wire.take_bytes(), b"\x13");
}

#[test]
fn the_line_is_hung_up_when_all_is_on_it() {
    let (mut state, wire) = joined(Options::default());
    state.enter(0, ALL);
    state.write(0, b"last words", false);
    state.advance(Instant::now());
    state.leave(0);
    let now = Instant::now();
    let effects = state.advance(now);
    assert_eq!(state.driven(), DRIVEN, "they are on their way");
    assert_eq!(wire.take_bytes(), b"last words");
    state.advance(now);
    assert_eq!(state.driven(), 0);
    // What is held up is not waited for without end.
    state.enter(0, ALL);
    state.halt(true);
    state.write(0, b"stopped", false);
    state.leave(0);
    let effects = [effects, state.advance(now)].map(|effects| effects.look_at);
    assert_eq!(effects, [Some(now + CLOSING); 2]);
    assert_eq!(state.driven(), DRIVEN);
    state.advance(now + CLOSING);
    assert_eq!(state.driven(), 0);
}

#[test]
fn who_is_in_the_midst_of_a_line_is_not_shut_out() {
    let (mut state, _) = joined(Options {
        write_lock: WriteLock::Line,
        ..Options::default()
    });
    state.enter(0, ALL);
    state.enter(1, ALL);
    state.write(0, b"half a ", false);
    assert_eq!(state.claim(1, true), Err(Errno::EBUSY));
    state.write(0, b"line\n", false);
    assert_eq!(state.claim(1, true), Ok(()));
}

#[test]
fn small_memory_loses_nothing_where_the_other_side_waits() {
    let (mut state, _) = joined(Options {
        size: 5000,
        ..Options::default()
    });
    state.enter(0, ALL);
    state.set(0, Settings::default().raw()).unwrap();
    receive(&mut state, &[b'x'; 900]);
    assert!(state.interest().input);
    receive(&mut state, &[b'x'; 4096]);
    assert!(!state.interest().input);
    assert_eq!((state.readable(0), state.lost_by(0)), (4996, 0));
    read(&mut state, 0);
    assert!(!state.interest().input, "900 are left");
    read(&mut state, 0);
    assert!(state.interest().input);
}

#[test]
fn a_port_that_comes_back_at_the_end_is_left_alone() {
    let (mut state, _) = joined(Options::default());
    state.disconnect();
    state.restore();
    let (mut ports, _) = cable(false, false);
    state.connect(ports.remove(0), None);
    assert!(state.is_lost());
}

#[test]
fn nothing_is_received_where_the_settings_say_so() {
    let (mut state, _) = joined(Options::default());
    state.bypass();
    state.attend(0, ALL);
    let hearing = Settings::default().raw();
    state.set(0, hearing).unwrap();
    assert!(state.passes_on(0));
    let mut deaf = hearing;
    deaf.control &= !libc::CREAD;
    state.set(0, deaf).unwrap();
    assert!(!state.passes_on(0));
    receive(&mut state, b"unheard");
    assert_eq!(state.readable(0), 0);
    state.set(0, hearing).unwrap();
    receive(&mut state, b"heard");
    assert_eq!(read(&mut state, 0).as_deref(), Some(&b"heard"[..]));
}

#[test]
fn a_line_without_its_end_holds_up_nothing() {
    let (mut state, _) = joined(Options {
        size: 4096,
        ..Options::default()
    });
    state.enter(0, ALL);
    receive(&mut state, b"lo");
    assert!(state.interest().input);
    receive(&mut state, b"gin\n");
    assert!(!state.interest().input);
}

/// One that is joined with itself by a wire that nobody serves.
fn looped(paced: bool) -> State {
    let (mut ports, _) = cable(true, paced);
    let mut state = State::new(Options::default());
    state.connect(ports.remove(0), Some(Settings::default().raw()));
    state
}

#[test]
fn what_is_on_the_way_at_the_last_close_is_not_for_the_next_open() {
    for paced in [false, true] {
        let mut state = looped(paced);
        let now = Instant::now();
        state.settle(now);
        state.enter(0, ALL);
        // More than the wire takes.
        state.write(0, &[b'x'; 6000], false);
        state.advance(now);
        state.leave(0);
        state.settle(now);
        state.enter(1, ALL);
        state.advance(now);
        state.receive_all(now + Duration::from_secs(3600));
        assert_eq!((state.readable(1), state.queued()), (0, 0), "{paced}");
        assert_eq!(state.stats().received, 6000);
        // Nobody else's open does that.
        state.write(1, b"new", false);
        state.advance(now);
        state.settle(now);
        state.enter(2, ALL);
        assert_eq!(state.queued(), 3);
    }
}

#[test]
fn what_has_come_is_counted_and_flushed_before_it_is_handed_over() {
    let mut state = looped(false);
    let now = Instant::now();
    state.enter(0, ALL);
    state.enter(1, ALL);
    state.write(0, b"bytes", false);
    state.advance(now);
    state.receive_all(now);
    assert_eq!((state.readable(0), state.queued()), (5, 0));
    state.flush_input(0);
    assert_eq!((state.readable(0), state.readable(1)), (0, 5));
}
