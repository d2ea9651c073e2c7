//! fusd-serial-proxy: one serial port for many programs, as a terminal device of its own.
//!
//! [`Args`] is the command line. The rules are in `state`, around one line discipline
//! (`discipline`), which knows nothing of files or time; the device puts them to the library's
//! [`WaitQueue`](fusd::WaitQueue), which knows how to wait. What is at the other side is in `port`.

#![deny(unsafe_code)]

mod args;
mod connect;
mod device;
mod discipline;
mod flocks;
mod hub;
mod ioctl;
mod line;
mod list;
mod lockfile;
mod monitor;
mod options;
mod port;
mod pty;
mod rights;
mod state;
mod stats;
mod sys;
mod tap;
mod target;
mod termios;
mod usb;
mod watcher;

use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use clap::Parser;

pub use args::Args;
pub use device::SerialDevice;
pub use options::{OnLost, Policy, Share, WriteLock};
pub use rights::Who;
pub use stats::Stats;
pub use tap::Form;
pub use target::Target;
pub use usb::Adapter;

/// The command line as clap sees it: what the manual page and completions are made from.
pub fn command() -> clap::Command {
    <Args as clap::CommandFactory>::command()
}

/// All that the program does.
pub fn main() -> ExitCode {
    if watcher::run() {
        return ExitCode::SUCCESS;
    }
    // Anything else, mistakes as well, is for the tool.
    if !Args::try_parse().is_ok_and(|args| args.list) {
        return fusd_tool::main::<Args>();
    }
    let shown = list::list().and_then(|text| match io::stdout().write_all(text.as_bytes()) {
        // Whoever reads it has seen enough.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.to_string()),
        _ => Ok(()),
    });
    match shown {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fusd-serial-proxy: cannot list the serial ports: {error}");
            ExitCode::FAILURE
        }
    }
}
