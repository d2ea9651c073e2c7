//! What a driver says, as bytes and as what it means.

use super::golden::*;
use super::{hex, parse};
use crate::wire::*;

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
