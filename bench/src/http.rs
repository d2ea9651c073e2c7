//! `fusd-bench http`: how fast a page is read through fusd-http, beside curl, and beside other file
//! systems of the same server, an nginx of this program's own.
//!
//! All take turns, each time anew, so that none has kept anything, and what else the machine does meets
//! them alike: what counts are the ratios, made turn by turn.

mod nginx;
mod page;
mod turn;
mod way;

use anyhow::{Context, ensure};

use self::page::Page;
use self::turn::{Turn, random, sequential};
use self::way::{CURL, Way, ways};
use crate::guest::build_tool;
use crate::measure::{median, spread};

/// Bytes of a random read.
const RANDOM: usize = 4096;

/// How many read at random at a time.
const READERS: [usize; 2] = [1, 16];

/// What is to be compared, and for how long.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Turns that each contender gets
    #[arg(long, default_value_t = 5, value_parser = crate::positive)]
    rounds: usize,
    /// Length of the page in MiB; it takes no room on the disk
    #[arg(long, default_value_t = 512, value_parser = crate::positive)]
    size: usize,
    /// Random reads of a turn, of all readers together
    #[arg(long, default_value_t = 1000, value_parser = crate::positive)]
    reads: usize,
    /// Only contenders whose name contains this
    #[arg(long, default_value = "")]
    only: String,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    build_tool("fusd-http")?;
    let page = Page::serve(args.size as u64 * 1024 * 1024)?;
    let mut ways = ways();
    ways.retain(|way| way.name.contains(&args.only));
    ensure!(!ways.is_empty(), "there is nothing to compare");
    println!(
        "nginx on this machine; median of {} turns (deviation of the extremes); peak of the memory of \
         whoever serves, in MiB",
        args.rounds
    );
    let title = format!("{} MiB from the beginning to the end", args.size);
    compare(&title, "MB/s", &ways, args, |way| {
        let turn = sequential(way, &page)?;
        Ok(Some(Turn {
            rate: turn.rate / 1e6,
            ..turn
        }))
    })?;
    for readers in READERS {
        let title = match readers {
            1 => format!("reads of {RANDOM} bytes at random"),
            _ => format!("the same, {readers} readers"),
        };
        compare(&title, "reads/s", &ways, args, |way| {
            random(way, &page, RANDOM, args.reads, readers)
        })?;
    }
    Ok(())
}

/// Measures all that can take part, and prints a table, with ratios to each of the others.
fn compare(
    title: &str,
    unit: &str,
    ways: &[Way],
    args: &Args,
    turn: impl Fn(&Way) -> anyhow::Result<Option<Turn>>,
) -> anyhow::Result<()> {
    let mut turns = vec![Vec::new(); ways.len()];
    // The first round only warms up.
    for round in 0..=args.rounds {
        for (way, turns) in ways.iter().zip(&mut turns) {
            let turn = turn(way).with_context(|| format!("{} does not run", way.name))?;
            turns.extend(turn.filter(|_| round > 0));
        }
    }
    let taken: Vec<_> = ways
        .iter()
        .zip(&turns)
        .filter(|it| !it.1.is_empty())
        .collect();
    print!("\n{title}\n{:<20}{unit:>9} {:>15} {:>7}", "", "", "memory");
    let others: Vec<_> = taken.iter().filter(|it| !it.0.is_own).collect();
    for (other, _) in &others {
        print!(" {:>22}", format!("/{}", other.name));
    }
    println!();
    for (way, turns) in &taken {
        let rates: Vec<_> = turns.iter().map(|turn| turn.rate).collect();
        let memory = turns.iter().map(|turn| turn.memory).max();
        let memory = memory.filter(|_| way.name != CURL);
        let memory = memory.map_or_else(|| "-".to_owned(), |kib| format!("{}", kib / 1024));
        print!("{:<20}{} {memory:>7}", way.name, figure(&rates, 9, 0));
        for (_, others) in &others {
            let ratios = turns.iter().zip(others.iter());
            let ratios: Vec<_> = ratios.map(|(own, other)| own.rate / other.rate).collect();
            print!(" {}", figure(&ratios, 6, 2));
        }
        println!();
    }
    Ok(())
}

/// A median, with the deviation of the extremes.
fn figure(values: &[f64], width: usize, digits: usize) -> String {
    let (low, high) = spread(values);
    let middle = median(values);
    format!("{middle:>width$.digits$} ({low:>+5.0}%,{high:>+5.0}%)")
}
