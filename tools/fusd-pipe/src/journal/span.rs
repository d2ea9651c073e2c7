//! Where bytes of a pipe are in its journal.

use std::collections::VecDeque;

/// A run of bytes, by their positions in all that was ever written to the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// The position of the first.
    pub(crate) at: u64,
    /// How many there are.
    pub(crate) len: u64,
}

impl Span {
    /// The position of bytes that the journal does not have.
    const NOWHERE: u64 = u64::MAX;

    pub(crate) fn end(self) -> u64 {
        self.at.saturating_add(self.len)
    }

    fn is_nowhere(self) -> bool {
        self.at == Self::NOWHERE
    }

    /// Takes off the first bytes.
    fn split_off_front(&mut self, len: u64) -> Self {
        let front = Self { at: self.at, len };
        self.len -= len;
        if !self.is_nowhere() {
            self.at += len;
        }
        front
    }
}

/// Bytes in a row, of which neighbours may come from different places.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spans {
    spans: VecDeque<Span>,
    len: u64,
}

impl Spans {
    /// Bytes in all.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Adds bytes at the end.
    pub(crate) fn push(&mut self, span: Span) {
        if span.len == 0 {
            return;
        }
        self.len += span.len;
        match self.spans.back_mut() {
            Some(last) if !span.is_nowhere() && last.end() == span.at => last.len += span.len,
            _ => self.spans.push_back(span),
        }
    }

    /// Takes the first bytes, at most `len` of them.
    pub(crate) fn take_front(&mut self, len: u64) -> Self {
        let mut taken = Self::default();
        let mut left = len;
        while left > 0
            && let Some(front) = self.spans.front_mut()
        {
            let piece = front.split_off_front(left.min(front.len));
            if front.len == 0 {
                self.spans.pop_front();
            }
            left -= piece.len;
            self.len -= piece.len;
            taken.push(piece);
        }
        taken
    }

    /// Puts `front` before all others. It stands for `len` bytes: those it does not have are
    /// nowhere in the journal.
    pub(crate) fn put_front(&mut self, mut front: Self, len: u64) {
        front.push(Span {
            at: Span::NOWHERE,
            len: len.saturating_sub(front.len),
        });
        for span in front.spans.into_iter().rev() {
            self.len += span.len;
            self.spans.push_front(span);
        }
    }

    /// Takes off the last bytes until `len` are left.
    pub(crate) fn truncate(&mut self, len: u64) {
        while self.len > len
            && let Some(last) = self.spans.back_mut()
        {
            let piece = last.len.min(self.len - len);
            last.len -= piece;
            self.len -= piece;
            if last.len == 0 {
                self.spans.pop_back();
            }
        }
    }

    /// Those that the journal has.
    pub(crate) fn known(self) -> impl Iterator<Item = Span> {
        self.spans.into_iter().filter(|span| !span.is_nowhere())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(list: &[(u64, u64)]) -> Spans {
        let mut spans = Spans::default();
        list.iter()
            .for_each(|&(at, len)| spans.push(Span { at, len }));
        spans
    }

    #[test]
    fn neighbours_are_one() {
        assert_eq!(spans(&[(0, 5), (5, 5)]), spans(&[(0, 10)]));
        assert_eq!(spans(&[(0, 5), (6, 5)]).spans.len(), 2);
        assert_eq!(spans(&[(3, 0)]), Spans::default());
    }

    #[test]
    fn both_ends_can_be_taken_off() {
        let mut all = spans(&[(0, 5), (10, 5)]);
        assert_eq!(all.take_front(7), spans(&[(0, 5), (10, 2)]));
        assert_eq!(all, spans(&[(12, 3)]));
        all.truncate(1);
        assert_eq!(all, spans(&[(12, 1)]));
        assert_eq!(all.take_front(9), spans(&[(12, 1)]));
        assert_eq!(all.len(), 0);
    }

    #[test]
    fn what_comes_back_is_first_and_may_be_unknown() {
        let mut all = spans(&[(10, 5)]);
        all.put_front(spans(&[(2, 3)]), 3);
        assert_eq!(all, spans(&[(2, 3), (10, 5)]));
        all.put_front(Spans::default(), 4);
        assert_eq!(all.len(), 12);
        let known: Vec<_> = all.take_front(6).known().collect();
        assert_eq!(known, [Span { at: 2, len: 2 }]);
    }
}
