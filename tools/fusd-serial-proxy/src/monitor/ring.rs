//! The latest of what went through, for the eye.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use crate::tap::{Direction, Event};

/// Entries that are kept at most: more than any screen has rows.
const ENTRIES: usize = 512;

/// Bytes of an entry at most.
const LONGEST: usize = 256;

/// What comes within this time, the same way, is one entry unless a line ends in between.
const TOGETHER: Duration = Duration::from_millis(100);

/// What an entry tells of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    Bytes(Direction, Vec<u8>),
    /// Something else, in words; what begins with "<" came from the port.
    Words(String),
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) time: SystemTime,
    pub(super) what: What,
}

/// Clones are the same one.
#[derive(Clone, Default)]
pub(crate) struct Ring(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    entries: VecDeque<Entry>,
}

impl Ring {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn note(&self, event: Event<'_>, lines: u32, now: SystemTime) {
        let mut inner = self.lock();
        match event {
            Event::Bytes(direction, bytes) => inner.bytes(direction, bytes, now),
            _ => inner.words(event.words(lines), now),
        }
    }

    /// A message of the program's own.
    pub(super) fn say(&self, text: &str, now: SystemTime) {
        self.lock().words(format!("! {text}"), now);
    }

    pub(super) fn clear(&self) {
        self.lock().entries.clear();
    }

    /// The latest entries, at most so many.
    pub(super) fn latest(&self, count: usize) -> Vec<Entry> {
        let inner = self.lock();
        let skipped = inner.entries.len().saturating_sub(count);
        inner.entries.iter().skip(skipped).cloned().collect()
    }
}

impl Inner {
    fn push(&mut self, what: What, time: SystemTime) {
        if self.entries.len() >= ENTRIES {
            self.entries.pop_front();
        }
        self.entries.push_back(Entry { time, what });
    }

    fn words(&mut self, text: String, now: SystemTime) {
        self.push(What::Words(text), now);
    }

    fn bytes(&mut self, direction: Direction, bytes: &[u8], now: SystemTime) {
        let mut bytes = bytes;
        // What is more than is kept would only push itself out.
        let kept = ENTRIES * LONGEST;
        if bytes.len() > kept {
            bytes = &bytes[bytes.len() - kept..];
        }
        while !bytes.is_empty() {
            let room = self.room(direction, now);
            let length = match bytes.iter().position(|byte| *byte == b'\n') {
                Some(end) => end + 1,
                None => bytes.len(),
            };
            let limit = if room == 0 { LONGEST } else { room };
            let (part, rest) = bytes.split_at(length.min(limit));
            match self.entries.back_mut() {
                Some(Entry {
                    what: What::Bytes(_, all),
                    ..
                }) if room > 0 => all.extend(part),
                _ => self.push(What::Bytes(direction, part.to_vec()), now),
            }
            bytes = rest;
        }
    }

    /// Bytes that can be added to the last entry.
    fn room(&self, direction: Direction, now: SystemTime) -> usize {
        let Some(Entry {
            time,
            what: What::Bytes(other, bytes),
        }) = self.entries.back()
        else {
            return 0;
        };
        let is_new = now.duration_since(*time).is_ok_and(|age| age <= TOGETHER);
        if *other != direction || !is_new || bytes.ends_with(b"\n") {
            return 0;
        }
        LONGEST.saturating_sub(bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(ring: &Ring) -> Vec<What> {
        ring.latest(usize::MAX)
            .into_iter()
            .map(|entry| entry.what)
            .collect()
    }

    #[test]
    fn what_comes_together_is_shown_together() {
        let (ring, now) = (Ring::default(), SystemTime::UNIX_EPOCH);
        let (sent, received) = (Direction::Sent, Direction::Received);
        for byte in b"AT\r" {
            ring.note(Event::Bytes(sent, &[*byte]), 0, now);
        }
        ring.note(Event::Bytes(received, b"OK\nnext"), 0, now);
        ring.note(Event::Break, 0, now);
        ring.note(Event::Bytes(received, b"a"), 0, now);
        let later = now + 2 * TOGETHER;
        ring.note(Event::Bytes(received, b"b"), 0, later);
        let bytes = |direction, bytes: &[u8]| What::Bytes(direction, bytes.to_vec());
        assert_eq!(
            found(&ring),
            [
                bytes(sent, b"AT\r"),
                bytes(received, b"OK\n"),
                bytes(received, b"next"),
                What::Words("< break".to_owned()),
                bytes(received, b"a"),
                bytes(received, b"b"),
            ]
        );
        ring.clear();
        assert!(found(&ring).is_empty());
    }

    #[test]
    fn the_latest_stay() {
        let (ring, now) = (Ring::default(), SystemTime::UNIX_EPOCH);
        let much = vec![b'x'; 3 * ENTRIES * LONGEST];
        ring.note(Event::Bytes(Direction::Sent, &much), 0, now);
        ring.note(Event::Bytes(Direction::Sent, b"\nend"), 0, now);
        let entries = found(&ring);
        assert_eq!(entries.len(), ENTRIES);
        let end = What::Bytes(Direction::Sent, b"end".to_vec());
        assert_eq!(entries.last(), Some(&end));
    }
}
