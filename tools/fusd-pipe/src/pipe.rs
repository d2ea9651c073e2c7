//! The pipe itself: who has it open, what is kept for whom, and when the end of the file is there.
//!
//! Nothing here waits, and nothing here knows of requests: [`device`](crate::device) asks what a
//! call comes to (`reading`, `writing`), answers it, and says whether the client got the answer.

mod persist;
mod reading;
#[cfg(test)]
mod tests;
mod writing;

use std::collections::BTreeMap;
use std::time::Instant;

use fusd::PollEvents;

pub(crate) use self::persist::Given;
use self::persist::Persist;
pub(crate) use self::reading::Reading;
pub(crate) use self::writing::{Taken, Writing};
use crate::journal::Spans;
use crate::log::{Log, Place};
use crate::rate::Bucket;
use crate::settings::{Amount, Eof, Full, Mode, NoReader, Records, Settings};
use crate::stats::{Count, Stats};
use crate::tee::Tee;

/// Writes up to this size are never mixed with others' (`PIPE_BUF`, limits.h), in bytes.
const ATOMIC: usize = 4096;

/// The state that all clients share.
#[derive(Debug)]
pub(crate) struct Pipe {
    settings: Settings,
    log: Log,
    readers: BTreeMap<u64, Reader>,
    writers: BTreeMap<u64, Writer>,
    /// Bytes of lines that are not complete.
    held: usize,
    /// How often anything has changed for anybody.
    changes: u64,
    /// How often the last writer has left.
    endings: u64,
    written_at: Instant,
    bucket: Option<Bucket>,
    /// Dropped before any reader of a FIFO saw it, and not told of yet.
    lost: Count,
    stats: Stats,
    tee: Option<Tee>,
    persist: Option<Persist>,
}

/// A file that is open for reading.
#[derive(Debug)]
struct Reader {
    /// What it reads next. In a FIFO all read on where the log starts.
    place: Place,
    /// What it reads before that: the rest of a record that was larger than its read, or a marker.
    rest: Vec<u8>,
    /// Nobody else has what is in `rest`.
    owns_rest: bool,
    /// Where the journal has what is in `rest`.
    rest_spans: Spans,
    /// Dropped before it could read it, and not told of yet.
    lost: Count,
    /// It has read something.
    served: bool,
    /// What [`Pipe::endings`] was when it came.
    endings: u64,
    opened_at: Instant,
}

/// A file that is open for writing.
#[derive(Debug, Default)]
struct Writer {
    /// The beginning of a line that is not complete.
    line: Vec<u8>,
    /// What is to be put before it.
    label: Vec<u8>,
}

impl Pipe {
    pub(crate) fn new(settings: Settings, now: Instant) -> Self {
        let bucket = settings.rate.map(|rate| Bucket::new(rate, now));
        Self {
            settings,
            log: Log::default(),
            readers: BTreeMap::new(),
            writers: BTreeMap::new(),
            held: 0,
            changes: 0,
            endings: 0,
            written_at: now,
            bucket,
            lost: Count::default(),
            stats: Stats::default(),
            tee: None,
            persist: None,
        }
    }

    /// Has all that is kept from now on copied to a file.
    pub(crate) fn copy_to(&mut self, tee: Tee) {
        self.tee = Some(tee);
    }

    /// The file `id` is open.
    pub(crate) fn enter(&mut self, id: u64, readable: bool, writable: bool, now: Instant) {
        self.changes += 1;
        if readable {
            let place = match self.settings.mode {
                Mode::Broadcast => {
                    let Amount { bytes, records } = self.settings.backlog;
                    self.log.tail(bytes, records)
                }
                Mode::Fifo | Mode::Ring => self.log.start(),
            };
            let reader = Reader {
                place,
                rest: Vec::new(),
                owns_rest: false,
                rest_spans: Spans::default(),
                lost: Count::default(),
                served: false,
                endings: self.endings,
                opened_at: now,
            };
            self.readers.insert(id, reader);
        }
        if writable {
            self.writers.insert(id, Writer::default());
        }
    }

    /// The file `id` is closed. Nothing is lost by that: what its reader has begun goes to the next
    /// one, what its writer has begun is a record.
    pub(crate) fn leave(&mut self, id: u64) {
        self.changes += 1;
        if let Some(reader) = self.readers.remove(&id)
            && reader.owns_rest
            && !reader.rest.is_empty()
        {
            let record = self.settings.records != Records::None;
            self.log.put_back(&reader.rest, record);
            if let Some(persist) = &mut self.persist {
                let len = reader.rest.len() as u64;
                persist.spans.put_front(reader.rest_spans, len);
            }
        }
        if let Some(writer) = self.writers.remove(&id) {
            self.complete(id, writer);
            if self.writers.is_empty() {
                self.endings += 1;
            }
        }
        self.trim();
    }

    /// Whether any file is open for reading, or for writing.
    pub(crate) fn has(&self, readable: bool) -> bool {
        match readable {
            true => !self.readers.is_empty(),
            false => !self.writers.is_empty(),
        }
    }

