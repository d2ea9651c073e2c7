//! What a read comes to.

use std::mem;
use std::time::Instant;

use super::{Given, Pipe};
use crate::log::Place;
use crate::settings::{Full, Mode, Records};

/// What a read comes to now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Nothing yet.
    Wait,
    /// The end of the file.
    End,
    /// Bytes, which [`Pipe::parts`] has.
    Bytes(Piece),
}

/// The bytes of one read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Bytes, at least 1.
    pub(crate) count: usize,
    from: Source,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// The reader's rest.
    Rest,
    /// The log, up to a place; the read has no room for the last bytes before it, so many.
    Log { end: Place, cut: usize },
}

impl Pipe {
    /// What a read of the file `id` comes to that has room for `room` bytes, at least 1.
    pub(crate) fn reading(&self, id: u64, room: usize, now: Instant) -> Reading {
        let Some(reader) = self.readers.get(&id) else {
            return Reading::End;
        };
        if !reader.rest.is_empty() {
            return Reading::Bytes(Piece {
                count: reader.rest.len().min(room),
                from: Source::Rest,
            });
        }
        let place = self.place_of(reader);
        if place == self.log.end() {
            return match self.at_end(id, now) {
                true => Reading::End,
                false => Reading::Wait,
            };
        }
        let allowed = self.bucket.as_ref().map(|bucket| bucket.allows(now));
        if allowed == Some(0) {
            return Reading::Wait;
        }
        let end = match self.settings.records {
            Records::None => {
                let left = self.log.end().byte - place.byte;
                let count = left.min(room.min(allowed.unwrap_or(room)) as u64);
                Place {
                    byte: place.byte + count,
                    record: place.record,
                }
            }
            Records::Line | Records::Write => self.whole_records(place, room),
        };
        // Lossless: it is in memory.
        let count = (end.byte - place.byte) as usize;
        Reading::Bytes(Piece {
            count: count.min(room),
            from: Source::Log {
                end,
                cut: count.saturating_sub(room),
            },
        })
    }

    /// The end of the last record that fits; of the first, if not even that does.
    fn whole_records(&self, place: Place, room: usize) -> Place {
        let first = self.log.next(place).unwrap_or(self.log.end());
        match self.settings.one_record {
            true => first,
            false => self.log.last_within(place, room).max(first),
        }
    }

    /// The bytes of a read of the file `id`.
    pub(crate) fn parts(&self, id: u64, piece: Piece) -> [&[u8]; 2] {
        let Some(reader) = self.readers.get(&id) else {
            return [&[], &[]];
        };
        match piece.from {
            Source::Rest => [&reader.rest[..piece.count], &[]],
            Source::Log { .. } => self.log.parts(self.place_of(reader), piece.count),
        }
    }

    /// The client has the bytes.
    pub(crate) fn consume(&mut self, id: u64, piece: Piece, now: Instant) -> Given {
        self.changes += 1;
        if let Some(bucket) = &mut self.bucket {
            bucket.take(piece.count, now);
        }
        self.stats.read.bytes += piece.count as u64;
        let fifo = self.settings.mode == Mode::Fifo;
        let Some(reader) = self.readers.get_mut(&id) else {
            return Given::default();
        };
        reader.served = true;
        let count = piece.count as u64;
        let Source::Log { end, cut } = piece.from else {
            reader.rest.drain(..piece.count);
            let spans = reader.rest_spans.take_front(count);
            return Given::new(self.persist.as_ref(), spans);
        };
        let place = match fifo {
            true => self.log.start(),
            false => reader.place,
        };
        self.stats.read.records += end.record - place.record;
        if cut > 0 {
            let rest = Place {
                byte: end.byte - cut as u64,
                ..place
            };
            reader.rest = self.log.parts(rest, cut).concat();
            reader.owns_rest = fifo;
        }
        if !fifo {
            reader.place = end;
            self.trim();
            return Given::default();
        }
        self.log.cut_front(end);
        let Some(persist) = &mut self.persist else {
            return Given::default();
        };
        let spans = persist.spans.take_front(count);
        if cut > 0 {
            reader.rest_spans = persist.spans.take_front(cut as u64);
        }
        Given::new(Some(persist), spans)
    }

    /// The file `id` could not do anything with these bytes that it has read: it reads them again.
    /// `given` is what is known of them.
    pub(crate) fn unread(&mut self, id: u64, bytes: &[u8], given: Given) {
        let fifo = self.settings.mode == Mode::Fifo;
        if let Some(reader) = self.readers.get_mut(&id) {
            reader.rest.splice(..0, bytes.iter().copied());
            reader.owns_rest = fifo;
            let spans = given.into_spans();
            if spans.len() > 0 {
                reader.rest_spans.put_front(spans, bytes.len() as u64);
            }
        }
    }

    /// Has the file `id` learn, before it reads on, what it has lost to newer content.
    pub(crate) fn tell_of_losses(&mut self, id: u64) {
        let overwritten = self.settings.full == Full::DropOld || self.settings.mode == Mode::Ring;
        let Some(reader) = self.readers.get_mut(&id) else {
            return;
        };
        if !self.settings.marker || !overwritten || !reader.rest.is_empty() {
            return;
        }
        let lost = match self.settings.mode {
            Mode::Fifo => &mut self.lost,
            Mode::Broadcast | Mode::Ring => &mut reader.lost,
        };
        if lost.records > 0 {
            reader.rest = mem::take(lost).marker().into_bytes();
            reader.owns_rest = false;
        }
    }
}
