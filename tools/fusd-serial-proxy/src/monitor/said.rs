//! Messages of the program, while the monitor has the terminal that they are for.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use super::ring::Ring;
use super::screen;

/// Messages that are kept for the end at most: the first ones, which tell how it began, and the latest.
const FIRST: usize = 20;
const LATEST: usize = 100;

/// Shows messages as the others that go through, and keeps them for the end.
pub(super) struct Said {
    ring: Ring,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    first: Vec<Vec<u8>>,
    latest: VecDeque<Vec<u8>>,
    left_out: usize,
}

impl Said {
    pub(super) fn new(ring: Ring) -> Self {
        Self {
            ring,
            kept: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is kept, in its order, and no longer then.
    pub(super) fn take(&self) -> Vec<Vec<u8>> {
        let kept = std::mem::take(&mut *self.lock());
        let mut all = kept.first;
        if kept.left_out > 0 {
            all.push(format!("({} more are left out here)\n", kept.left_out).into_bytes());
        }
        all.extend(kept.latest);
        all
    }
}

impl fusd_tool::Screen for Said {
    fn say(&self, lines: &[u8]) {
        let now = SystemTime::now();
        for line in String::from_utf8_lossy(lines).lines() {
            self.ring.say(&plain(line), now);
        }
        self.lock().keep(lines);
    }

    fn leave(&self) {
        screen::leave();
    }
}

impl Kept {
    fn keep(&mut self, lines: &[u8]) {
        if self.first.len() < FIRST {
            return self.first.push(lines.to_vec());
        }
        if self.latest.len() == LATEST {
            self.latest.pop_front();
            self.left_out += 1;
        }
        self.latest.push_back(lines.to_vec());
    }
}

/// A line without colours (ECMA-48, CSI), and without the time that the log begins with: it has one.
fn plain(line: &str) -> String {
    let mut text = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("\x1b[") {
        text.push_str(before);
        let end = after.find(|letter| matches!(letter, '@'..='~'));
        rest = end.map_or("", |end| &after[end + 1..]);
    }
    text.push_str(rest);
    match text.split_once(' ') {
        Some((time, rest)) if humantime::parse_rfc3339(time).is_ok() => {
            rest.trim_start().to_owned()
        }
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_messages_keeps_its_beginning_and_its_end() {
        let said = Said::new(Ring::default());
        for number in 0..1000 {
            fusd_tool::Screen::say(&said, format!("{number}\n").as_bytes());
        }
        let all = said.take();
        assert_eq!(all.len(), FIRST + 1 + LATEST);
        assert_eq!(all[FIRST - 1], b"19\n");
        assert_eq!(all[FIRST], b"(880 more are left out here)\n");
        assert_eq!(all[FIRST + 1], b"900\n");
        assert_eq!(all.last().unwrap(), b"999\n");
        assert!(said.take().is_empty());
    }

    #[test]
    fn lines_of_the_log_are_shown_without_colours_and_a_second_time() {
        let line = "\x1b[2m2026-01-02T03:04:05.678901Z\x1b[0m \x1b[33m WARN\x1b[0m it is lost";
        assert_eq!(plain(line), "WARN it is lost");
        assert_eq!(plain("the node is ready"), "the node is ready");
        assert_eq!(plain("torn \x1b[3"), "torn ");
    }
}
