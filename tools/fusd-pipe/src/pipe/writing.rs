//! What a write comes to.

mod arriving;

use std::time::Instant;

use fusd::Errno;

use super::{ATOMIC, Pipe, Writer, between};
use crate::log::Place;
use crate::settings::{Full, Mode, NoReader, Records};
use crate::stats::Count;

/// What a write comes to now.
#[derive(Debug)]
pub(crate) enum Writing {
    /// There is no room yet.
    Wait,
    /// It fails.
    Fail(Errno),
    /// Bytes are taken, from the first on; they are there, unless [`Pipe::undo`] takes them back.
    Taken(Taken),
}

/// The bytes that are taken of one write.
#[derive(Debug)]
pub(crate) struct Taken {
    /// Bytes of the client's.
    pub(crate) count: usize,
    /// The log before.
    pub(super) end: Place,
    /// The writer's line before.
    pub(super) line: Vec<u8>,
    /// What was taken, but not kept.
    pub(super) dropped: Count,
    /// Earlier losses that are told of before it.
    pub(super) told: bool,
}

impl Pipe {
    /// What a write of `data` by the file `id` comes to. `label` is put before each record.
    pub(crate) fn writing(&mut self, id: u64, data: &[u8], label: &[u8]) -> Writing {
        if self.settings.no_reader == NoReader::Epipe && self.readers.is_empty() {
            return Writing::Fail(Errno::EPIPE);
        }
        let line = match self.writers.get_mut(&id) {
            Some(writer) => writer.line.clone(),
            None => return Writing::Fail(Errno::EBADF),
        };
        let mut taken = Taken {
            count: 0,
            end: self.log.end(),
            line,
            dropped: Count::default(),
            told: false,
        };
        let told = self.tell_of_gap();
        let fits = match self.settings.records {
            Records::None => self.take_bytes(data, &mut taken),
            Records::Write => self.take_record(data, label, &mut taken),
            Records::Line => self.take_lines(id, data, label, &mut taken),
        };
        // Nobody is told before there is something after the gap.
        if let Some(after) = told {
            taken.told = self.log.end() > after;
            if !taken.told {
                self.log.cut_back(taken.end);
            }
        }
        match (taken.count, fits) {
            (0, Err(errno)) => Writing::Fail(errno),
            (0, Ok(())) if !data.is_empty() => match self.settings.full {
                Full::Eagain => Writing::Fail(Errno::EAGAIN),
                Full::Block | Full::DropNew | Full::DropOld => Writing::Wait,
            },
            _ => Writing::Taken(taken),
        }
    }

    /// The client knows that the bytes are taken.
    pub(crate) fn keep(&mut self, taken: &Taken, now: Instant) {
        self.changes += 1;
        if let Some(persist) = &self.persist {
            persist.journal.keep();
        }
        let kept = between(taken.end, self.log.end());
        if let Some(tee) = &mut self.tee {
            // Lossless: they are in memory.
            tee.write(self.log.parts(taken.end, kept.bytes as usize));
        }
        let records = kept.records + taken.dropped.records - u64::from(taken.told);
        self.stats.written.add(Count {
            bytes: taken.count as u64,
            records,
        });
        self.stats.dropped.add(taken.dropped);
        if taken.told {
            self.lost = Count::default();
        }
        self.lost.add(taken.dropped);
        self.written_at = now;
        self.trim();
    }

    /// The client does not know: it is as if it had never been.
    pub(crate) fn undo(&mut self, id: u64, taken: Taken) {
        self.log.cut_back(taken.end);
        if let Some(persist) = &mut self.persist {
            persist.journal.undo();
            persist.spans.truncate(self.log.len() as u64);
        }
        if let Some(writer) = self.writers.get_mut(&id) {
            self.held = self.held + taken.line.len() - writer.line.len();
            writer.line = taken.line;
        }
    }

    /// Whether a write of any size gets somewhere without waiting.
    pub(super) fn takes_something(&self) -> bool {
        match self.settings.full {
            Full::DropNew | Full::DropOld => true,
            Full::Block | Full::Eagain => self.has_room(ATOMIC.min(self.settings.size.bytes)),
        }
    }

    /// A line that has not come to its end is one all the same when its writer closes.
    pub(super) fn complete(&mut self, id: u64, writer: Writer) {
        if writer.line.is_empty() {
            return;
        }
        self.held -= writer.line.len();
        let length = writer.label.len() + writer.line.len();
        if self.settings.full == Full::DropNew && !self.has_room(length) {
            let dropped = record_of(length);
            self.stats.dropped.add(dropped);
            self.lost.add(dropped);
            if let Some(persist) = &mut self.persist {
                persist.journal.leave(id, None);
            }
            return;
        }
        let end = self.log.end();
        self.log.push(&writer.label);
        self.log.push(&writer.line);
        self.log.end_record();
        self.stats.written.records += 1;
        if let Some(persist) = &mut self.persist {
            let len = length as u64;
            let at = persist.journal.leave(id, Some(len));
            persist.came(at, len);
        }
        if let Some(tee) = &mut self.tee {
            tee.write(self.log.parts(end, length));
        }
    }

