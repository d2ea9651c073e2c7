//! `fusd-bench fuse`: reads of three sizes through the library, a raw server and a pipe, and the
//! time from exec to a node that can be read.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sched::{sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

use crate::contender::SIZES;
use crate::measure::{median, spread, turn};
use crate::placement::Placement;
use crate::server::{Server, clean_up};

const STARTS: usize = 21;

pub(crate) fn run(rounds: usize, milliseconds: u64) -> anyhow::Result<()> {
    let turn = Duration::from_millis(milliseconds);
    println!("pread, µs per call: median of {rounds} rounds (deviation of the extremes)");
    println!("\nall processes on one CPU: what the calls cost");
    let all = sched_getaffinity(Pid::from_raw(0))?;
    // The contenders inherit it.
    Placement::look()?.ask()?;
    compare(rounds, turn)?;
    println!("\non any CPU: what a client waits, which depends on what else the machine does");
    sched_setaffinity(Pid::from_raw(0), &all)?;
    compare(rounds, turn)?;
    starts()
}

fn compare(rounds: usize, turn: Duration) -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let (library, raw) = (
        directory.path().join("library"),
        directory.path().join("raw"),
    );
    let result = measure(rounds, turn, &library, &raw);
    clean_up(&raw);
    result
}

fn measure(rounds: usize, length: Duration, library: &Path, raw: &Path) -> anyhow::Result<()> {
    let _library = Server::start(
        &[
            "serve-library",
            "--backend",
            "fuse",
            &library.to_string_lossy(),
        ],
        true,
    )?;
    let _raw = Server::start(&["serve-raw", &raw.to_string_lossy()], true)?;
    let (library, raw) = (File::open(library)?, File::open(raw)?);

    println!(
        "{:>8}  {:>22}  {:>22}  {:>22}  library/raw  library/pipe",
        "bytes", "library", "raw server", "pipe"
    );
    for size in SIZES {
        let mut pipe = Server::start(&["serve-pipe", &size.to_string()], false)?;
        let mut buffer = vec![0; size];
        let mut reading = vec![0; size];
        let mut piped = vec![0; size];
        let mut contenders: [Box<dyn FnMut() -> anyhow::Result<()>>; 3] = [
            Box::new(|| Ok(library.read_exact_at(&mut buffer, 0)?)),
            Box::new(|| Ok(raw.read_exact_at(&mut reading, 0)?)),
            Box::new(|| {
                pipe.input.write_all(&[0])?;
                Ok(pipe.output.get_mut().read_exact(&mut piped)?)
            }),
        ];
        let mut times = [const { Vec::new() }; 3];
        // The first round only warms up.
        for round in 0..=rounds {
            for (contender, times) in contenders.iter_mut().zip(&mut times) {
                let time = turn(length, contender)?;
                if round > 0 {
                    times.push(time);
                }
            }
        }
        let [a, b, c] = [median(&times[0]), median(&times[1]), median(&times[2])];
        println!(
            "{size:>8}  {}  {}  {}  {:>11.2}  {:>12.2}",
            figure(&times[0]),
            figure(&times[1]),
            figure(&times[2]),
            a / b,
            a / c,
        );
    }
    Ok(())
}

fn figure(times: &[f64]) -> String {
    let (low, high) = spread(times);
    format!(
        "{:>9.2} ({low:>+4.0}%,{high:>+4.0}%)",
        median(times) / 1000.0
    )
}

/// From the start of a driver's process to the first byte read from its node.
fn starts() -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let path = &directory.path().join("library");
    let mut times = Vec::new();
    for _ in 0..STARTS {
        let begin = Instant::now();
        let server = Server::start(
            &[
                "serve-library",
                "--backend",
                "fuse",
                &path.to_string_lossy(),
            ],
            true,
        )?;
        File::open(path)?.read_exact(&mut [0])?;
        times.push(begin.elapsed().as_secs_f64() * 1e9);
        drop(server);
        while path.symlink_metadata().is_ok() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    let (low, high) = spread(&times);
    println!(
        "\nfrom exec to the first byte read: {:.1} ms, median of {STARTS} ({low:+.0}%, {high:+.0}%)",
        median(&times) / 1e6
    );
    Ok(())
}
