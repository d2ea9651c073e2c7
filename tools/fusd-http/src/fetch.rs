//! A request for some blocks of a version, which come one after the other. Dropped by all who wait for
//! them, it is cancelled, at the server as well.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use fusd::Errno;
use reqwest::StatusCode;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::sleep;

use crate::body::Body;
use crate::cache::{BLOCK, Cache};
use crate::exchange::{Answer, Ask, Exchange};
use crate::failure::{Again, Failure};
use crate::head::{ContentRange, Validators, is_multipart};
use crate::version::Version;

/// The request, for those who wait.
#[derive(Debug)]
pub(crate) struct Fetch {
    blocks: Range<u64>,
    arrived: Arc<Arrived>,
    task: AbortHandle,
}

/// What has come of it.
#[derive(Debug)]
struct Arrived {
    /// From the first block on. They are in the cache as well, but may be thrown out there before
    /// those who wait have seen them.
    blocks: Mutex<Vec<Bytes>>,
    /// Why no more come.
    failure: watch::Sender<Option<Failure>>,
}

impl Fetch {
    /// Asks for `blocks`, of which the beginning may be under way already: a body, and the byte before
    /// which it ends.
    pub(crate) fn begin(
        runtime: &Handle,
        exchange: Exchange,
        cache: Cache,
        version: Arc<Version>,
        blocks: Range<u64>,
        begun: Option<(Body, u64)>,
    ) -> Arc<Self> {
        let arrived = Arc::new(Arrived {
            blocks: Mutex::default(),
            failure: watch::Sender::new(None),
        });
        let work = Work {
            exchange,
            cache,
            at: blocks.start * BLOCK,
            end: version.total.min(blocks.end * BLOCK),
            part: Vec::new(),
            version: Arc::clone(&version),
            arrived: Arc::clone(&arrived),
        };
        let task = runtime.spawn(work.run(begun)).abort_handle();
        let fetch = Arc::new(Self {
            blocks,
            arrived,
            task,
        });
        version.share(&fetch);
        fetch
    }

    /// Whether it brings a block, or has brought it, or would have.
    pub(crate) fn brings(&self, block: u64) -> bool {
        self.blocks.contains(&block) && self.arrived.failure.borrow().is_none()
    }

    /// The first block.
    pub(crate) fn start(&self) -> u64 {
        self.blocks.start
    }

    /// The block behind the last.
    pub(crate) fn end(&self) -> u64 {
        self.blocks.end
    }

    /// A block, if it is there.
    pub(crate) fn ready(&self, block: u64) -> Option<Bytes> {
        let index = usize::try_from(block.checked_sub(self.blocks.start)?).ok()?;
        self.arrived.lock().get(index).cloned()
    }

    /// A block, as soon as it is there.
    ///
    /// # Errors
    /// It does not come.
    pub(crate) async fn block(&self, block: u64) -> Result<Bytes, Failure> {
        let mut news = self.arrived.failure.subscribe();
        loop {
            news.mark_unchanged();
            // Why no more come is told after what has come.
            let failure = news.borrow().clone();
            if let Some(bytes) = self.ready(block) {
                return Ok(bytes);
            }
            if let Some(failure) = failure {
                return Err(failure);
            }
            // The sender is our own.
            let _ = news.changed().await;
        }
    }
}

impl Drop for Fetch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Arrived {
    fn lock(&self) -> MutexGuard<'_, Vec<Bytes>> {
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, failure: Failure) {
        self.failure.send_replace(Some(failure));
    }
}

/// The task.
struct Work {
    exchange: Exchange,
    cache: Cache,
    version: Arc<Version>,
    arrived: Arc<Arrived>,
    /// What is wanted still, in bytes of the page.
    at: u64,
    end: u64,
    /// The beginning of the next block.
    part: Vec<u8>,
}

/// Tells those who wait, also where the task panics.
struct Teller {
    arrived: Arc<Arrived>,
    done: bool,
}

impl Drop for Teller {
    fn drop(&mut self) {
        if !self.done {
            let text = "the request has ended before its time";
            self.arrived.end(Failure::new(Errno::EIO, text));
        }
    }
}

impl Work {
    async fn run(mut self, begun: Option<(Body, u64)>) {
        let mut teller = Teller {
            arrived: Arc::clone(&self.arrived),
            done: false,
        };
        if let Err(failure) = self.bring(begun).await {
            let url = self.exchange.shown();
            let errno = failure.errno;
            tracing::warn!(url, %errno, at = self.at, "{failure}");
            self.arrived.end(failure);
        }
        teller.done = true;
    }

    /// Brings all that is wanted, in as many requests as it takes.
    async fn bring(&mut self, mut begun: Option<(Body, u64)>) -> Result<(), Failure> {
        let mut tries = 0;
        while self.at < self.end {
            let before = self.at;
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
            let Some(pause) = self.exchange.pause(&failure, tries) else {
                return Err(failure);
            };
            tracing::info!(at = self.at, ?pause, "{failure}; asking for the rest");
            sleep(pause).await;
            tries += 1;
        }
        Ok(())
    }

    async fn ask(&mut self) -> Result<(), Failure> {
        let condition = self.version.validators.condition();
        let ask = Ask::get(&self.version.who).range(self.at, self.end - 1, condition);
        let answer = self.exchange.send(&ask).await.map_err(|mut failure| {
            // What can be done about it has been done.
            failure.again = Again::Never;
            failure
        })?;
        let end = check(&answer, &self.version, self.at..self.end)?;
        self.take(answer.body, end).await
    }

    /// Takes what comes, up to `end`.
    async fn take(&mut self, mut body: Body, end: u64) -> Result<(), Failure> {
        while let Some(mut chunk) = body.chunk().await? {
            if chunk.len() as u64 > end - self.at {
                let text = "the server sends more than it has announced";
                return Err(Failure::new(Errno::EIO, text));
            }
            while !chunk.is_empty() {
                let start = self.at - self.part.len() as u64;
                let size = BLOCK.min(self.version.total - start);
                let size = usize::try_from(size).expect("a block fits into memory");
                if self.part.is_empty() {
                    self.part.reserve_exact(size);
                }
                let piece = chunk.split_to(chunk.len().min(size - self.part.len()));
                self.part.extend_from_slice(&piece);
                self.at += piece.len() as u64;
                if self.part.len() == size {
                    self.arrive(start / BLOCK);
                }
            }
            if self.at == end {
                break;
            }
        }
        match self.at == end {
            true => {
                // Its connection can be used again once the end has been seen.
                let _ = body.chunk().await;
                Ok(())
            }
            false => {
                let text = format!("the answer ends {} bytes too early", end - self.at);
                Err(Failure::new(Errno::EIO, text).later(None))
            }
        }
    }

    fn arrive(&mut self, block: u64) {
        let bytes = Bytes::from(std::mem::take(&mut self.part));
        self.cache.put(self.version.id, block, bytes.clone());
        self.arrived.lock().push(bytes);
        self.arrived.failure.send_modify(|_| {});
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
