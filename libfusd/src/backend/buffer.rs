//! The memory requests are received into: pooled, because a large write keeps its buffer until
//! the device is done with it instead of having the data copied.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex};

use crate::sync::lock;

/// Buffers kept for reuse; more than that are freed.
const KEPT: usize = 8;

/// Where buffers come from and go back to.
pub(crate) struct BufferPool {
    size: usize,
    free: Mutex<Vec<Box<[u8]>>>,
}

impl BufferPool {
    /// A pool of buffers of `size` bytes each.
    pub(crate) fn new(size: usize) -> Arc<Self> {
        Arc::new(Self {
            size,
            free: Mutex::new(Vec::new()),
        })
    }

    /// A free buffer, or a new one. Fresh memory costs nothing before it is written to.
    pub(crate) fn take(self: &Arc<Self>) -> Buffer {
        let bytes = lock(&self.free).pop();
        let bytes = bytes.unwrap_or_else(|| vec![0; self.size].into_boxed_slice());
        Buffer {
            bytes,
            pool: Arc::clone(self),
        }
    }
}

/// A buffer that returns to its pool when dropped.
pub(crate) struct Buffer {
    bytes: Box<[u8]>,
    pool: Arc<BufferPool>,
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut free = lock(&self.pool.free);
        if free.len() < KEPT {
            free.push(std::mem::take(&mut self.bytes));
        }
    }
}
