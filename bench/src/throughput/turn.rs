//! One turn: a writer writes for some time, readers read until the end of the file. What is written in
//! the first third of it is not counted: until then, a contender that has just been started is slow.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, ensure};

use super::way::Way;

/// Bytes per second, from the first write that counts to the last reader's end of the file. What was
/// on its way at the beginning counts as well; it is less than what a FIFO and socat hold.
pub(crate) fn turn(
    way: &Way,
    size: usize,
    readers: usize,
    length: Duration,
) -> anyhow::Result<f64> {
    let started = (way.start)()?;
    // Nobody writes before all read: who opens later might find no writer any more.
    let open = Barrier::new(readers + 1);
    let (fed, read) = thread::scope(|scope| {
        let threads: Vec<_> = (0..readers)
            .map(|_| scope.spawn(|| drain(&started.output, size, &open)))
            .collect();
        let file = File::options().write(true).open(&started.input);
        open.wait();
        let fed = file
            .with_context(|| format!("cannot open {}", started.input.display()))
            .and_then(|file| feed(file, size, length));
        let mut read = 0;
        for thread in threads {
            let count = thread
                .join()
                .map_err(|_| anyhow!("a reader has panicked"))?;
            read += count?;
        }
        anyhow::Ok((fed?, read))
    })?;
    let (time, written) = (fed.begin.elapsed(), fed.before + fed.counted);
    ensure!(
        written == read,
        "{written} bytes were written, and {read} read"
    );
    Ok(fed.counted as f64 / time.as_secs_f64())
}

/// What was written.
struct Fed {
    /// Bytes that do not count.
    before: u64,
    begin: Instant,
    /// Bytes that do.
    counted: u64,
}

fn feed(mut file: File, size: usize, length: Duration) -> anyhow::Result<Fed> {
    let before = feed_for(&mut file, size, length / 3)?;
    let begin = Instant::now();
    let counted = feed_for(&mut file, size, length - length / 3)?;
    Ok(Fed {
        before,
        begin,
        counted,
    })
}

fn feed_for(file: &mut File, size: usize, length: Duration) -> anyhow::Result<u64> {
    let data = vec![b'x'; size];
    // The clock costs less than any of the writes, but not nothing.
    let batch = (65536 / size).clamp(1, 64);
    let (begin, mut total) = (Instant::now(), 0);
    while begin.elapsed() < length {
        for _ in 0..batch {
            file.write_all(&data)?;
            total += size as u64;
        }
    }
    Ok(total)
}

fn drain(path: &Path, size: usize, open: &Barrier) -> anyhow::Result<u64> {
    let file = File::open(path);
    open.wait();
    let mut file = file.with_context(|| format!("cannot open {}", path.display()))?;
    let mut buffer = vec![0; size];
    let mut total = 0;
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(total),
            count => total += count as u64,
        }
    }
}
