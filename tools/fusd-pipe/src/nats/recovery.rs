//! What a node of a fifo waits for after an outage before it asks for more.
//!
//! What the server had sent when the connection broke, and the node had not got, the server takes for
//! given out: it gives it out again only when the time for its acknowledgement is over, and newer
//! messages meanwhile. The same holds for a server that was killed and started again: it writes down
//! what it gives out ten times a second (nats-server 2.9.10), whether that has arrived or not.
//! Nobody can ask it for such messages, nor whether they are with another node. So this one takes
//! nothing that is newer until all that is given out is acknowledged, here and elsewhere, or that
//! time is over; then the server gives the old ones first.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::consumer::GivenOut;

/// Pauses between questions: the first, and the longest while messages wait for the answer, and
/// while none do.
const FIRST: Duration = Duration::from_millis(20);
const LONGEST: Duration = Duration::from_secs(1);
const LEISURELY: Duration = Duration::from_secs(30);

/// How much later than it says the server may give a message out again.
const LATE: Duration = Duration::from_secs(1);

/// The time after an outage.
#[derive(Debug)]
pub(super) struct Recovery {
    /// Nothing newer is asked for. Else only what was read is to be looked after.
    pub(super) waits: bool,
    /// What was acknowledged is to be acknowledged again.
    pub(super) repeats: bool,
    until: Instant,
    /// When to ask.
    next: Instant,
    pause: Duration,
}

impl Recovery {
    /// The connection is back, to a server that gives a message out again after `patience`.
    pub(super) fn begin(patience: Duration, waits: bool, repeats: bool) -> Self {
        let now = Instant::now();
        Self {
            waits,
            repeats,
            until: now + patience + LATE,
            next: now,
            pause: FIRST,
        }
    }

    /// Whether it is time to ask what is given out.
    pub(super) fn is_due(&self) -> bool {
        Instant::now() >= self.next
    }

    /// Waits for that time.
    pub(super) async fn due(&self) {
        sleep_until(self.next).await;
    }

    /// Asks again later.
    pub(super) fn put_off(&mut self) {
        let now = Instant::now();
        self.waits &= now < self.until;
        self.next = now + self.pause;
        self.pause = (self.pause * 2).min(match self.waits {
            true => LONGEST,
            false => LEISURELY,
        });
    }

    /// Whether the server can have nothing more for this node that is older than what it would give
    /// it next; `unconfirmed` acknowledgements are on their way there.
    pub(super) fn is_over(given_out: &GivenOut, unconfirmed: usize) -> bool {
        given_out.open == 0 && unconfirmed == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_messages_wait_for_the_answer_or_for_the_time() {
        let mut recovery = Recovery::begin(Duration::from_secs(600), true, false);
        assert!(recovery.is_due(), "it asks at once");
        recovery.put_off();
        assert!(!recovery.is_due(), "and then later");
        for _ in 0..20 {
            recovery.put_off();
        }
        assert!(recovery.waits);
        assert_eq!(recovery.pause, LONGEST);
        recovery.until = Instant::now();
        recovery.put_off();
        assert!(
            !recovery.waits,
            "the server gives the old ones out again now"
        );
    }

    #[test]
    fn it_is_over_when_nothing_is_open() {
        let given_out = |open| GivenOut { open, newest: 9 };
        assert!(Recovery::is_over(&given_out(0), 0));
        assert!(!Recovery::is_over(&given_out(1), 0));
        assert!(!Recovery::is_over(&given_out(0), 1));
    }
}
