//! From the bytes that a terminal sends to keys (xterm's control sequences, bracketed paste, UTF-8).
//!
//! crossterm has a decoder, but keeps what is typed in memory of its own, which is neither locked nor
//! zeroed, and spins where the terminal has gone.

use crate::secret::Secret;

/// Something that was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Letter(char),
    Enter,
    Tab,
    BackTab,
    Escape,
    Backspace,
    Delete,
    Left,
    Right,
    Up,
    Down,
    Home,
    End,
    PageUp,
    PageDown,
    WordLeft,
    WordRight,
    /// Ctrl and this letter.
    Control(char),
    /// Alt and this letter.
    Alt(char),
    PasteBegins,
    PasteEnds,
    /// Anything else: a key that means nothing here, or bytes that are no UTF-8.
    Unknown,
}

/// The longest sequence that is waited for, in bytes.
const LONGEST: usize = 32;

/// Takes bytes in pieces, and gives keys.
pub(crate) struct Keys {
    bytes: Secret,
}

impl Keys {
    pub(crate) fn new() -> Self {
        Self {
            bytes: Secret::new(),
        }
    }

    /// Adds what `read` reads into locked memory: at most `room` bytes.
    ///
    /// # Errors
    /// Those of `read`.
    pub(crate) fn read(
        &mut self,
        room: usize,
        read: impl FnOnce(&mut [u8]) -> std::io::Result<usize>,
    ) -> std::io::Result<usize> {
        let count = read(self.bytes.room(room))?;
        self.bytes.grown(count);
        Ok(count)
    }

    /// The next key; `None` where there is none, or not all of it yet. With `no_more`, what is there is
    /// all that comes: an escape character is the key Escape.
    pub(crate) fn next(&mut self, no_more: bool) -> Option<Key> {
        let (key, length) = decode(self.bytes.bytes(), no_more)?;
        self.bytes.remove(0..length);
        Some(key)
    }

    /// Whether a key has begun of which more may come.
    pub(crate) fn is_partial(&self) -> bool {
        !self.bytes.is_empty()
    }

    /// Forgets what has come and was not looked at.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
    }
}

/// The first key of `bytes`, and how many of them it takes.
fn decode(bytes: &[u8], no_more: bool) -> Option<(Key, usize)> {
    let (first, rest) = bytes.split_first()?;
    let key = match first {
        0x1b => return escape(rest, no_more).map(|(key, length)| (key, length + 1)),
        b'\r' => Key::Enter,
        b'\t' => Key::Tab,
        0x7f | 0x08 => Key::Backspace,
        0 => Key::Control(' '),
        // Ctrl and a letter: the letter's code without its upper bits. A newline is Ctrl-J.
        1..0x1b => Key::Control(char::from(first | 0x60)),
        0x1c..0x20 => Key::Unknown,
        0x20..0x7f => Key::Letter(char::from(*first)),
        _ => return letter(bytes, no_more),
    };
    Some((key, 1))
}

fn letter(bytes: &[u8], no_more: bool) -> Option<(Key, usize)> {
    let chunk = bytes.utf8_chunks().next()?;
    if let Some(letter) = chunk.valid().chars().next() {
        return Some((Key::Letter(letter), letter.len_utf8()));
    }
    let bad = chunk.invalid().len();
    // What may still become a letter is at the end.
    let whole = match bytes[0] {
        0xc2..0xe0 => 2,
        0xe0..0xf0 => 3,
        0xf0..0xf5 => 4,
        _ => 1,
    };
    match bad == bytes.len() && bad < whole && !no_more {
        true => None,
        false => Some((Key::Unknown, bad)),
    }
}

/// What follows an escape character.
fn escape(rest: &[u8], no_more: bool) -> Option<(Key, usize)> {
    match rest {
        [] if no_more => Some((Key::Escape, 0)),
        [] => None,
        [b'[', sequence @ ..] => control_sequence(sequence, no_more),
        [b'O', last, ..] => Some((cursor(*last, ""), 2)),
        [b'O'] if !no_more => None,
        // Two of them: the key Escape, and whatever the second begins.
        [0x1b, ..] => Some((Key::Escape, 0)),
        _ => {
            let (key, length) = decode(rest, no_more)?;
            let key = match key {
                Key::Letter('b') => Key::WordLeft,
                Key::Letter('f') => Key::WordRight,
                Key::Letter(letter) => Key::Alt(letter),
                Key::Enter => Key::Alt('\r'),
                Key::Backspace => Key::Control('w'),
                _ => Key::Unknown,
            };
            Some((key, length))
        }
    }
}