    /// How often anything has changed for those who read or write.
    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }

    /// What depends on the time may be different now.
    pub(crate) fn time_has_passed(&mut self) {
        self.changes += 1;
    }

    /// Whether nobody has the node open but `ours`, and nothing is left that somebody could read.
    pub(crate) fn is_over(&self, ours: u64) -> bool {
        let others = self.readers.keys().any(|id| *id != ours) || !self.writers.is_empty();
        let left = match self.settings.mode {
            Mode::Fifo => self.log.len() > 0,
            Mode::Broadcast => false,
            Mode::Ring => true,
        };
        !others && !left && self.readable(ours) == 0
    }

    /// What a poll of the file `id` finds.
    pub(crate) fn readiness(&self, id: u64, now: Instant) -> PollEvents {
        let mut events = PollEvents::empty();
        if self.readers.contains_key(&id) {
            events.set(PollEvents::READ, self.reading(id, 1, now) != Reading::Wait);
            events.set(PollEvents::HANG_UP, self.hung_up(id));
        }
        if self.writers.contains_key(&id) {
            events.set(PollEvents::WRITE, self.takes_something());
            let refused = self.settings.no_reader == NoReader::Epipe && self.readers.is_empty();
            events.set(PollEvents::ERROR, refused);
        }
        events
    }

    /// Bytes that the file `id` could read at once.
    pub(crate) fn readable(&self, id: u64) -> usize {
        let Some(reader) = self.readers.get(&id) else {
            return 0;
        };
        let left = self.log.end().byte - self.place_of(reader).byte;
        // Lossless: it is in memory.
        reader.rest.len() + left as usize
    }

    /// Numbers for people.
    pub(crate) fn stats(&self) -> Stats {
        Stats {
            readers: self.readers.len(),
            writers: self.writers.len(),
            kept: self.log.len(),
            size: self.settings.size.bytes,
            kept_records: self.log.records(),
            size_records: self.settings.size.records,
            ..self.stats
        }
    }

    /// When something changes by the time alone.
    pub(crate) fn next_change(&self, now: Instant) -> Option<Instant> {
        let held_back = |bucket: &&Bucket| self.log.len() > 0 && bucket.allows(now) == 0;
        let filled = self.bucket.as_ref().filter(held_back).map(Bucket::next);
        let idle = match self.settings.eof {
            Eof::Idle(limit) => self
                .readers
                .values()
                .filter_map(|reader| self.quiet_since(reader).checked_add(limit))
                .filter(|then| *then > now)
                .min(),
            _ => None,
        };
        filled.into_iter().chain(idle).min()
    }

    fn place_of(&self, reader: &Reader) -> Place {
        match self.settings.mode {
            Mode::Fifo => self.log.start(),
            Mode::Broadcast | Mode::Ring => reader.place,
        }
    }

    /// Where the content begins that readers who are there still need.
    fn needed_from(&self) -> Place {
        match self.settings.mode {
            Mode::Fifo => self.log.start(),
            Mode::Broadcast | Mode::Ring => {
                let places = self.readers.values().map(|reader| reader.place);
                places.min().unwrap_or(self.log.end())
            }
        }
    }

    /// Lets go of what nobody will read, and of the oldest content beyond the size if that is the
    /// policy.
    fn trim(&mut self) {
        let Amount { bytes, records } = self.settings.size;
        let within_size = self.log.tail(bytes, records);
        let from = match self.settings.mode {
            Mode::Ring => within_size,
            Mode::Fifo => match self.settings.full {
                Full::DropOld => within_size,
                Full::Block | Full::Eagain | Full::DropNew => return,
            },
            Mode::Broadcast => {
                let Amount { bytes, records } = self.settings.backlog;
                let unused = self.needed_from().min(self.log.tail(bytes, records));
                match self.settings.full {
                    Full::DropOld => unused.max(within_size),
                    Full::Block | Full::Eagain | Full::DropNew => unused,
                }
            }
        };
        let start = self.log.start();
        self.log.cut_front(from);
        if self.settings.mode == Mode::Fifo {
            let lost = between(start, from);
            self.lost.add(lost);
            if let Some(persist) = &mut self.persist {
                persist.dropped(lost.bytes, self.lost);
            }
            self.stats.dropped.add(lost);
            return;
        }
        for reader in self.readers.values_mut() {
            if reader.place < from {
                let lost = between(reader.place, from);
                reader.place = from;
                reader.lost.add(lost);
                self.stats.dropped.add(lost);
            }
        }
    }

    /// Whether a reader that has read everything is at the end of the file.
    fn at_end(&self, id: u64, now: Instant) -> bool {
        match self.settings.eof {
            Eof::Never => false,
            Eof::Content => true,
            Eof::LastWriter => self.hung_up(id),
            Eof::Idle(limit) => self.readers.get(&id).is_some_and(|reader| {
                now.saturating_duration_since(self.quiet_since(reader)) >= limit
            }),
        }
    }

    /// Whether all writers have gone that a reader might have waited for. The first writer may be
    /// yet to come: without any, an open FIFO would wait for one.
    fn hung_up(&self, id: u64) -> bool {
        let seen = |reader: &Reader| reader.served || reader.endings != self.endings;
        self.settings.eof == Eof::LastWriter
            && self.writers.is_empty()
            && self.readers.get(&id).is_some_and(seen)
    }

    fn quiet_since(&self, reader: &Reader) -> Instant {
        self.written_at.max(reader.opened_at)
    }
}

fn between(from: Place, to: Place) -> Count {
    Count {
        bytes: to.byte.saturating_sub(from.byte),
        records: to.record.saturating_sub(from.record),
    }
}
