//! Pages that are kept as a whole: for many readers, for some time, or because a filter wants all of it.

use std::sync::{Arc, Mutex as Lock, PoisonError};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use fusd::Errno;
use reqwest::StatusCode;
use reqwest::header::{ETAG, HeaderValue, IF_NONE_MATCH};
use tokio::runtime::Handle;
use tokio::sync::Mutex;

use crate::ask::Ask;
use crate::cache::{Recent, VERSIONS};
use crate::exchange::Exchange;
use crate::failure::{Again, Failure};
use crate::jq::Filter;
use crate::who::Who;

/// How many times its own time a page is used when the server fails.
const STALE: u32 = 10;

/// How pages are kept.
#[derive(Debug)]
pub(crate) struct Shelf {
    pub(crate) runtime: Handle,
    pub(crate) exchange: Exchange,
    /// How long a page is as good as new; not at all for those that only a filter wants.
    pub(crate) time: Duration,
    pub(crate) filter: Option<Filter>,
    /// The largest page, and all of them together, in bytes.
    pub(crate) limit: u64,
    pub(crate) places: Lock<Recent<String, Arc<Place>>>,
}

/// What is kept for those who ask for the same.
#[derive(Debug, Default)]
pub(crate) struct Place {
    page: Lock<Option<Kept>>,
    /// When the last try that failed has ended, and why.
    failed: Lock<Option<(Instant, Failure)>>,
    /// One asks, the others wait for what comes.
    asking: Mutex<()>,
}

#[derive(Clone, Debug)]
struct Kept {
    content: Bytes,
    since: Instant,
    etag: Option<HeaderValue>,
}

impl Shelf {
    pub(crate) fn new(
        runtime: Handle,
        exchange: Exchange,
        time: Duration,
        filter: Option<Filter>,
        limit: u64,
    ) -> Self {
        Self {
            runtime,
            exchange,
            time,
            filter,
            limit,
            places: Lock::new(Recent::new(VERSIONS)),
        }
    }

    /// The page for `who`, as new as it has to be.
    ///
    /// # Errors
    /// The server does not give it, and what is kept is too old.
    pub(crate) async fn get(self: &Arc<Self>, who: &Arc<Who>) -> Result<Bytes, Failure> {
        let place = self.place(who);
        let asked = Instant::now();
        if let Some(kept) = place.kept() {
            let age = kept.since.elapsed();
            if age < self.time {
                return Ok(kept.content);
            }
            if age < self.time * 2 {
                self.refresh_behind(&place, who);
                return Ok(kept.content);
            }
        }
        let _turn = place.asking.lock().await;
        // Somebody else may have asked meanwhile.
        let is_new = |kept: &Kept| kept.since >= asked || kept.since.elapsed() < self.time;
        if let Some(kept) = place.kept().filter(is_new) {
            return Ok(kept.content);
        }
        // What failed while this waited would fail again, and for each who waits after the other.
        let result = match place.failure_since(asked) {
            Some(failure) => Err(failure),
            None => self.ask(&place, who).await,
        };
        match result {
            Ok(content) => Ok(content),
            Err(failure) => match place.kept() {
                Some(kept) if kept.since.elapsed() < self.time * STALE && is_passing(&failure) => {
                    tracing::warn!(age = ?kept.since.elapsed(), "an old page is used instead");
                    Ok(kept.content)
                }
                _ => Err(failure),
            },
        }
    }

    /// Asks for the page now, whatever is kept.
    pub(crate) async fn refresh(&self, who: &Arc<Who>) {
        let place = self.place(who);
        let _turn = place.asking.lock().await;
        // It is in the log; what is kept stays.
        let _ = self.ask(&place, who).await;
    }

    fn refresh_behind(self: &Arc<Self>, place: &Arc<Place>, who: &Arc<Who>) {
        let (shelf, place, who) = (Arc::clone(self), Arc::clone(place), Arc::clone(who));
        self.runtime.spawn(async move {
            if let Ok(_turn) = place.asking.try_lock() {
                // As above.
                let _ = shelf.ask(&place, &who).await;
            }
        });
    }