/// A control sequence: parameters up to a final byte (ECMA-48, 5.4).
fn control_sequence(sequence: &[u8], no_more: bool) -> Option<(Key, usize)> {
    let end = sequence.iter().position(|byte| (0x40..0x7f).contains(byte));
    let Some(end) = end else {
        let hopeless = no_more || sequence.len() > LONGEST;
        return hopeless.then_some((Key::Unknown, sequence.len() + 1));
    };
    let parameters = std::str::from_utf8(&sequence[..end]).unwrap_or_default();
    let key = match sequence[end] {
        b'~' => match parameters.split(';').next() {
            Some("1" | "7") => Key::Home,
            Some("4" | "8") => Key::End,
            Some("3") => Key::Delete,
            Some("5") => Key::PageUp,
            Some("6") => Key::PageDown,
            Some("200") => Key::PasteBegins,
            Some("201") => Key::PasteEnds,
            _ => Key::Unknown,
        },
        b'Z' => Key::BackTab,
        last => cursor(last, parameters),
    };
    Some((key, end + 2))
}

/// A cursor key, by the last byte of its sequence; with Ctrl or Alt (5 and 3) by words.
fn cursor(last: u8, parameters: &str) -> Key {
    let by_words = matches!(parameters, "1;5" | "1;3");
    match last {
        b'A' => Key::Up,
        b'B' => Key::Down,
        b'C' if by_words => Key::WordRight,
        b'D' if by_words => Key::WordLeft,
        b'C' => Key::Right,
        b'D' => Key::Left,
        b'H' => Key::Home,
        b'F' => Key::End,
        b'M' => Key::Enter,
        _ => Key::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(pieces: &[&[u8]], no_more: bool) -> Vec<Key> {
        let mut decoder = Keys::new();
        let mut found = Vec::new();
        for piece in pieces {
            let read = decoder.read(piece.len(), |room| {
                room.copy_from_slice(piece);
                Ok(piece.len())
            });
            read.unwrap();
            found.extend(std::iter::from_fn(|| decoder.next(false)));
        }
        if no_more {
            found.extend(std::iter::from_fn(|| decoder.next(true)));
        }
        found
    }

    #[test]
    fn keys_are_known() {
        for (bytes, key) in [
            (&b"a"[..], Key::Letter('a')),
            ("ß".as_bytes(), Key::Letter('ß')),
            ("漢".as_bytes(), Key::Letter('漢')),
            ("🦀".as_bytes(), Key::Letter('🦀')),
            (b"\r", Key::Enter),
            (b"\n", Key::Control('j')),
            (b"\x01", Key::Control('a')),
            (b"\x7f", Key::Backspace),
            (b"\x1b[A", Key::Up),
            (b"\x1bOB", Key::Down),
            (b"\x1b[1;5D", Key::WordLeft),
            (b"\x1bf", Key::WordRight),
            (b"\x1b[3~", Key::Delete),
            (b"\x1b[H", Key::Home),
            (b"\x1b[4~", Key::End),
            (b"\x1b[5~", Key::PageUp),
            (b"\x1b[6~", Key::PageDown),
            (b"\x1b[Z", Key::BackTab),
            (b"\x1b[200~", Key::PasteBegins),
            (b"\x1b[201~", Key::PasteEnds),
            (b"\x1b\r", Key::Alt('\r')),
            (b"\x1b[<0;1;1m", Key::Unknown),
            (b"\xff", Key::Unknown),
        ] {
            assert_eq!(keys(&[bytes], false), [key], "{bytes:?}");
        }
    }

    #[test]
    fn pieces_make_one_key() {
        assert_eq!(keys(&[b"\x1b", b"[", b"A"], false), [Key::Up]);
        assert_eq!(
            keys(
                &["漢".as_bytes().split_at(1).0, "漢".as_bytes().split_at(1).1],
                false
            ),
            [Key::Letter('漢')]
        );
    }

    #[test]
    fn what_is_broken_off_is_no_letter() {
        assert_eq!(keys(&[b"\x1b"], false), []);
        assert_eq!(keys(&[b"\x1b"], true), [Key::Escape]);
        assert_eq!(keys(&[b"\x1b\x1b"], true), [Key::Escape, Key::Escape]);
        assert_eq!(keys(&[b"\xe6a"], true), [Key::Unknown, Key::Letter('a')]);
        assert_eq!(keys(&[b"\xe6"], true), [Key::Unknown]);
        assert_eq!(keys(&[b"\x1b[12"], true), [Key::Unknown]);
    }

    #[test]
    fn a_sequence_without_an_end_is_given_up() {
        let long = [b"\x1b[".as_slice(), &[b'1'; 100]].concat();
        assert_eq!(keys(&[&long], false), [Key::Unknown]);
    }
}
