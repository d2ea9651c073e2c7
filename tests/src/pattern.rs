//! Bytes that say where they belong: a wrong offset, a lost or a doubled byte shows.
//!
//! Eight at a time, as tests look at many of them, not optimised, on machines that interpret.

/// The eight bytes from `word * 8`.
fn eight(word: u64) -> [u8; 8] {
    let word = word.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (word ^ word >> 29).to_le_bytes()
}

/// The byte at `offset` of the pattern.
pub fn byte(offset: u64) -> u8 {
    eight(offset / 8)[(offset % 8) as usize]
}

/// `length` bytes of the pattern from `offset`.
pub fn bytes(offset: u64, length: usize) -> Vec<u8> {
    let skipped = (offset % 8) as usize;
    let mut bytes = Vec::with_capacity(skipped + length + 8);
    let mut word = offset / 8;
    while bytes.len() < skipped + length {
        bytes.extend_from_slice(&eight(word));
        word += 1;
    }
    bytes.truncate(skipped + length);
    bytes.drain(..skipped);
    bytes
}

/// Compares `data` with the pattern from `offset`.
///
/// # Panics
/// They differ; the message says where first.
#[track_caller]
pub fn check(offset: u64, data: &[u8]) {
    if data == bytes(offset, data.len()) {
        return;
    }
    let places = data.iter().zip(offset..);
    let wrong: Vec<_> = places.filter(|(it, at)| **it != byte(*at)).collect();
    let (found, place) = wrong.first().expect("they differ somewhere");
    panic!(
        "byte {place} is {found:#04x} instead of {:#04x}, the first of {} wrong ones of {}",
        byte(*place),
        wrong.len(),
        data.len()
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_ways_to_the_bytes_agree() {
        for offset in [0, 1, 7, 8, 1_048_573, (1 << 40) + 3] {
            for length in [0, 1, 5, 8, 9, 64] {
                let single: Vec<_> = (offset..).take(length).map(byte).collect();
                assert_eq!(bytes(offset, length), single, "{length} from {offset}");
                check(offset, &single);
            }
        }
    }

    #[test]
    #[should_panic(expected = "byte 21 is")]
    fn a_wrong_byte_is_named() {
        let mut data = bytes(9, 40);
        data[12] ^= 1;
        data[30] ^= 1;
        check(9, &data);
    }
}
