//! Connections that nobody uses for a while.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::runtime::Handle;
use tokio::time::{Instant, sleep};

use super::line::Line;
use crate::client::IDLE;

/// The connections that are kept.
#[derive(Debug)]
pub(super) struct Pool {
    runtime: Handle,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// Each with the time since when, the latest last.
    lines: Vec<(Box<Line>, Instant)>,
    /// A task looks after them.
    is_swept: bool,
}

impl Pool {
    pub(super) fn new(runtime: Handle) -> Arc<Self> {
        Arc::new(Self {
            runtime,
            kept: Mutex::default(),
        })
    }

    /// The one that was used last, unless that is too long ago.
    pub(super) fn take(&self) -> Option<Box<Line>> {
        let (line, since) = self.lock().lines.pop()?;
        (since.elapsed() < IDLE).then_some(line)
    }

    /// Keeps a connection, for a while.
    pub(super) fn keep(self: &Arc<Self>, line: Box<Line>) {
        let mut kept = self.lock();
        kept.lines.push((line, Instant::now()));
        if !kept.is_swept {
            kept.is_swept = true;
            self.runtime.spawn(sweep(Arc::downgrade(self)));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes what has been kept for long enough, until there is nothing more.
async fn sweep(pool: Weak<Pool>) {
    loop {
        sleep(IDLE).await;
        let Some(pool) = pool.upgrade() else {
            return;
        };
        let mut kept = pool.lock();
        let fresh = kept.lines.partition_point(|it| it.1.elapsed() >= IDLE);
        let old: Vec<_> = kept.lines.drain(..fresh).collect();
        kept.is_swept = !kept.lines.is_empty();
        let goes_on = kept.is_swept;
        drop(kept);
        // To close them takes a while.
        drop(old);
        if !goes_on {
            return;
        }
    }
}
