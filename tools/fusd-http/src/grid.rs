//! A version of a page as blocks of one size: where they are kept, and which requests bring them.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::fetch::{Coming, Fetch};

/// A version as blocks of one size.
#[derive(Debug)]
pub(crate) struct Grid {
    /// Its name in the cache.
    pub(crate) id: u64,
    /// The size of a block, in bytes.
    pub(crate) size: u64,
    /// Requests under way for blocks of it.
    fetches: Mutex<Vec<Weak<Fetch>>>,
}

impl Grid {
    pub(crate) fn new(id: u64, size: u64) -> Self {
        Self {
            id,
            size,
            fetches: Mutex::default(),
        }
    }

    /// The blocks that these bytes of the page are in.
    pub(crate) fn blocks(&self, range: &Range<u64>) -> Range<u64> {
        let first = range.start / self.size;
        first..range.end.div_ceil(self.size).max(first)
    }

    /// Whether a request brings a block.
    pub(crate) fn is_coming(&self, block: u64) -> bool {
        let fetches = self.lock();
        let mut alive = fetches.iter().filter_map(Weak::upgrade);
        alive.any(|fetch| fetch.orders().brings(block))
    }

    /// A block, if a request brings it.
    pub(crate) fn wait_for(&self, block: u64) -> Option<Coming> {
        let fetches = self.lock();
        let mut alive = fetches.iter().filter_map(Weak::upgrade);
        alive.find_map(|fetch| fetch.wait_for(block))
    }

    /// Has others find `fetch`.
    pub(crate) fn share(&self, fetch: &Arc<Fetch>) {
        let mut fetches = self.lock();
        fetches.retain(|fetch| fetch.strong_count() > 0);
        fetches.push(Arc::downgrade(fetch));
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<Fetch>>> {
        self.fetches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_in_blocks() {
        let grid = Grid::new(0, 10);
        assert_eq!(grid.blocks(&(0..1)), 0..1);
        assert_eq!(grid.blocks(&(9..21)), 0..3);
        assert_eq!(grid.blocks(&(10..20)), 1..2);
        assert!(grid.blocks(&(10..10)).is_empty());
    }
}
