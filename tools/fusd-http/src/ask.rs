//! A request: in whose name it is made, and what goes along with it.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use fusd::Errno;
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderValue, IF_RANGE, RANGE};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::failure::Failure;
use crate::who::Who;

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) who: Arc<Who>,
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    pub(crate) payload: Payload,
    /// It does no harm to send it twice.
    pub(crate) repeatable: bool,
    /// An answer that may never come to its end, and be silent meanwhile.
    pub(crate) live: bool,
}

impl Ask {
    /// Asks for the page, or for a part of it.
    pub(crate) fn get(who: &Arc<Who>) -> Self {
        Self {
            who: Arc::clone(who),
            method: Method::GET,
            headers: HeaderMap::new(),
            payload: Payload::None,
            repeatable: true,
            live: false,
        }
    }

    /// Asks for what may go on without end.
    pub(crate) fn live(who: &Arc<Who>) -> Self {
        Self {
            live: true,
            ..Self::get(who)
        }
    }

    /// Only for the bytes from `first` to `last`, and for all if it is not `version` any more.
    pub(crate) fn range(mut self, first: u64, last: u64, version: Option<&HeaderValue>) -> Self {
        let range = format!("bytes={first}-{last}").parse();
        self.headers
            .insert(RANGE, range.expect("digits are a header's value"));
        if let Some(version) = version {
            self.headers.insert(IF_RANGE, version.clone());
        }
        self
    }

    /// Whether it is for a part of the page.
    pub(crate) fn has_range(&self) -> bool {
        self.headers.contains_key(RANGE)
    }
}

/// What goes along with a request.
#[derive(Clone, Debug)]
pub(crate) enum Payload {
    None,
    Bytes(Bytes),
    Stream(Upload),
}

/// A body that is written while it is sent: it can be sent once.
#[derive(Clone, Debug)]
pub(crate) struct Upload {
    body: Arc<Mutex<Option<reqwest::Body>>>,
    /// When something of it was taken last. Its sender is dropped with the body.
    pulls: watch::Receiver<Instant>,
}

impl Upload {
    pub(crate) fn new(body: reqwest::Body, pulls: watch::Receiver<Instant>) -> Self {
        let body = Arc::new(Mutex::new(Some(body)));
        Self { body, pulls }
    }

    /// The body, once.
    ///
    /// # Errors
    /// It has been sent already.
    pub(crate) fn take(&self) -> Result<reqwest::Body, Failure> {
        let mut body = self.body.lock().unwrap_or_else(PoisonError::into_inner);
        body.take().ok_or_else(|| {
            let text = "what was written is sent already, and would have to be sent once more";
            Failure::new(Errno::EIO, text)
        })
    }

    /// Resolves when the network has taken all of it, or takes no more.
    pub(crate) async fn taken(&self) {
        let mut pulls = self.pulls.clone();
        while pulls.changed().await.is_ok() {}
    }
}
