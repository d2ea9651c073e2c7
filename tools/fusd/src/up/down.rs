//! `fusd down`: ends what `fusd up` has started.

use std::os::fd::OwnedFd;
use std::thread;
use std::time::{Duration, Instant};

use fusd::Errno;
use fusd_tool::{ToolError, exit};
use rustix::io::Errno as Raw;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::state::{Record, State};
use crate::args;
use crate::list::print;

/// Between two looks at whether a driver has ended.
const PAUSE: Duration = Duration::from_millis(10);

/// End the devices that `fusd up` has started
///
/// What is not up stays so. The configuration file is not needed.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Devices to end [default: all that are up]
    #[arg(value_name = "NAME")]
    names: Vec<String>,

    /// How long to wait until the drivers have ended
    #[arg(short, long, value_name = "TIME", value_parser = args::duration, default_value = "5s")]
    timeout: Duration,

    /// Then kill what is left, by SIGKILL
    #[arg(long)]
    force: bool,
}

pub(crate) fn run(args: &Args) -> Result<u8, ToolError> {
    let state = State::open()?;
    let names = match args.names.is_empty() {
        true => state.names(),
        false => args
            .names
            .iter()
            .map(|name| short(name).to_owned())
            .collect(),
    };
    if names.is_empty() {
        print("nothing is up\n");
    }
    let mut code = exit::STOPPED;
    let mut ending = Vec::new();
    for name in names {
        match state.running(&name) {
            None => {
                state.remove(&name);
                print(&format!("{name} is not up\n"));
            }
            Some(record) => match hold(&record).and_then(|handle| {
                signal(&handle, Signal::TERM)?;
                Ok(handle)
            }) {
                Ok(handle) => ending.push((name, record, handle)),
                Err(errno) => {
                    fusd_tool::say(format!(
                        "fusd: cannot end {name}, process {}: {errno}\n",
                        record.pid
                    ));
                    code = exit::FAILED;
                }
            },
        }
    }
    for (name, record, handle) in ending {
        let mut ended = wait(&record, args.timeout);
        if !ended && args.force {
            // It has ended meanwhile, or it dies.
            let _gone = signal(&handle, Signal::KILL);
            ended = wait(&record, args.timeout);
        }
        if ended {
            state.remove(&name);
            print(&format!("{name} is down\n"));
        } else {
            let time = humantime::format_duration(args.timeout);
            fusd_tool::say(format!(
                "fusd: cannot end {name} within {time}: process {} still serves it; wait for longer \
                 with --timeout, or kill it with --force\n",
                record.pid
            ));
            code = exit::FAILED;
        }
    }
    Ok(code)
}

fn short(name: &str) -> &str {
    name.strip_prefix("/dev/").unwrap_or(name)
}

/// A hold on the driver that cannot become another process's.
fn hold(record: &Record) -> Result<OwnedFd, Errno> {
    let pid = i32::try_from(record.pid).ok().and_then(Pid::from_raw);
    let handle = pid
        .ok_or(Raw::SRCH)
        .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()))
        .map_err(errno)?;
    match record.is_alive() {
        true => Ok(handle),
        // The number has become another's between two looks.
        false => Err(errno(Raw::SRCH)),
    }
}

fn signal(handle: &OwnedFd, signal: Signal) -> Result<(), Errno> {
    match pidfd_send_signal(handle, signal) {
        Ok(()) | Err(Raw::SRCH) => Ok(()),
        Err(error) => Err(errno(error)),
    }
}

fn errno(error: Raw) -> Errno {
    Errno::from_raw(error.raw_os_error()).unwrap_or(Errno::EIO)
}

/// Whether the driver has ended, now or within `limit`.
fn wait(record: &Record, limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    while record.is_alive() {
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(PAUSE);
    }
    true
}
