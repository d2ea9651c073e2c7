//! Damaged requests, the same ones in every run: no input may panic or point outside the buffer.

use super::goldens;
use super::*;

const ROUNDS: usize = 200_000;

/// Marsaglia's xorshift with 64 bits of state: repeatable, and good enough to do damage.
struct Xorshift(u64);

impl Xorshift {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `end`; 0 where `end` is 0.
    fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).unwrap();
        usize::try_from(self.next() % end.max(1)).unwrap()
    }

    fn byte(&mut self) -> u8 {
        const TELLING: [u8; 6] = [0, 1, 0x7f, 0x80, 0xfe, 0xff];
        let random = self.next().to_le_bytes()[0];
        if self.below(2) == 0 {
            TELLING[self.below(TELLING.len())]
        } else {
            random
        }
    }

    fn damage(&mut self, bytes: &mut Vec<u8>) {
        match self.below(4) {
            0 => bytes.truncate(self.below(bytes.len() + 1)),
            1 => {
                for _ in 0..self.below(64) {
                    let byte = self.byte();
                    bytes.push(byte);
                }
            }
            2 if bytes.len() >= HEADER_SIZE => bytes[36] = self.byte() % 8,
            _ => {}
        }
        for _ in 0..self.below(6) {
            let at = self.below(bytes.len());
            if let Some(place) = bytes.get_mut(at) {
                *place = self.byte();
            }
        }
    }
}

/// Lets the damage get past the first check, most of the time.
fn mend_length(bytes: &mut [u8]) {
    let len = u32::try_from(bytes.len()).unwrap();
    if let Some(field) = bytes.get_mut(..4) {
        field.copy_from_slice(&len.to_le_bytes());
    }
}

#[test]
fn damaged_requests_do_no_harm() {
    let goldens = goldens::all();
    let mut random = Xorshift(0x9e37_79b9_7f4a_7c15);
    let (mut decoded, mut refused) = (0, 0);
    for round in 0..ROUNDS {
        let mut bytes = goldens[round % goldens.len()].bytes.clone();
        random.damage(&mut bytes);
        if random.below(8) != 0 {
            mend_length(&mut bytes);
        }
        match decode(&bytes) {
            Ok(frame) => {
                decoded += 1;
                if let Some(range) = frame.body.data_range() {
                    assert!(HEADER_SIZE <= range.start && range.start <= range.end);
                    assert!(bytes.get(range).is_some());
                }
            }
            Err(error) => {
                refused += 1;
                assert!(!error.to_string().is_empty());
                assert!(error.answerable().is_none() || bytes.len() >= HEADER_SIZE);
            }
        }
    }
    // The damage is neither too little nor too much for the test to mean something.
    assert!(
        decoded > ROUNDS / 10 && refused > ROUNDS / 10,
        "{decoded} decoded, {refused} refused"
    );
}
