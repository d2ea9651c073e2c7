//! An open file: the page it reads, which another version may take the place of.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use fusd::Errno;

use crate::demand::Turn;
use crate::failure::Failure;
use crate::page::{OnChange, Page, Source};
use crate::who::Who;

/// How often one read goes on in yet another version.
const VERSIONS: u32 = 3;

/// An open file.
#[derive(Debug)]
pub(crate) struct Opened {
    page: Mutex<Arc<Page>>,
    who: Arc<Who>,
}

/// What a read comes to.
pub(crate) enum Taken {
    Bytes(Vec<Bytes>, Turn),
    /// The page does not come in parts any more: here it is.
    Elsewhere(Arc<Page>),
}

impl Opened {
    /// `page`, opened by `who`.
    pub(crate) fn new(page: Page, who: Arc<Who>) -> Self {
        Self {
            page: Mutex::new(Arc::new(page)),
            who,
        }
    }

    /// The page as it is now.
    pub(crate) fn page(&self) -> Arc<Page> {
        Arc::clone(&self.lock())
    }

    /// Waits for what a read is made of, which has been noted, once it has its turn for that, and where the
    /// page has changed, does as the rules say.
    ///
    /// # Errors
    /// It does not come.
    pub(crate) async fn read(
        &self,
        source: &Source,
        offset: u64,
        length: usize,
    ) -> Result<Taken, Failure> {
        let turn = source.parts.demand.take(length).await;
        let mut page = self.page();
        let mut piece = match &*page {
            Page::Ranged(ranged) => ranged.piece(offset, length),
            Page::Flow(_) | Page::Whole(_) => return Ok(Taken::Elsewhere(page)),
        };
        for _ in 0..VERSIONS {
            match piece.wait().await {
                Err(failure) if failure.errno == Errno::ESTALE && source.may_reopen() => {
                    tracing::info!(url = source.parts.exchange.shown(), "the page has changed");
                }
                result => return result.map(|bytes| Taken::Bytes(bytes, turn)),
            }
            // Seldom, and much larger than the rest of this.
            page = Arc::new(Box::pin(source.open(&self.who)).await?);
            *self.lock() = Arc::clone(&page);
            piece = match &*page {
                Page::Ranged(ranged) => {
                    ranged.note(offset, length);
                    ranged.piece(offset, length)
                }
                Page::Flow(_) | Page::Whole(_) => return Ok(Taken::Elsewhere(page)),
            };
        }
        let text = "the page changes faster than it can be read";
        Err(Failure::new(Errno::ESTALE, text))
    }

    fn lock(&self) -> MutexGuard<'_, Arc<Page>> {
        self.page.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source {
    fn may_reopen(&self) -> bool {
        self.rules.on_change == OnChange::Reopen
    }
}
