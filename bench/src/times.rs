//! `fusd-bench times`: how fast data go through a device, both ways, by the clock of a guest.
//!
//! Where bytes are many, instructions say little: a step of `rep movs` counts as one. So this takes
//! times, in the lab's kernel x86, with no more than QEMU's translation between it and the machine. That
//! makes all slower, alike: what counts are the ratios. All contenders serve at the same time, and take
//! many short turns, each round in another order, so that what else the machine does meets them alike.
//! A ratio is made of each round; what is told is the middle of them, and how far they are apart.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context;

use crate::contender::{
    CUSE, KFUSD, RAW_CUSE_PROGRAM, RAW_KFUSD, RAW_KFUSD_PROGRAM, SIZES, YARDSTICK,
};
use crate::count::insert_module;
use crate::guest::in_guest;
use crate::lab::{build_kernel, compile};
use crate::measure::{median, quartiles, turn_of};
use crate::server::{Server, beside};

/// For how long, and with how many processors.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Turns that each contender gets per size and way
    #[arg(long, default_value_t = 61, value_parser = crate::positive)]
    rounds: usize,
    /// Milliseconds that a turn lasts
    #[arg(long, default_value_t = 20)]
    turn: u64,
    /// Processors of the guest
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=2))]
    cpus: u32,
    /// (in the guest) All is built
    #[arg(long, hide = true)]
    built: bool,
}

/// What one operation is.
#[derive(Clone, Copy)]
enum Way {
    Read,
    Write,
}

/// Operations between two looks at the clock: few, for one can take long.
const OPERATIONS: u32 = 8;

/// A contender that serves.
struct Serving {
    name: &'static str,
    file: File,
    _server: Server,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    if args.built {
        return measure(args);
    }
    compile()?;
    build_kernel()?;
    let (rounds, turn, cpus) = (args.rounds, args.turn, args.cpus);
    let numbers = [
        format!("--rounds={rounds}"),
        format!("--turn={turn}"),
        format!("--cpus={cpus}"),
    ];
    let words = ["times", "--built"].map(str::to_owned);
    in_guest("x86", cpus, words.iter().chain(&numbers))
}

fn measure(args: &Args) -> anyhow::Result<()> {
    insert_module()?;
    let contenders = [
        raw(YARDSTICK, RAW_CUSE_PROGRAM, "fusd-bench-c")?,
        library(CUSE, "cuse", "fusd-bench-cl")?,
        raw(RAW_KFUSD, RAW_KFUSD_PROGRAM, "fusd-bench-k")?,
        library(KFUSD, "kfusd", "fusd-bench-kl")?,
    ];
    println!(
        "{} vCPU; median of {} turns; bytes/s: as a multiple of those of {YARDSTICK} in the same round \
         (half of all rounds between; lowest and highest)",
        args.cpus, args.rounds
    );
    for way in [Way::Read, Way::Write] {
        for size in SIZES {
            compare(&contenders, way, size, args)?;
        }
    }
    Ok(())
}

/// Measures all at one size, and prints a table.
fn compare(contenders: &[Serving], way: Way, size: usize, args: &Args) -> anyhow::Result<()> {
    let length = Duration::from_millis(args.turn);
    // Memory of its own: what has never been written to is all one page, which the kernel treats apart.
    let mut buffer = vec![1; size];
    let mut times = vec![Vec::new(); contenders.len()];
    // The first round only warms up.
    for round in 0..=args.rounds {
        for place in 0..contenders.len() {
            let index = (place + round) % contenders.len();
            let Serving { name, file, .. } = &contenders[index];
            let time = turn_of(OPERATIONS, length, &mut || {
                (0..OPERATIONS).try_for_each(|_| way.make(file, &mut buffer))
            })
            .with_context(|| format!("{name} does not serve"))?;
            if round > 0 {
                times[index].push(time);
            }
        }
    }
    println!(
        "\n{:<24}{:>10} {:>9} {:>9}",
        way.title(size),
        "µs",
        "MB/s",
        "bytes/s"
    );
    for (serving, own) in contenders.iter().zip(&times) {
        let ratios: Vec<_> = own
            .iter()
            .zip(&times[0])
            .map(|(own, to)| to / own)
            .collect();
        let time = median(own);
        let (low, high) = quartiles(&ratios);
        let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
        let most = ratios.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        println!(
            "{:<24}{:>10.1} {:>9.2} {:>9.2} ({low:.2} to {high:.2}; {least:.2} to {most:.2})",
            serving.name,
            time / 1e3,
            size as f64 * 1e3 / time,
            median(&ratios),
        );
    }
    Ok(())
}

/// A program of `bench/c` that serves a node of this name.
fn raw(name: &'static str, program: &str, node: &str) -> anyhow::Result<Serving> {
    let server = Server::spawn(Command::new(beside(program)?).arg(node), true)?;
    serving(name, server, &Path::new("/dev").join(node))
}

/// A driver made with the library.
fn library(name: &'static str, backend: &str, node: &str) -> anyhow::Result<Serving> {
    let path: PathBuf = Path::new("/dev").join(node);
    let place = path.to_string_lossy();
    let server = Server::start(&["serve-library", "--backend", backend, &place], true)?;
    serving(name, server, &path)
}

fn serving(name: &'static str, server: Server, path: &Path) -> anyhow::Result<Serving> {
    let mut options = File::options();
    let file = options.read(true).write(true).open(path);
    Ok(Serving {
        name,
        file: file.with_context(|| format!("cannot open {}", path.display()))?,
        _server: server,
    })
}

impl Way {
    /// One operation, of as many bytes as `buffer` has.
    fn make(self, file: &File, buffer: &mut [u8]) -> anyhow::Result<()> {
        match self {
            Self::Read => file.read_exact_at(buffer, 0)?,
            Self::Write => file.write_all_at(buffer, 0)?,
        }
        Ok(())
    }

    fn title(self, size: usize) -> String {
        let way = match self {
            Self::Read => "read",
            Self::Write => "write",
        };
        match size {
            1 => format!("{way}, 1 byte"),
            _ => format!("{way}, {} KiB", size / 1024),
        }
    }
}
