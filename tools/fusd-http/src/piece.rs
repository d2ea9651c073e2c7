//! What a read is made of: blocks that are there, and blocks on their way.

use std::ops::Range;

use bytes::Bytes;

use crate::failure::Failure;
use crate::fetch::Coming;

/// A block that is there, or is on its way.
pub(crate) enum Block {
    Ready(Bytes),
    Coming(Coming),
}

/// What a read is made of.
pub(crate) struct Piece {
    pub(crate) blocks: Vec<Block>,
    /// What of the blocks is wanted, in bytes of the page.
    pub(crate) range: Range<u64>,
    /// The size of each of them, but for the page's last.
    pub(crate) size: u64,
}

impl Piece {
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
        Ok(cut(blocks, &self.range, self.size))
    }
}

/// What of the blocks is in `range`, which begins in the first and ends in the last of them.
pub(crate) fn cut(mut blocks: Vec<Bytes>, range: &Range<u64>, size: u64) -> Vec<Bytes> {
    // Lossless: less than a block, or what a read has room for.
    let skip = (range.start % size) as usize;
    let mut left = (range.end - range.start) as usize;
    for (number, block) in blocks.iter_mut().enumerate() {
        let start = if number == 0 { skip } else { 0 };
        let end = block.len().min(start + left);
        *block = block.slice(start..end);
        left -= block.len();
    }
    blocks
}
