//! `fusd-bench workers`: whether a driver with several threads answers sooner, in a guest with two
//! processors.
//!
//! Where the clock counts instructions, that is how much more work several threads are: at two processors
//! that work at the same time, twice the reads are the most. That they do shows in no count, but in time,
//! and that only on a machine that does nothing else: a guest's processor that has to wait for one of the
//! machine's keeps the other one waiting. Drivers with one thread and with several take turns.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::contender::{RAW_KFUSD, RAW_KFUSD_PROGRAM};
use crate::count::insert_module;
use crate::crowd::{Crowd, OPERATIONS};
use crate::measure::{median, spread, turn_of};
use crate::server::{Server, beside};

/// Who reads.
const CLIENTS: usize = 16;
/// How many threads the drivers have that are compared.
const WORKERS: [u32; 2] = [1, 4];
/// How many turns of a loop an answer takes: none, some five times what the way there and back does, and
/// some fifty times.
const TURNS: [u32; 3] = [0, 10_000, 100_000];
/// How long one driver is read from at a time.
const ROUND: Duration = Duration::from_millis(500);

/// Prints a line for each kind of answer. `counted`: the clock counts instructions.
pub(crate) fn run(rounds: usize, counted: bool) -> anyhow::Result<()> {
    insert_module()?;
    let unit = match counted {
        true => "thousand instructions",
        false => "µs",
    };
    for turns in TURNS {
        let drivers = [
            Driver::start(WORKERS[0], turns)?,
            Driver::start(WORKERS[1], turns)?,
        ];
        let mut times = [const { Vec::new() }; 2];
        let mut ratios = Vec::new();
        // The first round only warms up.
        for round in 0..=rounds {
            let mut one = [0.0; 2];
            for (driver, time) in drivers.iter().zip(&mut one) {
                *time = turn_of(OPERATIONS, ROUND, &mut || driver.crowd.turn())?;
            }
            if round > 0 {
                times[0].push(one[0]);
                times[1].push(one[1]);
                ratios.push(one[0] / one[1]);
            }
        }
        let (low, high) = spread(&ratios);
        println!(
            "{RAW_KFUSD}, {CLIENTS} clients, {turns:>5} turns of a loop per answer: {:.1} {unit} per read \
             with {} worker, {:.1} with {}; ratio {:.2} (deviation {low:+.0}%, {high:+.0}%)",
            median(&times[0]) / 1000.0,
            WORKERS[0],
            median(&times[1]) / 1000.0,
            WORKERS[1],
            median(&ratios),
        );
    }
    Ok(())
}

/// A driver, and who reads from it. Dropped in this order: else who reads would fail.
struct Driver {
    crowd: Crowd,
    _server: Server,
}

impl Driver {
    fn start(workers: u32, turns: u32) -> anyhow::Result<Self> {
        let name = format!("fusd-bench-{workers}");
        let mut command = Command::new(beside(RAW_KFUSD_PROGRAM)?);
        let command = command.args([&name, &workers.to_string(), &turns.to_string()]);
        let server = Server::spawn(command, true)?;
        Ok(Self {
            crowd: Crowd::gather(&Path::new("/dev").join(name), CLIENTS, 1)?,
            _server: server,
        })
    }
}
