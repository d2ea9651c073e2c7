//! fusd-pipe: a device node that any number of programs write to and read from.
//!
//! [`Args`] is the command line; it makes [`Settings`], and those a [`PipeDevice`]. The rules are in
//! `pipe.rs`, which knows nothing of requests or time; the device puts them to the library's
//! [`WaitQueue`](fusd::WaitQueue), which knows how to wait.

#![forbid(unsafe_code)]

mod amount;
mod args;
mod bell;
mod device;
mod journal;
mod label;
mod log;
mod nats;
mod peers;
mod pipe;
mod progress;
mod rate;
mod settings;
mod stats;
mod streams;
mod tee;

pub use args::Args;
pub use device::PipeDevice;
pub use nats::NatsArgs;
pub use settings::{Amount, Eof, Full, Label, Mode, NoReader, Records, Settings, SyncPolicy};
pub use stats::{Count, Stats};

/// The command line as clap sees it: what the manual page and completions are made from.
pub fn command() -> clap::Command {
    <Args as clap::CommandFactory>::command()
}
