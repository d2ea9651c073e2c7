//! How what is written is sent.

use clap::ValueEnum;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};

use crate::exchange::{Ask, Payload};

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
}

impl Writing {
    pub(super) fn ask(&self, payload: Payload) -> Ask {
        let kind = (CONTENT_TYPE, self.content_type.clone());
        let again = !matches!(payload, Payload::Stream(_));
        Ask {
            method: self.method.clone(),
            headers: HeaderMap::from_iter([kind]),
            payload,
            repeatable: self.idempotent && again,
            live: true,
        }
    }
}
