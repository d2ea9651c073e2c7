//! What the desk is told, and what it tells: calls, those who are asked about, and decisions.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::secret::Secret;
use crate::who::Who;

/// What a caller does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Open,
    Read,
    /// It writes this.
    Write(Arc<[u8]>),
}

impl Operation {
    /// In a word.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Read => "read",
            Self::Write(_) => "write",
        }
    }

    pub(super) fn is_write(&self) -> bool {
        matches!(self, Self::Write(_))
    }
}

/// What was decided.
#[derive(Clone, Debug)]
pub(crate) enum Verdict {
    /// This is what the caller reads.
    Answer(Arc<Secret>),
    /// It may; what it reads does not come from whoever decided.
    Approve,
    Deny,
}

/// Who, or what, decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    Terminal,
    Helper,
    Rule,
    /// `--ignore`.
    Ignored,
    /// `--answer-file`, as no rule says otherwise.
    File,
    Timeout,
    /// An earlier decision.
    Remembered,
    /// There is nobody left to ask.
    Nobody,
    /// `--on-write`, which is for all.
    OnWrite,
}

impl By {
    /// In a word.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Terminal => "terminal",
            Self::Helper => "helper",
            Self::Rule => "rule",
            Self::Ignored => "ignored",
            Self::File => "file",
            Self::Timeout => "timeout",
            Self::Remembered => "remembered",
            Self::Nobody => "nobody",
            Self::OnWrite => "on-write",
        }
    }
}

/// A verdict, and whose.
#[derive(Clone, Debug)]
pub(crate) struct Decision {
    pub(crate) verdict: Verdict,
    pub(crate) by: By,
}

impl Decision {
    pub(super) fn new(verdict: Verdict, by: By) -> Self {
        Self { verdict, by }
    }
}

/// What became of a call that came.
#[derive(Debug)]
pub(crate) enum Arrival<W> {
    Decided(Decision, W),
    /// It would have to wait, and must not.
    WouldWait(W),
    Waits(Place),
}

/// Where a waiter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) prompt: u64,
    pub(super) waiter: u64,
}

impl Place {
    /// Whether its prompt was made for it, and not for an earlier call.
    pub(crate) fn is_first(self) -> bool {
        self.prompt == self.waiter
    }
}

/// A prompt that has ended, with those who waited for it.
#[derive(Debug)]
pub(crate) struct Closed<W> {
    pub(crate) waiters: Vec<W>,
    pub(crate) who: Arc<Who>,
    pub(crate) operation: Operation,
    pub(crate) decision: Decision,
    pub(crate) waited: Duration,
}

/// A prompt, as whoever asks sees it.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) number: u64,
    pub(crate) who: Arc<Who>,
    pub(crate) operation: Operation,
    pub(crate) since: Instant,
    pub(crate) deadline: Option<Instant>,
}
