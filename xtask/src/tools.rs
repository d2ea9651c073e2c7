//! The tools that have a manual page. A new tool is one more line.

use crate::standin as fusd_echo;

pub(crate) struct Tool {
    pub(crate) name: &'static str,
    /// The definition of its command line.
    pub(crate) command: fn() -> clap::Command,
}

pub(crate) const TOOLS: [Tool; 1] = [Tool {
    name: "fusd-echo",
    command: fusd_echo::command,
}];
