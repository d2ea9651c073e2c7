//! What the kernel takes for a letter or a control character: those of Latin-1 (`lib/ctype.c`).

pub(super) fn is_control(byte: u8) -> bool {
    byte < 0x20 || byte == 0x7f
}

fn is_upper(byte: u8) -> bool {
    byte.is_ascii_uppercase() || matches!(byte, 0xc0..=0xd6 | 0xd8..=0xde)
}

fn is_lower(byte: u8) -> bool {
    byte.is_ascii_lowercase() || matches!(byte, 0xdf..=0xf6 | 0xf8..=0xff)
}

pub(super) fn is_alphanumeric(byte: u8) -> bool {
    byte.is_ascii_digit() || is_upper(byte) || is_lower(byte)
}

pub(super) fn to_upper(byte: u8) -> u8 {
    match is_lower(byte) {
        true => byte - 0x20,
        false => byte,
    }
}

pub(super) fn to_lower(byte: u8) -> u8 {
    match is_upper(byte) {
        true => byte + 0x20,
        false => byte,
    }
}
