//! How far it is, in one line for a terminal.

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use crate::settings::Mode;
use crate::stats::Stats;

/// The rate is that of this last time.
const WINDOW: Duration = Duration::from_secs(2);

/// What is remembered from look to look.
#[derive(Debug)]
pub(crate) struct Progress {
    mode: Mode,
    begin: Instant,
    /// When was looked, and how many bytes were through; the first is at least [`WINDOW`] old, if any
    /// is.
    looks: VecDeque<(Instant, u64)>,
}

impl Progress {
    /// For a pipe that nothing has gone through.
    pub(crate) fn new(mode: Mode, now: Instant) -> Self {
        Self {
            mode,
            begin: now,
            looks: VecDeque::from([(now, 0)]),
        }
    }

    /// The line at `now`: bytes through, time, bytes per second, how full it is, and for whom.
    pub(crate) fn line(&mut self, stats: &Stats, now: Instant) -> String {
        let through = match self.mode {
            Mode::Fifo => stats.read.bytes,
            // Readers come and go: what all of them got says little.
            Mode::Broadcast | Mode::Ring => stats.written.bytes,
        };
        self.looks.push_back((now, through));
        let old = |look: &(Instant, u64)| now.saturating_duration_since(look.0) >= WINDOW;
        while self.looks.get(1).is_some_and(old) {
            self.looks.pop_front();
        }
        let (since, before) = self.looks.front().copied().unwrap_or((now, through));
        let time = now.saturating_duration_since(since).as_secs_f64();
        let rate = match time > 0.0 {
            true => through.saturating_sub(before) as f64 / time,
            false => 0.0,
        };
        let seconds = now.saturating_duration_since(self.begin).as_secs();
        format!(
            "{} {}:{:02}:{:02} [{}/s] {:.0}% full, {}, {}",
            Bytes(through as f64),
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60,
            Bytes(rate),
            stats.fill(),
            Count(stats.readers, "reader"),
            Count(stats.writers, "writer"),
        )
    }
}

/// Bytes with a unit, in four letters or less before it.
struct Bytes(f64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut value, mut units) = (self.0, ["B", "KiB", "MiB", "GiB", "TiB", "PiB"].iter());
        let mut unit = units.next().copied().unwrap_or_default();
        while value >= 1023.5 {
            let Some(larger) = units.next() else { break };
            (value, unit) = (value / 1024.0, larger);
        }
        match unit {
            "B" => write!(f, "{value:.0}{unit}"),
            _ if value < 9.995 => write!(f, "{value:.2}{unit}"),
            _ if value < 99.95 => write!(f, "{value:.1}{unit}"),
            _ => write!(f, "{value:.0}{unit}"),
        }
    }
}

/// So many of something.
struct Count(usize, &'static str);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.0 == 1 { "" } else { "s" };
        write!(f, "{} {}{plural}", self.0, self.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Count;

    fn stats(read: u64, written: u64) -> Stats {
        let count = |bytes| Count { bytes, records: 0 };
        Stats {
            read: count(read),
            written: count(written),
            readers: 1,
            writers: 2,
            kept: 16384,
            size: 65536,
            ..Stats::default()
        }
    }

    #[test]
    fn the_rate_is_that_of_the_last_seconds() {
        let begin = Instant::now();
        let after = |seconds| begin + Duration::from_secs(seconds);
        let mut progress = Progress::new(Mode::Fifo, begin);
        assert_eq!(
            progress.line(&stats(0, 0), begin),
            "0B 0:00:00 [0B/s] 25% full, 1 reader, 2 writers"
        );
        let mut line = |read, seconds| progress.line(&stats(read, 0), after(seconds));
        assert!(line(2048, 1).starts_with("2.00KiB 0:00:01 [2.00KiB/s]"));
        assert!(line(4096, 2).starts_with("4.00KiB 0:00:02 [2.00KiB/s]"));
        assert!(line(4096, 3).starts_with("4.00KiB 0:00:03 [1.00KiB/s]"));
        assert!(line(4096, 4).starts_with("4.00KiB 0:00:04 [0B/s]"));
        assert!(line(4096, 3723).starts_with("4.00KiB 1:02:03 [0B/s]"));
    }

    #[test]
    fn what_counts_depends_on_who_gets_it() {
        let now = Instant::now();
        for (mode, through) in [
            (Mode::Fifo, "1B"),
            (Mode::Broadcast, "2B"),
            (Mode::Ring, "2B"),
        ] {
            let line = Progress::new(mode, now).line(&stats(1, 2), now);
            assert!(line.starts_with(through), "{line}");
        }
    }

    #[test]
    fn bytes_have_three_digits_that_count() {
        for (bytes, text) in [
            (1023.0, "1023B"),
            (1024.0, "1.00KiB"),
            (10_235.0, "10.0KiB"),
            (102_400.0, "100KiB"),
            (1_048_000.0, "1023KiB"),
            (1_048_500.0, "1.00MiB"),
            (5e18, "4441PiB"),
        ] {
            assert_eq!(Bytes(bytes).to_string(), text);
        }
    }
}