    /// Where new content was dropped, puts a record in its place that says so, if there is room; the
    /// place after it.
    fn tell_of_gap(&mut self) -> Option<Place> {
        if !self.settings.marker || self.settings.full != Full::DropNew || self.lost.records == 0 {
            return None;
        }
        let marker = self.lost.marker();
        if !self.has_room(marker.len()) {
            return None;
        }
        self.log.push(marker.as_bytes());
        self.log.end_record();
        Some(self.log.end())
    }

    /// Bytes without boundaries: few are taken at once or not at all.
    fn take_bytes(&mut self, data: &[u8], taken: &mut Taken) -> Result<(), Errno> {
        let size = self.settings.size.bytes;
        let room = size.saturating_sub(self.used().0);
        let whole = data.len() <= ATOMIC.min(size);
        let fits = match whole && room < data.len() {
            true => 0,
            false => room.min(data.len()),
        };
        match self.settings.full {
            Full::Block | Full::Eagain => {
                self.log.push(&data[..fits]);
                taken.count = fits;
            }
            Full::DropNew => {
                self.log.push(&data[..fits]);
                taken.count = data.len();
                taken.dropped.bytes = (data.len() - fits) as u64;
            }
            Full::DropOld => {
                // What comes first would be dropped at once.
                let first = data.len().saturating_sub(size);
                self.log.push(&data[first..]);
                taken.count = data.len();
                taken.dropped.bytes = first as u64;
            }
        }
        Ok(())
    }

    /// One record.
    fn take_record(&mut self, data: &[u8], label: &[u8], taken: &mut Taken) -> Result<(), Errno> {
        let length = label.len() + data.len();
        if length > self.settings.size.bytes {
            return Err(Errno::EMSGSIZE);
        }
        if data.is_empty() {
            return Ok(());
        }
        if self.settings.full == Full::DropOld || self.has_room(length) {
            self.log.push(label);
            self.log.push(data);
            self.log.end_record();
            taken.count = data.len();
        } else if self.settings.full == Full::DropNew {
            taken.count = data.len();
            taken.dropped = record_of(length);
        }
        Ok(())
    }

    /// The lines that `data` completes, and the beginning of one more.
    fn take_lines(
        &mut self,
        id: u64,
        data: &[u8],
        label: &[u8],
        taken: &mut Taken,
    ) -> Result<(), Errno> {
        for piece in data.split_inclusive(|byte| *byte == b'\n') {
            let begun = self.writers.get(&id).map_or(0, |writer| writer.line.len());
            let length = label.len() + begun + piece.len();
            if length > self.settings.size.bytes {
                return Err(Errno::EMSGSIZE);
            }
            let room = self.has_room(label.len() + piece.len());
            let waits = matches!(self.settings.full, Full::Block | Full::Eagain);
            if waits && !room {
                return Ok(());
            }
            let Some(writer) = self.writers.get_mut(&id) else {
                return Ok(());
            };
            taken.count += piece.len();
            if !piece.ends_with(b"\n") {
                self.held += piece.len();
                writer.line.extend(piece);
                label.clone_into(&mut writer.label);
                continue;
            }
            self.held -= begun;
            if self.settings.full == Full::DropNew && !room {
                writer.line.clear();
                taken.dropped.add(record_of(length));
                continue;
            }
            self.log.push(label);
            self.log.push(&writer.line);
            self.log.push(piece);
            self.log.end_record();
            writer.line.clear();
        }
        Ok(())
    }

    /// Whether a record of `length` bytes more finds room. It does in any case where nothing is kept
    /// that a reader could make room by reading: lines that are begun must come to their ends.
    fn has_room(&self, length: usize) -> bool {
        let (bytes, records) = self.used();
        let size = self.settings.size;
        records < size.records && bytes + length <= size.bytes || bytes == self.held
    }

    /// Bytes and records that take up room.
    fn used(&self) -> (usize, usize) {
        if self.settings.mode == Mode::Ring {
            return (self.held, 0);
        }
        let needed = between(self.needed_from(), self.log.end());
        // Lossless: they are in memory.
        (self.held + needed.bytes as usize, needed.records as usize)
    }
}

fn record_of(length: usize) -> Count {
    Count {
        bytes: length as u64,
        records: 1,
    }
}
