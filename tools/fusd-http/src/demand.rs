//! How much may be waited for at a time: what readers wait for is in memory until they have it.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::cache::BLOCK;

/// Room for what readers wait for. Whoever finds none waits for its turn.
#[derive(Debug)]
pub(crate) struct Demand {
    /// In blocks.
    room: Arc<Semaphore>,
    all: u32,
}

/// The room of one read, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    _permit: OwnedSemaphorePermit,
}

impl Demand {
    /// Half of a cache of `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        let blocks = limit as u64 / BLOCK / 2;
        let all = u32::try_from(blocks.max(1)).unwrap_or(u32::MAX);
        let room = Arc::new(Semaphore::new((all as usize).min(Semaphore::MAX_PERMITS)));
        Self { room, all }
    }

    /// Room for a read of `length` bytes, as soon as there is some.
    pub(crate) async fn take(&self, length: usize) -> Turn {
        let room = Arc::clone(&self.room);
        let permit = room.acquire_many_owned(self.blocks(length)).await;
        Turn {
            _permit: permit.expect("nobody closes it"),
        }
    }

    /// One that needs more than there is has all to itself.
    fn blocks(&self, length: usize) -> u32 {
        let blocks = length as u64 / BLOCK + 2;
        u32::try_from(blocks).unwrap_or(u32::MAX).min(self.all)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn a_read_that_needs_more_than_there_is_waits_for_all_of_it() {
        let demand = Demand::new(16 * BLOCK as usize);
        let take = |length| demand.take(length).now_or_never();
        let small = take(1).expect("there is room");
        assert!(take(1 << 20).is_none());
        assert!(take(4 * BLOCK as usize).is_some());
        drop(small);
        let all = take(1 << 20).expect("there is nobody else");
        assert!(take(1).is_none());
        drop(all);
        assert!(take(1).is_some());
    }
}
