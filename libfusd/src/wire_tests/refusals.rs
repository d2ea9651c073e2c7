//! What is no message is refused, whatever is wrong with it.

use super::golden::*;
use super::{hex, parse};
use crate::wire::*;

#[test]
fn every_cut_and_every_wrong_length_is_refused() {
    for text in [
        HELLO, REGISTER, UNREGISTER, REPLY, NOTIFY, NUDGE, MEMORY, WORKERS, PUBLISH, COOKIE,
        RESUME, BACK, ATTACH, COPY_IN, COPY_OUT,
    ] {
        let whole = hex(text);
        for end in 0..whole.len() {
            assert_eq!(
                parse(&whole[..end]),
                Err(Fault::Length),
                "{end} bytes of {text}"
            );
        }
        let mut longer = whole.clone();
        longer.push(0);
        assert_eq!(parse(&longer), Err(Fault::Length), "{text}");
        // A length that agrees with what is written, but not with the operation.
        longer[0] += 1;
        let expected = if whole[4] == 5 {
            Ok(())
        } else {
            Err(Fault::Length)
        };
        assert_eq!(parse(&longer).map(drop), expected, "{text}");
        for length in [0, 1, 15, u32::MAX] {
            let mut wrong = whole.clone();
            wrong[..4].copy_from_slice(&length.to_ne_bytes());
            assert_eq!(parse(&wrong), Err(Fault::Length), "{length} in {text}");
        }
    }
}

/// The golden message `text` with the bytes from `at` replaced.
fn with(text: &str, at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut message = hex(text);
    message[at..at + bytes.len()].copy_from_slice(bytes);
    message
}

#[test]
fn every_field_at_its_wrong_values() {
    let wrong: &[(&str, usize, &[u8], Fault)] = &[
        (HELLO, 4, &[0, 0], Fault::Operation),
        (HELLO, 4, &[1, 0], Fault::Operation),
        (HELLO, 4, &[32, 0], Fault::Operation),
        (HELLO, 4, &[0xff, 0xff], Fault::Operation),
        (HELLO, 6, &[1], Fault::Flags),
        (HELLO, 8, &[1], Fault::Reserved),
        (HELLO, 16, &[0], Fault::Version),
        (HELLO, 16, &[2], Fault::Version),
        (HELLO, 20, &[1], Fault::Reserved),
        (HELLO, 24, &[0x80], Fault::Feature),
        (HELLO, 31, &[0x80], Fault::Feature),
        (REGISTER, 6, &[1], Fault::Flags),
        (REGISTER, 8, &[1], Fault::Reserved),
        (REGISTER, 24, &[0x80], Fault::Flags),
        (REGISTER, 31, &[0x80], Fault::Flags),
        (REGISTER, 32, &[0x10], Fault::Flags),
        (REGISTER, 32, &[8], Fault::Flags),
        (REGISTER, 32, &[1], Fault::Reserved),
        (REGISTER, 36, &0o1000u32.to_ne_bytes(), Fault::Range),
        (REGISTER, 36, &0o20_666u32.to_ne_bytes(), Fault::Range),
        (REGISTER, 52, &[2], Fault::Length),
        (REGISTER, 52, &[4], Fault::Length),
        (REGISTER, 52, &[0xff; 4], Fault::Length),
        (REGISTER, 56, &[0; 4], Fault::Range),
        (REGISTER, 56, &86_400_001u32.to_ne_bytes(), Fault::Range),
        (REGISTER, 60, &[1], Fault::Reserved),
        (REPLY, 6, &[2], Fault::Flags),
        (REPLY, 6, &[0], Fault::Reserved),
        (REPLY, 16, &512u32.to_ne_bytes(), Fault::Range),
        (REPLY, 16, &[0xff; 4], Fault::Range),
        (REPLY, 16, &[5], Fault::Range),
        (REPLY, 20, &[0, 0, 1, 0], Fault::Range),
        (NOTIFY, 8, &[1], Fault::Reserved),
        (NOTIFY, 24, &[0x20], Fault::Range),
        (NOTIFY, 24, &[0xff; 4], Fault::Range),
        (NOTIFY, 28, &[1], Fault::Reserved),
        (MEMORY, 8, &[1], Fault::Reserved),
        (MEMORY, 40, &[0; 8], Fault::Range),
        (MEMORY, 48, &[3], Fault::Flags),
        (MEMORY, 51, &[0x80], Fault::Flags),
        (MEMORY, 52, &[1], Fault::Reserved),
        (WORKERS, 16, &[0, 0, 0, 0, 0], Fault::Range),
        (WORKERS, 20, &[0], Fault::Reserved),
        (WORKERS, 20, &[3], Fault::Flags),
        (WORKERS, 23, &[0x80], Fault::Flags),
        (PUBLISH, 8, &[1], Fault::Reserved),
        (PUBLISH, 40, &[0; 8], Fault::Range),
        (PUBLISH, 48, &[1], Fault::Range),
        (PUBLISH, 48, &[2], Fault::Flags),
        (PUBLISH, 51, &[0x80], Fault::Flags),
        (PUBLISH, 52, &[1], Fault::Reserved),
        (COOKIE, 8, &[1], Fault::Reserved),
        (RESUME, 8, &[1], Fault::Reserved),
        (BACK, 6, &[1], Fault::Flags),
        (ATTACH, 8, &[1], Fault::Reserved),
        (ATTACH, 32, &[0], Fault::Range),
        (ATTACH, 32, &[4], Fault::Flags),
        (ATTACH, 36, &[1], Fault::Reserved),
        (COPY_IN, 24, &[0], Fault::Range),
        (COPY_IN, 24, &[0xff; 4], Fault::Range),
        (COPY_IN, 28, &[1], Fault::Reserved),
        (COPY_OUT, 24, &[2], Fault::Length),
        (COPY_OUT, 28, &[1], Fault::Reserved),
    ];
    for &(text, at, bytes, fault) in wrong {
        let message = with(text, at, bytes);
        assert_eq!(parse(&message), Err(fault), "{bytes:?} at {at} of {text}");
    }
}

