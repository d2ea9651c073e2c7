//! `fusd-bench pipe`: how much goes through fusd-pipe in a second, beside a FIFO of the kernel and
//! beside socat, a process between two of those.
//!
//! All take turns, so that what else the machine does meets them alike: what counts are the ratios.

mod turn;
mod way;

use std::time::Duration;

use anyhow::Context;

use self::turn::turn;
use self::way::{FIFO, Way, ways};
use crate::count::insert_module;
use crate::guest::{build_tool, in_guest};
use crate::measure::{median, spread};

/// Bytes of a write and of a read.
const SIZES: [usize; 3] = [64, 4096, 65536];
/// How many read from the same pipe.
const READERS: [usize; 2] = [1, 8];

/// What is to be compared, and for how long.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Turns that each contender gets per size and number of readers
    #[arg(long, default_value_t = 5, value_parser = crate::positive)]
    rounds: usize,
    /// Milliseconds that a turn's writer writes
    #[arg(long, default_value_t = 200)]
    turn: u64,
    /// In this kernel of the lab (um, for one), which has to be built, instead of here
    #[arg(long = "in", value_name = "KERNEL")]
    kernel: Option<String>,
    /// (in the guest) fusd-pipe is built
    #[arg(long, hide = true)]
    built: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    if !args.built {
        build_tool("fusd-pipe")?;
    }
    if let Some(kernel) = &args.kernel {
        let (rounds, turn) = (args.rounds, args.turn);
        let times = [format!("--rounds={rounds}"), format!("--turn={turn}")];
        let words = ["pipe", "--built"].map(str::to_owned);
        return in_guest(kernel, 1, words.iter().chain(&times));
    }
    if args.built {
        insert_module()?;
    }
    let ways = ways();
    println!(
        "one writer; median of {} turns (deviation of the extremes); time: of the same bytes, \
         as a multiple of that of a FIFO and of socat",
        args.rounds
    );
    for readers in READERS {
        for size in SIZES {
            compare(&ways, size, readers, args)?;
        }
    }
    Ok(())
}

/// Measures all at one size and number of readers, and prints a table.
fn compare(ways: &[Way], size: usize, readers: usize, args: &Args) -> anyhow::Result<()> {
    let length = Duration::from_millis(args.turn);
    let mut rates = vec![Vec::new(); ways.len()];
    // The first round only warms up.
    for round in 0..=args.rounds {
        for (way, rates) in ways.iter().zip(&mut rates) {
            let rate = turn(way, size, readers, length)
                .with_context(|| format!("{} does not run", way.name))?;
            if round > 0 {
                rates.push(rate);
            }
        }
    }
    let of = |name: &str| {
        let found = ways.iter().position(|way| way.name == name);
        found.map(|index| median(&rates[index]))
    };
    let (fifo, socat) = (of(FIFO), of(way::SOCAT));
    println!(
        "\n{size} bytes, {readers} reader{}\n{:<18}{:>9} {:>16} {:>14}  {:>7} {:>7}",
        if readers == 1 { "" } else { "s" },
        "",
        "MB/s",
        "",
        "messages/s",
        "/FIFO",
        "/socat",
    );
    for (way, rates) in ways.iter().zip(&rates) {
        let rate = median(rates);
        let (low, high) = spread(rates);
        let ratio = |other: Option<f64>| {
            other.map_or_else(|| "-".to_owned(), |other| format!("{:.2}", other / rate))
        };
        println!(
            "{:<18}{:>9.2} ({low:>+5.0}%,{high:>+5.0}%) {:>14.0}  {:>7} {:>7}",
            way.name,
            rate / 1e6,
            rate / size as f64,
            ratio(fifo),
            ratio(socat),
        );
    }
    Ok(())
}
