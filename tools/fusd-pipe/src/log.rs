//! The content of a pipe: bytes with positions that only grow, and where records end.

use std::collections::VecDeque;

/// A place in all that was ever written. At the end of a record, if there are records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// Bytes before it.
    pub(crate) byte: u64,
    /// Records before it.
    pub(crate) record: u64,
}

/// The bytes between two places.
#[derive(Debug, Default)]
pub(crate) struct Log {
    bytes: VecDeque<u8>,
    /// Where each record ends, counted from the beginning of all.
    ends: VecDeque<u64>,
    start: Place,
}

impl Log {
    /// Where the content begins.
    pub(crate) fn start(&self) -> Place {
        self.start
    }

    /// Where it ends.
    pub(crate) fn end(&self) -> Place {
        Place {
            byte: self.start.byte + self.bytes.len() as u64,
            record: self.start.record + self.ends.len() as u64,
        }
    }

    /// Bytes it holds.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Records that end in it.
    pub(crate) fn records(&self) -> usize {
        self.ends.len()
    }

    /// Adds bytes.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
    }

    /// Ends a record here.
    pub(crate) fn end_record(&mut self) {
        self.ends.push_back(self.end().byte);
    }

    /// Adds bytes in records of these lengths, or in none.
    pub(crate) fn restore(&mut self, bytes: &[u8], lengths: &[u64]) {
        let mut end = self.end().byte;
        self.push(bytes);
        for length in lengths {
            end += length;
            self.ends.push_back(end);
        }
    }

    /// Takes off what comes after `place`, which is not before the start.
    pub(crate) fn cut_back(&mut self, place: Place) {
        let keep = self.index(place.byte);
        self.bytes.truncate(keep);
        let keep = place.record.saturating_sub(self.start.record);
        self.ends.truncate(as_index(keep));
    }

    /// Lets go of what comes before `place`, which is not beyond the end.
    pub(crate) fn cut_front(&mut self, place: Place) {
        let gone = self.index(place.byte).min(self.bytes.len());
        self.bytes.drain(..gone);
        let records = as_index(place.record.saturating_sub(self.start.record));
        self.ends.drain(..records.min(self.ends.len()));
        self.start = self.start.max(place);
    }

    /// Puts bytes back before the first ones, as a record of their own if `record`. Everything after
    /// them moves on, so nobody may have a place there.
    pub(crate) fn put_back(&mut self, bytes: &[u8], record: bool) {
        for byte in bytes.iter().rev() {
            self.bytes.push_front(*byte);
        }
        let length = bytes.len() as u64;
        for end in &mut self.ends {
            *end += length;
        }
        if record {
            self.ends.push_front(self.start.byte + length);
        }
    }

    /// The bytes from `place` on, at most `count` of them, in two pieces.
    pub(crate) fn parts(&self, place: Place, count: usize) -> [&[u8]; 2] {
        let (first, second) = self.bytes.as_slices();
        let begin = self.index(place.byte);
        let end = begin.saturating_add(count);
        let piece = |bytes: &'_ [u8], offset: usize| {
            let limit = bytes.len();
            begin.saturating_sub(offset).min(limit)..end.saturating_sub(offset).min(limit)
        };
        [&first[piece(first, 0)], &second[piece(second, first.len())]]
    }

    /// The end of the record that begins at `place`, if there is one.
    pub(crate) fn next(&self, place: Place) -> Option<Place> {
        let index = as_index(place.record.checked_sub(self.start.record)?);
        Some(Place {
            byte: *self.ends.get(index)?,
            record: place.record + 1,
        })
    }

    /// The lengths of the records from `place` on.
    pub(crate) fn lengths(&self, place: Place) -> impl Iterator<Item = u64> + Clone {
        let first = as_index(place.record.saturating_sub(self.start.record));
        let mut from = place.byte;
        self.ends.iter().skip(first).map(move |end| {
            let length = end - from;
            from = *end;
            length
        })
    }

    /// The last end of a record at most `count` bytes behind `place`; `place` itself if none is.
    pub(crate) fn last_within(&self, place: Place, count: usize) -> Place {
        let limit = place.byte.saturating_add(count as u64);
        let index = self.ends.partition_point(|end| *end <= limit);
        match index.checked_sub(1) {
            Some(last) if self.ends[last] > place.byte => Place {
                byte: self.ends[last],
                record: self.start.record + index as u64,
            },
            _ => place,
        }
    }

    /// The first place from which at most `bytes` bytes and `records` records are left.
    pub(crate) fn tail(&self, bytes: usize, records: usize) -> Place {
        let end = self.end();
        let from = end.byte.saturating_sub(bytes as u64).max(self.start.byte);
        if self.ends.is_empty() {
            return Place {
                byte: from,
                record: end.record,
            };
        }
        let by_bytes = match from == self.start.byte {
            true => 0,
            // A record begins where the one before ends.
            false => self.ends.partition_point(|end| *end < from) + 1,
        };
        let by_records = self.ends.len().saturating_sub(records);
        let gone = by_bytes.max(by_records).min(self.ends.len());
        let byte = match gone.checked_sub(1) {
            Some(last) => self.ends[last],
            None => self.start.byte,
        };
        Place {
            byte,
            record: self.start.record + gone as u64,
        }
    }

    fn index(&self, byte: u64) -> usize {
        as_index(byte.saturating_sub(self.start.byte))
    }
}

