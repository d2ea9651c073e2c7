//! A page that the server gives in parts: what one open file has of it.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::runtime::Handle;

use crate::body::Body;
use crate::cache::{BLOCK, Cache};
use crate::exchange::Exchange;
use crate::failure::Failure;
use crate::fetch::Fetch;
use crate::readahead::ReadAhead;
use crate::version::Version;

/// The parts that all readers share.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) runtime: Handle,
    pub(crate) exchange: Exchange,
    pub(crate) cache: Cache,
    /// The most that is asked for before it is read, in bytes.
    pub(crate) read_ahead: usize,
    pub(crate) readers: AtomicUsize,
}

/// A reader of a version.
#[derive(Debug)]
pub(crate) struct Ranged {
    parts: Arc<Parts>,
    version: Arc<Version>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    ahead: ReadAhead,
    /// Requests for what is read next, which nobody waits for yet.
    held: VecDeque<Arc<Fetch>>,
}

/// A block that is there, or is on its way.
enum Block {
    Ready(Bytes),
    Coming(Arc<Fetch>, u64),
}

/// What a read is made of.
pub(crate) struct Piece {
    blocks: Vec<Block>,
    /// What of the blocks is wanted.
    range: Range<u64>,
}

impl Ranged {
    /// A reader of `version`, whose beginning up to `end` comes with `body`.
    pub(crate) fn new(parts: Arc<Parts>, version: Arc<Version>, body: Body, end: u64) -> Self {
        parts.readers.fetch_add(1, Ordering::Relaxed);
        let ranged = Self {
            parts,
            version,
            state: Mutex::default(),
        };
        let blocks = 0..end.div_ceil(BLOCK);
        let there = |block| ranged.is_there(block);
        // Where others have read it before, the answer is not waited for.
        if !blocks.clone().all(there) {
            let fetch = ranged.fetch(blocks, Some((body, end)));
            ranged.lock().held.push_back(fetch);
        }
        ranged
    }

    /// The length of the page in bytes.
    pub(crate) fn total(&self) -> u64 {
        self.version.total
    }

    /// What a read at `offset` of `length` bytes is made of; asks for what is not there.
    pub(crate) fn piece(&self, offset: u64, length: usize) -> Piece {
        let start = offset.min(self.total());
        let end = offset.saturating_add(length as u64).min(self.total());
        let mut state = self.lock();
        let window = state.ahead.note(start, end - start, self.most_ahead());
        let first = start / BLOCK;
        let last = end.div_ceil(BLOCK).max(first);
        let blocks = match start == end {
            true => Vec::new(),
            false => (first..last).map(|block| self.block(block, last)).collect(),
        };
        // What is far away from where the reader has gone is not wanted any more.
        let edge = last + window.div_ceil(BLOCK);
        state
            .held
            .retain(|fetch| fetch.end() > first && fetch.start() <= edge);
        if window > 0 {
            self.hurry(&mut state, last, window);
        }
        Piece {
            blocks,
            range: start..end,
        }
    }

    /// Nobody waits any more: what was asked for before it is read is not wanted either.
    pub(crate) fn forget(&self) {
        let held = std::mem::take(&mut self.lock().held);
        drop(held);
    }

    /// A block; where nobody brings it, asks for it, and for all that is missing up to `last`.
    fn block(&self, block: u64, last: u64) -> Block {
        if let Some(bytes) = self.parts.cache.get(self.version.id, block) {
            return Block::Ready(bytes);
        }
        if let Some(fetch) = self.version.fetch(block) {
            return match fetch.ready(block) {
                Some(bytes) => Block::Ready(bytes),
                None => Block::Coming(fetch, block),
            };
        }
        let end = (block + 1..last).find(|next| self.is_there(*next));
        let fetch = self.fetch(block..end.unwrap_or(last), None);
        Block::Coming(fetch, block)
    }

    /// Asks for what is behind `last`, unless enough of it is there.
    fn hurry(&self, state: &mut State, last: u64, window: u64) {
        let end = (self.total().div_ceil(BLOCK)).min(last + window.div_ceil(BLOCK));
        let Some(edge) = (last..end).find(|block| !self.is_there(*block)) else {
            return;
        };
        // One request for much, not many for little.
        if (edge - last) * BLOCK * 2 > window {
            return;
        }
        let stop = (edge + 1..end).find(|block| self.is_there(*block));
        let fetch = self.fetch(edge..stop.unwrap_or(end), None);
        state.held.push_back(fetch);
    }

    fn is_there(&self, block: u64) -> bool {
        self.parts.cache.has(self.version.id, block) || self.version.fetch(block).is_some()
    }

    fn fetch(&self, blocks: Range<u64>, begun: Option<(Body, u64)>) -> Arc<Fetch> {
        let parts = &self.parts;
        let version = Arc::clone(&self.version);
        let (exchange, cache) = (parts.exchange.clone(), parts.cache.clone());
        Fetch::begin(&parts.runtime, exchange, cache, version, blocks, begun)
    }

    /// What all readers have asked for shall not fill the cache that it goes to.
    fn most_ahead(&self) -> u64 {
        let readers = self.parts.readers.load(Ordering::Relaxed).max(1);
        let share = self.parts.cache.limit() / 4 / readers;
        self.parts.read_ahead.min(share) as u64
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Ranged {
    fn drop(&mut self) {
        self.parts.readers.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Piece {
    /// The bytes, if all of them are there.
    pub(crate) fn ready(&self) -> Option<Vec<Bytes>> {
        let blocks = self.blocks.iter().map(|block| match block {
            Block::Ready(bytes) => Some(bytes.clone()),
            Block::Coming(fetch, block) => fetch.ready(*block),
        });
        let blocks = blocks.collect::<Option<Vec<_>>>()?;
        Some(cut(blocks, &self.range))
    }

    /// The bytes, once all of them are there.
    ///
    /// # Errors
    /// Some do not come.
    pub(crate) async fn wait(self) -> Result<Vec<Bytes>, Failure> {
        let mut blocks = Vec::with_capacity(self.blocks.len());
        for block in self.blocks {
            blocks.push(match block {
                Block::Ready(bytes) => bytes,
                Block::Coming(fetch, block) => fetch.block(block).await?,
            });
        }
        Ok(cut(blocks, &self.range))
    }
}

/// What of the blocks is in `range`, which begins in the first and ends in the last of them.
fn cut(mut blocks: Vec<Bytes>, range: &Range<u64>) -> Vec<Bytes> {
    // Lossless: less than a block, or what a read has room for.
    let skip = (range.start % BLOCK) as usize;
    let mut left = (range.end - range.start) as usize;
    for (number, block) in blocks.iter_mut().enumerate() {
        let start = if number == 0 { skip } else { 0 };
        let end = block.len().min(start + left);
        *block = block.slice(start..end);
        left -= block.len();
    }
    blocks
}
