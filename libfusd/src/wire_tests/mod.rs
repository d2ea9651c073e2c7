//! The protocol as bytes: a golden message per kind, and every field at its wrong values.

#![cfg(target_endian = "little")]

mod ioctls;
mod names;
mod refusals;
mod to_driver;
mod to_module;

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

/// A message of each kind to the module.
mod golden {
    pub(super) const HELLO: &str =
        "20000000 0200 0000 0000000000000000  01000000 00000000 0300000000000000";
    pub(super) const REGISTER: &str = "43000000 0300 0000 0000000000000000
        0700000000000000 4b00000000000000 0d000000 b6010000 e8030000 64000000 00100000 03000000
        30750000 00000000 612f62";
    pub(super) const UNREGISTER: &str = "18000000 0400 0000 0000000000000000  0700000000000000";
    pub(super) const REPLY: &str =
        "22000000 0500 0100 0900000000000000  00000000 41000000 0000000000000000 6869";
    pub(super) const NOTIFY: &str =
        "20000000 0600 0000 0000000000000000  0500000000000000 45000000 00000000";
    pub(super) const NUDGE: &str = "10000000 0900 0000 0000000000000000";
    pub(super) const MEMORY: &str = "38000000 0a00 0000 0000000000000000
        0700000000000000 0500000000000000 00f0ff7f00000000 0020000000000000 01000000 00000000";
    pub(super) const WORKERS: &str = "18000000 0b00 0000 0900000000000000  10000000 01000000";
    pub(super) const PUBLISH: &str = "38000000 0e00 0000 0000000000000000
        0700000000000000 0500000000000000 00f0ff7f00000000 0120000000000000 00000000 00000000";
    pub(super) const COOKIE: &str =
        "20000000 0c00 0000 0000000000000000  0500000000000000 efbeadde00000000";
    pub(super) const RESUME: &str = "10000000 0d00 0000 0000000000000000";
    pub(super) const BACK: &str = "10000000 0f00 0000 0900000000000000";
    pub(super) const ATTACH: &str = "28000000 1000 0000 0000000000000000
        0500000000000000 0300000000000000 03000000 00000000";
    pub(super) const COPY_IN: &str =
        "20000000 0700 0000 0900000000000000  00f0ff7f00000000 10000000 00000000";
    pub(super) const COPY_OUT: &str =
        "23000000 0800 0000 0900000000000000  00f0ff7f00000000 03000000 00000000 616263";
}
