//! A limit of bytes per second, as a bucket that fills with time.

use std::time::{Duration, Instant};

/// The bucket holds what the rate gives in this part of a second.
const BURST: f64 = 0.1;

/// What may go through now.
#[derive(Debug)]
pub(crate) struct Bucket {
    /// Bytes per second.
    rate: f64,
    /// Bytes that might go through at `since`; below zero after more than was allowed.
    level: f64,
    since: Instant,
}

impl Bucket {
    /// A full bucket of `rate` bytes per second, at least 1.
    pub(crate) fn new(rate: u64, now: Instant) -> Self {
        // Beyond 2^53 the rate is inexact, and no limit.
        let rate = rate as f64;
        Self {
            rate,
            level: Self::capacity(rate),
            since: now,
        }
    }

    /// Never less than a byte, or nothing would go through.
    fn capacity(rate: f64) -> f64 {
        (rate * BURST).max(1.0)
    }

    fn level(&self, now: Instant) -> f64 {
        let passed = now.saturating_duration_since(self.since);
        (self.level + passed.as_secs_f64() * self.rate).min(Self::capacity(self.rate))
    }

    /// Bytes that may go through at `now`.
    pub(crate) fn allows(&self, now: Instant) -> usize {
        // A part of a byte is none, and what is below zero is 0.
        self.level(now) as usize
    }

    /// Notes that bytes go through at `now`; they may be more than are allowed.
    pub(crate) fn take(&mut self, bytes: usize, now: Instant) {
        self.level = self.level(now) - bytes as f64;
        self.since = self.since.max(now);
    }

    /// When a byte may go through, if not at `since`.
    pub(crate) fn next(&self) -> Instant {
        let missing = (1.0 - self.level).max(0.0) / self.rate;
        // A little later rather than a little too early.
        self.since + Duration::from_secs_f64(missing) + Duration::from_millis(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_holds_in_the_long_run() {
        let begin = Instant::now();
        let mut bucket = Bucket::new(1000, begin);
        let mut total = 0;
        for tick in 0..1000 {
            let now = begin + Duration::from_millis(tick * 10);
            let allowed = bucket.allows(now).min(64);
            bucket.take(allowed, now);
            total += allowed;
        }
        assert!((9_900..=10_100).contains(&total), "{total}");
    }

    #[test]
    fn nothing_saves_up_for_long() {
        let begin = Instant::now();
        let bucket = Bucket::new(1000, begin);
        assert_eq!(bucket.allows(begin + Duration::from_secs(3600)), 100);
    }

    #[test]
    fn a_large_record_is_paid_for_later() {
        let begin = Instant::now();
        let mut bucket = Bucket::new(1000, begin);
        bucket.take(600, begin);
        assert_eq!(bucket.allows(begin + Duration::from_millis(499)), 0);
        let next = bucket.next();
        assert!(bucket.allows(next) >= 1);
        assert!(next < begin + Duration::from_millis(510));
    }

    #[test]
    fn slow_is_not_never() {
        let begin = Instant::now();
        let mut bucket = Bucket::new(1, begin);
        assert_eq!(bucket.allows(begin), 1);
        bucket.take(1, begin);
        assert_eq!(bucket.allows(begin), 0);
        assert_eq!(bucket.allows(bucket.next()), 1);
    }
}
