//! The first bytes of a journal: what it is, and what it was made for.

use crate::settings::{Amount, Full, Mode, Records, Settings};

/// Bytes of a header.
pub(crate) const LEN: usize = 64;

const MAGIC: [u8; 16] = *b"fusd-pipe log\r\n\0";
const VERSION: u32 = 1;

/// Bytes before the checksum: magic, version, kind, stream, drop-old, 0, and four sizes; zeros
/// follow.
const CHECKED: usize = LEN - 4;

/// What of a pipe's settings decides what its journal means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) mode: Mode,
    /// Bytes without boundaries, not records.
    pub(crate) stream: bool,
    /// What is beyond the size is dropped, the oldest first.
    pub(crate) drop_old: bool,
    pub(crate) size: Amount,
    pub(crate) backlog: Amount,
}

/// Why there is no header to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// It is something else.
    Foreign,
    /// It is of a version that this program does not know.
    Version(u32),
    /// Its bytes have changed.
    Damaged,
}

impl From<&Settings> for Shape {
    fn from(settings: &Settings) -> Self {
        Self {
            mode: settings.mode,
            stream: settings.records == Records::None,
            drop_old: settings.full == Full::DropOld,
            size: settings.size,
            backlog: settings.backlog,
        }
    }
}

/// Whether the bytes may be the beginning of a header.
pub(crate) fn begins(bytes: &[u8]) -> bool {
    bytes.iter().zip(&MAGIC).all(|(one, other)| one == other)
}

impl Shape {
    pub(crate) fn encode(&self) -> [u8; LEN] {
        let mode = match self.mode {
            Mode::Fifo => 0,
            Mode::Broadcast => 1,
            Mode::Ring => 2,
        };
        let mut bytes = MAGIC.to_vec();
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend([mode, self.stream.into(), self.drop_old.into(), 0]);
        for amount in [self.size, self.backlog] {
            bytes.extend((amount.bytes as u64).to_le_bytes());
            bytes.extend((amount.records as u64).to_le_bytes());
        }
        bytes.resize(CHECKED, 0);
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        let mut header = [0; LEN];
        header.copy_from_slice(&bytes);
        header
    }

    pub(crate) fn decode(bytes: &[u8; LEN]) -> Result<Self, Unreadable> {
        let word = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|n| bytes[at + n]));
        let long = |at: usize| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
        // Where memory is smaller, nothing beyond it has been kept.
        let size = |at: usize| usize::try_from(long(at)).unwrap_or(usize::MAX);
        if !begins(bytes) {
            return Err(Unreadable::Foreign);
        }
        if word(16) != VERSION {
            return Err(Unreadable::Version(word(16)));
        }
        if word(CHECKED) != crc32fast::hash(&bytes[..CHECKED]) {
            return Err(Unreadable::Damaged);
        }
        let amount = |at: usize| Amount {
            bytes: size(at),
            records: size(at + 8),
        };
        Ok(Self {
            mode: match bytes[20] {
                0 => Mode::Fifo,
                1 => Mode::Broadcast,
                2 => Mode::Ring,
                _ => return Err(Unreadable::Damaged),
            },
            stream: bytes[21] != 0,
            drop_old: bytes[22] != 0,
            size: amount(24),
            backlog: amount(40),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape {
        mode: Mode::Ring,
        stream: false,
        drop_old: true,
        size: Amount {
            bytes: 0x1_0000,
            records: usize::MAX,
        },
        backlog: Amount {
            bytes: 0,
            records: 3,
        },
    };

    #[test]
    fn it_comes_back() {
        let bytes = SHAPE.encode();
        assert_eq!(Shape::decode(&bytes), Ok(SHAPE));
        assert_eq!(bytes[16..24], [1, 0, 0, 0, 2, 0, 1, 0]);
        assert_eq!(bytes[24..32], [0, 0, 1, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn no_changed_byte_is_overlooked() {
        for at in 0..LEN {
            let mut bytes = SHAPE.encode();
            bytes[at] ^= 4;
            let found = Shape::decode(&bytes);
            match at {
                0..16 => assert_eq!(found, Err(Unreadable::Foreign)),
                16 => assert_eq!(found, Err(Unreadable::Version(5))),
                17..20 => assert!(matches!(found, Err(Unreadable::Version(_)))),
                _ => assert_eq!(found, Err(Unreadable::Damaged), "{at}"),
            }
        }
    }
}
