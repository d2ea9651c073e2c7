//! What has come of a page: a window in memory, or all of it in a file.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use tokio::task::block_in_place;

/// How much of what has been read stays, in bytes: programs that look at the beginning of a file and
/// then read it from there cost nothing more.
const BEHIND: usize = 1 << 20;

/// How much is taken before it is read, in bytes.
const AHEAD: u64 = 1 << 20;

/// Where the bytes are.
#[derive(Debug)]
enum Place {
    Memory(VecDeque<u8>),
    Spool(File),
}

/// The bytes from `start` to `end` of a page.
#[derive(Debug)]
pub(super) struct Store {
    place: Place,
    start: u64,
    end: u64,
    /// Where the reader is.
    reader: u64,
}

/// What a read gets: of memory that wraps around, two pieces.
pub(super) enum Bytes<'a> {
    Memory([&'a [u8]; 2]),
    Spool(Cow<'a, [u8]>),
}

impl Bytes<'_> {
    pub(super) fn parts(&self) -> [&[u8]; 2] {
        match self {
            Self::Memory(parts) => *parts,
            Self::Spool(bytes) => [bytes, &[]],
        }
    }
}

impl Store {
    /// An empty window.
    pub(super) fn new() -> Self {
        Self {
            place: Place::Memory(VecDeque::new()),
            start: 0,
            end: 0,
            reader: 0,
        }
    }

    /// An empty file.
    ///
    /// # Errors
    /// There is none to be had.
    pub(super) fn spooled() -> io::Result<Self> {
        Ok(Self {
            place: Place::Spool(block_in_place(tempfile::tempfile)?),
            ..Self::new()
        })
    }

    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Whether the byte at `offset` was here and is not any more.
    pub(super) fn has_lost(&self, offset: u64) -> bool {
        offset < self.start
    }

    /// Whether there is to be more before anybody reads it.
    pub(super) fn has_room(&self) -> bool {
        matches!(self.place, Place::Memory(_)) && self.end - self.reader.min(self.end) < AHEAD
    }

    /// The reader wants what is at `offset`.
    ///
    /// # Errors
    /// There is no file, or no room in it.
    pub(super) fn seek(&mut self, offset: u64) -> io::Result<()> {
        let leaps = offset > self.end.saturating_add(AHEAD);
        if leaps && self.start == 0 {
            // It may come back.
            self.spool()?;
        }
        self.reader = offset;
        self.shrink();
        Ok(())
    }

    /// From now on, all that comes goes to a file, with what is here.
    fn spool(&mut self) -> io::Result<()> {
        let Place::Memory(bytes) = &self.place else {
            return Ok(());
        };
        let (one, two) = bytes.as_slices();
        self.place = Place::Spool(block_in_place(|| {
            let file = tempfile::tempfile()?;
            file.write_all_at(one, 0)?;
            file.write_all_at(two, one.len() as u64)?;
            io::Result::Ok(file)
        })?);
        Ok(())
    }

    /// Takes what comes next.
    ///
    /// # Errors
    /// There is no room in the file.
    pub(super) fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.place {
            Place::Memory(kept) => kept.extend(bytes),
            // A slow disk stops nobody else.
            Place::Spool(file) => block_in_place(|| file.write_all_at(bytes, self.end))?,
        }
        self.end += bytes.len() as u64;
        self.shrink();
        Ok(())
    }

    /// Lets go of what is too far behind the reader.
    fn shrink(&mut self) {
        let Place::Memory(kept) = &mut self.place else {
            return;
        };
        let behind = self.reader.min(self.end).saturating_sub(self.start);
        let behind = usize::try_from(behind)
            .unwrap_or(usize::MAX)
            .min(kept.len());
        if behind > 2 * BEHIND {
            kept.drain(..behind - BEHIND);
            self.start += (behind - BEHIND) as u64;
        }
    }

    /// Up to `length` bytes at `offset`, which must not be lost.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn read(&self, offset: u64, length: usize) -> io::Result<Bytes<'_>> {
        let there = self.end.saturating_sub(offset);
        let length = usize::try_from(there).unwrap_or(usize::MAX).min(length);
        match &self.place {
            Place::Memory(kept) => {
                // Lossless: it is in memory.
                let from = (offset.min(self.end) - self.start) as usize;
                let (one, two) = kept.as_slices();
                let cut = |part: &'_ [u8], from: usize, to: usize| {
                    from.min(part.len())..to.min(part.len())
                };
                let to = from + length;
                let first = &one[cut(one, from, to)];
                let (from, to) = (from.saturating_sub(one.len()), to.saturating_sub(one.len()));
                Ok(Bytes::Memory([first, &two[cut(two, from, to)]]))
            }
            Place::Spool(file) => {
                let mut bytes = vec![0; length];
                block_in_place(|| file.read_exact_at(&mut bytes, offset))?;
                Ok(Bytes::Spool(bytes.into()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(store: &Store, offset: u64, length: usize) -> Vec<u8> {
        store.read(offset, length).unwrap().parts().concat()
    }

    #[test]
    fn what_is_far_behind_the_reader_is_lost() {
        let mut store = Store::new();
        let piece = vec![7; BEHIND];
        for _ in 0..4 {
            store.push(&piece).unwrap();
        }
        assert!(!store.has_room());
        assert!(!store.has_lost(0));
        store.seek(3 * BEHIND as u64 + 10).unwrap();
        assert!(store.has_lost(0));
        assert!(!store.has_lost(2 * BEHIND as u64 + 10));
        assert!(store.has_room());
        assert_eq!(get(&store, 4 * BEHIND as u64 - 1, 10), [7]);
        assert_eq!(get(&store, 5 * BEHIND as u64, 10), [0; 0]);
    }

    #[test]
    fn a_leap_puts_all_of_it_into_a_file() {
        let mut store = Store::new();
        store.push(b"begin").unwrap();
        store.seek(10 * AHEAD).unwrap();
        assert!(matches!(store.place, Place::Spool(_)));
        store.push(b"ning").unwrap();
        assert_eq!(get(&store, 3, 4), b"inni");
        assert!(!store.has_room(), "only what is asked for");
    }

    #[test]
    fn a_window_that_wraps_around_is_read_in_two_pieces() {
        let mut store = Store::new();
        let mut all = Vec::new();
        for number in 0..40_000_u32 {
            let bytes = [number.to_le_bytes(); 64].concat();
            store.push(&bytes).unwrap();
            all.extend(bytes);
            store.seek(store.end().saturating_sub(5)).unwrap();
        }
        let from = store.start as usize;
        assert!(from > 0);
        assert_eq!(get(&store, store.start, usize::MAX), &all[from..]);
    }
}
