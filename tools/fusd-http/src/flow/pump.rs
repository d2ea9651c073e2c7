//! Brings such a page, as its reader wants it.

use std::collections::hash_map::DefaultHasher;
use std::hash::Hasher;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fusd::Errno;
use tokio::time::timeout;

use super::store::{Bytes, Store};
use crate::ask::Ask;
use crate::body::Body;
use crate::exchange::{Answer, Exchange};
use crate::failure::Failure;
use crate::head::Validators;
use crate::page::{OnChange, Rules};
use crate::who::Who;

/// How long a read that has some bytes waits for more, where nobody knows whether there are any.
const PATIENCE: Duration = Duration::from_millis(100);

/// The page, with the answer that it comes from.
pub(super) struct Pump {
    exchange: Exchange,
    rules: Rules,
    who: Arc<Who>,
    validators: Validators,
    /// The rest of the answer; none at its end.
    body: Option<Body>,
    store: Store,
    /// Of all bytes that have come.
    hash: DefaultHasher,
    /// Bytes that have been seen before, and their hash: those of another answer must be the same.
    before: Option<(u64, u64)>,
    known: Option<u64>,
    length: Arc<AtomicU64>,
    failure: Option<Failure>,
}

impl Pump {
    pub(super) fn new(
        exchange: Exchange,
        rules: Rules,
        who: Arc<Who>,
        answer: Answer,
        length: Arc<AtomicU64>,
    ) -> Self {
        let known = answer.body.length();
        length.store(known.unwrap_or(0), Ordering::Relaxed);
        Self {
            exchange,
            rules,
            who,
            validators: Validators::of(&answer.headers),
            body: Some(answer.body),
            store: Store::new(),
            hash: DefaultHasher::new(),
            before: None,
            known,
            length,
            failure: None,
        }
    }

    /// Whether there is something to do before anybody reads.
    pub(super) fn has_room(&self) -> bool {
        self.body.is_some() && self.failure.is_none() && self.store.has_room()
    }

    /// Takes what comes next, before anybody reads it.
    pub(super) async fn prepare(&mut self) {
        if let Err(failure) = self.pull().await {
            self.fail(failure);
        }
    }

    /// Up to `length` bytes at `offset`; fewer only at the end, or where it is not known and the
    /// server is silent. Nothing is lost where this is not waited for to its end.
    ///
    /// # Errors
    /// They do not come; those before them have.
    pub(super) async fn read(&mut self, offset: u64, length: usize) -> Result<Bytes<'_>, Failure> {
        if self.store.has_lost(offset) {
            self.begin_again().await.inspect_err(|failure| {
                tracing::warn!(errno = %failure.errno, "{failure}");
            })?;
        }
        self.store.seek(offset).map_err(no_room)?;
        let end = offset.saturating_add(length as u64);
        while self.before.is_some() || self.store.end() < end {
            let some = self.before.is_none() && self.store.end() > offset;
            match &self.failure {
                Some(_) if some => break,
                Some(failure) => return Err(failure.clone()),
                None if self.body.is_none() => break,
                None => {}
            }
            if some && self.known.is_none() {
                match timeout(PATIENCE, self.pull()).await {
                    Ok(Ok(())) => {}
                    Ok(Err(failure)) => self.fail(failure),
                    Err(_) => break,
                }
            } else if let Err(failure) = self.pull().await {
                self.fail(failure);
            }
        }
        self.store.read(offset, length).map_err(no_room)
    }

    fn fail(&mut self, failure: Failure) {
        let url = self.exchange.shown();
        tracing::warn!(url, errno = %failure.errno, at = self.store.end(), "{failure}");
        self.body = None;
        self.failure = Some(failure);
    }

    /// Takes one chunk, or learns that there are no more.
    async fn pull(&mut self) -> Result<(), Failure> {
        let Some(body) = &mut self.body else {
            return Ok(());
        };
        let Some(chunk) = body.chunk().await? else {
            return self.end();
        };
        let end = self.store.end() + chunk.len() as u64;
        if self.rules.max_size.is_some_and(|limit| end > limit) {
            return Err(self.rules.too_large());
        }
        if let Some((count, hash)) = self.before
            && end >= count
        {
            // Lossless: within the chunk.
            let rest = (count - self.store.end()) as usize;
            let mut seen = self.hash.clone();
            seen.write(&chunk[..rest]);
            if seen.finish() != hash {
                return Err(stale());
            }
            self.before = None;
        }
        self.hash.write(&chunk);
        self.store.push(&chunk).map_err(no_room)
    }

    fn end(&mut self) -> Result<(), Failure> {
        if self.before.is_some() {
            return Err(stale());
        }
        self.body = None;
        self.known = Some(self.store.end());
        self.length.store(self.store.end(), Ordering::Relaxed);
        Ok(())
    }

    /// Asks for the page once more, to go back to what is lost: all of it goes into a file.
    async fn begin_again(&mut self) -> Result<(), Failure> {
        let answer = self.exchange.send(&Ask::get(&self.who)).await?;
        let may_differ = self.rules.on_change == OnChange::Reopen;
        let validators = Validators::of(&answer.headers);
        if self.validators.differ(&validators) && !may_differ {
            return Err(stale());
        }
        self.before = match (may_differ, self.before) {
            (true, _) => None,
            (false, Some(before)) => Some(before),
            (false, None) => Some((self.store.end(), self.hash.finish())),
        };
        self.store = Store::spooled().map_err(no_room)?;
        self.hash = DefaultHasher::new();
        self.validators = validators;
        self.known = answer.body.length();
        self.body = Some(answer.body);
        self.failure = None;
        Ok(())
    }
}

fn stale() -> Failure {
    Failure::new(Errno::ESTALE, "the page has changed since it was opened")
}

fn no_room(error: io::Error) -> Failure {
    let text = format!("the temporary file that keeps the page cannot be used: {error}");
    Failure::new(Errno::from(error), text)
}
