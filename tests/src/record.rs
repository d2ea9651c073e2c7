//! Records that tell who wrote them and in which order: for tests that account for every one.

use std::collections::BTreeMap;

/// Bytes of a record.
pub const SIZE: usize = 16;

/// The most records of one write.
pub const AT_ONCE: u32 = 7;

/// Bytes of a read: whole records.
pub const READ: usize = 64 * SIZE;

/// The record `number` of the writer `tag`.
///
/// # Panics
/// They are too long.
pub fn bytes(tag: &str, number: u32) -> Vec<u8> {
    let text = format!("{tag} {number:>width$}\n", width = SIZE - 2 - tag.len());
    assert_eq!(text.len(), SIZE, "{text:?}");
    text.into_bytes()
}

/// What a reader got: the numbers of each writer, in the order of their arrival.
///
/// # Panics
/// Something else is among it.
#[track_caller]
pub fn sort(bytes: &[u8]) -> BTreeMap<String, Vec<u32>> {
    let mut sorted = BTreeMap::<String, Vec<u32>>::new();
    assert_eq!(bytes.len() % SIZE, 0, "the last record is torn");
    for record in bytes.chunks(SIZE) {
        let text = String::from_utf8_lossy(record);
        let parsed = text.trim_end().split_once(' ').and_then(|(tag, number)| {
            let number = number.trim_start().parse().ok()?;
            Some((tag.to_owned(), number))
        });
        let (tag, number) = parsed.unwrap_or_else(|| panic!("{text:?} is no record"));
        sorted.entry(tag).or_default().push(number);
    }
    sorted
}
