//! A page that the server gives in parts: what one open file has of it.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::body::Body;
use crate::cache::{BLOCK, Cache};
use crate::demand::Demand;
use crate::exchange::Exchange;
use crate::failure::Failure;
use crate::fetch::{Coming, Fetch};
use crate::orders::Order;
use crate::readahead::ReadAhead;
use crate::version::Version;

/// How many requests one reader has for what is read next: one whose answer goes on, the one before it,
/// and one for what the cache has let go.
const HELD: usize = 3;

/// How many blocks stay behind a reader of whom no more is kept.
const BEHIND: u64 = 32;

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

/// A block that is there, or is on its way.
enum Block {
    Ready(Bytes),
    Coming(Coming),
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

    /// What a read at `offset` of `length` bytes is made of; asks for what is not there.
    pub(crate) fn piece(&self, offset: u64, length: usize) -> Piece {
        let (range, blocks) = self.place(offset, length);
        let mut state = self.lock();
        self.go_on(&mut state, &range, &blocks);
        let blocks = match range.is_empty() {
            true => Vec::new(),
            false => {
                let last = blocks.end;
                blocks.map(|block| self.block(block, last)).collect()
            }
        };
        Piece { blocks, range }
    }

    /// What such a read gives, if all of it is kept: nobody is waited for.
    pub(crate) fn kept(&self, offset: u64, length: usize) -> Option<Vec<Bytes>> {
        let (range, blocks) = self.place(offset, length);
        if range.is_empty() {
            return None;
        }
        let bytes = self.parts.cache.get_all(self.version.id, blocks.clone())?;
        self.go_on(&mut self.lock(), &range, &blocks);
        Some(cut(bytes, &range))
    }

    /// What of the page a read at `offset` of `length` bytes gives, and the blocks that it is in.
    fn place(&self, offset: u64, length: usize) -> (Range<u64>, Range<u64>) {
        let start = offset.min(self.total());
        let end = offset.saturating_add(length as u64).min(self.total());
        let first = start / BLOCK;
        (start..end, first..end.div_ceil(BLOCK).max(first))
    }

    /// The reader reads `range`, which is in `blocks`: asks for what is read next.
    fn go_on(&self, state: &mut State, range: &Range<u64>, blocks: &Range<u64>) {
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
            self.hurry(state, first..last, window);
        }
    }

    /// Nobody waits any more: what was asked for before it is read is not wanted either.
    pub(crate) fn forget(&self) {
        let mut state = self.lock();
        state.asked = 0;
        state.held.clear();
    }

    /// A block; where nobody brings it, asks for it, and for all that is missing up to `last`.
    fn block(&self, block: u64, last: u64) -> Block {
        let kept = || self.parts.cache.get(self.version.id, block);
        if let Some(bytes) = kept() {
            return Block::Ready(bytes);
        }
        if let Some(coming) = self.version.wait_for(block) {
            return Block::Coming(coming);
        }
        // It may have come meanwhile.
        if let Some(bytes) = kept() {
            return Block::Ready(bytes);
        }
        let end = (block + 1..last).find(|next| self.is_there(*next));
        let end = end.unwrap_or(last);
        Block::Coming(Fetch::order(&self.parts, &self.version, block..end))
    }

    /// Asks for what a reader reads who has read `now` and reads on, unless enough of it is there.
    fn hurry(&self, state: &mut State, now: Range<u64>, window: u64) {
        let end = (self.total().div_ceil(BLOCK)).min(now.end + window.div_ceil(BLOCK));
        // One request for much, not many for little.
        let is_enough = |edge: u64| edge > now.end && (edge - now.end) * BLOCK * 2 > window;
        if is_enough(state.asked.min(end)) {
            return;
        }
        let edge = (now.start..end).find(|block| !self.is_there(*block));
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
        let there = (edge + 1..end).find(|block| self.is_there(*block));
        let blocks = edge..there.unwrap_or(last);
        let order = Order {
            stop: end.min(blocks.end),
            blocks,
            passing,
        };
        state.asked = order.stop;
        let fetch = Fetch::begin(&self.parts, &self.version, order);
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
            self.parts.cache.let_go(self.version.id, start..end);
            state.passed = end;
        }
    }

    fn is_there(&self, block: u64) -> bool {
        self.parts.cache.has(self.version.id, block) || self.version.is_coming(block)
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
            Block::Coming(_) => None,
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
        // The last one comes last: it is woken once.
        for block in self.blocks.into_iter().rev() {
            blocks.push(match block {
                Block::Ready(bytes) => bytes,
                Block::Coming(coming) => coming.wait().await?,
            });
        }
        blocks.reverse();
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
