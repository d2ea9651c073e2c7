//! What has been read of pages, block by block, as far as there is room: one cache for all readers.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use lru::LruCache;

/// A block, in bytes: what a read of less has the server send.
pub(crate) const BLOCK: u64 = 32 << 10;

/// The cache. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Cache(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// In bytes.
    limit: usize,
    blocks: Mutex<Blocks>,
}

#[derive(Debug)]
struct Blocks {
    /// By version and number, the ones used last first.
    kept: LruCache<(u64, u64), Bytes>,
    bytes: usize,
}

impl Cache {
    /// Keeps at most `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        let blocks = Blocks {
            kept: LruCache::unbounded(),
            bytes: 0,
        };
        Self(Arc::new(Shared {
            limit,
            blocks: Mutex::new(blocks),
        }))
    }

    pub(crate) fn limit(&self) -> usize {
        self.0.limit
    }

    /// A block that is wanted now.
    pub(crate) fn get(&self, version: u64, block: u64) -> Option<Bytes> {
        self.lock().kept.get(&(version, block)).cloned()
    }

    /// Whether a block is there that may be wanted later.
    pub(crate) fn has(&self, version: u64, block: u64) -> bool {
        self.lock().kept.contains(&(version, block))
    }

    /// Keeps a block, and lets go of those that nobody has used for the longest time.
    pub(crate) fn put(&self, version: u64, block: u64, content: Bytes) {
        let mut blocks = self.lock();
        blocks.bytes += content.len();
        let replaced = blocks.kept.put((version, block), content);
        blocks.bytes -= replaced.map_or(0, |old| old.len());
        while blocks.bytes > self.0.limit {
            let Some((_, old)) = blocks.kept.pop_lru() else {
                break;
            };
            blocks.bytes -= old.len();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Blocks> {
        self.0.blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The most recently used versions of pages: those who ask for the same one share its blocks.
pub(crate) type Recent<K, V> = LruCache<K, V>;

/// How many versions are remembered that nobody reads.
pub(crate) const VERSIONS: NonZeroUsize = NonZeroUsize::new(64).expect("64 is not 0");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_last_stays() {
        let cache = Cache::new(30);
        let block = Bytes::from_static(&[0; 10]);
        for number in 0..3 {
            cache.put(1, number, block.clone());
        }
        assert!(cache.get(1, 0).is_some());
        cache.put(1, 3, block.clone());
        let there: Vec<_> = (0..4).filter(|it| cache.has(1, *it)).collect();
        assert_eq!(there, [0, 2, 3]);
        assert!(cache.get(2, 0).is_none(), "another version");
    }

    #[test]
    fn a_block_that_is_replaced_counts_once() {
        let cache = Cache::new(30);
        for _ in 0..5 {
            cache.put(1, 0, Bytes::from_static(&[0; 20]));
        }
        assert!(cache.has(1, 0));
        cache.put(1, 1, Bytes::from_static(&[0; 40]));
        assert!(!cache.has(1, 1), "larger than the whole cache");
        assert_eq!(cache.lock().bytes, 0);
    }
}
