//! The state of an open journal.

use std::io::{self, Seek};

use fusd::Errno;

use super::entry::{self, Entry, Write};
use super::file::{JournalFile, Locked};
use super::header::{LEN, Shape};
use super::image;
use super::span::Spans;
use crate::settings::SyncPolicy;
use crate::stats::Count;

/// How many bytes a file may grow beyond twice what it began with. To replace it takes about as long
/// as a thousand writes: file systems force the new one to disk then.
const SLACK: u64 = 1 << 20;

/// What guards a journal's file.
#[derive(Debug)]
pub(super) struct Inner {
    file: JournalFile,
    shape: Shape,
    sync: SyncPolicy,
    /// The position of what is written next.
    next: u64,
    /// What `next` and the file's length were before the write that is not settled.
    unsettled: Option<(u64, u64)>,
    /// In the order in which they came: what the file did not take, and what the pipe has dropped,
    /// which goes along with what comes next.
    waiting: Vec<Entry<'static>>,
    /// Something may be in the file that nobody needs.
    unneeded: bool,
    /// The length from which the file is worth being written anew.
    limit: u64,
    /// What the disk has is not known, since it has reported an error: it is to be written anew.
    suspect: bool,
    /// Something is not forced to disk.
    unsynced: bool,
    /// It has been said that `waiting` cannot be written.
    told: bool,
    /// It has been said that the disk fails.
    told_of_disk: bool,
    /// Memory for what an entry begins with.
    head: Vec<u8>,
}

impl Inner {
    pub(super) fn new(file: JournalFile, shape: Shape, sync: SyncPolicy, next: u64) -> Self {
        let mut inner = Self {
            file,
            shape,
            sync,
            next,
            unsettled: None,
            waiting: Vec::new(),
            unneeded: false,
            limit: 0,
            suspect: false,
            unsynced: false,
            told: false,
            told_of_disk: false,
            head: Vec::new(),
        };
        inner.set_limit();
        inner
    }

    fn set_limit(&mut self) {
        self.limit = 2 * self.file.len() + SLACK;
    }

    pub(super) fn write(
        &mut self,
        write: Write<'_>,
        records: u64,
        lengths: impl Iterator<Item = u64> + Clone,
    ) -> Result<u64, Errno> {
        if self.suspect || self.file.len() > self.limit {
            self.shorten()?;
        }
        let write = Write {
            at: self.next,
            ..write
        };
        let mut added = self.add(&write, records, lengths.clone());
        if added.is_err() && self.unneeded {
            // Where there is no room, there may be without what nobody needs. Not tried again before
            // there is more of that: it takes its time.
            self.unneeded = false;
            if self.rewrite().is_ok() {
                added = self.add(&write, records, lengths);
            }
        }
        let len = added?;
        self.unsettled = Some((self.next, len));
        self.next += write
            .bytes
            .iter()
            .map(|part| part.len() as u64)
            .sum::<u64>();
        if let Err(error) = self.added() {
            self.undo();
            return Err(error.into());
        }
        Ok(write.at)
    }

    /// Adds what waits, and the write. Gives the length of the file without the latter.
    fn add(
        &mut self,
        write: &Write<'_>,
        records: u64,
        lengths: impl Iterator<Item = u64>,
    ) -> io::Result<u64> {
        self.encode_waiting();
        let len = self.file.len() + self.head.len() as u64;
        entry::encode_write(&mut self.head, write, records, lengths);
        let [label, line, first, second] = write.pieces();
        self.file
            .append(&[&self.head, label, line, first, second])?;
        self.waiting.clear();
        Ok(len)
    }

    /// Something was added to the file.
    fn added(&mut self) -> io::Result<()> {
        self.unsynced = true;
        if self.sync != SyncPolicy::Always {
            return Ok(());
        }
        let synced = self.file.file().sync_data();
        self.suspect |= synced.is_err();
        self.unsynced = synced.is_err();
        synced
    }

    pub(super) fn settle(&mut self) {
        if self.unsettled.take().is_some() {
            self.record_waiting();
        }
    }

    pub(super) fn undo(&mut self) {
        let Some((next, len)) = self.unsettled.take() else {
            return;
        };
        self.next = next;
        // Where it fails, it is tried again before anything is added.
        let undone = self.file.cut(len).and_then(|()| self.added());
        if let Err(error) = undone {
            self.disk_fails(&error, "take back what nobody learned of in");
        }
        self.record_waiting();
    }

