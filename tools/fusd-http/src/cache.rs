//! What has been read of pages, block by block, as far as there is room: one cache for all readers.
//!
//! The limit is one of memory. Blocks that readers wait for or that are on their way count as well, and
//! so does what a request needs besides; where they need more, less is kept.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use lru::LruCache;

/// A block, in bytes: what a read of less has the server send.
pub(crate) const BLOCK: u64 = 32 << 10;

/// The same, as memory.
const ROOM: usize = BLOCK as usize;

/// The most that hyper reads at once from a connection, in bytes, as memory.
pub(crate) const WHOLE: usize = 13 * ROOM;

/// What a request needs while its answer comes, in bytes: hyper reads 8 KiB at a time from a
/// connection at first, and up to 408 KiB from a fast one; most are none of either.
const UNDER_WAY: usize = 128 << 10;

/// How many pieces of memory are kept for the next blocks.
const SPARE: usize = 32;

/// The cache. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Cache(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// In bytes.
    limit: usize,
    memory: Arc<Memory>,
    /// By version and number, the ones used last first. Its lock comes before that of spare memory.
    kept: Mutex<LruCache<(u64, u64), Bytes>>,
}

/// What blocks are made of.
#[derive(Debug, Default)]
struct Memory {
    /// Blocks that somebody has.
    blocks: AtomicUsize,
    requests: AtomicUsize,
    spare: Mutex<Vec<Vec<u8>>>,
}

/// The memory of a block, which goes back once nobody has the block any more.
#[derive(Debug)]
pub(crate) struct Part {
    bytes: Vec<u8>,
    memory: Arc<Memory>,
}

/// What has come from the network, as it was read: it counts as long as there is any slice of it.
#[derive(Debug)]
struct Whole {
    bytes: Bytes,
    memory: Arc<Memory>,
}

/// What a request needs, until it is dropped.
#[derive(Debug)]
pub(crate) struct UnderWay(Arc<Memory>);

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
    pub(crate) fn get(&self, version: u64, block: u64) -> Option<Bytes> {
        self.lock().get(&(version, block)).cloned()
    }

    /// Blocks that are wanted now, if all of them are there.
    pub(crate) fn get_all(&self, version: u64, blocks: Range<u64>) -> Option<Vec<Bytes>> {
        let mut kept = self.lock();
        let get = |block| kept.get(&(version, block)).cloned();
        blocks.map(get).collect()
    }

    /// Whether a block is there that may be wanted later.
    pub(crate) fn has(&self, version: u64, block: u64) -> bool {
        self.lock().contains(&(version, block))
    }

    /// Memory for the next block.
    pub(crate) fn part(&self) -> Part {
        let memory = Arc::clone(&self.0.memory);
        memory.blocks.fetch_add(1, Ordering::Relaxed);
        let spare = memory.lock().pop();
        let bytes = spare.unwrap_or_else(|| Vec::with_capacity(ROOM));
        Part { bytes, memory }
    }

    /// The same bytes, of which slices become blocks that are let go soon. At most [`WHOLE`].
    pub(crate) fn whole(&self, bytes: Bytes) -> Bytes {
        let memory = Arc::clone(&self.0.memory);
        memory.blocks.fetch_add(WHOLE / ROOM, Ordering::Relaxed);
        Bytes::from_owner(Whole { bytes, memory })
    }

    /// Counts a request.
    pub(crate) fn under_way(&self) -> UnderWay {
        let memory = Arc::clone(&self.0.memory);
        memory.requests.fetch_add(1, Ordering::Relaxed);
        UnderWay(memory)
    }

    /// Keeps a block, and lets go of those that nobody has used for the longest time.
    pub(crate) fn put(&self, version: u64, block: u64, content: &Bytes) {
        let mut kept = self.lock();
        kept.put((version, block), content.clone());
        while self.0.memory.used(self.0.limit) > self.0.limit {
            if kept.pop_lru().is_none() {
                break;
            }
        }
    }

    /// Keeps these blocks no longer.
    pub(crate) fn let_go(&self, version: u64, blocks: Range<u64>) {
        let mut kept = self.lock();
        for block in blocks {
            kept.pop(&(version, block));
        }
    }

    fn lock(&self) -> MutexGuard<'_, LruCache<(u64, u64), Bytes>> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    /// In bytes. Many requests leave most of a small cache to what it is for.
    fn used(&self, limit: usize) -> usize {
        let requests = self.requests.load(Ordering::Relaxed) * UNDER_WAY;
        self.blocks.load(Ordering::Relaxed) * ROOM + requests.min(limit / 4)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Part {
    /// How many bytes it has.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Adds bytes, of which there are [`BLOCK`] at most in all.
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }
}

impl AsRef<[u8]> for Part {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl From<Part> for Bytes {
    fn from(part: Part) -> Self {
        Self::from_owner(part)
    }
}

impl AsRef<[u8]> for Whole {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        self.memory
            .blocks
            .fetch_sub(WHOLE / ROOM, Ordering::Relaxed);
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.memory.blocks.fetch_sub(1, Ordering::Relaxed);
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        let mut spare = self.memory.lock();
        if spare.len() < SPARE {
            spare.push(bytes);
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The most recently used versions of pages: those who ask for the same one share its blocks.
pub(crate) type Recent<K, V> = LruCache<K, V>;

/// How many versions are remembered that nobody reads.
pub(crate) const VERSIONS: NonZeroUsize = NonZeroUsize::new(64).expect("64 is not 0");

#[cfg(test)]
mod tests {
    use super::*;

    fn put(cache: &Cache, block: u64) -> Bytes {
        let mut part = cache.part();
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
        let _requests = [cache.under_way(), cache.under_way()];
        put(&cache, 8);
        assert_eq!(there(&cache), [6, 7, 8]);
    }
    #[test]
    fn a_slice_counts_for_all_that_it_keeps() {
        let cache = Cache::new(20 * ROOM);
        let whole = cache.whole(Bytes::from(vec![0; WHOLE]));
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
