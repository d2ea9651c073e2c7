//! What a pipe has its journal note, where it has one.

use fusd::Errno;

use super::{Pipe, Taken, between};
use crate::journal::{Content, Journal, Span, Spans, Write};
use crate::settings::Mode;
use crate::stats::Count;

/// The journal of a pipe.
#[derive(Debug)]
pub(super) struct Persist {
    pub(super) journal: Journal,
    /// Where the journal has what is in the log of a fifo. What readers of the others get stays there.
    pub(super) spans: Spans,
    fifo: bool,
}

/// Bytes that a reader got, and what is to be noted of that once it has them for sure.
#[derive(Debug, Default)]
pub(crate) struct Given(Option<(Journal, Spans)>);

impl Persist {
    /// The log has so many bytes more, which are at this position.
    pub(super) fn came(&mut self, at: u64, len: u64) {
        if self.fifo {
            self.spans.push(Span { at, len });
        }
    }

    /// The log of a fifo has dropped its first bytes.
    pub(super) fn dropped(&mut self, bytes: u64, lost: Count) {
        let spans = self.spans.take_front(bytes);
        self.journal.dropped(spans, lost);
    }
}

impl Given {
    pub(super) fn new(persist: Option<&Persist>, spans: Spans) -> Self {
        let known = persist.filter(|_| spans.len() > 0);
        Self(known.map(|persist| (persist.journal.clone(), spans)))
    }

    /// The reader has got them.
    pub(crate) fn note(self) {
        if let Some((journal, spans)) = self.0 {
            journal.gone(spans);
        }
    }

    /// Likewise, when its answer is on its way.
    pub(crate) fn note_once_sent(self) {
        if self.0.is_some() {
            fusd::request::once_sent(|| self.note());
        }
    }

    /// The first bytes; what is left here are the others.
    pub(crate) fn split(&mut self, count: usize) -> Self {
        let (journal, spans) = match &mut self.0 {
            Some((journal, spans)) => (journal.clone(), spans.take_front(count as u64)),
            None => return Self::default(),
        };
        Self(Some((journal, spans)))
    }

    pub(super) fn into_spans(self) -> Spans {
        self.0.map(|(_, spans)| spans).unwrap_or_default()
    }
}

impl Pipe {
    /// Begins with what the journal has, and has it note what comes. Gives what there was too much
    /// of: it is dropped.
    pub(crate) fn persist(&mut self, journal: Journal, content: &Content) -> Count {
        self.changes += 1;
        let start = self.log.end();
        self.log.restore(&content.bytes, &content.lengths);
        self.lost = content.lost;
        let mut persist = Persist {
            journal,
            spans: Spans::default(),
            fifo: self.settings.mode == Mode::Fifo,
        };
        persist.came(0, content.bytes.len() as u64);
        self.persist = Some(persist);
        if let Some(tee) = &mut self.tee {
            // All else has been copied when it was written.
            let begun = content.bytes.len() - content.begun;
            tee.write([&content.bytes[begun..], &[]]);
        }
        self.trim();
        let dropped = between(start, self.log.start());
        if self.settings.mode != Mode::Fifo {
            self.stats.dropped.add(dropped);
        }
        dropped
    }

    /// Has the journal note a write of the file `id` that is taken and not yet answered.
    ///
    /// # Errors
    /// The journal does not take it: it is as if it had never been.
    pub(crate) fn record(&mut self, id: u64, taken: &Taken) -> Result<(), Errno> {
        let (Some(persist), Some(writer)) = (&mut self.persist, self.writers.get(&id)) else {
            return Ok(());
        };
        let new = between(taken.end, self.log.end());
        // What it had begun is there in any case; a new line may begin alike.
        let line_kept = match writer.line.starts_with(&taken.line) {
            true => taken.line.len(),
            false => 0,
        };
        let line = &writer.line[line_kept..];
        let mut lost = match taken.told {
            true => Count::default(),
            false => self.lost,
        };
        lost.add(taken.dropped);
        let tells = self.settings.marker && lost != self.lost;
        if new.bytes == 0 && line.is_empty() && writer.line.len() == taken.line.len() && !tells {
            return Ok(());
        }
        let write = Write {
            writer: id,
            lost,
            line_kept,
            label: match writer.line.is_empty() {
                true => &[],
                false => &writer.label,
            },
            line,
            // Lossless: they are in memory.
            bytes: self.log.parts(taken.end, new.bytes as usize),
            ..Write::default()
        };
        let lengths = self.log.lengths(taken.end);
        let at = persist.journal.write(write, new.records, lengths)?;
        persist.came(at, new.bytes);
        Ok(())
    }

    /// Nothing more will come.
    pub(crate) fn finish(&self) {
        if let Some(persist) = &self.persist {
            persist.journal.finish();
        }
    }
}