    pub(super) fn leave(&mut self, writer: u64, record: Option<u64>) -> u64 {
        let at = self.next;
        self.next += record.unwrap_or(0);
        self.wait(Entry::Leave {
            writer,
            at: record.map(|_| at),
        });
        self.record_waiting();
        at
    }

    pub(super) fn gone(&mut self, spans: Spans) {
        for span in spans.known() {
            match self.waiting.last_mut() {
                Some(Entry::Gone(last)) if last.end() == span.at => last.len += span.len,
                _ => self.wait(Entry::Gone(span)),
            }
        }
        // What may be undone must be the last in the file.
        if self.unsettled.is_none() {
            self.record_waiting();
        }
    }

    pub(super) fn dropped(&mut self, spans: Spans, lost: Count) {
        for span in spans.known() {
            match self.waiting.last_mut() {
                Some(Entry::Dropped(last, count)) if last.end() == span.at => {
                    last.len += span.len;
                    *count = lost;
                }
                _ => self.wait(Entry::Dropped(span, lost)),
            }
        }
    }

    /// Writes what waits; what cannot be written goes on waiting.
    fn record_waiting(&mut self) {
        match self.flush() {
            Ok(()) => self.told = false,
            Err(_) if self.told => {}
            Err(error) => {
                // There may be room without what nobody needs. Tried once: it takes its time.
                self.told = true;
                if self.rewrite().is_err() {
                    self.say(
                        &error,
                        "note what has been read, which a killed tool would give again, in",
                    );
                }
            }
        }
        if self.file.len() > self.limit && !self.told_of_disk {
            // Has been said where it fails, and writers get to know.
            let _ = self.shorten();
        }
    }

    /// Has the file written anew, and says where that fails.
    fn shorten(&mut self) -> io::Result<()> {
        self.rewrite()
            .inspect_err(|error| self.disk_fails(error, "write a shorter file in the place of"))
    }

    /// Says so, but not again before the disk is known to do its work.
    fn disk_fails(&mut self, error: &io::Error, what: &str) {
        if !self.told_of_disk {
            self.told_of_disk = true;
            self.say(error, what);
        }
    }

    fn say(&self, error: &io::Error, what: &str) {
        let (file, error) = (self.file.path().display(), Errno::from(error));
        tracing::error!(%file, %error, "cannot {what} the journal");
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        self.encode_waiting();
        self.file.append(&[&self.head])?;
        self.waiting.clear();
        self.added()
    }

    /// Has it wait for its place in the file.
    fn wait(&mut self, entry: Entry<'static>) {
        self.unneeded = true;
        self.waiting.push(entry);
    }

    fn encode_waiting(&mut self) {
        self.head.clear();
        for entry in &self.waiting {
            entry.encode_small(&mut self.head);
        }
    }

    /// Has a file take the place of this one in which nothing is that nobody needs.
    fn rewrite(&mut self) -> io::Result<()> {
        let mut file = self.file.file().try_clone()?;
        file.seek(io::SeekFrom::Start(LEN as u64))?;
        let left = self.file.len() - LEN as u64;
        let (mut replay, damaged) = image::read_entries(file, self.shape, left)?;
        if damaged > 0 {
            tracing::error!(
                file = %self.file.path().display(),
                "{damaged} bytes of the journal have changed on the disk"
            );
            return Err(Errno::EIO.into());
        }
        for entry in &self.waiting {
            // They follow from what was there.
            let _ = replay.apply(entry);
        }
        let (shape, sync) = (self.shape, self.sync != SyncPolicy::Never);
        self.file
            .replace(sync, |out| image::write(out, shape, &mut replay))?;
        self.waiting.clear();
        self.unneeded = false;
        self.suspect = false;
        self.unsynced = !sync;
        self.told_of_disk = false;
        self.set_limit();
        if sync {
            let named = self.file.sync_directory();
            self.suspect = named.is_err();
            return named;
        }
        Ok(())
    }

    pub(super) fn finish(&mut self) {
        // Whatever was said before, it is the last time.
        self.told = false;
        self.record_waiting();
        if self.sync != SyncPolicy::Never
            && let Some(file) = self.unsynced()
        {
            self.synced(file.sync_data());
        }
    }

    /// The file, if something of it is to be forced to disk.
    pub(super) fn unsynced(&mut self) -> Option<Locked> {
        let unsynced = std::mem::take(&mut self.unsynced);
        unsynced.then(|| self.file.file().clone())
    }

    /// What came of that.
    pub(super) fn synced(&mut self, result: io::Result<()>) {
        if let Err(error) = result {
            self.suspect = true;
            self.unsynced = true;
            self.disk_fails(&error, "force to disk");
        }
    }
}
