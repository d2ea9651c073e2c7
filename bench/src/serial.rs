//! `fusd-bench serial`: what fusd-serial-proxy adds to a serial port, beside the port itself and beside
//! socat: time on the way of a byte, and processor time at 3 Mbaud.
//!
//! The port is a pseudo-terminal, at whose other side this program is the hardware. All take turns, so
//! that what else the machine does meets them alike: what counts are the ratios.

mod line;
mod turn;

use std::time::Duration;

use anyhow::Context;

use self::line::{DIRECT, SOCAT, Way, ways};
use self::turn::{Turn, turn};
use crate::count::insert_module;
use crate::guest::{build_tool, in_guest};
use crate::measure::{median, spread};

/// What is to be compared, and for how long.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Turns that each contender gets
    #[arg(long, default_value_t = 7, value_parser = crate::positive)]
    rounds: usize,
    /// Milliseconds that bytes go through in a turn, each way
    #[arg(long, default_value_t = 500)]
    turn: u64,
    /// In this kernel of the lab (um, for one), which has to be built, instead of here
    #[arg(long = "in", value_name = "KERNEL")]
    kernel: Option<String>,
    /// (in the guest) fusd-serial-proxy is built
    #[arg(long, hide = true)]
    built: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    if !args.built {
        build_tool("fusd-serial-proxy")?;
    }
    if let Some(kernel) = &args.kernel {
        let (rounds, turn) = (args.rounds, args.turn);
        let times = [format!("--rounds={rounds}"), format!("--turn={turn}")];
        let words = ["serial", "--built"].map(str::to_owned);
        return in_guest(kernel, 1, words.iter().chain(&times));
    }
    if args.built {
        insert_module()?;
    }
    let ways = ways();
    let length = Duration::from_millis(args.turn);
    let mut turns = vec![Vec::new(); ways.len()];
    // The first round only warms up.
    for round in 0..=args.rounds {
        for (way, turns) in ways.iter().zip(&mut turns) {
            let turn = turn(way, length).with_context(|| format!("{} does not run", way.name))?;
            if round > 0 {
                turns.push(turn);
            }
        }
    }
    print(&ways, &turns, args.rounds);
    Ok(())
}

/// Prints the table.
fn print(ways: &[Way], turns: &[Vec<Turn>], rounds: usize) {
    let figures = |index: usize, figure: fn(&Turn) -> f64| -> Vec<f64> {
        turns[index].iter().map(figure).collect()
    };
    let of = |name: &str, figure: fn(&Turn) -> f64| {
        let found = ways.iter().position(|way| way.name == name);
        found.map(|index| figures(index, figure))
    };
    println!(
        "median of {rounds} turns (deviation of the extremes); CPU: of one processor, by the process \
         between; /socat: of the ratios of each turn\n\n\
         {:<26}{:>9} {:>14} {:>9}  {:>8} {:>14} {:>7} {:>14}  {:>8} {:>14} {:>7} {:>14}",
        "", "one way", "", "added", "CPU in", "", "/socat", "", "CPU out", "", "/socat", "",
    );
    for (index, way) in ways.iter().enumerate() {
        let time = figures(index, |turn| turn.one_way);
        let direct = of(DIRECT, |turn| turn.one_way).map_or(f64::NAN, |times| median(&times));
        print!(
            "{:<26}{:>6.1} us {} {:>6.1} us",
            way.name,
            median(&time),
            extremes(&time),
            median(&time) - direct,
        );
        let ways_in_and_out: [fn(&Turn) -> f64; 2] = [|turn| turn.cpu_in, |turn| turn.cpu_out];
        for figure in ways_in_and_out {
            let own = figures(index, figure);
            if way.name == DIRECT {
                print!("  {:>8} {:>14} {:>7} {:>14}", "-", "", "-", "");
                continue;
            }
            print!("  {:>7.2}% {}", median(&own), extremes(&own));
            match of(SOCAT, figure).map(|socat| ratios(&own, &socat)) {
                Some(ratios) => print!(" {:>7.2} {}", median(&ratios), extremes(&ratios)),
                None => print!(" {:>7} {:>14}", "-", ""),
            }
        }
        println!();
    }
}

/// Turn by turn: what else the machine did then has met both.
fn ratios(own: &[f64], others: &[f64]) -> Vec<f64> {
    let pairs = own.iter().zip(others);
    pairs.map(|(own, other)| own / other).collect()
}

fn extremes(values: &[f64]) -> String {
    let (low, high) = spread(values);
    format!("({low:>+5.0}%,{high:>+5.0}%)")
}
