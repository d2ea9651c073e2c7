//! Bytes that say where they belong: a wrong offset, a lost or a doubled byte shows.

/// The byte at `offset` of the pattern.
pub fn byte(offset: u64) -> u8 {
    let word = (offset / 8).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (word ^ word >> 29).to_le_bytes()[(offset % 8) as usize]
}

/// `length` bytes of the pattern from `offset`.
pub fn bytes(offset: u64, length: usize) -> Vec<u8> {
    (offset..).take(length).map(byte).collect()
}

/// Compares `data` with the pattern from `offset`.
///
/// # Panics
/// They differ; the message says where first.
#[track_caller]
pub fn check(offset: u64, data: &[u8]) {
    let wrong = data
        .iter()
        .zip(offset..)
        .find(|(found, place)| **found != byte(*place));
    if let Some((found, place)) = wrong {
        panic!(
            "byte {place} is {found:#04x} instead of {:#04x}",
            byte(place)
        );
    }
}
