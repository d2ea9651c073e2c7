//! What has come in and is to be read: bytes, and in canonical mode the ends of the lines.
//!
//! There is one of it for all readers; each has a place of its own in it. Places only grow.

use std::collections::VecDeque;

/// What ends a line, at its last byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// A byte that is part of the line.
    Byte,
    /// The end-of-file character, which is not.
    File,
}

/// What a read gets: `length` bytes, and `skipped` ones after them that nobody gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) length: usize,
    pub(crate) skipped: usize,
}

#[derive(Debug, Default)]
pub(super) struct Input {
    bytes: VecDeque<u8>,
    /// The place of the first byte.
    base: u64,
    /// Where lines end, in order.
    ends: VecDeque<(u64, End)>,
    /// Where the line begins that has not come to its end, in canonical mode.
    line: u64,
}

impl Input {
    /// The place of the first byte that is kept.
    pub(super) fn base(&self) -> u64 {
        self.base
    }

    /// The place after the last byte.
    pub(super) fn head(&self) -> u64 {
        self.base + self.bytes.len() as u64
    }

    /// The place where the unfinished line begins.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// Bytes of the unfinished line.
    pub(super) fn line_length(&self) -> usize {
        self.offset(self.head()) - self.offset(self.line)
    }

    pub(super) fn push(&mut self, byte: u8) {
        self.bytes.push_back(byte);
    }

    pub(super) fn extend(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
    }

    /// Ends the line with `byte`.
    pub(super) fn end_line(&mut self, byte: u8, end: End) {
        self.ends.push_back((self.head(), end));
        self.bytes.push_back(byte);
        self.line = self.head();
    }

    /// The last byte of the unfinished line, `back` bytes from the end: 0 is the last.
    pub(super) fn last(&self, back: usize) -> Option<u8> {
        let length = self.line_length();
        (back < length).then(|| self.bytes[self.bytes.len() - 1 - back])
    }

    /// Takes back the last `count` bytes of the unfinished line.
    pub(super) fn erase(&mut self, count: usize) {
        let count = count.min(self.line_length());
        self.bytes.truncate(self.bytes.len() - count);
    }

    /// Canonical mode begins: what is there counts as a line (`n_tty_set_termios`).
    pub(super) fn begin_lines(&mut self) {
        self.ends.clear();
        self.line = self.head();
        if !self.bytes.is_empty() {
            self.ends.push_back((self.head() - 1, End::Byte));
        }
    }

    /// Canonical mode ends: there are bytes only.
    pub(super) fn end_lines(&mut self) {
        self.ends.clear();
        self.line = self.head();
    }

    /// Drops all.
    pub(super) fn clear(&mut self) {
        self.forget(self.head());
        self.line = self.head();
    }

    /// Drops what is before `place`.
    pub(super) fn forget(&mut self, place: u64) {
        let count = self.offset(place);
        self.bytes.drain(..count);
        self.base += count as u64;
        while self.ends.front().is_some_and(|(end, _)| *end < self.base) {
            self.ends.pop_front();
        }
    }

    /// Bytes that can be read from `place` on.
    pub(super) fn readable(&self, place: u64, lines: bool) -> usize {
        if !lines {
            return self.offset(self.head()) - self.offset(place);
        }
        let bytes = self.offset(self.line) - self.offset(place).min(self.offset(self.line));
        let is_file = |(end, kind): &&(u64, End)| *end >= place && *kind == End::File;
        bytes - self.ends.iter().filter(is_file).count()
    }

    /// What a read of `wanted` bytes from `place` on gets, if there is anything: of lines at most
    /// one (`canon_copy_from_read_buf`).
    pub(super) fn piece(&self, place: u64, wanted: usize, lines: bool) -> Option<Piece> {
        if !lines {
            let length = self.readable(place, false).min(wanted);
            return (length > 0).then_some(Piece { length, skipped: 0 });
        }
        let there = self.offset(self.line).checked_sub(self.offset(place));
        let there = there.filter(|count| *count > 0)?;
        // One more, so that the end of file which follows immediately is taken along.
        let seen = there.min(wanted.saturating_add(1));
        let end = self.ends.iter().find(|(end, _)| *end >= place);
        // Lossless: they are in memory.
        let end = end.map(|(end, kind)| ((end - place) as usize, *kind));
        Some(match end {
            Some((length, End::File)) if length < seen => Piece { length, skipped: 1 },
            Some((length, End::Byte)) if length < seen => Piece {
                length: (length + 1).min(wanted),
                skipped: 0,
            },
            _ => Piece {
                length: seen.min(wanted),
                skipped: 0,
            },
        })
    }

    /// `length` bytes from `place` on, in two parts.
    pub(super) fn parts(&self, place: u64, length: usize) -> [&[u8]; 2] {
        let start = self.offset(place);
        let end = (start + length).min(self.bytes.len());
        let (first, second) = self.bytes.as_slices();
        let cut = first.len();
        [
            &first[start.min(cut)..end.min(cut)],
            &second[start.max(cut) - cut..end.max(cut) - cut],
        ]
    }

    /// How many bytes from the first on `place` is.
    fn offset(&self, place: u64) -> usize {
        // Lossless: they are in memory.
        (place.saturating_sub(self.base) as usize).min(self.bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Input {
        let mut input = Input::default();
        for byte in text.bytes() {
            match byte {
                b'\n' => input.end_line(byte, End::Byte),
                4 => input.end_line(0, End::File),
                _ => input.push(byte),
            }
        }
        input
    }

    fn piece(length: usize, skipped: usize) -> Option<Piece> {
        Some(Piece { length, skipped })
    }

    #[test]
    fn a_read_gets_one_line() {
        let input = lines("one\ntwo\nthr");
        assert_eq!(input.piece(0, 100, true), piece(4, 0));
        assert_eq!(input.piece(0, 2, true), piece(2, 0));
        assert_eq!(input.piece(2, 2, true), piece(2, 0));
        assert_eq!(input.piece(4, 100, true), piece(4, 0));
        assert_eq!(input.piece(8, 100, true), None);
        assert_eq!(input.piece(0, 100, false), piece(11, 0));
        assert_eq!(input.readable(0, true), 8);
    }

    #[test]
    fn the_end_of_file_is_no_byte() {
        let input = lines("ab\x04\x04c\n");
        assert_eq!(input.piece(0, 100, true), piece(2, 1));
        assert_eq!(input.piece(0, 2, true), piece(2, 1), "it is taken along");
        assert_eq!(input.piece(0, 1, true), piece(1, 0));
        assert_eq!(input.piece(3, 100, true), piece(0, 1), "the end of file");
        assert_eq!(input.readable(0, true), 4);
    }

    #[test]
    fn parts_go_round_the_corner() {
        let mut input = Input::default();
        for round in 0..50 {
            input.extend(b"abcdefg");
            let place = input.head() - 7;
            assert_eq!(input.parts(place + 1, 5).concat(), b"bcdef", "{round}");
            input.forget(place);
        }
        input.clear();
        assert_eq!(input.readable(input.head(), false), 0);
    }
}
