//! One turn: a contender is started, read from, and ended.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, ensure};

use super::page::Page;
use super::way::{Means, Way};

/// Bytes of a read of who reads on: what cat(1) and cp(1) take.
const SEQUENTIAL: usize = 128 << 10;

/// How long a turn lasts at most: who is not through by then is as fast as it was so far.
const LIMIT: Duration = Duration::from_secs(10);

/// What came of a turn.
#[derive(Clone, Copy)]
pub(crate) struct Turn {
    /// Bytes or reads per second.
    pub(crate) rate: f64,
    /// The most memory that who serves had, in KiB.
    pub(crate) memory: u64,
}

/// Reads all of the page: bytes per second, from open(2) on.
pub(crate) fn sequential(way: &Way, page: &Page) -> anyhow::Result<Turn> {
    let start = match way.means {
        Means::Program => return curl(page),
        Means::File(start) => start,
    };
    let served = start(page)?;
    let mut buffer = vec![0; SEQUENTIAL];
    let begin = Instant::now();
    let mut file = File::open(served.path()).context("cannot open the page")?;
    let mut total = 0;
    while begin.elapsed() < LIMIT {
        match file.read(&mut buffer)? {
            0 => break,
            count => total += count as u64,
        }
    }
    let time = begin.elapsed();
    let is_all = total == page.length || time >= LIMIT;
    ensure!(is_all, "only {total} bytes were read");
    Ok(Turn {
        rate: total as f64 / time.as_secs_f64(),
        memory: served.memory()?,
    })
}

/// curl counts by itself, without the time that its start takes.
fn curl(page: &Page) -> anyhow::Result<Turn> {
    let output = Command::new("curl")
        .args(["--noproxy", "*", "-sS", "-o", "/dev/null"])
        .args(["-w", "%{size_download} %{time_total}"])
        .arg(page.url())
        .output()
        .context("cannot run curl")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let number = |text: &str| text.parse::<f64>().ok();
    let figures = said
        .split_once(' ')
        .and_then(|it| Some((number(it.0)?, number(it.1)?)));
    let (bytes, seconds) = figures.with_context(|| format!("curl says {said:?}"))?;
    ensure!(bytes == page.length as f64, "curl has read {bytes} bytes");
    Ok(Turn {
        rate: bytes / seconds,
        memory: 0,
    })
}

/// Makes so many reads at random, of all readers together: reads per second. Nothing for who is no file.
pub(crate) fn random(
    way: &Way,
    page: &Page,
    size: usize,
    reads: usize,
    readers: usize,
) -> anyhow::Result<Option<Turn>> {
    let Means::File(start) = way.means else {
        return Ok(None);
    };
    let served = start(page)?;
    let begin = Instant::now();
    let read = |reader: usize| -> anyhow::Result<u64> {
        let file = File::open(served.path()).context("cannot open the page")?;
        let mut buffer = vec![0; size];
        let mut number = reader as u64 + 1;
        let (mut count, all) = (0, reads.div_ceil(readers) as u64);
        while count < all && begin.elapsed() < LIMIT {
            count += 1;
            // The same for all contenders: the generator MINSTD.
            number = number * 48_271 % 0x7fff_ffff;
            let pages = page.length / size as u64;
            file.read_exact_at(&mut buffer, number % pages * size as u64)?;
        }
        Ok(count)
    };
    let read = &read;
    let total = thread::scope(|scope| {
        let threads: Vec<_> = (0..readers)
            .map(|reader| scope.spawn(move || read(reader)))
            .collect();
        let mut total = 0;
        for thread in threads {
            let count = thread.join();
            total += count.map_err(|_| anyhow!("a reader has panicked"))??;
        }
        anyhow::Ok(total)
    })?;
    let time = begin.elapsed();
    Ok(Some(Turn {
        rate: total as f64 / time.as_secs_f64(),
        memory: served.memory()?,
    }))
}
