//! fusd-echo: a device node that says a text.
//!
//! The text comes from the command line, a file, standard input, or a command that runs at each
//! open; it ends with the end of the file, or repeats without end; clients may be let replace it
//! or add to it. [`Args`] is the command line, [`Echo`] the device.
//!
//! Every open keeps the version of the text that was current when it was opened. Versions are
//! shared, not copied: a thousand readers of a text hold it once. Where reads give a text just as it
//! is, and with kfusd, they do not even come here: the kernel serves them from that one copy.

#![forbid(unsafe_code)]

mod args;
mod content;
mod device;
mod draft;
mod escape;
mod exec;
mod source;
mod watch;

pub use args::{Args, OnWrite};
pub use device::{Echo, Settings};

/// The command line as clap sees it: what the manual page and completions are made from.
pub fn command() -> clap::Command {
    <Args as clap::CommandFactory>::command()
}