    fn place(&self, who: &Who) -> Arc<Place> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let size = |place: &Place| place.kept().map_or(0, |kept| kept.content.len() as u64);
        while places.iter().map(|it| size(it.1)).sum::<u64>() > self.limit && places.len() > 1 {
            places.pop_lru();
        }
        Arc::clone(places.get_or_insert(self.exchange.place(who), Arc::default))
    }

    async fn ask(&self, place: &Place, who: &Arc<Who>) -> Result<Bytes, Failure> {
        let result = self.ask_once(place, who).await;
        if let Err(failure) = &result {
            place.fail(failure);
        }
        result
    }

    async fn ask_once(&self, place: &Place, who: &Arc<Who>) -> Result<Bytes, Failure> {
        let kept = place.kept();
        let mut ask = Ask::get(who);
        if let Some(etag) = kept.as_ref().and_then(|kept| kept.etag.clone()) {
            ask.headers.insert(IF_NONE_MATCH, etag);
        }
        // The page is at least as new as the question.
        let since = Instant::now();
        let answer = self.exchange.send(&ask).await?;
        if answer.status == StatusCode::PARTIAL_CONTENT {
            let text = "the server sends a part of the page without being asked for one";
            tracing::warn!(errno = %Errno::EIO, "{text}");
            return Err(Failure::new(Errno::EIO, text));
        }
        let etag = answer.headers.get(ETAG).cloned();
        let content = match (answer.status, kept) {
            (StatusCode::NOT_MODIFIED, Some(kept)) => kept.content,
            _ => {
                let page = self.whole(answer.body).await.inspect_err(|failure| {
                    tracing::warn!(errno = %failure.errno, "{failure}");
                })?;
                self.filter(page).await?
            }
        };
        *place.lock() = Some(Kept {
            content: content.clone(),
            since,
            etag,
        });
        Ok(content)
    }

    async fn whole(&self, mut body: crate::body::Body) -> Result<Bytes, Failure> {
        let mut page = BytesMut::new();
        while let Some(chunk) = body.chunk().await? {
            if (page.len() + chunk.len()) as u64 > self.limit {
                let text = format!(
                    "the page is larger than {} bytes: give --max-size",
                    self.limit
                );
                return Err(Failure::new(Errno::EFBIG, text));
            }
            page.extend_from_slice(&chunk);
        }
        Ok(page.freeze())
    }

    async fn filter(&self, page: Bytes) -> Result<Bytes, Failure> {
        let Some(filter) = self.filter.clone() else {
            return Ok(page);
        };
        let limit = self.limit;
        let work = tokio::task::spawn_blocking(move || filter.apply(&page, limit)).await;
        let result = work.unwrap_or_else(|error| {
            Err(Failure::new(
                Errno::EIO,
                format!("the filter fails: {error}"),
            ))
        });
        result.inspect_err(|failure| tracing::warn!(errno = %failure.errno, "{failure}"))
    }
}

/// Whether it says nothing of the page itself.
fn is_passing(failure: &Failure) -> bool {
    let says = [Errno::ENOENT, Errno::EACCES, Errno::EPERM, Errno::EFBIG];
    failure.again != Again::Never || !says.contains(&failure.errno)
}

impl Place {
    fn fail(&self, failure: &Failure) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        *failed = Some((Instant::now(), failure.clone()));
    }

    /// The last failure, of those that have ended since `asked`.
    fn failure_since(&self, asked: Instant) -> Option<Failure> {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = failed.as_ref().filter(|failed| failed.0 >= asked);
        failed.map(|failed| failed.1.clone())
    }

    fn kept(&self) -> Option<Kept> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Kept>> {
        self.page.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_that_of_all_who_wait_for_it() {
        let place = Place::default();
        let before = Instant::now();
        assert!(place.failure_since(before).is_none());
        place.fail(&Failure::new(Errno::EIO, "broken"));
        assert!(place.failure_since(before).is_some());
        let later = Instant::now() + Duration::from_secs(1);
        assert!(place.failure_since(later).is_none(), "who comes later asks");
    }
}
