//! The memory that pages take, and how much of it there is: that of blocks, wherever they are, and what
//! requests need.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::cache::BLOCK;

/// What a block takes in memory besides its bytes: its places in lists, and the allocator's own.
pub(crate) const BESIDES: usize = 256;

/// The most that hyper reads at once from a connection, in bytes, as memory.
pub(crate) const WHOLE: usize = 416 << 10;

/// What a request needs while its answer comes, in bytes: hyper reads 8 KiB at a time from a
/// connection at first, and up to 408 KiB from a fast one; most are none of either.
const UNDER_WAY: usize = 128 << 10;

/// How many pieces of memory are kept for the next blocks.
const SPARE: usize = 32;

/// What blocks are made of.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// That of blocks that somebody has, in bytes.
    blocks: AtomicUsize,
    requests: AtomicUsize,
    /// Each for a [`BLOCK`].
    spare: Mutex<Vec<Vec<u8>>>,
}

/// The memory of a block, which is free again once nobody has the block any more.
#[derive(Debug)]
pub(crate) struct Part {
    bytes: Vec<u8>,
    /// What it is for, in bytes.
    size: u64,
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

impl Memory {
    /// How much there is, in bytes, beside a cache of `limit`. Many requests leave most of a small cache to
    /// what it is for.
    pub(crate) fn used(&self, limit: usize) -> usize {
        let requests = self.requests.load(Ordering::Relaxed) * UNDER_WAY;
        self.blocks.load(Ordering::Relaxed) + requests.min(limit / 4)
    }

    /// Room for a block of `size` bytes: [`BLOCK`], or less.
    pub(crate) fn part(self: &Arc<Self>, size: u64) -> Part {
        self.blocks.fetch_add(room(size), Ordering::Relaxed);
        let spare = match size {
            BLOCK => self.spare().pop(),
            _ => None,
        };
        // Lossless: a block.
        let bytes = spare.unwrap_or_else(|| Vec::with_capacity(size as usize));
        Part {
            bytes,
            size,
            memory: Arc::clone(self),
        }
    }

    /// The same bytes, of which slices become blocks that are let go soon. At most [`WHOLE`].
    pub(crate) fn whole(self: &Arc<Self>, bytes: Bytes) -> Bytes {
        self.blocks.fetch_add(WHOLE, Ordering::Relaxed);
        let memory = Arc::clone(self);
        Bytes::from_owner(Whole { bytes, memory })
    }

    /// Counts a request.
    pub(crate) fn under_way(self: &Arc<Self>) -> UnderWay {
        self.requests.fetch_add(1, Ordering::Relaxed);
        UnderWay(Arc::clone(self))
    }

    fn spare(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a block of `size` bytes takes, in bytes.
fn room(size: u64) -> usize {
    size as usize + BESIDES
}

impl Part {
    /// How many bytes it has.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Adds bytes, of which there are at most as many in all as it is for.
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
        self.memory.blocks.fetch_sub(WHOLE, Ordering::Relaxed);
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let room = room(self.size);
        self.memory.blocks.fetch_sub(room, Ordering::Relaxed);
        if self.size == BLOCK {
            let mut bytes = std::mem::take(&mut self.bytes);
            bytes.clear();
            let mut spare = self.memory.spare();
            if spare.len() < SPARE {
                spare.push(bytes);
            }
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.requests.fetch_sub(1, Ordering::Relaxed);
    }
}
