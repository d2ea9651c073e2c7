//! Brings the blocks of a [`Fetch`](crate::fetch::Fetch): one answer that goes on as long as its blocks
//! are wanted, or, where it breaks, or has to wait for long, several.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fusd::Errno;
use reqwest::StatusCode;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{sleep, timeout};

use crate::ask::Ask;
use crate::body::Body;
use crate::exchange::Answer;
use crate::failure::{Again, Failure};
use crate::grid::Grid;
use crate::head::{ContentRange, Validators, is_multipart};
use crate::memory::{Part, WHOLE};
use crate::orders::Orders;
use crate::ranged::Parts;
use crate::version::Version;

/// How long an answer is kept open of which nothing is wanted. Servers give up those that nobody takes
/// after a minute or so, and have something better to do until then.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long the end of an answer is awaited of which all bytes have come.
const END: Duration = Duration::from_secs(1);

/// The most that is asked for at once, in bytes: with each request, the server tells whether the page is
/// still the same.
const LONGEST: u64 = 64 << 20;

/// Less than this of what comes at once is copied, in bytes: slices of it would keep all of the memory that
/// it was read into.
const MOST: usize = WHOLE / 2;

/// The task.
pub(crate) struct Work {
    parts: Arc<Parts>,
    version: Arc<Version>,
    /// What the blocks are of.
    grid: Arc<Grid>,
    orders: Arc<Orders>,
    /// What has not come yet, in bytes of the page.
    at: u64,
    end: u64,
    /// Nothing of it was wanted for a while: the next request is for what is wanted alone.
    is_slow: bool,
    /// The beginning of the next block.
    part: Option<Part>,
}

impl Work {
    pub(crate) fn new(
        parts: &Arc<Parts>,
        version: &Arc<Version>,
        grid: &Arc<Grid>,
        blocks: &Range<u64>,
        orders: Arc<Orders>,
    ) -> Self {
        Self {
            parts: Arc::clone(parts),
            version: Arc::clone(version),
            grid: Arc::clone(grid),
            orders,
            at: blocks.start * grid.size,
            end: version.total.min(blocks.end * grid.size),
            is_slow: false,
            part: None,
        }
    }

    /// Brings all that is wanted; of what is `begun`, the rest comes by itself.
    pub(crate) async fn run(mut self, begun: Option<(Body, u64)>) {
        if let Err(failure) = self.bring(begun).await {
            let url = self.parts.exchange.shown();
            let errno = failure.errno;
            tracing::warn!(url, %errno, at = self.at, "{failure}");
            self.orders.fail(&failure);
        }
    }

    /// In as many requests as it takes.
    async fn bring(&mut self, mut begun: Option<(Body, u64)>) -> Result<(), Failure> {
        let mut tries = 0;
        while self.at < self.end {
            while !self.is_wanted() {
                self.orders.more().await;
            }
            let before = self.at;
            let _memory = self.parts.cache.memory().under_way();
            let result = match begun.take() {
                Some((body, end)) => self.take(body, end).await,
                None => self.ask().await,
            };
            if self.at > before {
                tries = 0;
            }
            let Err(failure) = result else {
                if self.at == before {
                    return Err(Failure::new(Errno::EIO, "the server sends nothing"));
                }
                continue;
            };
            let Some(pause) = self.parts.exchange.pause(&failure, tries) else {
                return Err(failure);
            };
            tracing::info!(at = self.at, ?pause, "{failure}; asking for the rest");
            sleep(pause).await;
            tries += 1;
        }
        Ok(())
    }

    async fn ask(&mut self) -> Result<(), Failure> {
        let (end, _room) = self.next_end();
        let wanted = self.at..end;
        let condition = self.version.validators.condition();
        let ask = Ask::get(&self.version.who).range(wanted.start, wanted.end - 1, condition);
        let answer = self
            .parts
            .exchange
            .send(&ask)
            .await
            .map_err(|mut failure| {
                // What can be done about it has been done.
                failure.again = Again::Never;
                failure
            })?;
        let end = check(&answer, &self.version, wanted)?;
        self.take(answer.body, end).await
    }

