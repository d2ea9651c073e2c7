//! What an open file reads: the first request finds out what kind of page it is.

use std::sync::Arc;

use bytes::Bytes;
use clap::ValueEnum;
use fusd::Errno;
use reqwest::StatusCode;

use crate::ask::Ask;
use crate::exchange::Answer;
use crate::failure::Failure;
use crate::flow::Flow;
use crate::head::{ContentRange, Validators, is_multipart};
use crate::kept::Shelf;
use crate::ranged::{Parts, Ranged};
use crate::version::Versions;
use crate::who::Who;

/// What the first request asks for, in bytes: all of most pages.
const FIRST: u64 = 128 << 10;

/// What `--on-change` takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum OnChange {
    /// Reads fail with ESTALE from then on
    #[default]
    Fail,
    /// Reads go on in the new version, at the same place
    Reopen,
}

/// What holds for each page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) on_change: OnChange,
    /// In bytes.
    pub(crate) max_size: Option<u64>,
}

impl Rules {
    pub(crate) fn too_large(&self) -> Failure {
        let limit = self.max_size.unwrap_or_default();
        let text = format!("the page is larger than the {limit} bytes of --max-size");
        Failure::new(Errno::EFBIG, text)
    }
}

/// A page, as one open file has it.
#[derive(Debug)]
pub(crate) enum Page {
    /// The server gives parts.
    Ranged(Ranged),
    /// It gives the whole.
    Flow(Flow),
    /// All of it is here.
    Whole(Bytes),
}

/// Where pages come from.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) parts: Arc<Parts>,
    pub(crate) versions: Versions,
    pub(crate) rules: Rules,
    /// Where pages are kept as a whole, if they are.
    pub(crate) shelf: Option<Arc<Shelf>>,
}

impl Page {
    /// The length in bytes; 0 where it is not known.
    pub(crate) fn length(&self) -> u64 {
        match self {
            Self::Ranged(ranged) => ranged.total(),
            Self::Flow(flow) => flow.length(),
            Self::Whole(content) => content.len() as u64,
        }
    }
}

impl Source {
    /// The page as it is now.
    ///
    /// # Errors
    /// The server does not give it.
    pub(crate) async fn open(&self, who: &Arc<Who>) -> Result<Page, Failure> {
        if let Some(shelf) = &self.shelf {
            return shelf.get(who).await.map(Page::Whole);
        }
        let exchange = &self.parts.exchange;
        if !exchange.compressed() {
            let answer = exchange
                .send(&Ask::get(who).range(0, FIRST - 1, None))
                .await?;
            let range = ContentRange::of(&answer.headers);
            match (answer.status, range) {
                (StatusCode::PARTIAL_CONTENT, _) => {
                    if let Some(page) = self.ranged(who, answer, range)? {
                        return Ok(page);
                    }
                }
                (StatusCode::RANGE_NOT_SATISFIABLE, Some(range)) if range.total == Some(0) => {
                    return Ok(Page::Whole(Bytes::new()));
                }
                // Not even the first bytes: it can do without being asked for them, perhaps.
                (StatusCode::RANGE_NOT_SATISFIABLE, _) => {}
                _ => return self.flow(who, answer),
            }
        }
        let answer = exchange.send(&Ask::get(who)).await?;
        if answer.status == StatusCode::PARTIAL_CONTENT {
            let text = "the server sends a part of the page without being asked for one";
            return Err(self.refuse(Errno::EIO, text));
        }
        self.flow(who, answer)
    }

    /// A page in parts, unless it cannot be read so.
    fn ranged(
        &self,
        who: &Arc<Who>,
        answer: Answer,
        range: Option<ContentRange>,
    ) -> Result<Option<Page>, Failure> {
        let Some(range) = range else {
            let text = "the server does not say which part of the page it sends";
            return Err(self.refuse(Errno::EIO, text));
        };
        let Some((0, end @ 1..=FIRST)) = range.part.filter(|_| !is_multipart(&answer.headers))
        else {
            let text = "the server sends another part of the page than it was asked for";
            return Err(self.refuse(Errno::EIO, text));
        };
        if answer.body.length().is_some_and(|length| length != end) {
            let text = "the server sends a part of the page whose length is not that of its range";
            return Err(self.refuse(Errno::EIO, text));
        }
        let Some(total) = range.total.filter(|_| !answer.body.is_encoded()) else {
            return Ok(None);
        };
        self.check_size(total)?;
        let validators = Validators::of(&answer.headers);
        let unique = validators.are_unique(&answer.headers);
        let place = self.parts.exchange.place(who);
        let version = self.versions.find(place, who, validators, unique, total);
        let ranged = Ranged::new(Arc::clone(&self.parts), version, answer.body, end);
        Ok(Some(Page::Ranged(ranged)))
    }

    fn flow(&self, who: &Arc<Who>, answer: Answer) -> Result<Page, Failure> {
        if let Some(length) = answer.body.length() {
            self.check_size(length)?;
        }
        let (runtime, exchange) = (&self.parts.runtime, self.parts.exchange.clone());
        Ok(Page::Flow(Flow::new(
            runtime, exchange, self.rules, who, answer,
        )))
    }

    fn check_size(&self, length: u64) -> Result<(), Failure> {
        match self.rules.max_size.is_some_and(|limit| length > limit) {
            true => {
                let failure = self.rules.too_large();
                Err(self.refuse(failure.errno, &failure.to_string()))
            }
            false => Ok(()),
        }
    }

    fn refuse(&self, errno: Errno, text: &str) -> Failure {
        let url = self.parts.exchange.shown();
        tracing::warn!(url, %errno, "{text}");
        Failure::new(errno, text)
    }
}
