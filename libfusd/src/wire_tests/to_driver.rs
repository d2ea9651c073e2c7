//! What the module says, as bytes.

use super::hex;
use crate::wire::*;

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

    let fixed: [(&[u8], &str); 7] = [
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
    ];
    for (bytes, golden) in fixed {
        assert_eq!(bytes, hex(golden), "{golden}");
    }
}
