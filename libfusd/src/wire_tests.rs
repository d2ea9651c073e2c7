//! The protocol as bytes: a golden message per kind, and every field at its wrong values.

#![cfg(target_endian = "little")]

use crate::wire::*;

/// Bytes from hexadecimal digits; spaces are for the reader.
fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(16)).collect();
    digits
        .chunks(2)
        .map(|pair| u8::try_from(pair[0] << 4 | pair[1]).unwrap())
        .collect()
}

fn parse(bytes: &[u8]) -> Result<(Command, usize), Fault> {
    let head = &bytes[..bytes.len().min(HEAD_MAX)];
    Command::parse(head, bytes.len())
}

const HELLO: &str = "20000000 0200 0000 0000000000000000  01000000 00000000 0300000000000000";
const REGISTER: &str = "43000000 0300 0000 0000000000000000
    0700000000000000 4b00000000000000 0d000000 b6010000 e8030000 64000000 00100000 03000000
    30750000 00000000 612f62";
const UNREGISTER: &str = "18000000 0400 0000 0000000000000000  0700000000000000";
const REPLY: &str = "22000000 0500 0100 0900000000000000  00000000 41000000 0000000000000000 6869";
const NOTIFY: &str = "20000000 0600 0000 0000000000000000  0500000000000000 45000000 00000000";
const NUDGE: &str = "10000000 0900 0000 0000000000000000";
const MEMORY: &str = "38000000 0a00 0000 0000000000000000
    0700000000000000 0500000000000000 00f0ff7f00000000 0020000000000000 01000000 00000000";
const WORKERS: &str = "18000000 0b00 0000 0900000000000000  10000000 01000000";
const PUBLISH: &str = "38000000 0e00 0000 0000000000000000
    0700000000000000 0500000000000000 00f0ff7f00000000 0120000000000000 00000000 00000000";
const COOKIE: &str = "20000000 0c00 0000 0000000000000000  0500000000000000 efbeadde00000000";
const RESUME: &str = "10000000 0d00 0000 0000000000000000";
const BACK: &str = "10000000 0f00 0000 0900000000000000";
const ATTACH: &str = "28000000 1000 0000 0000000000000000
    0500000000000000 0300000000000000 03000000 00000000";
const COPY_IN: &str = "20000000 0700 0000 0900000000000000  00f0ff7f00000000 10000000 00000000";
const COPY_OUT: &str =
    "23000000 0800 0000 0900000000000000  00f0ff7f00000000 03000000 00000000 616263";

#[test]
fn messages_to_the_module() {
    let golden = [
        (
            HELLO,
            32,
            Command::Hello(Hello {
                version: 1,
                reserved: 0,
                features: 3,
            }),
        ),
        (
            REGISTER,
            64,
            Command::Register(Register {
                device: 7,
                operations: IMPLEMENTS_READ | IMPLEMENTS_WRITE | IMPLEMENTS_POLL | IMPLEMENTS_SEEK,
                flags: REGISTER_STREAM | REGISTER_KEEP | REGISTER_AGAIN,
                mode: 0o666,
                uid: 1000,
                gid: 100,
                max_transfer: 4096,
                name_length: 3,
                keep: 30_000,
                reserved: 0,
            }),
        ),
        (
            UNREGISTER,
            24,
            Command::Unregister(Unregister { device: 7 }),
        ),
        (
            REPLY,
            32,
            Command::Reply(Answer {
                id: 9,
                reply: Reply {
                    error: 0,
                    events: 0x41,
                    value: 0,
                },
                has_events: true,
                length: 2,
            }),
        ),
        (
            NOTIFY,
            32,
            Command::Notify(Notify {
                file: 5,
                events: 0x45,
                reserved: 0,
            }),
        ),
        (NUDGE, 16, Command::Nudge),
        (
            COOKIE,
            32,
            Command::Cookie(Cookie {
                file: 5,
                cookie: 0xdead_beef,
            }),
        ),
        (RESUME, 16, Command::Resume),
        (BACK, 16, Command::Back { id: 9 }),
        (
            MEMORY,
            56,
            Command::Memory(Memory {
                device: 7,
                file: 5,
                address: 0x7fff_f000,
                length: 8192,
                flags: MEMORY_READ_ONLY,
                reserved: 0,
            }),
        ),
        (
            WORKERS,
            24,
            Command::Workers {
                id: 9,
                workers: Workers {
                    limit: 16,
                    flags: WORKERS_JOIN,
                },
            },
        ),
        (
            PUBLISH,
            56,
            Command::Publish(Publish {
                device: 7,
                file: 5,
                address: 0x7fff_f000,
                length: 8193,
                flags: 0,
                reserved: 0,
            }),
        ),
        (
            ATTACH,
            40,
            Command::Attach(Attach {
                file: 5,
                ring: 3,
                flags: ATTACH_READS | ATTACH_WRITES,
                reserved: 0,
            }),
        ),
        (
            COPY_IN,
            32,
            Command::CopyIn {
                id: 9,
                copy: CopyIn {
                    address: 0x7fff_f000,
                    length: 16,
                    reserved: 0,
                },
            },
        ),
        (
            COPY_OUT,
            32,
            Command::CopyOut {
                id: 9,
                copy: CopyOut {
                    address: 0x7fff_f000,
                    length: 3,
                    reserved: 0,
                },
            },
        ),
    ];
    for (text, used, command) in golden {
        assert_eq!(parse(&hex(text)), Ok((command, used)), "{text}");
    }
}

