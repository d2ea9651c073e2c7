//! What is left of a pipe's content after the entries of its journal, one by one.

use std::collections::{BTreeMap, VecDeque};

use super::entry::{Entry, Write};
use super::header::Shape;
use super::span::Span;
use crate::settings::Mode;
use crate::stats::Count;

/// The content at a point of the journal.
#[derive(Debug)]
pub(crate) struct Replay {
    shape: Shape,
    /// All that is left, by position.
    bytes: VecDeque<u8>,
    /// The positions of `bytes`, ascending.
    spans: Vec<Span>,
    /// Positions at which records end, ascending.
    ends: VecDeque<u64>,
    /// By their writers.
    lines: BTreeMap<u64, Line>,
    lost: Count,
    /// The position of what is written next.
    next: u64,
}

/// The beginning of a line that its writer has not ended.
#[derive(Debug, Default)]
struct Line {
    label: Vec<u8>,
    bytes: Vec<u8>,
}

/// What a pipe begins with: bytes, and where its records end.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) bytes: Vec<u8>,
    /// Lengths of the records; none in a stream.
    pub(crate) lengths: Vec<u64>,
    /// Bytes at the end that are lines which nobody has ended.
    pub(crate) begun: usize,
    /// What was dropped and not told of.
    pub(crate) lost: Count,
}

impl Replay {
    pub(crate) fn new(shape: Shape) -> Self {
        Self {
            shape,
            bytes: VecDeque::new(),
            spans: Vec::new(),
            ends: VecDeque::new(),
            lines: BTreeMap::new(),
            lost: Count::default(),
            next: 0,
        }
    }

    /// A point at which this is all there is.
    pub(crate) fn holding(shape: Shape, content: &Content) -> Self {
        let mut replay = Self::new(shape);
        // Nothing is before it.
        let _ = replay.add(0, &content.bytes, &content.lengths);
        replay.lost = content.lost;
        replay
    }

    /// The position of what is written next.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// Does what the entry says. `None`: it cannot follow what was before it, and changes nothing.
    pub(crate) fn apply(&mut self, entry: &Entry<'_>) -> Option<()> {
        match entry {
            Entry::Write(write, lengths) => self.write(write, lengths)?,
            Entry::Leave { writer, at } => self.leave(*writer, *at)?,
            Entry::Gone(span) => self.remove(*span),
            Entry::Dropped(span, lost) => {
                self.remove(*span);
                self.lost = *lost;
            }
        }
        // A fifo says it: what a reader holds of a record is not in its way.
        if self.shape.mode != Mode::Fifo {
            self.trim();
        }
        Some(())
    }

    fn write(&mut self, write: &Write<'_>, lengths: &[u64]) -> Option<()> {
        let [bytes, _] = write.bytes;
        let line = self.lines.get(&write.writer);
        let fits = line.map_or(0, |line| line.bytes.len()) >= write.line_kept;
        if !fits || lengths.is_empty() != (self.shape.stream || bytes.is_empty()) {
            return None;
        }
        self.add(write.at, bytes, lengths)?;
        self.lost = write.lost;
        let line = self.lines.entry(write.writer).or_default();
        line.bytes.truncate(write.line_kept);
        line.bytes.extend(write.line);
        line.label = write.label.to_vec();
        if line.bytes.is_empty() {
            self.lines.remove(&write.writer);
        }
        Some(())
    }

    fn leave(&mut self, writer: u64, at: Option<u64>) -> Option<()> {
        let Some(line) = self.lines.get(&writer) else {
            return Some(());
        };
        if let Some(at) = at {
            let record = [&line.label[..], &line.bytes].concat();
            self.add(at, &record, &[record.len() as u64])?;
        }
        self.lines.remove(&writer);
        Some(())
    }

    fn add(&mut self, at: u64, bytes: &[u8], lengths: &[u64]) -> Option<()> {
        let len = bytes.len() as u64;
        let end = at.checked_add(len)?;
        if at < self.next {
            return None;
        }
        self.next = end;
        self.bytes.extend(bytes);
        let span = Span { at, len };
        match self.spans.last_mut() {
            _ if len == 0 => {}
            Some(last) if last.end() == at => last.len += len,
            _ => self.spans.push(span),
        }
        let mut end = at;
        for length in lengths {
            end += length;
            self.ends.push_back(end);
        }
        Some(())
    }

