//! `fusd-bench count`: how many instructions an operation takes, in a guest whose clock counts them.
//!
//! The guest is QEMU with `-icount shift=0`: its clocks go on by one nanosecond with each
//! instruction of any process and of the kernel, on whichever processor. They also jump ahead where
//! all processors wait for a timer, but between a client and its server somebody always runs. So
//! the time that passes is the sum of all instructions. An idle processor halts and counts for
//! nothing. A loop of known length, beside a second processor that idles, checks that.
//!
//! With two processors the sum is the work of both, not what a client waits. QEMU runs them in turn
//! on one thread: each goes on until it halts, spins (`pause`) or interrupts the other. What shows
//! is what a hand-off to another processor takes: to wake it from idling, to go idle. What does not
//! show is that both work at the same time, and wait for each other's locks and cache lines.

use std::env;
use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};
use nix::kmod::{ModuleInitFlags, finit_module};

use crate::contender::{CONTENDERS, CROWDED, CROWDS, Contender, NODE, SIZES};
use crate::crowd::{Crowd, OPERATIONS};
use crate::figures::Figures;
use crate::measure::{turn, turn_of};
use crate::placement::Placement;
use crate::server::beside;

/// The program that `bench/c/loop.c` is compiled to.
pub(crate) const LOOP_PROGRAM: &str = "fusd-bench-loop";

/// The variable that says where kfusd.ko is.
pub(crate) const MODULE: &str = "FUSD_KFUSD_MODULE";

/// What comes before the rounds: until all that is loaded on demand is there, and the library has
/// forgotten that a first call took long because of that (some 200 ms, `libfusd/src/session/crew.rs`).
const WARM_UP: Duration = Duration::from_millis(250);

/// A round: five ticks of the kernel's timer, so that one more or less is too little to see.
const ROUND: Duration = Duration::from_millis(20);

/// How much of the time may not be the loop's own instructions: the timer's ticks.
const STRAY: f64 = 0.01;

/// Prints a line for each contender, size, and number of clients ([`Figures`]).
pub(crate) fn run(rounds: usize) -> anyhow::Result<()> {
    check_clock()?;
    insert_module()?;
    let placement = Placement::look()?;
    for contender in CONTENDERS {
        for size in SIZES {
            println!("{}", count(&placement, &contender, size, 1, rounds)?);
        }
        if CROWDED.contains(&contender.name) {
            for clients in CROWDS {
                println!(
                    "{}",
                    count(&placement, &contender, SIZES[0], clients, rounds)?
                );
            }
        }
    }
    Ok(())
}

fn count(
    placement: &Placement,
    contender: &Contender,
    size: usize,
    clients: usize,
    rounds: usize,
) -> anyhow::Result<Figures> {
    placement.serve()?;
    let mut running =
        (contender.start)(size).with_context(|| format!("{} does not run", contender.name))?;
    placement.ask()?;
    let crowd = (clients > 1)
        .then(|| Crowd::gather(Path::new(NODE), clients, size))
        .transpose()?;
    let mut measure = |length| match &crowd {
        None => turn(length, &mut running.call),
        Some(crowd) => turn_of(OPERATIONS, length, &mut || crowd.turn()),
    };
    measure(WARM_UP)?;
    let values = (0..rounds)
        .map(|_| measure(ROUND))
        .collect::<anyhow::Result<_>>()?;
    Ok(Figures {
        contender: contender.name.to_owned(),
        size,
        clients,
        values,
    })
}

pub(crate) fn insert_module() -> anyhow::Result<()> {
    let path = env::var_os(MODULE).with_context(|| format!("{MODULE} is not set"))?;
    let file = File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
    finit_module(&file, c"", ModuleInitFlags::empty()).context("cannot insert the module kfusd")
}

/// That the clock counts instructions, and counts none on a processor that has nothing to do.
fn check_clock() -> anyhow::Result<()> {
    let output = Command::new(beside(LOOP_PROGRAM)?)
        .output()
        .context("cannot run the counted loop")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let (instructions, nanoseconds) = text
        .trim()
        .split_once(' ')
        .and_then(|(a, b)| Some((a.parse::<f64>().ok()?, b.parse::<f64>().ok()?)))
        .context("the counted loop says nothing")?;
    let ratio = nanoseconds / instructions;
    ensure!(
        (1.0..1.0 + STRAY).contains(&ratio),
        "the clock does not count instructions: it says {ratio:.3} ns for each of a loop's; \
         start this by `cargo xtask bench lab`"
    );
    Ok(())
}
