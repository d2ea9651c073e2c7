//! What has been read of pages, block by block, as far as there is room: one cache for all readers.
//!
//! The limit is one of memory. Blocks that readers wait for or that are on their way count as well, and
//! so does what a request needs besides; where they need more, less is kept.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use lru::LruCache;

use crate::memory::Memory;

/// A block, in bytes: what a read of less has the server send.
pub(crate) const BLOCK: u64 = 32 << 10;

/// A small block, in bytes, for readers to whom what is around a read is of no use.
pub(crate) const GRAIN: u64 = 4 << 10;

/// The cache. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Cache(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// In bytes.
    limit: usize,
    memory: Arc<Memory>,
    /// By grid and number, the ones used last first. Its lock comes before that of spare memory.
    kept: Mutex<LruCache<(u64, u64), Bytes>>,
}

impl Cache {
    /// Keeps at most `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self(Arc::new(Shared {
            limit,
            memory: Arc::default(),
            kept: Mutex::new(LruCache::unbounded()),
        }))
    }

    pub(crate) fn limit(&self) -> usize {
        self.0.limit
    }

    /// A block that is wanted now.
    pub(crate) fn get(&self, grid: u64, block: u64) -> Option<Bytes> {
        self.lock().get(&(grid, block)).cloned()
    }

    /// Blocks that are wanted now, if all of them are there.
    pub(crate) fn get_all(&self, grid: u64, blocks: Range<u64>) -> Option<Vec<Bytes>> {
        let mut kept = self.lock();
        let get = |block| kept.get(&(grid, block)).cloned();
        blocks.map(get).collect()
    }

    /// Whether a block is there that may be wanted later.
    pub(crate) fn has(&self, grid: u64, block: u64) -> bool {
        self.lock().contains(&(grid, block))
    }

    /// Of what blocks are made.
    pub(crate) fn memory(&self) -> &Arc<Memory> {
        &self.0.memory
    }

    /// Keeps a block, and lets go of those that nobody has used for the longest time.
    pub(crate) fn put(&self, grid: u64, block: u64, content: &Bytes) {
        let mut kept = self.lock();
        kept.put((grid, block), content.clone());
        while self.0.memory.used(self.0.limit) > self.0.limit {
            if kept.pop_lru().is_none() {
                break;
            }
        }
    }

    /// Keeps these blocks no longer.
    pub(crate) fn let_go(&self, grid: u64, blocks: Range<u64>) {
        let mut kept = self.lock();
        for block in blocks {
            kept.pop(&(grid, block));
        }
    }

    fn lock(&self) -> MutexGuard<'_, LruCache<(u64, u64), Bytes>> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The most recently used versions of pages: those who ask for the same one share its blocks.
pub(crate) type Recent<K, V> = LruCache<K, V>;

/// How many versions are remembered that nobody reads.
pub(crate) const VERSIONS: NonZeroUsize = NonZeroUsize::new(64).expect("64 is not 0");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{BESIDES, Part, WHOLE};

    const ROOM: usize = BLOCK as usize + BESIDES;

    fn put(cache: &Cache, block: u64) -> Bytes {
        put_part(cache, cache.memory().part(BLOCK), block)
    }

    fn put_part(cache: &Cache, mut part: Part, block: u64) -> Bytes {
        part.extend(&block.to_le_bytes());
        let content = part.into();
        cache.put(1, block, &content);
        content
    }

    fn there(cache: &Cache) -> Vec<u64> {
        (0..10).filter(|it| cache.has(1, *it)).collect()
    }

    #[test]
    fn what_was_used_last_stays() {
        let cache = Cache::new(3 * ROOM);
        for block in 0..3 {
            put(&cache, block);
        }
        assert_eq!(cache.get(1, 0).as_deref(), Some(&[0; 8][..]));
        put(&cache, 3);
        assert_eq!(there(&cache), [0, 2, 3]);
        assert!(cache.get(2, 0).is_none(), "another version");
    }

    #[test]
    fn a_block_that_is_replaced_counts_once() {
        let cache = Cache::new(3 * ROOM);
        for _ in 0..5 {
            put(&cache, 0);
        }
        put(&cache, 1);
        put(&cache, 2);
        assert_eq!(there(&cache), [0, 1, 2]);
    }

    #[test]
    fn what_somebody_holds_counts_as_well() {
        let cache = Cache::new(4 * ROOM);
        let held: Vec<_> = (0..3).map(|block| put(&cache, block)).collect();
        put(&cache, 3);
        put(&cache, 4);
        assert_eq!(there(&cache), [4], "there is room for one");
        drop(held);
        put(&cache, 5);
        assert_eq!(there(&cache), [4, 5]);
        put(&cache, 6);
        put(&cache, 7);
        let _requests = [cache.memory().under_way(), cache.memory().under_way()];
        put(&cache, 8);
        assert_eq!(there(&cache), [6, 7, 8]);
    }

    #[test]
    fn eight_grains_and_what_they_take_besides_count_as_a_block() {
        let cache = Cache::new(2 * ROOM + 8 * BESIDES);
        put(&cache, 0);
        for grain in 1..=8 {
            put_part(&cache, cache.memory().part(GRAIN), grain);
        }
        assert_eq!(there(&cache), (0..=8).collect::<Vec<_>>());
        put_part(&cache, cache.memory().part(GRAIN), 9);
        assert_eq!(there(&cache), (1..=9).collect::<Vec<_>>());
    }

    #[test]
    fn a_slice_counts_for_all_that_it_keeps() {
        let cache = Cache::new(20 * ROOM);
        let whole = cache.memory().whole(Bytes::from(vec![0; WHOLE]));
        cache.put(1, 0, &whole.slice(..ROOM));
        drop(whole);
        for block in 1..8 {
            put(&cache, block);
        }
        assert_eq!(there(&cache), (0..8).collect::<Vec<_>>(), "20 in all");
        put(&cache, 8);
        assert_eq!(there(&cache), (1..9).collect::<Vec<_>>());
        for block in 9..15 {
            put(&cache, block);
        }
        assert!(cache.has(1, 1), "the whole has gone with its slice");
    }
}
