//! A page that the server gives in parts: what one open file has of it.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::body::Body;
use crate::cache::{BLOCK, Cache, GRAIN};
use crate::demand::Demand;
use crate::exchange::Exchange;
use crate::fetch::Fetch;
use crate::grid::Grid;
use crate::orders::Order;
use crate::piece::{Block, Piece, cut};
use crate::readahead::ReadAhead;
use crate::version::Version;

/// How many requests one reader has for what is read next: one whose answer goes on, the one before it,
/// and one for what the cache has let go.
const HELD: usize = 3;

/// How many blocks stay behind a reader of whom no more is kept.
const BEHIND: u64 = 32;

/// Up to so many bytes are read in grains by who jumps about.
const LITTLE: u64 = 4 * GRAIN;

/// The parts that all readers share.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) runtime: Handle,
    pub(crate) exchange: Exchange,
    pub(crate) cache: Cache,
    pub(crate) demand: Demand,
    /// The most that is asked for before it is read, in bytes.
    pub(crate) read_ahead: usize,
    /// One answer may last for as long as somebody reads on.
    pub(crate) may_last: bool,
    /// Room for answers that go on beyond what is wanted.
    pub(crate) lasting: Arc<Semaphore>,
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
    /// The block up to which all that is read next has been asked for.
    asked: u64,
    /// The block up to which has been let go of what was read.
    passed: u64,
    /// Requests for what is read next, which nobody waits for yet, the oldest first.
    held: VecDeque<Arc<Fetch>>,
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
        let there = |block| ranged.is_there(&ranged.version.blocks, block);
        // Where others have read it before, the answer is not waited for.
        if !blocks.clone().all(there) {
            let begun = (body, end);
            let fetch = Fetch::go_on(&ranged.parts, &ranged.version, blocks, begun);
            ranged.lock().held.push_back(fetch);
        }
        ranged
    }

    /// The length of the page in bytes.
    pub(crate) fn total(&self) -> u64 {
        self.version.total
    }

    /// Notes a read at `offset` of `length` bytes, in the order in which they are made: asks for what is
    /// read next.
    pub(crate) fn note(&self, offset: u64, length: usize) {
        self.go_on(&mut self.lock(), &self.place(offset, length));
    }

    /// What such a read is made of, which has been noted; asks for what is not there.
    pub(crate) fn piece(&self, offset: u64, length: usize) -> Piece {
        let range = self.place(offset, length);
        let grid = self.grid(&self.lock(), &range);
        let blocks = match range.is_empty() {
            true => Vec::new(),
            false => {
                let blocks = grid.blocks(&range);
                let last = blocks.end;
                blocks.map(|block| self.block(grid, block, last)).collect()
            }
        };
        let size = grid.size;
        Piece {
            blocks,
            range,
            size,
        }
    }

    /// What such a read gives, if all of it is kept: nobody is waited for.
    pub(crate) fn kept(&self, offset: u64, length: usize) -> Option<Vec<Bytes>> {
        let range = self.place(offset, length);
        if range.is_empty() {
            return None;
        }
        let get = |grid: &Grid| {
            let blocks = self.parts.cache.get_all(grid.id, grid.blocks(&range))?;
            Some(cut(blocks, &range, grid.size))
        };
        let bytes = get(&self.version.blocks).or_else(|| get(&self.version.grains))?;
        self.go_on(&mut self.lock(), &range);
        Some(bytes)
    }

    /// What of the page a read at `offset` of `length` bytes gives.
    fn place(&self, offset: u64, length: usize) -> Range<u64> {
        let start = offset.min(self.total());
        start..offset.saturating_add(length as u64).min(self.total())
    }

    /// What a read of `range` is asked for in: grains, where the reader jumps about in a page of which not
    /// all blocks could be kept.
    fn grid(&self, state: &State, range: &Range<u64>) -> &Arc<Grid> {
        let version = &*self.version;
        let jumps = state.ahead.jumps_about() && range.end - range.start <= LITTLE;
        let fine = jumps && self.total() > self.parts.cache.limit() as u64;
        let there = |block| self.is_there(&version.blocks, block);
        match fine && !version.blocks.blocks(range).any(there) {
            true => &version.grains,
            false => &version.blocks,
        }
    }

    /// The reader reads `range`: asks for what is read next.
    fn go_on(&self, state: &mut State, range: &Range<u64>) {
        let blocks = self.version.blocks.blocks(range);
        let (first, last) = (blocks.start, blocks.end);
        let length = range.end - range.start;
        let window = state.ahead.note(range.start, length, self.most_ahead());
        // What is far away from where the reader has gone is not wanted any more.
        if window == 0 {
            (state.asked, state.passed) = (0, 0);
        }
        let edge = last + window.div_ceil(BLOCK);
        state
            .held
            .retain(|fetch| fetch.orders().is_near(first, edge));
        if window > 0 {
            self.let_go(state, first);
            self.hurry(state, blocks, window);
        }
    }

    /// Nobody waits any more: what was asked for before it is read is not wanted either.
    pub(crate) fn forget(&self) {
        let mut state = self.lock();
        state.asked = 0;
        state.held.clear();
    }

    /// A block; where nobody brings it, asks for it, and for all that is missing up to `last`.
    fn block(&self, grid: &Arc<Grid>, block: u64, last: u64) -> Block {
        let kept = || self.parts.cache.get(grid.id, block);
        if let Some(bytes) = kept() {
            return Block::Ready(bytes);
        }
        if let Some(coming) = grid.wait_for(block) {
            return Block::Coming(coming);
        }
        // It may have come meanwhile.
        if let Some(bytes) = kept() {
            return Block::Ready(bytes);
        }
        let end = (block + 1..last).find(|next| self.is_there(grid, *next));
        let blocks = block..end.unwrap_or(last);
        Block::Coming(Fetch::order(&self.parts, &self.version, grid, blocks))
    }

    /// Asks for what a reader reads who has read `now` and reads on, unless enough of it is there.
    fn hurry(&self, state: &mut State, now: Range<u64>, window: u64) {
        let end = (self.total().div_ceil(BLOCK)).min(now.end + window.div_ceil(BLOCK));
        // One request for much, not many for little.
        let is_enough = |edge: u64| edge > now.end && (edge - now.end) * BLOCK * 2 > window;
        if is_enough(state.asked.min(end)) {
            return;
        }
        let there = |block: u64| self.is_there(&self.version.blocks, block);
        let edge = (now.start..end).find(|block| !there(*block));
        state.asked = edge.unwrap_or(end);
        let Some(edge) = edge.filter(|edge| !is_enough(*edge)) else {
            return;
        };
        let passing = self.passes(&state.ahead);
        let extend = |fetch: &Arc<Fetch>| fetch.orders().extend(edge, end, passing);
        if let Some(stop) = state.held.iter().find_map(extend) {
            state.asked = stop;
            return;
        }
        let more = match self.parts.may_last {
            true => state.ahead.request(window).div_ceil(BLOCK),
            false => 0,
        };
        let last = self.total().div_ceil(BLOCK).min(end.max(edge + more));
        let next = (edge + 1..end).find(|block| there(*block));
        let blocks = edge..next.unwrap_or(last);
        let order = Order {
            stop: end.min(blocks.end),
            blocks,
            passing,
        };
        state.asked = order.stop;
        let fetch = Fetch::begin(&self.parts, &self.version, &order);
        state.held.push_back(fetch);
        if state.held.len() > HELD {
            state.held.pop_front();
        }
    }

    /// Whether a reader reads so much that nothing of it could be kept until it is read again. Others may
    /// come after the only reader, who have not.
    fn passes(&self, ahead: &ReadAhead) -> bool {
        let limit = self.parts.cache.limit() as u64;
        let is_alone = self.parts.readers.load(Ordering::Relaxed) == 1;
        is_alone && self.total() > limit && ahead.run() > limit / 8
    }

    /// Lets go of what is behind a reader who passes.
    fn let_go(&self, state: &mut State, first: u64) {
        if self.passes(&state.ahead) {
            let end = first.saturating_sub(BEHIND);
            let start = state.passed.max(end.saturating_sub(BEHIND));
            self.parts.cache.let_go(self.version.blocks.id, start..end);
            state.passed = end;
        }
    }

    fn is_there(&self, grid: &Grid, block: u64) -> bool {
        self.parts.cache.has(grid.id, block) || grid.is_coming(block)
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