#[test]
fn the_table_of_messages_is_complete() {
    let mut known: Vec<u16> = COMMANDS.iter().map(|layout| layout.operation).collect();
    known.sort_unstable();
    let taken: Vec<u16> = (0..=u16::MAX)
        .filter(|operation| {
            let header = CommandHeader {
                length: 200,
                operation: *operation,
                ..CommandHeader::default()
            };
            let mut message = vec![0; 200];
            message[..CommandHeader::SIZE].copy_from_slice(&header.to_bytes());
            parse(&message) != Err(Fault::Operation)
        })
        .collect();
    assert_eq!(known, taken);
    for layout in COMMANDS {
        // Each byte belongs to one field: what a message's fixed part takes is its fields.
        let end = layout.fields.iter().fold(0, |at, field| {
            assert_eq!(field.at, at, "{layout:?}");
            at + field.size
        });
        let mut message = vec![0; CommandHeader::SIZE + end];
        let header = CommandHeader {
            length: u32::try_from(message.len()).unwrap(),
            operation: layout.operation,
            ..CommandHeader::default()
        };
        message[..CommandHeader::SIZE].copy_from_slice(&header.to_bytes());
        assert_ne!(
            parse(&message),
            Err(Fault::Length),
            "{layout:?} has room enough"
        );
        let short = u32::try_from(message.len() - 1).unwrap();
        message.pop();
        message[..4].copy_from_slice(&short.to_ne_bytes());
        assert_eq!(parse(&message), Err(Fault::Length), "{layout:?}");
    }
}

#[test]
fn any_bytes_parse_or_are_refused() {
    // Every header there is, over every length of what follows: none may panic.
    for operation in 0..=64u16 {
        for length in 0..=HEAD_MAX + 2 {
            for fill in [0, 1, 0x7f, 0xff] {
                let mut message = vec![fill; length];
                let header = CommandHeader {
                    length: u32::try_from(length).unwrap(),
                    operation,
                    ..CommandHeader::default()
                };
                let bytes = header.to_bytes();
                let end = length.min(bytes.len());
                message[..end].copy_from_slice(&bytes[..end]);
                if let Ok((_, used)) = parse(&message) {
                    assert!(used <= length);
                }
                // Less than was promised must not be taken for all.
                let cut = length.saturating_sub(1).min(HEAD_MAX - 1);
                let cut = Command::parse(&message[..cut], length);
                assert!(cut.is_err());
            }
        }
    }
}
