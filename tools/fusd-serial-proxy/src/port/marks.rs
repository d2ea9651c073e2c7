//! What a terminal marks in its input (`PARMRK`, termios(3)): breaks, and bytes with errors.

use super::Unit;

/// The byte that begins a mark; one that is meant as it is comes twice.
const MARK: u8 = 0xff;

/// Takes marks out of bytes that come in pieces.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    /// The beginning of a mark: none, 0xff, or 0xff 0.
    begun: usize,
}

impl Marks {
    /// Adds what the next bytes are to `units`.
    pub(crate) fn take(&mut self, bytes: &[u8], units: &mut Vec<Unit>) {
        if self.begun == 0 && !bytes.contains(&MARK) {
            units.push(Unit::Bytes(bytes.to_vec()));
            return;
        }
        let mut plain = Vec::with_capacity(bytes.len());
        for byte in bytes {
            let unit = match (self.begun, *byte) {
                (0, MARK) => {
                    self.begun = 1;
                    continue;
                }
                (0, byte) => {
                    plain.push(byte);
                    continue;
                }
                (1, 0) => {
                    self.begun = 2;
                    continue;
                }
                // Twice is once. Anything else is no mark that a terminal makes.
                (1, byte) => {
                    plain.push(byte);
                    self.begun = 0;
                    continue;
                }
                (_, 0) => Unit::Break,
                (_, byte) => Unit::Error(byte),
            };
            self.begun = 0;
            if !plain.is_empty() {
                units.push(Unit::Bytes(std::mem::take(&mut plain)));
            }
            units.push(unit);
        }
        if !plain.is_empty() {
            units.push(Unit::Bytes(plain));
        }
    }
}

#[test]
fn marks_are_found_wherever_the_pieces_end() {
    let bytes = b"ab\xff\0\0c\xff\0p\xff\xffd\xff\xff";
    let whole = [
        Unit::Bytes(b"ab".to_vec()),
        Unit::Break,
        Unit::Bytes(b"c".to_vec()),
        Unit::Error(b'p'),
        Unit::Bytes(b"\xffd\xff".to_vec()),
    ];
    let mut found = Vec::new();
    Marks::default().take(bytes, &mut found);
    assert_eq!(found, whole);
    let mut marks = Marks::default();
    let mut text = Vec::new();
    let mut units = Vec::new();
    for piece in bytes.chunks(1) {
        marks.take(piece, &mut units);
    }
    for unit in units {
        match unit {
            Unit::Bytes(bytes) => text.extend(bytes),
            Unit::Break => text.extend(b"<break>"),
            Unit::Error(_) => text.extend(b"<error>"),
            Unit::Lines | Unit::Speed(_) => {}
        }
    }
    assert_eq!(text, b"ab<break>c<error>\xffd\xff");
}
