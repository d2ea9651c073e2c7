//! What a tool itself has to say on standard error, besides its log.
//!
//! Nothing here fails or panics when nobody reads standard error any more.

use std::fmt;

use crate::{LogFormat, status};

/// Says things in the name of one tool.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Notices {
    tool: &'static str,
    format: LogFormat,
    quiet: bool,
}

impl Notices {
    pub(crate) fn new(tool: &'static str, format: LogFormat, quiet: bool) -> Self {
        Self {
            tool,
            format,
            quiet,
        }
    }

    /// Tells why the tool ends without success.
    pub(crate) fn error(&self, error: &dyn fmt::Display) {
        match self.format {
            LogFormat::Text => self.line(error),
            LogFormat::Json => tracing::error!("{error}"),
        }
    }

    /// Tells something good to know, unless nothing of the kind is wanted.
    pub(crate) fn tell(&self, text: &dyn fmt::Display) {
        if !self.quiet {
            self.say(text);
        }
    }

    /// Tells what somebody has asked for.
    pub(crate) fn say(&self, text: &dyn fmt::Display) {
        match self.format {
            LogFormat::Text => self.line(text),
            LogFormat::Json => tracing::info!("{text}"),
        }
    }

    fn line(&self, text: &dyn fmt::Display) {
        status::say(format!("{}: {text}\n", self.tool));
    }
}
