//! How far a call has come, and what there is to be seen to when it ends: one number, so that each step
//! is taken at once, and all that the end of a call has to ask for is at hand with it.

use std::sync::atomic::{AtomicU64, Ordering};

/// How a call has ended; none of the bits: it is pending.
const ENDED: u64 = ANSWERED | ABANDONED;
const ANSWERED: u64 = 1 << 0;
const ABANDONED: u64 = 1 << 1;

/// It may be in the link's table.
const TABLED: u64 = 1 << 2;
/// It waits in a queue of the library's.
const PARKED: u64 = 1 << 3;
/// There has been a notice.
const NOTICED: u64 = 1 << 4;

/// From here on, the bytes that have been taken.
const TAKEN: u32 = 32;

/// The stage of one call. It ends once.
#[derive(Debug, Default)]
pub(super) struct Stage(AtomicU64);

/// How a call ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    Answered,
    Abandoned,
}

/// How things were with a call as it ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Left(u64);

impl Left {
    /// Nothing had been noted.
    #[inline]
    pub(super) fn is_plain(self) -> bool {
        self.0 == 0
    }

    /// Bytes of it that had been taken.
    pub(super) fn taken(self) -> u32 {
        // Lossless: the upper half.
        (self.0 >> TAKEN) as u32
    }

    /// Whether it may be in the link's table.
    pub(super) fn is_tabled(self) -> bool {
        self.0 & TABLED != 0
    }

    /// Whether there was a notice.
    pub(super) fn has_notice(self) -> bool {
        self.0 & NOTICED != 0
    }
}

impl Stage {
    /// Makes it that of a new call. What had been noted of the one before.
    #[inline]
    pub(super) fn renew(&mut self) -> Left {
        Left(std::mem::take(self.0.get_mut()))
    }

    #[inline]
    pub(super) fn is_pending(&self) -> bool {
        self.0.load(Ordering::SeqCst) & ENDED == 0
    }

    #[inline]
    pub(super) fn is_abandoned(&self) -> bool {
        self.0.load(Ordering::Acquire) & ABANDONED != 0
    }

    pub(super) fn is_parked(&self) -> bool {
        self.0.load(Ordering::Acquire) & PARKED != 0
    }

    /// Ends the call; `None`: it had ended before.
    #[inline]
    pub(super) fn leave(&self, end: End) -> Option<Left> {
        let end = match end {
            End::Answered => ANSWERED,
            End::Abandoned => ABANDONED,
        };
        self.while_pending(|state| state | end)
    }

    /// Notes that `total` bytes have been taken. False: the call has ended.
    pub(super) fn take(&self, total: u32) -> bool {
        let rest = (1 << TAKEN) - 1;
        let taken = u64::from(total) << TAKEN;
        self.while_pending(|state| state & rest | taken).is_some()
    }

    /// Notes that it is about to be put into the table. False: it has ended, and need not be.
    pub(super) fn table(&self) -> bool {
        self.note(TABLED) & ENDED == 0
    }

    /// Notes that it waits in a queue, and nothing of it has been done.
    pub(super) fn park(&self) {
        self.note(PARKED);
    }

    /// Notes that there is a notice. False: the client has stopped waiting before.
    pub(super) fn expect_notice(&self) -> bool {
        self.note(NOTICED) & ABANDONED == 0
    }

    fn note(&self, bit: u64) -> u64 {
        self.0.fetch_or(bit, Ordering::SeqCst)
    }

    /// Replaces it by what `next` makes of it, if the call is pending. How it was.
    #[inline]
    fn while_pending(&self, next: impl Fn(u64) -> u64) -> Option<Left> {
        let order = (Ordering::SeqCst, Ordering::Acquire);
        let next = |state| (state & ENDED == 0).then(|| next(state));
        let before = self.0.fetch_update(order.0, order.1, next);
        before.ok().map(Left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_ends_once_and_says_how_things_were() {
        let stage = Stage::default();
        assert!(stage.is_pending());
        assert!(stage.table() && stage.expect_notice() && stage.take(7) && stage.take(9));
        let left = stage.leave(End::Answered).unwrap();
        assert_eq!(left.taken(), 9);
        assert!(left.is_tabled() && left.has_notice() && !left.is_plain());
        assert!(!stage.is_pending() && !stage.is_abandoned());
        assert!(stage.leave(End::Abandoned).is_none() && !stage.take(10));
        assert!(!stage.is_abandoned(), "the first one counts");
    }

    #[test]
    fn what_is_noted_too_late_is_told_so() {
        let mut stage = Stage::default();
        let left = stage.leave(End::Abandoned).unwrap();
        assert!(left.is_plain() && !left.is_tabled() && !left.has_notice() && left.taken() == 0);
        assert!(!stage.table() && !stage.expect_notice());
        assert!(stage.renew().has_notice());
        assert!(stage.is_pending() && !stage.is_parked());
        stage.park();
        assert!(stage.is_parked() && stage.is_pending());
    }

    #[test]
    fn an_answered_call_can_still_be_given_a_notice() {
        let stage = Stage::default();
        stage.leave(End::Answered).unwrap();
        assert!(stage.expect_notice(), "the client has not stopped waiting");
    }
}