#[test]
fn messages_to_the_driver() {
    let header = RequestHeader {
        length: 80,
        operation: operation::READ,
        flags: REQUEST_COMPAT,
        id: 0x0102_0304_0506_0708,
        device: 7,
        file: 5,
        cookie: 0xc00c,
        pid: 10,
        tid: 11,
        uid: 1000,
        gid: 100,
        open_flags: 0x8800,
        reserved: 0,
    };
    let golden = hex(
        "50000000 2300 0100 0807060504030201 0700000000000000 0500000000000000
        0cc0000000000000 0a000000 0b000000 e8030000 64000000 00880000 00000000",
    );
    assert_eq!(header.to_bytes(), *golden);
    assert_eq!(RequestHeader::from_bytes(&golden), header);

    let fixed: [(&[u8], &str); 16] = [
        (
            &Greeting {
                version: 1,
                max_transfer: 1 << 20,
                features: 3,
                max_devices: 64,
                max_files: 4096,
                reserved: 0,
            }
            .to_bytes(),
            "01000000 00001000 0300000000000000 40000000 00100000 0000000000000000",
        ),
        (
            &Transfer {
                offset: 4096,
                size: 10,
                reserved: 0,
            }
            .to_bytes(),
            "0010000000000000 0a000000 00000000",
        ),
        (
            &Seek {
                offset: -1,
                whence: 2,
                reserved: 0,
            }
            .to_bytes(),
            "ffffffffffffffff 02000000 00000000",
        ),
        (
            &Ioctl {
                argument: 0x7fff_0000,
                command: 0x8004_5200,
                in_size: 0,
                out_size: 4,
                reserved: 0,
            }
            .to_bytes(),
            "0000ff7f00000000 00520480 00000000 04000000 00000000",
        ),
        (
            &Sync {
                data_only: 1,
                reserved: 0,
            }
            .to_bytes(),
            "01000000 00000000",
        ),
        (
            &Copied {
                error: 14,
                reserved: 0,
            }
            .to_bytes(),
            "0e000000 00000000",
        ),
        (
            &Exchange {
                command: 0x1000,
                buffer: 0x2000,
                command_length: 33,
                buffer_length: 4096,
                reserved: 0,
            }
            .to_bytes(),
            "0010000000000000 0020000000000000 21000000 00100000 0000000000000000",
        ),
        (
            &StatusQuery {
                buffer: 0x1000,
                buffer_length: 3200,
                record_size: 320,
                known_size: 320,
                devices: 2,
                changes: 7,
                reserved: 0,
            }
            .to_bytes(),
            "0010000000000000 800c0000 40010000 40010000 02000000
            0700000000000000 0000000000000000",
        ),
        (
            &StatusRecord {
                major: 240,
                minor: 3,
                driver: 100,
                files: 2,
                waiting: 1,
                name_length: 10,
                served: 5,
                bytes: 6,
                oldest: 1_000_000,
                operations: IMPLEMENTS_READ | IMPLEMENTS_POLL,
                flags: REGISTER_STREAM,
                deadlocks: 0,
            }
            .to_bytes(),
            "f0000000 03000000 64000000 02000000 01000000 0a000000 0500000000000000
            0600000000000000 40420f0000000000 0900000000000000 01000000 00000000",
        ),
        (
            &Charge {
                features: 23,
                max_transfer: 1 << 20,
                devices: 1,
                files: 2,
                reserved: 0,
                reserved_too: 0,
            }
            .to_bytes(),
            "1700000000000000 00001000 01000000 02000000 00000000 0000000000000000",
        ),
        (
            &Adopt {
                name: 0x1000,
                name_length: 3,
                flags: ADOPT_REPLACE,
                reserved: 0,
            }
            .to_bytes(),
            "0010000000000000 03000000 01000000 0000000000000000",
        ),
        (
            &List {
                from: 6,
                buffer: 0x1000,
                buffer_length: 4096,
                reserved: 0,
            }
            .to_bytes(),
            "0600000000000000 0010000000000000 00100000 00000000",
        ),
        (
            &FileRecord {
                file: 5,
                device: 7,
                cookie: 0xc00c,
                open_flags: 0x8002,
                events: 0x41,
            }
            .to_bytes(),
            "0500000000000000 0700000000000000 0cc0000000000000 02800000 41000000",
        ),
        (
            &DeviceRecord {
                device: 7,
                operations: IMPLEMENTS_READ,
                flags: REGISTER_KEEP,
                max_transfer: 4096,
                keep: 1000,
                name_length: 3,
            }
            .to_bytes(),
            "0700000000000000 0100000000000000 04000000 00100000 e8030000 03000000",
        ),
        (
            &Ring {
                ring: 3,
                size: 65536,
                flags: RING_EVENT,
                event: 8,
                room: 32768,
                fill: 1,
                reserved: 0,
            }
            .to_bytes(),
            "0300000000000000 00000100 01000000 08000000 00800000 01000000 00000000",
        ),
        (
            &Portion {
                ring: 3,
                address: 0x1000,
                length: 10,
                flags: PORTION_LAST,
                filled: 9,
                reserved: 0,
            }
            .to_bytes(),
            "0300000000000000 0010000000000000 0a000000 01000000 09000000 00000000",
        ),
    ];
    for (bytes, golden) in fixed {
        assert_eq!(bytes, hex(golden), "{golden}");
    }
    // _IOWR(0xf1, 0, 32)
    assert_eq!(IOCTL_EXCHANGE, 0xc020_f100);
    // _IOWR(0xf1, 1, 40)
    assert_eq!(IOCTL_STATUS, 0xc028_f101);
    // _IOWR(0xf1, 2, 24), and the two after it
    let of_successors = [IOCTL_ADOPT, IOCTL_FILES, IOCTL_DEVICES];
    assert_eq!(of_successors, [0xc018_f102, 0xc018_f103, 0xc018_f104]);
    // _IOWR(0xf1, 5, 32), and the two after it
    let of_rings = [IOCTL_RING, IOCTL_FEED, IOCTL_TAKE];
    assert_eq!(of_rings, [0xc020_f105, 0xc020_f106, 0xc020_f107]);
    assert_eq!(STATUS_SIZE, 320);
}