    /// Where the next answer is to end, in bytes of the page; with room for it, if it goes on beyond what is
    /// wanted.
    fn next_end(&self) -> (u64, Option<OwnedSemaphorePermit>) {
        let most = self.end.min(self.at + LONGEST);
        let wanted = most.min(self.orders.stop());
        if self.is_slow || wanted == most {
            return (wanted, None);
        }
        match Arc::clone(&self.parts.lasting).try_acquire_owned() {
            Ok(room) => (most, Some(room)),
            Err(_) => (wanted, None),
        }
    }

    /// Takes what comes, up to `end`, or until nothing of it is wanted for a while.
    async fn take(&mut self, mut body: Body, end: u64) -> Result<(), Failure> {
        while self.at < end {
            while !self.is_wanted() {
                if timeout(PATIENCE, self.orders.more()).await.is_err() {
                    self.is_slow = true;
                    return Ok(());
                }
            }
            let Some(chunk) = body.chunk().await? else {
                let text = format!("the answer ends {} bytes too early", end - self.at);
                return Err(Failure::new(Errno::EIO, text).later(None));
            };
            if chunk.len() as u64 > end - self.at {
                let text = "the server sends more than it has announced";
                return Err(Failure::new(Errno::EIO, text));
            }
            self.put(chunk);
        }
        // Unless the reader has come so far by now, and wants more.
        self.is_slow &= !self.is_wanted();
        // Its connection can be used again once the end has been seen.
        let _ = timeout(END, body.chunk()).await;
        Ok(())
    }

    fn is_wanted(&self) -> bool {
        self.at < self.orders.stop()
    }

    fn put(&mut self, mut chunk: Bytes) {
        let cache = &self.parts.cache;
        let slices = chunk.len() >= MOST && self.orders.are_passing();
        if slices {
            chunk = cache.memory().whole(chunk);
        }
        while !chunk.is_empty() {
            let there = self.part.as_ref().map_or(0, Part::len);
            let start = self.at - there as u64;
            // Lossless: at most a block.
            let size = self.grid.size.min(self.version.total - start) as usize;
            let piece = chunk.split_to(chunk.len().min(size - there));
            self.at += piece.len() as u64;
            let content = match slices && piece.len() == size {
                true => piece,
                false => {
                    let mut part = self
                        .part
                        .take()
                        .unwrap_or_else(|| cache.memory().part(self.grid.size));
                    part.extend(&piece);
                    if part.len() < size {
                        self.part = Some(part);
                        return;
                    }
                    part.into()
                }
            };
            let block = start / self.grid.size;
            cache.put(self.grid.id, block, &content);
            self.orders.give(block, &content);
        }
    }
}

/// Whether `answer` is what was asked for, `wanted` of `version`; up to where it goes.
fn check(answer: &Answer, version: &Version, wanted: Range<u64>) -> Result<u64, Failure> {
    let stale = || Failure::new(Errno::ESTALE, "the page has changed since it was opened");
    let wrong = |text: &str| Err(Failure::new(Errno::EIO, text));
    if version.validators.differ(&Validators::of(&answer.headers)) {
        return Err(stale());
    }
    match answer.status {
        StatusCode::PARTIAL_CONTENT => {}
        StatusCode::RANGE_NOT_SATISFIABLE => return Err(stale()),
        StatusCode::OK if answer.body.length() != Some(version.total) => return Err(stale()),
        _ => return wrong("the server does not give parts of the page any more"),
    }
    let part = ContentRange::of(&answer.headers);
    let Some((range, (first, end))) = part.and_then(|range| Some((range, range.part?))) else {
        return wrong("the server does not say which part of the page it sends");
    };
    if range.total.is_some_and(|total| total != version.total) {
        return Err(stale());
    }
    let length = answer.body.length();
    let right = first == wanted.start && end <= wanted.end && end > first;
    if !right || is_multipart(&answer.headers) || answer.body.is_encoded() {
        return wrong("the server sends another part of the page than it was asked for");
    }
    if length.is_some_and(|length| length != end - first) {
        return wrong("the server sends a part of the page whose length is not that of its range");
    }
    Ok(end)
}
