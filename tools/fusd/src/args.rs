//! The command line: a command, and its own arguments.

use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::{doctor, generate, kill, list, run, top, trace, up};

/// Look after the devices of fusd: what works here, which there are, and sets of them
#[derive(Debug, Parser)]
#[command(name = "fusd", version, disable_help_subcommand = true)]
pub struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Doctor(doctor::Args),
    List(list::Args),
    Top(top::Args),
    Trace(trace::Args),
    Kill(kill::Args),
    Run(run::Args),
    Check(up::CheckArgs),
    Up(up::Args),
    Down(up::DownArgs),
    /// What `run` starts itself anew as.
    #[command(hide = true)]
    Inside(run::Args),
    /// What systemd's generator runs.
    #[command(hide = true)]
    Generate(generate::Args),
}

/// A length of time, more than none, for `--timeout`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).ok();
    let time = time.filter(|time| !time.is_zero());
    // More than that is for ever, and would not fit everywhere.
    let time = time.map(|time| time.min(Duration::from_secs(10 * 365 * 86400)));
    time.ok_or_else(|| "give a time with its unit, such as 500ms, 10s or 5m".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definitions_are_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn every_command_and_option_has_help() {
        let mut command = Args::command();
        command.build();
        for command in command.get_subcommands() {
            let name = command.get_name();
            assert!(command.get_about().is_some(), "{name} has no help");
            for argument in command.get_arguments() {
                let id = argument.get_id();
                assert!(argument.get_help().is_some(), "{name}: {id} has no help");
            }
        }
    }

    #[test]
    fn times_have_units() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        for text in ["", "5", "0s", "-1s", "x"] {
            assert!(duration(text).unwrap_err().contains("10s"), "{text:?}");
        }
    }
}