    /// Takes out what is left of `gone`.
    fn remove(&mut self, gone: Span) {
        if gone.len == 0 {
            return;
        }
        let mut left = Vec::with_capacity(self.spans.len() + 1);
        let mut index = 0;
        for span in self.spans.drain(..) {
            let from = gone.at.clamp(span.at, span.end());
            let to = gone.end().clamp(span.at, span.end());
            // Lossless: it is in memory.
            let (before, removed) = ((from - span.at) as usize, (to - from) as usize);
            self.bytes.drain(index + before..index + before + removed);
            index += (span.len as usize) - removed;
            let pieces = [(span.at, from), (to, span.end())];
            left.extend(
                pieces
                    .into_iter()
                    .filter(|(at, end)| at < end)
                    .map(|(at, end)| Span { at, len: end - at }),
            );
        }
        self.spans = left;
        self.forget_ends();
    }

    /// Forgets the ends of records that are before all that is left.
    fn forget_ends(&mut self) {
        let first = self.spans.first().map_or(self.next, |span| span.at);
        while self.ends.front().is_some_and(|end| *end <= first) {
            self.ends.pop_front();
        }
    }

    /// Drops what the pipe drops by itself: the oldest beyond its size. The journal of a broadcast or
    /// a ring does not say it, as it follows from the rest.
    fn trim(&mut self) {
        if !self.shape.drop_old {
            return;
        }
        let before = (self.bytes.len(), self.ends.len());
        let size = self.shape.size;
        self.keep_newest(size.bytes, size.records);
        if self.shape.mode == Mode::Fifo {
            self.lost.add(Count {
                bytes: (before.0 - self.bytes.len()) as u64,
                records: (before.1 - self.ends.len()) as u64,
            });
        }
    }

    /// Drops the oldest, whole records where there are any, until no more is left.
    fn keep_newest(&mut self, bytes: usize, records: usize) {
        while self.bytes.len() > bytes || !self.shape.stream && self.ends.len() > records {
            let first = self.spans.first().map_or(self.next, |span| span.at);
            let len = match self.ends.front() {
                Some(end) => end - first,
                None => (self.bytes.len() - bytes) as u64,
            };
            self.remove(Span { at: first, len });
        }
    }

    /// The journal has ended, and with it all who had the pipe open: what is left for those who come.
    pub(crate) fn finish(mut self) -> Content {
        let writers: Vec<u64> = self.lines.keys().copied().collect();
        let begin = self.next;
        for writer in writers {
            // The positions follow on each other.
            let _ = self.leave(writer, Some(self.next));
        }
        let begun = (self.next - begin) as usize;
        self.trim();
        if self.shape.mode == Mode::Broadcast {
            let backlog = self.shape.backlog;
            self.keep_newest(backlog.bytes, backlog.records);
        }
        Content {
            lengths: self.chunks().flat_map(|(_, lengths)| lengths).collect(),
            begun: begun.min(self.bytes.len()),
            lost: self.lost,
            bytes: self.bytes.into(),
        }
    }

    /// The runs of bytes that are left, and the lengths of their records. Of a record with a hole
    /// each part is one.
    pub(crate) fn chunks(&self) -> impl Iterator<Item = (Span, Vec<u64>)> {
        self.spans.iter().map(|span| {
            let mut lengths = Vec::new();
            if !self.shape.stream {
                let mut from = span.at;
                let first = self.ends.partition_point(|end| *end <= from);
                for end in self.ends.range(first..) {
                    let end = (*end).min(span.end());
                    lengths.push(end - from);
                    from = end;
                    if end == span.end() {
                        break;
                    }
                }
            }
            (*span, lengths)
        })
    }

    /// The bytes of the chunks, in a row.
    pub(crate) fn bytes(&mut self) -> &[u8] {
        self.bytes.make_contiguous()
    }

    /// The lines that are begun: writer, label, bytes.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (u64, &[u8], &[u8])> {
        self.lines
            .iter()
            .map(|(writer, line)| (*writer, &line.label[..], &line.bytes[..]))
    }

    pub(crate) fn lost(&self) -> Count {
        self.lost
    }
}
