//! fusd-http: a URL as a device node.
//!
//! [`Args`] is the command line, [`HttpDevice`] the device. Reading the node is a GET. `exchange.rs` is
//! one request with all that belongs to it (time-outs, redirects, retries); what a read needs of a
//! page it has from `ranged.rs`, piece by piece through the cache, or from `flow/`, in the order in
//! which a server without ranges sends it.

#![forbid(unsafe_code)]

mod access;
mod args;
mod ask;
mod body;
mod bring;
mod cache;
mod client;
mod demand;
mod device;
mod direct;
mod exchange;
mod failure;
mod fetch;
mod flow;
mod grid;
mod head;
mod jq;
mod keeping;
mod kept;
mod memory;
mod network;
mod opened;
mod orders;
mod page;
mod piece;
mod ranged;
mod readahead;
mod redirect;
mod retry;
mod runtime;
mod serve;
mod status;
mod talk;
mod target;
mod template;
mod traffic;
mod version;
mod who;
mod writing;

pub use access::{AccessArgs, Secret};
pub use args::Args;
pub use device::HttpDevice;
pub use jq::Filter;
pub use keeping::KeepArgs;
pub use network::{HttpVersion, NetworkArgs};
pub use page::OnChange;
pub use talk::{Send, Sse};
pub use template::Target;
pub use writing::StreamArgs;

/// The command line as clap sees it: what the manual page and completions are made from.
pub fn command() -> clap::Command {
    <Args as clap::CommandFactory>::command()
}
