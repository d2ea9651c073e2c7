//! Packets for Wireshark and its kind: a pcap file with the link type LINKTYPE_RTAC_SERIAL, which is
//! for serial lines (www.tcpdump.org/linktypes.html).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{Direction, Event};

/// The file's beginning, in this machine's order of bytes: magic number for times in microseconds,
/// version 2.4, two fields that are 0, the longest packet, and the link type.
pub(super) const HEADER: [u8; 24] = header();

const LONGEST: u32 = 262_144;
const RTAC_SERIAL: u32 = 250;

/// Bytes before the packet's own.
const PREFIX: usize = 12;

const fn header() -> [u8; 24] {
    let words: [[u8; 4]; 6] = [
        0xa1b2_c3d4_u32.to_ne_bytes(),
        // Two numbers of two bytes each.
        if cfg!(target_endian = "little") {
            [2, 0, 4, 0]
        } else {
            [0, 2, 0, 4]
        },
        [0; 4],
        [0; 4],
        LONGEST.to_ne_bytes(),
        RTAC_SERIAL.to_ne_bytes(),
    ];
    let mut bytes = [0; 24];
    let mut at = 0;
    while at < 24 {
        bytes[at] = words[at / 4][at % 4];
        at += 1;
    }
    bytes
}

/// One event.
pub(super) fn packet(event: Event<'_>, lines: u32, now: SystemTime) -> Vec<u8> {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    // Until 2106.
    let (seconds, micros) = (since.as_secs() as u32, since.subsec_micros());
    let (kind, payload) = match event {
        Event::Driven | Event::Found => (0, &[][..]),
        Event::Bytes(Direction::Sent, bytes) => (1, bytes),
        Event::Bytes(Direction::Received, bytes) => (2, bytes),
        Event::Error(_) => (8, &[][..]),
        Event::Break => (9, &[][..]),
    };
    let state = |bit: i32, flag: u8| flag * u8::from(lines & bit as u32 != 0);
    let seen = state(libc::TIOCM_CTS, 0x01)
        | state(libc::TIOCM_CD, 0x02)
        | state(libc::TIOCM_DSR, 0x04)
        | state(libc::TIOCM_RTS, 0x08)
        | state(libc::TIOCM_DTR, 0x10)
        | state(libc::TIOCM_RI, 0x20);
    // Lossless: what is sent or received at once is less than the longest.
    let length = (PREFIX + payload.len()) as u32;
    let mut packet = Vec::with_capacity(16 + PREFIX + payload.len());
    for word in [seconds, micros, length, length] {
        packet.extend(word.to_ne_bytes());
    }
    for word in [seconds, micros] {
        packet.extend(word.to_be_bytes());
    }
    packet.extend([kind, seen, 0, 0]);
    packet.extend(payload);
    packet
}

#[test]
fn the_bytes_are_those_of_the_format() {
    assert_eq!(HEADER[..4], 0xa1b2_c3d4_u32.to_ne_bytes());
    assert_eq!(HEADER[20..], 250_u32.to_ne_bytes());
    let now = UNIX_EPOCH + Duration::new(5, 7000);
    let lines = (libc::TIOCM_RTS | libc::TIOCM_DTR) as u32;
    let found = packet(Event::Bytes(Direction::Received, b"hi"), lines, now);
    assert_eq!(found[..16], [5, 7, 14, 14].map(u32::to_ne_bytes).concat());
    assert_eq!(found[16..], *b"\0\0\0\x05\0\0\0\x07\x02\x18\0\0hi");
    let lines = (libc::TIOCM_CTS | libc::TIOCM_DSR | libc::TIOCM_CD) as u32;
    assert_eq!(packet(Event::Found, lines, now)[24..], [0, 0x07, 0, 0]);
}