/// A distance inside of what is in memory.
fn as_index(distance: u64) -> usize {
    usize::try_from(distance).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(records: &[&str]) -> Log {
        let mut log = Log::default();
        for record in records {
            log.push(record.as_bytes());
            log.end_record();
        }
        log
    }

    fn place(byte: u64, record: u64) -> Place {
        Place { byte, record }
    }

    fn text(log: &Log, place: Place, count: usize) -> String {
        let bytes = log.parts(place, count).concat();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn positions_outlive_what_is_let_go() {
        let mut log = log(&["one", "two", "three"]);
        assert_eq!(log.end(), place(11, 3));
        log.cut_front(place(3, 1));
        assert_eq!((log.start(), log.len()), (place(3, 1), 8));
        assert_eq!(text(&log, place(3, 1), 4), "twot");
        assert_eq!(log.next(place(3, 1)), Some(place(6, 2)));
        assert_eq!(log.next(place(11, 3)), None);
        log.cut_back(place(6, 2));
        assert_eq!(log.end(), place(6, 2));
        log.cut_front(place(6, 2));
        assert_eq!((log.start(), log.end()), (place(6, 2), place(6, 2)));
    }

    #[test]
    fn parts_are_right_wherever_the_memory_wraps() {
        let mut log = Log::default();
        let mut written: Vec<u8> = Vec::new();
        for round in 0..100_u8 {
            let piece: Vec<u8> = (0..17).map(|byte| byte ^ round).collect();
            log.push(&piece);
            written.extend(&piece);
            let from = log.start();
            let bytes = log.parts(from, 40).concat();
            let begin = usize::try_from(from.byte).unwrap();
            assert_eq!(bytes, written[begin..(begin + 40).min(written.len())]);
            if log.len() > 64 {
                log.cut_front(place(from.byte + 23, 0));
            }
        }
    }

    #[test]
    fn whole_records_that_fit() {
        let log = log(&["one", "two", "three"]);
        for (count, to) in [
            (0, place(0, 0)),
            (2, place(0, 0)),
            (3, place(3, 1)),
            (5, place(3, 1)),
            (6, place(6, 2)),
            (99, place(11, 3)),
        ] {
            assert_eq!(log.last_within(Place::default(), count), to, "{count}");
        }
        assert_eq!(log.last_within(place(6, 2), 4), place(6, 2));
    }

    #[test]
    fn a_tail_begins_with_a_record() {
        let log = log(&["one", "two", "three"]);
        for (bytes, records, from) in [
            (99, 99, place(0, 0)),
            (11, 3, place(0, 0)),
            (10, 3, place(3, 1)),
            (8, 3, place(3, 1)),
            (7, 3, place(6, 2)),
            (4, 3, place(11, 3)),
            (0, 3, place(11, 3)),
            (99, 2, place(3, 1)),
            (99, 0, place(11, 3)),
        ] {
            assert_eq!(log.tail(bytes, records), from, "{bytes} {records}");
        }
        let mut bytes = Log::default();
        bytes.push(b"abcdef");
        assert_eq!(bytes.tail(4, usize::MAX), place(2, 0));
    }

    #[test]
    fn a_record_can_be_put_back() {
        let mut log = log(&["one", "two"]);
        log.cut_front(place(3, 1));
        log.put_back(b"ne", true);
        assert_eq!(text(&log, log.start(), 99), "netwo");
        let first = log.next(log.start()).unwrap();
        assert_eq!(text(&log, first, 99), "two");
        assert_eq!(log.next(first), Some(log.end()));
    }
}
