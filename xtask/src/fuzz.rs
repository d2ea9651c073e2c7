//! `cargo xtask fuzz kfusd`: a million messages that are nearly right, to the kernel module, in a
//! guest that watches its memory and its locks.
//!
//! The work is done by tests of `tests/tests/kfusd`, which the suite runs as well, for shorter: here
//! they are told how much, and their output is shown as it comes.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

use crate::install;
use crate::lab::{self, Kernel};
use crate::programs;

/// Try the kernel module with messages that are nearly right, in a guest
///
/// Ends with counts. Any report of the guest's kernel makes it fail, and is shown.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    Kfusd(Kfusd),
}

/// Messages of drivers to the kernel module
#[derive(clap::Args)]
struct Kfusd {
    #[command(flatten)]
    install: install::Options,

    /// In which kernel of the lab
    #[arg(long, default_value = "kasan")]
    kernel: Kernel,

    /// How many messages
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    messages: u64,

    /// Where the random numbers begin; a new place each time unless given
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    /// How often to load and unload the module afterwards
    #[arg(long, value_name = "N", default_value_t = 1000)]
    loads: u64,

    /// Kill the guest after this time; by default, ten minutes and three more for each 10000
    /// messages or 100 loads
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    timeout: Option<u64>,
}

/// The tests that do it, and the variables that tell them how much.
const MESSAGES: (&str, &str) = (
    "fuzz::nearly_right_messages_do_no_harm",
    "FUSD_FUZZ_MESSAGES",
);
const LOADS: (&str, &str) = (
    "loading::it_comes_and_goes_a_thousand_times",
    "FUSD_KFUSD_LOADS",
);

/// Runs it.
///
/// # Errors
///
/// Something cannot be built, or the guest cannot be started.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let What::Kfusd(args) = &args.what;
    if let Some(reason) = lab::prepare(args.kernel, args.install.consent())? {
        anyhow::bail!("{}: {reason}", args.kernel.name());
    }
    lab::build(args.kernel)?;
    let module = lab::module(args.kernel)?;
    let program = programs::build_fast("fusd-tests", "kfusd")?;
    let seed = args.seed.unwrap_or_else(new_seed);
    let name = args.kernel.name();
    println!(
        "in {name}: {} messages with seed {seed}, {} loads; again with: \
         cargo xtask fuzz kfusd --kernel {name} --messages {} --seed {seed} --loads {}",
        args.messages, args.loads, args.messages, args.loads,
    );
    let status = in_guest(args, &module, &program.file, seed)?;
    let succeeded = status.success();
    println!(
        "{}: {} messages, {} loads",
        if succeeded { "passed" } else { "FAILED" },
        args.messages,
        args.loads
    );
    Ok(match succeeded {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// Numbers that are new each time; small, so that a person can pass them on.
fn new_seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(1, |now| now.as_millis() as u64 % 1_000_000_000)
}

fn limit(args: &Kfusd) -> u64 {
    let work = args.messages.div_ceil(10_000) + args.loads.div_ceil(100);
    args.timeout.unwrap_or(60 * (10 + 3 * work))
}

/// Runs the tests in a guest, as `cargo xtask lab run` does.
fn in_guest(
    args: &Kfusd,
    module: &Path,
    program: &Path,
    seed: u64,
) -> Result<std::process::ExitStatus> {
    let mut command = Command::new("/proc/self/exe");
    command
        .args(["lab", "run", args.kernel.name()])
        .arg(format!("--timeout={}", limit(args)))
        .arg("--")
        .arg(program)
        .args([
            "--exact",
            "--test-threads=1",
            "--nocapture",
            "--color=never",
        ])
        .arg(MESSAGES.0)
        .env(MESSAGES.1, args.messages.to_string())
        .env("FUSD_FUZZ_SEED", seed.to_string())
        .env("FUSD_KFUSD_MODULE", module)
        .env("FUSD_REQUIRE", "kfusd");
    if args.loads > 0 {
        command.arg(LOADS.0).env(LOADS.1, args.loads.to_string());
    }
    command.status().context("cannot run this program again")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::host::workspace;

    #[test]
    fn the_tests_it_runs_exist_and_read_their_variables() {
        for (test, variable) in [MESSAGES, LOADS] {
            let (file, function) = test.split_once("::").unwrap();
            let path = workspace().join(format!("tests/tests/kfusd/{file}.rs"));
            let text = fs::read_to_string(path).unwrap();
            assert!(
                text.contains(&format!("#[test]\nfn {function}()")),
                "{test}"
            );
            assert!(text.contains(&format!("\"{variable}\"")), "{variable}");
        }
    }
}
