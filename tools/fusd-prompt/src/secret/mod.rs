//! What a person types: bytes that are kept in locked memory alone, and zero once they are gone.
//!
//! It is a small string: what the editor of a line needs, and no more. There is no `Clone` and no
//! `Display`, so that no copy is made unseen.

mod pages;

use std::fmt;
use std::ops::Range;

use zeroize::Zeroize;

use self::pages::Pages;

/// Bytes for a line that somebody types.
const USUAL: usize = 1024;

/// An answer, or a part of one.
pub(crate) struct Secret {
    pages: Pages,
    /// How many of the bytes are in use; all others are zero, but for those up to `room`.
    length: usize,
    /// Where the room that was given last ends.
    room: usize,
}

impl Secret {
    /// One of no bytes.
    pub(crate) fn new() -> Self {
        Self {
            pages: Pages::new(USUAL),
            length: 0,
            room: 0,
        }
    }

    /// One that holds a copy of `bytes`.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mut secret = Self::new();
        secret.push(bytes);
        secret
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.pages.bytes()[..self.length]
    }

    /// The bytes as text: all of them, or those before the first that are no UTF-8.
    pub(crate) fn text(&self) -> &str {
        match std::str::from_utf8(self.bytes()) {
            Ok(text) => text,
            Err(error) => {
                let valid = &self.bytes()[..error.valid_up_to()];
                std::str::from_utf8(valid).unwrap_or_default()
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.length
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Adds bytes at the end.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.insert(self.length, bytes);
    }

    /// Puts `bytes` at a place, which is at most the end.
    pub(crate) fn insert(&mut self, at: usize, bytes: &[u8]) {
        let length = self.length + bytes.len();
        if length > self.pages.bytes().len() {
            let mut larger = Pages::new(length.max(2 * self.pages.bytes().len()));
            larger.bytes_mut()[..self.length].copy_from_slice(self.bytes());
            self.pages = larger;
        }
        let memory = self.pages.bytes_mut();
        memory.copy_within(at..self.length, at + bytes.len());
        memory[at..at + bytes.len()].copy_from_slice(bytes);
        self.length = length;
    }

    /// Takes the bytes of a range out.
    pub(crate) fn remove(&mut self, range: Range<usize>) {
        let (old, count) = (self.length, range.len());
        let memory = self.pages.bytes_mut();
        memory.copy_within(range.end..old, range.start);
        memory[old - count..old].zeroize();
        self.length = old - count;
    }

    pub(crate) fn clear(&mut self) {
        self.remove(0..self.length);
    }

    /// Takes line ends off the end.
    pub(crate) fn trim_line_ends(&mut self) {
        while matches!(self.bytes().last(), Some(b'\n' | b'\r')) {
            self.remove(self.length - 1..self.length);
        }
    }

    /// Memory to read into: `room` bytes behind the end. What of it is used is told to
    /// [`grown`](Self::grown).
    pub(crate) fn room(&mut self, room: usize) -> &mut [u8] {
        let length = self.length;
        if length + room > self.pages.bytes().len() {
            let mut larger = Pages::new((length + room).max(2 * self.pages.bytes().len()));
            larger.bytes_mut()[..length].copy_from_slice(self.bytes());
            self.pages = larger;
        }
        self.room = length + room;
        &mut self.pages.bytes_mut()[length..self.room]
    }

    /// `count` bytes of the [`room`](Self::room) are in use now; what else was put there is forgotten.
    pub(crate) fn grown(&mut self, count: usize) {
        self.length += count;
        let end = std::mem::take(&mut self.room);
        if let Some(rest) = self.pages.bytes_mut().get_mut(self.length..end) {
            rest.zeroize();
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_and_go_and_leave_nothing() {
        let mut secret = Secret::of(b"held");
        secret.insert(2, b"ll");
        assert_eq!(secret.text(), "hellld");
        secret.remove(4..6);
        secret.push(b"o");
        assert_eq!((secret.text(), secret.len()), ("hello", 5));
        assert!(secret.pages.bytes()[5..].iter().all(|byte| *byte == 0));
        secret.push(b"\r\n\n");
        secret.trim_line_ends();
        assert_eq!(secret.bytes(), b"hello");
        secret.clear();
        assert!(secret.is_empty());
        assert!(secret.pages.bytes().iter().all(|byte| *byte == 0));
    }

    #[test]
    fn it_grows() {
        let mut secret = Secret::new();
        for _ in 0..1000 {
            secret.push(b"0123456789");
        }
        assert_eq!(secret.len(), 10_000);
        secret.room(5)[..3].copy_from_slice(b"abc");
        secret.grown(3);
        assert_eq!(&secret.bytes()[9_999..], b"9abc");
        secret.room(5).copy_from_slice(b"defgh");
        secret.grown(1);
        assert_eq!(&secret.pages.bytes()[10_003..10_008], b"d\0\0\0\0");
    }

    #[test]
    fn nobody_reads_it_by_mistake() {
        assert_eq!(format!("{:?}", Secret::of(b"hunter2")), "Secret");
    }

    #[test]
    fn what_is_no_text_ends_the_text() {
        assert_eq!(Secret::of(b"a\xffb").text(), "a");
    }
}
