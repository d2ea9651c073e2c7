//! How much has come, for the line that says how far it is.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Counts since the beginning. What is shown may be a little behind.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    received: AtomicU64,
    requests: AtomicU64,
}

impl Traffic {
    /// Bytes have come.
    pub(crate) fn receive(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// A request is sent.
    pub(crate) fn ask(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }
}

/// What is remembered from look to look.
#[derive(Debug)]
pub(crate) struct Line {
    begin: Instant,
    /// When was looked last, what had come by then, and how fast, in bytes a second.
    last: (Instant, u64, f64),
}

impl Line {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            begin: now,
            last: (now, 0, 0.0),
        }
    }

    /// The line at `now`: bytes, time, bytes a second, requests.
    pub(crate) fn tell(&mut self, traffic: &Traffic, now: Instant) -> String {
        let received = traffic.received.load(Ordering::Relaxed);
        let requests = traffic.requests.load(Ordering::Relaxed);
        let (then, before, rate) = self.last;
        let time = now.saturating_duration_since(then).as_secs_f64();
        let rate = match time > 0.0 {
            // Half of it is that of the last look: it does not leap.
            true => (rate + (received - before) as f64 / time) / 2.0,
            false => rate,
        };
        self.last = (now, received, rate);
        let seconds = now.saturating_duration_since(self.begin).as_secs();
        format!(
            "{} {}:{:02}:{:02} [{}/s] {requests} request{}",
            bytes(received as f64),
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60,
            bytes(rate),
            if requests == 1 { "" } else { "s" },
        )
    }
}

fn bytes(mut value: f64) -> String {
    let mut unit = "B";
    for larger in ["KiB", "MiB", "GiB", "TiB"] {
        if value < 1023.5 {
            break;
        }
        (value, unit) = (value / 1024.0, larger);
    }
    match unit {
        "B" => format!("{value:.0}B"),
        _ => format!("{value:.1}{unit}"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_line_says_how_much_and_how_fast() {
        let (begin, traffic) = (Instant::now(), Traffic::default());
        let mut line = Line::new(begin);
        assert_eq!(line.tell(&traffic, begin), "0B 0:00:00 [0B/s] 0 requests");
        traffic.ask();
        traffic.receive(3 << 20);
        let later = begin + Duration::from_secs(1);
        assert_eq!(
            line.tell(&traffic, later),
            "3.0MiB 0:00:01 [1.5MiB/s] 1 request"
        );
        let later = begin + Duration::from_secs(3601);
        let told = line.tell(&traffic, later);
        assert!(told.starts_with("3.0MiB 1:00:01 [76"), "{told}");
    }
}
