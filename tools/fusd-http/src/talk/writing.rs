//! How what is written is sent.

use std::sync::Arc;

use clap::ValueEnum;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};

use crate::ask::{Ask, Payload};
use crate::template::{Escape, fill};
use crate::who::Who;

/// What `--send` takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Send {
    /// Each write
    Write,
    /// Each line, without its newline
    Line,
    /// All that is written from open to close, while it is written
    #[default]
    Close,
}

/// The request that a write makes.
#[derive(Clone, Debug)]
pub(crate) struct Writing {
    pub(crate) method: Method,
    pub(crate) send: Send,
    /// It may be sent twice.
    pub(crate) idempotent: bool,
    pub(crate) content_type: HeaderValue,
    /// Answers may be silent for any time.
    pub(crate) is_live: bool,
    /// What it is put into.
    pub(crate) body: Option<String>,
}

impl Writing {
    /// Whether `data` can be put into --body, which is a text.
    pub(super) fn fits(&self, data: &[u8]) -> bool {
        self.body.is_none() || std::str::from_utf8(data).is_ok()
    }

    pub(super) fn ask(&self, who: &Arc<Who>, payload: Payload) -> Ask {
        let payload = match (payload, &self.body) {
            (Payload::Bytes(data), Some(body)) => {
                let data = String::from_utf8_lossy(&data);
                let body = fill(body, who, Some(&data), self.escape());
                Payload::Bytes(body.into())
            }
            (payload, _) => payload,
        };
        let kind = (CONTENT_TYPE, self.content_type.clone());
        let again = !matches!(payload, Payload::Stream(_));
        Ask {
            who: Arc::clone(who),
            method: self.method.clone(),
            headers: HeaderMap::from_iter([kind]),
            payload,
            repeatable: self.idempotent && again,
            live: self.is_live,
        }
    }

    fn escape(&self) -> Escape {
        match self.content_type.to_str() {
            Ok(kind) if kind.starts_with("application/x-www-form-urlencoded") => Escape::Percent,
            _ => Escape::Json,
        }
    }
}
