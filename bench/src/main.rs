//! Benchmarks: what a call through a device costs, beside its peers, in one run.
//!
//! Every contender is a process of its own, as a driver is: this program started again with a
//! hidden subcommand. Figures are medians over rounds in which the contenders take turns, so that
//! what else the machine does meets them alike; what counts are the ratios.

mod fuse;
mod library;
mod measure;
mod pipe;
mod raw;
mod server;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(version, about = "How fast a device is, beside its peers, in one run")]
struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Reads through the FUSE backend, a minimal raw FUSE server, and a pipe
    Fuse {
        /// Rounds that each contender gets per size
        #[arg(long, default_value_t = 11)]
        rounds: usize,
        /// Milliseconds that one contender's turn lasts
        #[arg(long, default_value_t = 200)]
        turn: u64,
    },
    /// (contender) Serve zeros at PATH through the library
    #[command(hide = true)]
    ServeLibrary { path: PathBuf },
    /// (contender) Serve zeros at PATH with a raw FUSE server
    #[command(hide = true)]
    ServeRaw { path: PathBuf },
    /// (contender) Answer requests from standard input on standard output
    #[command(hide = true)]
    ServePipe { size: usize },
}

fn main() -> anyhow::Result<()> {
    match Args::parse().what {
        What::Fuse { rounds, turn } => fuse::run(rounds, turn),
        What::ServeLibrary { path } => library::serve(path),
        What::ServeRaw { path } => raw::serve(&path),
        What::ServePipe { size } => pipe::serve(size),
    }
}
