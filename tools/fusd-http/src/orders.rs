//! What is wanted of a request for blocks, and who waits for which of them.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use fusd::Errno;
use tokio::sync::{Notify, oneshot};

use crate::failure::Failure;

/// So many blocks are not worth breaking off a connection.
const LITTLE: u64 = 4;

/// What to ask for.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) blocks: Range<u64>,
    /// The first of them that is not wanted yet.
    pub(crate) stop: u64,
    /// They are let go once they have been read.
    pub(crate) passing: bool,
}

/// What is wanted, for those who want it and for the task that brings it.
#[derive(Debug)]
pub(crate) struct Orders {
    /// The size of a block, in bytes.
    size: u64,
    /// The block behind the last that can be brought.
    end: u64,
    state: Mutex<State>,
    /// More is wanted.
    more: Notify,
}

#[derive(Debug)]
struct State {
    /// The block that comes next.
    next: u64,
    /// The block that is not wanted yet.
    stop: u64,
    /// Its blocks are let go soon: they need not be copied.
    passing: bool,
    /// It comes to nothing more.
    has_failed: bool,
    waiting: Vec<(u64, oneshot::Sender<Brought>)>,
}

/// A block, or why it does not come.
pub(crate) type Brought = Result<Bytes, Failure>;

/// Tells all who still wait that nothing more comes: also where the task panics, as they themselves keep
/// the orders.
pub(crate) struct Teller(pub(crate) Arc<Orders>);

impl Order {
    /// All of `blocks`, now.
    pub(crate) fn of(blocks: Range<u64>) -> Self {
        Self {
            stop: blocks.end,
            blocks,
            passing: false,
        }
    }
}

impl Orders {
    /// `size`: of a block, in bytes.
    pub(crate) fn new(order: &Order, size: u64) -> Self {
        Self {
            size,
            end: order.blocks.end,
            state: Mutex::new(State {
                next: order.blocks.start,
                stop: order.stop,
                passing: order.passing,
                has_failed: false,
                waiting: Vec::new(),
            }),
            more: Notify::new(),
        }
    }

    /// Whether a block is wanted that is not there yet.
    pub(crate) fn brings(&self, block: u64) -> bool {
        self.lock().brings(block)
    }

    /// Has whoever asks get a block, if it is wanted and not there yet.
    pub(crate) fn wait_for(&self, block: u64) -> Option<oneshot::Receiver<Brought>> {
        let mut state = self.lock();
        if !state.brings(block) {
            return None;
        }
        let (here, there) = oneshot::channel();
        state.waiting.push((block, here));
        Some(there)
    }

    /// Wants all blocks before `stop`, as far as they can be brought, which are let go once they have been
    /// read if they are `passing`. Gives the block behind the last of them; nothing where `block` is none.
    pub(crate) fn extend(&self, block: u64, stop: u64, passing: bool) -> Option<u64> {
        let mut state = self.lock();
        let goes_on = !state.has_failed && (state.next..self.end).contains(&block);
        if !goes_on || block > state.edge() {
            return None;
        }
        state.stop = state.stop.max(stop.min(self.end));
        state.passing = passing;
        let stop = state.stop;
        drop(state);
        self.more.notify_one();
        Some(stop)
    }

    /// Whether it is of use to somebody who reads from block `first` to block `edge`.
    pub(crate) fn is_near(&self, first: u64, edge: u64) -> bool {
        let state = self.lock();
        if state.has_failed || state.next >= self.end {
            return false;
        }
        // What has come with the last that was wanted takes it no farther away.
        let here = state.next.min(state.stop);
        // Of little that is left, the end is sooner there than another connection.
        self.end - state.next <= LITTLE || state.edge() >= first && here <= edge
    }

    /// The byte of the page up to which all is wanted.
    pub(crate) fn stop(&self) -> u64 {
        self.lock().stop * self.size
    }

    /// Whether the blocks are let go once they have been read.
    pub(crate) fn are_passing(&self) -> bool {
        self.lock().passing
    }

    /// Resolves when more may be wanted than was before.
    pub(crate) async fn more(&self) {
        self.more.notified().await;
    }

    /// A block has come, and is in the cache. Who waits for it gets it, whatever the cache keeps.
    pub(crate) fn give(&self, block: u64, content: &Bytes) {
        let mut state = self.lock();
        state.next = block + 1;
        // They come in order, and nobody begins to wait for one that has come.
        debug_assert!(state.waiting.iter().all(|it| it.0 >= block));
        for (_, waiting) in state.waiting.extract_if(.., |it| it.0 == block) {
            // It may have gone.
            let _ = waiting.send(Ok(content.clone()));
        }
    }

    /// No more come.
    pub(crate) fn fail(&self, failure: &Failure) {
        let mut state = self.lock();
        state.has_failed = true;
        for (_, waiting) in state.waiting.drain(..) {
            // As above.
            let _ = waiting.send(Err(failure.clone()));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The first block that has neither come nor is wanted.
    fn edge(&self) -> u64 {
        // What has come with the last that was wanted is more than that.
        self.stop.max(self.next)
    }

    fn brings(&self, block: u64) -> bool {
        !self.has_failed && (self.next..self.stop).contains(&block)
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        self.0.fail(&ended());
    }
}

/// Nobody says why.
pub(crate) fn ended() -> Failure {
    Failure::new(Errno::EIO, "the request has ended before its time")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_come_beyond_what_was_wanted_is_near() {
        let order = Order {
            blocks: 29..100,
            stop: 20,
            passing: false,
        };
        let orders = Orders::new(&order, 1);
        assert!(orders.is_near(0, 24), "9 blocks ahead, and the reader 4");
        assert!(!orders.is_near(0, 19), "far ahead");
        assert!(!orders.is_near(30, 40), "far behind");
        assert_eq!(orders.extend(29, 200, true), Some(100), "as far as it goes");
        assert!(orders.are_passing());
    }
}
