//! What an access log, and who traces, is told of a call.

use std::fmt;
use std::time::Instant;

use crate::Caller;
use crate::backend::{Answer, Call, total};
use crate::trace::Trace;

/// A call that somebody wants to hear of.
pub(super) struct Told {
    since: Instant,
    /// What it is about, where somebody traces.
    arguments: Option<Box<str>>,
}

impl Told {
    /// One that begins now.
    #[cold]
    pub(super) fn new(arguments: Option<String>) -> Box<Self> {
        Box::new(Self {
            since: Instant::now(),
            arguments: arguments.map(String::into_boxed_str),
        })
    }

    /// Whether somebody traces.
    pub(super) fn is_traced(&self) -> bool {
        self.arguments.is_some()
    }

    /// Tells who traces how the call ended, and, with `log`, the access log.
    #[cold]
    pub(super) fn ended(
        &self,
        (caller, call): (&Caller, Call),
        answer: &Answer<'_>,
        trace: &Trace,
        log: bool,
    ) {
        let took = self.since.elapsed();
        if let Some(arguments) = &self.arguments {
            let (call, result) = (call.to_string(), Outcome(answer).to_string());
            let outcome = (answer, result.as_str());
            trace.tell(caller, &call, arguments, outcome, took);
        }
        if !log {
            return;
        }
        tracing::info!(
            target: crate::ACCESS_LOG,
            pid = caller.pid(),
            uid = caller.uid,
            program = caller.program().as_deref().unwrap_or("?"),
            operation = %call,
            result = %Outcome(answer),
            micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        );
    }
}

/// An answer as the access log shows it: a count or the name of an errno.
struct Outcome<'a>(&'a Answer<'a>);

impl fmt::Display for Outcome<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Answer::Error(errno) => write!(f, "{errno:?}"),
            Answer::Unimplemented => f.write_str("unimplemented"),
            Answer::Done => f.write_str("0"),
            Answer::Opened(file, _) => write!(f, "file {}", file.0),
            Answer::Data(parts) => write!(f, "{}", total(parts)),
            Answer::Count(count) => write!(f, "{count}"),
            Answer::Ioctl { result, .. } => write!(f, "{result}"),
            Answer::Again { .. } => f.write_str("again"),
            Answer::Ready(events) => write!(f, "{:#x}", events.bits()),
            Answer::Size(size) => write!(f, "{size}"),
        }
    }
}
