//! The tools that have a manual page. A new tool is one more line.

pub(crate) struct Tool {
    pub(crate) name: &'static str,
    /// The definition of its command line.
    pub(crate) command: fn() -> clap::Command,
}

pub(crate) const TOOLS: [Tool; 1] = [Tool {
    name: "fusd-echo",
    command: fusd_echo::command,
}];
