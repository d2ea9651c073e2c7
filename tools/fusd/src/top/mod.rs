//! `fusd top`: the devices, live, with the rates that the kernel module counts.

mod rates;
mod screen;

use std::cmp::Reverse;
use std::io::{self, IsTerminal, Read};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use fusd::Errno;
use fusd_tool::{ToolError, exit};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, raise};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use self::rates::{Rate, Rates};
use self::screen::Screen;
use crate::devices::{self, Device};
use crate::{args, list, table};

/// Show the devices live: how much goes through each, and what waits
///
/// Rates are those of the kernel module; other backends do not count. Keys: s sorts by another column,
/// space looks again at once, q ends.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Time between two looks
    #[arg(long, value_name = "TIME", value_parser = args::duration, default_value = "1s")]
    interval: Duration,
}

/// By what the devices are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Node,
    Requests,
    Bytes,
    Waiting,
}

impl Order {
    fn next(self) -> Self {
        match self {
            Self::Node => Self::Requests,
            Self::Requests => Self::Bytes,
            Self::Bytes => Self::Waiting,
            Self::Waiting => Self::Node,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Requests => "requests",
            Self::Bytes => "bytes",
            Self::Waiting => "waiting",
        }
    }

    fn sort(self, rows: &mut [(Device, Option<Rate>)]) {
        let waiting = |device: &Device| device.counters.map_or(0, |counters| counters.waiting);
        match self {
            // They come in this order.
            Self::Node => {}
            Self::Requests => rows.sort_by_key(|(_, rate)| Reverse(rate.map(|rate| rate.requests))),
            Self::Bytes => rows.sort_by_key(|(_, rate)| Reverse(rate.map(|rate| rate.bytes))),
            Self::Waiting => rows.sort_by_key(|(device, _)| Reverse(waiting(device))),
        }
    }
}

/// What there is to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Look,
    Draw,
    Stop,
    End,
}

pub(crate) fn run(args: &Args) -> Result<u8, ToolError> {
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Err(ToolError::usage(
            "standard input and output have to be a terminal; `fusd list` is for all else",
        ));
    }
    let failed = |errno: Errno| ToolError::failed(format!("cannot use the terminal: {errno}"));
    let signals = signals().map_err(failed)?;
    let mut screen = Screen::take().map_err(|error| failed(error.into()))?;
    let mut rates = Rates::default();
    let mut order = Order::Node;
    let mut rows = rates.look();
    let mut next_look = Instant::now() + args.interval;
    loop {
        order.sort(&mut rows);
        let lines = lines(&rows, order, args.interval);
        screen.draw(&lines).map_err(|error| failed(error.into()))?;
        match wait(&signals, next_look, &mut order).map_err(failed)? {
            Next::End => return Ok(exit::STOPPED),
            Next::Draw => {}
            Next::Stop => {
                screen.leave();
                stop().map_err(failed)?;
                screen.take_again().map_err(|error| failed(error.into()))?;
            }
            Next::Look => {
                rows = rates.look();
                next_look = Instant::now() + args.interval;
            }
        }
    }
}

/// The signals that are about the terminal, or about the end.
fn signals() -> Result<SignalFd, Errno> {
    let set = SigSet::from_iter([
        Signal::SIGTERM,
        Signal::SIGINT,
        Signal::SIGHUP,
        Signal::SIGTSTP,
        Signal::SIGWINCH,
    ]);
    set.thread_block()?;
    let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
    Ok(SignalFd::with_flags(&set, flags)?)
}

/// Stops this job, as a shell expects it; returns when it goes on.
fn stop() -> Result<(), Errno> {
    let set = SigSet::from(Signal::SIGTSTP);
    raise(Signal::SIGTSTP)?;
    set.thread_unblock()?;
    Ok(set.thread_block()?)
}

/// Waits for a key, a signal, or the time of the next look.
fn wait(signals: &SignalFd, until: Instant, order: &mut Order) -> Result<Next, Errno> {
    let left = until.saturating_duration_since(Instant::now());
    // Rounded up: else the last moment would be waited for without rest.
    let left = left + Duration::from_millis(1);
    let left = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
    let stdin = io::stdin();
    let mut events = [
        PollFd::new(stdin.as_fd(), PollFlags::POLLIN),
        PollFd::new(signals.as_fd(), PollFlags::POLLIN),
    ];
    match poll(&mut events, left) {
        Ok(0) => return Ok(Next::Look),
        Ok(_) => {}
        Err(nix::errno::Errno::EINTR) => return Ok(Next::Draw),
        Err(errno) => return Err(errno.into()),
    }
    if let Ok(Some(info)) = signals.read_signal() {
        // Lossless: signal numbers are at most 64.
        return Ok(match Signal::try_from(info.ssi_signo as i32) {
            Ok(Signal::SIGWINCH) => Next::Draw,
            Ok(Signal::SIGTSTP) => Next::Stop,
            _ => Next::End,
        });
    }
    if !events[0].any().unwrap_or(false) {
        return Ok(Next::Draw);
    }
    let mut keys = [0; 64];
    let count = stdin.lock().read(&mut keys)?;
    let keys = keys.get(..count).unwrap_or_default();
    if keys.is_empty() {
        // The terminal has gone.
        return Ok(Next::End);
    }
    let mut next = Next::Draw;
    for key in keys {
        match key {
            b'q' | b'Q' | 0x03 => return Ok(Next::End),
            b's' => *order = order.next(),
            b' ' => next = Next::Look,
            0x1a => next = Next::Stop,
            _ => {}
        }
    }
    Ok(next)
}

const TITLE: [&str; 9] = [
    "NODE", "BACKEND", "DRIVER", "FILES", "WAITING", "OLDEST", "REQ/S", "BYTES/S", "CLIENTS",
];

fn lines(rows: &[(Device, Option<Rate>)], order: Order, interval: Duration) -> Vec<String> {
    let mut cells = vec![TITLE.map(str::to_owned).to_vec()];
    cells.extend(rows.iter().map(|(device, rate)| row(device, rate.as_ref())));
    let served: f64 = rows
        .iter()
        .filter_map(|(_, rate)| Some(rate.as_ref()?.requests()))
        .sum();
    let mut lines = vec![format!(
        "{} devices, {served:.0} requests/s; every {}, by {}; s sorts, q ends",
        rows.len(),
        humantime::format_duration(interval),
        order.name(),
    )];
    lines.extend(table::lay_out(&cells));
    lines
}

fn row(device: &Device, rate: Option<&Rate>) -> Vec<String> {
    let none = || "-".to_owned();
    let count =
        |text: fn(&devices::Counters) -> String| device.counters.as_ref().map_or_else(none, text);
    vec![
        table::printable(&device.path.to_string_lossy()),
        device.backend.to_string(),
        list::driver(device),
        count(|counters| counters.files.to_string()),
        count(|counters| counters.waiting.to_string()),
        count(|counters| match counters.waiting {
            0 => "-".to_owned(),
            _ => format!("{:.1}s", counters.oldest.as_secs_f64()),
        }),
        rate.map_or_else(none, |rate| format!("{:.0}", rate.requests())),
        rate.map_or_else(none, |rate| table::bytes(rate.bytes)),
        list::clients(device),
    ]
}
