//! One turn: a byte goes to and fro many times; then bytes come at 3 Mbaud, and go.

use std::fs::File;
use std::io::{Read, Write};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, ensure};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

use super::line::Way;
use crate::measure::median;

/// Bytes in a second, of ten bits each.
const RATE: u32 = 300_000;
/// Bytes that come at a time: those of a millisecond, as from a quick USB adapter.
const PIECE: usize = RATE as usize / 1000;
const PAUSE: Duration = Duration::from_millis(1);

/// How often a byte goes to and fro, and how often before it counts.
const TRIPS: usize = 400;
const WARM: usize = 50;

/// How long bytes may take that are on their way.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a turn has shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    /// Microseconds of a byte on its way, from one program's write to the other's read: the median.
    pub(super) one_way: f64,
    /// Of one processor, in percent: while bytes come from the hardware, and while they go there.
    pub(super) cpu_in: f64,
    pub(super) cpu_out: f64,
}

pub(super) fn turn(way: &Way, length: Duration) -> anyhow::Result<Turn> {
    let line = way.start()?;
    let (hardware, client) = (&line.hardware, &line.client);
    let one_way =
        between([hardware, client], Duration::ZERO, trips).context("a byte to and fro")?;
    let clock = match &line.server {
        Some(server) => Some(ClockId::pid_cpu_clock_id(Pid::from_raw(
            i32::try_from(server.id()).context("a process's number")?,
        ))?),
        None => None,
    };
    let used = || {
        clock.map_or(Ok(Duration::ZERO), |clock| {
            clock_gettime(clock).map(Into::into)
        })
    };
    let mut percents = [0.0; 2];
    let both = [(hardware, client), (client, hardware)];
    for (percent, (from, to)) in percents.iter_mut().zip(both) {
        let (before, begin): (Duration, _) = (used()?, Instant::now());
        between([from, to], length, move |from, to| stream(from, to, length))?;
        let time = begin.elapsed();
        *percent = 100.0 * (used()? - before).as_secs_f64() / time.as_secs_f64();
    }
    Ok(Turn {
        one_way,
        cpu_in: percents[0],
        cpu_out: percents[1],
    })
}

/// Half of the median time of a byte to and fro, in microseconds.
fn trips(mut hardware: &File, mut client: &File) -> anyhow::Result<f64> {
    let mut times = Vec::new();
    let mut byte = [0];
    for trip in 0..WARM + TRIPS {
        let begin = Instant::now();
        client.write_all(b"x")?;
        hardware.read_exact(&mut byte)?;
        hardware.write_all(b"y")?;
        client.read_exact(&mut byte)?;
        if trip >= WARM {
            times.push(begin.elapsed().as_secs_f64() * 1e6 / 2.0);
        }
    }
    Ok(median(&times))
}

/// Has bytes go at that rate for about so long, and arrive.
fn stream(mut from: &File, to: &File, length: Duration) -> anyhow::Result<()> {
    let pieces = length.as_nanos().div_ceil(PAUSE.as_nanos()).max(1) as usize;
    let all: Vec<u8> = (0..pieces * PIECE).map(byte).collect();
    thread::scope(|scope| {
        let reader = scope.spawn(|| drain(to, &all));
        let begin = Instant::now();
        let mut written = Ok(());
        for (number, piece) in all.chunks(PIECE).enumerate() {
            // Lossless: some thousands.
            let then = begin + PAUSE * number as u32;
            thread::sleep(then.saturating_duration_since(Instant::now()));
            written = from.write_all(piece);
            if written.is_err() {
                break;
            }
        }
        let read = reader.join().map_err(|_| anyhow!("a reader has panicked"));
        written?;
        read?
    })
}

/// Has bytes go between both, for so long and not for ever, should any be lost.
fn between<T: Send + 'static>(
    files: [&File; 2],
    length: Duration,
    go: impl FnOnce(&File, &File) -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    let [from, to] = [files[0].try_clone()?, files[1].try_clone()?];
    let (sender, receiver) = mpsc::channel();
    // It ends at the latest when the line is gone.
    thread::spawn(move || sender.send(go(&from, &to)));
    let result = receiver.recv_timeout(length + PATIENCE);
    result.context("what was sent does not arrive")?
}

/// One that no two places have alike for long.
fn byte(place: usize) -> u8 {
    // The lowest of the upper bits.
    (place.wrapping_mul(2_654_435_761) >> 13) as u8
}

fn drain(mut from: &File, wanted: &[u8]) -> anyhow::Result<()> {
    let mut buffer = vec![0; 65536];
    let mut seen = 0;
    while seen < wanted.len() {
        let count = from.read(&mut buffer)?;
        let right = wanted.get(seen..seen + count) == Some(&buffer[..count]);
        ensure!(right && count > 0, "other bytes arrive than were sent");
        seen += count;
    }
    Ok(())
}
