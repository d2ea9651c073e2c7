//! What has gone through a pipe, in numbers.

use std::fmt;

/// Bytes and records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Bytes.
    pub bytes: u64,
    /// Records, where there are any.
    pub records: u64,
}

impl Count {
    pub(crate) fn add(&mut self, more: Self) {
        self.bytes += more.bytes;
        self.records += more.records;
    }

    /// The record that tells a reader that so much is missing here.
    pub(crate) fn marker(&self) -> String {
        format!("[fusd-pipe: {} records lost]\n", self.records)
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.records {
            0 => write!(f, "{} bytes", self.bytes),
            records => write!(f, "{} bytes ({records} records)", self.bytes),
        }
    }
}

/// The state of a pipe at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Taken from writers, what was dropped later included.
    pub written: Count,
    /// Given to readers: in broadcast and ring, to each of them.
    pub read: Count,
    /// Not kept because there was no room.
    pub dropped: Count,
    /// Files open for reading.
    pub readers: usize,
    /// Files open for writing.
    pub writers: usize,
    /// Bytes kept.
    pub kept: usize,
    /// Bytes that can be kept.
    pub size: usize,
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "written {}, read {}, dropped {}, {} readers, {} writers, {} of {} bytes kept",
            self.written, self.read, self.dropped, self.readers, self.writers, self.kept, self.size,
        )
    }
}
