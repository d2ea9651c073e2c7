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
    /// Records kept.
    pub kept_records: usize,
    /// Records that can be kept.
    pub size_records: usize,
}

impl Stats {
    /// How much of the size is used, in percent.
    pub(crate) fn fill(&self) -> f64 {
        let part = |kept: usize, size: usize| kept as f64 / size.max(1) as f64 * 100.0;
        part(self.kept, self.size).max(part(self.kept_records, self.size_records))
    }
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
