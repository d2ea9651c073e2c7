//! fusd: the front door. What works on this machine, which devices there are and who uses them, and
//! whole sets of devices: for a while, for one command alone, or from a file.
//!
//! It serves no device itself. [`Args`] is the command line; each command has a module of its name.
//! What there is of devices on the machine is in `devices`, whatever command wants it.

#![forbid(unsafe_code)]

mod args;
mod config;
mod devices;
mod doctor;
mod driver;
mod generate;
mod kill;
mod list;
mod run;
mod table;
mod top;
mod trace;
mod up;

pub use args::Args;

use args::Command;
use fusd_tool::ToolError;

/// Does what the command line says; gives the exit code.
///
/// # Errors
/// It cannot be done.
pub fn run(args: Args) -> Result<u8, ToolError> {
    match args.command {
        Command::Doctor(args) => doctor::run(&args),
        Command::List(args) => list::run(&args),
        Command::Top(args) => top::run(&args),
        Command::Trace(args) => trace::run(&args),
        Command::Kill(args) => kill::run(&args),
        Command::Run(args) => run::run(&args),
        Command::Check(args) => up::check(&args),
        Command::Up(args) => up::run(&args),
        Command::Down(args) => up::down(&args),
        Command::Inside(args) => run::inside::run(&args),
        Command::Generate(args) => generate::run(&args),
    }
}

/// The command line as clap sees it: what the manual page and completions are made from.
pub fn command() -> clap::Command {
    <Args as clap::CommandFactory>::command()
}
