//! Benchmarks: what a call through a device costs, beside its peers, in one run.
//!
//! Every contender is a process of its own, as a driver is: this program started again with a
//! hidden subcommand, or one of `bench/c`. Figures are medians over rounds. Where they are times,
//! the contenders take turns, so that what else the machine does meets them alike, and what counts
//! are the ratios; where they are counts of instructions, they hardly depend on the machine.

mod contender;
mod count;
mod crowd;
mod figures;
mod fuse;
mod guest;
mod http;
mod lab;
mod library;
mod measure;
mod pipe;
mod placement;
mod raw;
mod serial;
mod server;
mod table;
mod throughput;
mod times;
mod workers;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use fusd::BackendKind;

#[derive(Parser)]
#[command(version, about = "How fast a device is, beside its peers, in one run")]
struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Time of reads through the FUSE backend, a minimal raw FUSE server, and a pipe
    Fuse {
        /// Rounds that each contender gets per size
        #[arg(long, default_value_t = 11, value_parser = positive)]
        rounds: usize,
        /// Milliseconds that one contender's turn lasts
        #[arg(long, default_value_t = 200)]
        turn: u64,
    },
    /// Instructions of reads through kfusd, CUSE and FUSE, raw and by the library, in the lab
    ///
    /// Counts in the lab's kernel x86, which it builds first if need be: twice with one processor,
    /// once with two. Fails if the counts with one processor differ by more than 2 %. At the end it
    /// compares a driver with one thread and with four, on two processors, by counts and by time.
    Lab {
        /// Rounds that each contender gets per size and boot
        #[arg(long, default_value_t = 5, value_parser = positive)]
        rounds: usize,
    },
    /// Bytes per second through kfusd and CUSE, raw and by the library, both ways, in the lab
    ///
    /// Takes times in the lab's kernel x86, which it builds first if need be. To be run on a machine that
    /// does nothing else.
    Times(times::Args),
    /// Bytes and messages per second through fusd-pipe, a FIFO, and socat
    Pipe(throughput::Args),
    /// Bytes and reads per second of a page, through fusd-http, curl, httpdirfs, and nbdkit
    Http(http::Args),
    /// Time and processor time that fusd-serial-proxy and socat add to a serial port
    Serial(serial::Args),
    /// (in the guest) Count, and print the figures for `lab`
    #[command(hide = true)]
    Count {
        /// Rounds that each contender gets per size
        #[arg(long, default_value_t = 5, value_parser = positive)]
        rounds: usize,
    },
    /// (in the guest) Time a driver with one thread and with several, for `lab`
    #[command(hide = true)]
    Workers {
        /// Rounds that each driver gets
        #[arg(long, default_value_t = 5, value_parser = positive)]
        rounds: usize,
        /// The clock counts instructions
        #[arg(long)]
        counted: bool,
    },
    /// (contender) Serve zeros at PATH through the library
    #[command(hide = true)]
    ServeLibrary {
        #[arg(long)]
        backend: BackendKind,
        /// Publish them
        #[arg(long)]
        publish: bool,
        path: PathBuf,
    },
    /// (contender) Serve zeros at PATH with a raw FUSE server
    #[command(hide = true)]
    ServeRaw { path: PathBuf },
    /// (contender) Answer requests from standard input on standard output
    #[command(hide = true)]
    ServePipe { size: usize },
}

fn main() -> ExitCode {
    match run(Args::parse().what) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fusd-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(what: What) -> anyhow::Result<()> {
    match what {
        What::Fuse { rounds, turn } => fuse::run(rounds, turn),
        What::Lab { rounds } => lab::run(rounds),
        What::Times(args) => times::run(&args),
        What::Pipe(args) => throughput::run(&args),
        What::Http(args) => http::run(&args),
        What::Serial(args) => serial::run(&args),
        What::Count { rounds } => count::run(rounds),
        What::Workers { rounds, counted } => workers::run(rounds, counted),
        What::ServeLibrary {
            backend,
            publish,
            path,
        } => library::serve(path, backend, publish),
        What::ServeRaw { path } => raw::serve(&path),
        What::ServePipe { size } => pipe::serve(size),
    }
}

fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("at least one is needed".to_owned()),
        Ok(number) => Ok(number),
        Err(error) => Err(format!("{error}")),
    }
}