#[test]
fn what_no_ring_can_be_is_refused() {
    let good = Ring {
        size: 1,
        ..Ring::default()
    };
    assert_eq!(good.checked(), Ok(good));
    let wrong = [
        (
            Ring {
                reserved: 1,
                ..good
            },
            Fault::Reserved,
        ),
        (Ring { flags: 4, ..good }, Fault::Flags),
        (Ring { event: 1, ..good }, Fault::Range),
        (
            Ring {
                size: TRANSFER_MAX + 1,
                ..good
            },
            Fault::Range,
        ),
        (
            Ring {
                flags: RING_DROP,
                ..good
            },
            Fault::Range,
        ),
        (
            Ring {
                flags: RING_DROP,
                size: 0,
                fill: 1,
                ..good
            },
            Fault::Range,
        ),
        (
            Ring {
                flags: RING_DROP | RING_EVENT,
                size: 0,
                ..good
            },
            Fault::Range,
        ),
    ];
    for (ring, fault) in wrong {
        assert_eq!(ring.checked(), Err(fault), "{ring:?}");
    }
    let drop = Ring {
        flags: RING_DROP,
        ..Ring::default()
    };
    assert_eq!(drop.checked(), Ok(drop));
    let portion = Portion::default();
    assert_eq!(portion.checked(), Ok(portion));
    assert_eq!(
        Portion {
            flags: 2,
            ..portion
        }
        .checked(),
        Err(Fault::Flags)
    );
    assert_eq!(
        Portion {
            reserved: 1,
            ..portion
        }
        .checked(),
        Err(Fault::Reserved)
    );
}

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

#[test]
fn names() {
    for good in ["a", "helloworld", "bus/usb.0/ep_1-2", "...", "ttyS0"] {
        assert!(is_name(good.as_bytes()), "{good}");
    }
    let bad: &[&[u8]] = &[
        b"",
        b"/",
        b"/a",
        b"a/",
        b"a//b",
        b".",
        b"..",
        b"./a",
        b"a/..",
        b"a/../b",
        b"a b",
        b"%s%n",
        b"a\0",
        b"\0",
        b"a\n",
        b"a!b",
        b"\xc3\xbc",
        b"\xff",
        b"a\\b",
        b"a*",
        b"~",
        b"a:b",
    ];
    for bad in bad {
        assert!(!is_name(bad), "{bad:?}");
    }
}

#[test]
fn features_have_names() {
    assert_eq!(feature_name(FEATURES), Some("exchange"));
    assert_eq!(feature_name(FEATURE_COPY), Some("copy"));
    assert_eq!(feature_name(1 << 63), None);
    assert_eq!(feature_name(0), None);
    let mut rest = FEATURES;
    while rest != 0 {
        assert!(feature_name(rest).is_some(), "{rest:#x}");
        rest &= rest - 1;
    }
}
