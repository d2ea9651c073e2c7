//! Messages that are kept while nobody can read them: the first ones, which tell how it began, and the
//! latest.

use std::collections::VecDeque;

/// How many of the first, and of the latest, are kept at most.
const FIRST: usize = 100;
const LATEST: usize = 1000;

/// The most bytes of the latest ones.
const MOST: usize = 1 << 20;

/// The messages.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    first: Vec<Vec<u8>>,
    latest: VecDeque<Vec<u8>>,
    /// Bytes of the latest ones.
    bytes: usize,
    left_out: usize,
}

impl Kept {
    /// Keeps one: whole lines.
    pub(crate) fn keep(&mut self, lines: &[u8]) {
        if self.first.len() < FIRST {
            return self.first.push(lines.to_vec());
        }
        self.bytes += lines.len();
        self.latest.push_back(lines.to_vec());
        while self.latest.len() > LATEST || self.bytes > MOST {
            let Some(oldest) = self.latest.pop_front() else {
                return;
            };
            self.bytes -= oldest.len();
            self.left_out += 1;
        }
    }

    /// All that is kept, in its order, with a line where some are left out.
    pub(crate) fn into_lines(self) -> Vec<u8> {
        let mut all = self.first.concat();
        if self.left_out > 0 {
            all.extend_from_slice(
                format!("({} more are left out here)\n", self.left_out).as_bytes(),
            );
        }
        for lines in self.latest {
            all.extend_from_slice(&lines);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(kept: Kept) -> Vec<String> {
        let text = String::from_utf8(kept.into_lines()).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_flood_of_messages_keeps_its_beginning_and_its_end() {
        let mut kept = Kept::default();
        for number in 0..5000 {
            kept.keep(format!("{number}\n").as_bytes());
        }
        let all = lines(kept);
        assert_eq!(all.len(), FIRST + 1 + LATEST);
        assert_eq!(all[FIRST - 1], "99");
        assert_eq!(all[FIRST], "(3900 more are left out here)");
        assert_eq!(all[FIRST + 1], "4000");
        assert_eq!(all.last().unwrap(), "4999");
    }

    #[test]
    fn long_messages_take_no_more_room_than_short_ones() {
        let mut kept = Kept::default();
        for _ in 0..FIRST + 3 {
            kept.keep(&[&vec![b'x'; MOST / 2], &b"\n"[..]].concat());
        }
        assert_eq!((kept.latest.len(), kept.left_out), (1, 2));
        kept.keep(&vec![b'x'; MOST + 1]);
        assert_eq!((kept.latest.len(), kept.bytes), (0, 0));
    }

    #[test]
    fn a_few_messages_are_all_there() {
        let mut kept = Kept::default();
        kept.keep(b"one\ntwo\n");
        kept.keep(b"three\n");
        assert_eq!(lines(kept), ["one", "two", "three"]);
        assert!(Kept::default().into_lines().is_empty());
    }
}
