//! The position of an open file, where the kernel does not keep it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::Delivery;
use crate::backend::{Answer, total};

/// Where in its file one read or write begins, and the position that it moves.
pub(crate) struct Cursor {
    position: Arc<AtomicU64>,
    start: u64,
}

impl Cursor {
    /// A call at the position, or at `start` whatever that is.
    pub(crate) fn new(position: &Arc<AtomicU64>, start: Option<u64>) -> Self {
        Self {
            position: Arc::clone(position),
            start: start.unwrap_or_else(|| position.load(Ordering::SeqCst)),
        }
    }

    /// Where the call begins, in bytes.
    pub(crate) fn start(&self) -> u64 {
        self.start
    }

    /// Has the call answered by `finish`, and the position moved behind what `answer` transfers.
    ///
    /// The position moves first: once the client has the answer, its next call may be there. If
    /// the answer reaches nobody, it moves back, unless another call has moved it in the meantime;
    /// calls that are under way at the same time have no order, as on any character device.
    pub(crate) fn moved_by<'a>(
        &self,
        answer: Answer<'a>,
        finish: impl FnOnce(Answer<'a>) -> Delivery,
    ) -> Delivery {
        let count: usize = match &answer {
            Answer::Data(parts) => total(parts),
            // Lossless: fusd runs on targets with at least 32 bits.
            Answer::Count(count) => *count as usize,
            _ => return finish(answer),
        };
        let end = self.start.saturating_add(count as u64);
        self.position.store(end, Ordering::SeqCst);
        let delivery = finish(answer);
        if !delivery.is_delivered() {
            let order = (Ordering::SeqCst, Ordering::SeqCst);
            // Fails where another call has moved it.
            let _ = self
                .position
                .compare_exchange(end, self.start, order.0, order.1);
        }
        delivery
    }
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;

    use super::*;
    use crate::Errno;

    fn moved(position: &Arc<AtomicU64>, answer: Answer<'_>, delivery: Delivery) -> u64 {
        Cursor::new(position, None).moved_by(answer, |_| delivery);
        position.load(Ordering::SeqCst)
    }

    #[test]
    fn what_is_delivered_moves_the_position() {
        let position = Arc::new(AtomicU64::new(5));
        let parts = [IoSlice::new(b"abc"), IoSlice::new(b"de")];
        let answers = [(Answer::Data(&parts), 10), (Answer::Count(7), 17)];
        for (answer, end) in answers {
            assert_eq!(moved(&position, answer, Delivery::Delivered), end);
        }
        let error = Answer::Error(Errno::EIO);
        assert_eq!(moved(&position, error, Delivery::Delivered), 17);
    }

    #[test]
    fn what_reaches_nobody_leaves_it() {
        let position = Arc::new(AtomicU64::new(5));
        assert_eq!(moved(&position, Answer::Count(7), Delivery::Unwanted), 5);
        let cursor = Cursor::new(&position, None);
        cursor.moved_by(Answer::Count(7), |_| {
            position.store(100, Ordering::SeqCst);
            Delivery::Unwanted
        });
        assert_eq!(position.load(Ordering::SeqCst), 100, "another call's");
    }

    #[test]
    fn an_append_begins_elsewhere() {
        let position = Arc::new(AtomicU64::new(5));
        let cursor = Cursor::new(&position, Some(50));
        assert_eq!(cursor.start(), 50);
        cursor.moved_by(Answer::Count(2), |_| Delivery::Delivered);
        assert_eq!(position.load(Ordering::SeqCst), 52);
    }
}
