//! What ioctls take and give, their numbers, and what they refuse.

use super::hex;
use crate::wire::*;

#[test]
fn arguments() {
    let fixed: [(&[u8], &str); 9] = [
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
    assert_eq!(STATUS_SIZE, 320);
}

#[test]
fn numbers() {
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
