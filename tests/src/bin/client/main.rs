//! A client process for tests that signal or kill it: `client NODE WORD...` makes one call and
//! prints how it ended: `ok VALUE` or the errno's name.
//!
//! Words: `open`, `copies` (opens, makes two copies, closes all), `read N`, `reads N` (for ever), `write N`, `ioctl NUMBER`, `poll`;
//! `again WORD...` does the same with calls that begin again after `SIGUSR1`;
//! `alarm WORD...` does the same with an alarm every 10 ms, in guests less often; `interrupts N MICROS` reads numbers of a `numbers` device until N reads were interrupted, and
//! checks that none is lost or doubled; `fill TAG COUNT [FILE]` and `drain FILE` are a writer and a reader of
//! numbered records, see `records`. `SIGUSR1` interrupts what blocks.

mod readiness;
mod records;

use std::env;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fusd_tests::client::{Outcome, open, open_with};
use fusd_tests::sys;
use fusd_tests::wait::slowness;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::os::fd::AsFd;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    for signal in [Signal::SIGUSR1, Signal::SIGALRM] {
        sys::catch(signal).expect("signals can be caught");
    }
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let [node, call @ ..] = words.as_slice() else {
        eprintln!("usage: client NODE WORD...");
        return ExitCode::from(2);
    };
    match run(Path::new(node), call) {
        Ok(value) => println!("ok {value}"),
        Err(errno) => println!("{errno:?}"),
    }
    ExitCode::SUCCESS
}

fn number<T: std::str::FromStr>(word: &str) -> T {
    word.parse()
        .unwrap_or_else(|_| panic!("{word:?} is no number"))
}

fn run(node: &Path, call: &[&str]) -> Outcome<String> {
    match call {
        ["open"] => open(node).map(|_| "opened".into()),
        ["copies"] => {
            let file = open(node)?;
            drop((file.duplicate(), file.duplicate(), file));
            Ok("closed".into())
        }
        ["read", length] => {
            let data = open_with(node, OFlag::O_RDONLY)?.read(number(length))?;
            Ok(String::from_utf8_lossy(&data).into_owned())
        }
        ["reads", length] => {
            let file = open_with(node, OFlag::O_RDONLY)?;
            loop {
                file.read_at(0, number(length))?;
            }
        }
        ["write", length] => {
            let data = vec![b'w'; number(length)];
            let count = open_with(node, OFlag::O_WRONLY)?.write(&data)?;
            Ok(count.to_string())
        }
        ["ioctl", command] => {
            let result = open(node)?.ioctl(number(command), &mut [0; 64])?;
            Ok(result.to_string())
        }
        ["poll"] => {
            let file = open_with(node, OFlag::O_RDONLY)?;
            let mut fds = [PollFd::new(file.as_fd(), PollFlags::POLLIN)];
            nix::poll::poll(&mut fds, PollTimeout::NONE)?;
            Ok(format!("{:?}", fds[0].revents()))
        }
        ["again", call @ ..] => {
            sys::catch_and_restart(Signal::SIGUSR1)?;
            run(node, call)
        }
        ["alarm", call @ ..] => {
            sys::alarm_every(10_000 * slowness())?;
            run(node, call)
        }
        ["interrupts", count, micros] => interrupts(node, number(count), number(micros)),
        ["fill", tag, count] => records::fill(node, tag, number(count), None),
        ["fill", tag, count, told] => {
            records::fill(node, tag, number(count), Some(Path::new(told)))
        }
        ["drain", file] => records::drain(node, Path::new(file)),
        _ => panic!("unknown words {call:?}"),
    }
}

/// Has a thread interrupt each read that lasts: `micros` microseconds after its beginning, then after
/// twice that time and so on, so that a slow machine gets on in between. It spins: a timer may be
/// coarse, and those of User-Mode Linux with two processors get lost.
fn interrupt_reads(micros: u32, begun: &Arc<AtomicU64>) {
    let begun = Arc::clone(begun);
    thread::spawn(move || {
        let (mut last, mut pause) = (0, Duration::ZERO);
        loop {
            let (now, start) = (begun.load(Ordering::SeqCst), Instant::now());
            pause = match now {
                END => return,
                now if now == last => 2 * pause,
                _ => Duration::from_micros(micros.into()),
            };
            last = now;
            while start.elapsed() < pause && begun.load(Ordering::SeqCst) == now {
                thread::yield_now();
            }
            if begun.load(Ordering::SeqCst) == now && now != 0 {
                // To the first thread, which reads.
                let _ = kill(Pid::this(), Signal::SIGALRM);
            }
        }
    });
}

/// The number of the read after the last.
const END: u64 = u64::MAX;

/// Reads the numbers 0, 1, 2... (4 bytes each, little-endian) while signals interrupt the reads.
fn interrupts(node: &Path, wanted: u32, micros: u32) -> Outcome<String> {
    let file = open_with(node, OFlag::O_RDONLY)?;
    let begun = Arc::new(AtomicU64::new(0));
    interrupt_reads(micros, &begun);
    let (mut interrupted, mut next) = (0, 0u32);
    while interrupted < wanted {
        begun.fetch_add(1, Ordering::SeqCst);
        match file.read(4) {
            Err(Errno::EINTR) => interrupted += 1,
            Err(errno) => return Err(errno),
            Ok(bytes) => {
                let bytes: [u8; 4] = bytes.try_into().expect("whole numbers");
                let found = u32::from_le_bytes(bytes);
                if found != next {
                    return Ok(format!(
                        "{found} instead of {next} after {interrupted} EINTR"
                    ));
                }
                next += 1;
            }
        }
    }
    // What was taken for an interrupted read must have gone back: the next number is there. Also this
    // read may be one that is answered only once it was interrupted.
    let last = loop {
        begun.fetch_add(1, Ordering::SeqCst);
        match file.read(4) {
            Err(Errno::EINTR) => {}
            other => break other?,
        }
    };
    begun.store(END, Ordering::SeqCst);
    let found = u32::from_le_bytes(last.try_into().expect("whole numbers"));
    if found != next {
        return Ok(format!("{found} instead of {next} at the end"));
    }
    Ok(format!("{interrupted} interrupted, {next} in order"))
}
