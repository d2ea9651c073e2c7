//! `cargo xtask soak pipe`: ten million records through fusd-pipe, of which none may be missing.
//!
//! The work is done by tests of `tests/tests/pipe`, which the suite runs as well, with fewer records:
//! here they are told how many, and say how far they are.

use std::path::Path;
use std::process::{Command, ExitCode, ExitStatus};

use anyhow::{Context, Result, bail};

use crate::check::{cargo, succeed};
use crate::host::Host;
use crate::install;
use crate::lab::{self, Kernel};
use crate::programs::{self, Program};

/// Account for millions of records, on this machine or in a guest
///
/// Shows how far it is, and ends with a verdict. Any record that is lost, doubled, torn or out of
/// order makes it fail.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    Pipe(Pipe),
}

/// Records through fusd-pipe, of 8 writers and 8 readers, with signals, kills and changes of O_NONBLOCK
#[derive(clap::Args)]
struct Pipe {
    #[command(flatten)]
    install: install::Options,

    /// How many records each test has read
    #[arg(long, value_name = "N", default_value_t = 10_000_000, value_parser = clap::value_parser!(u64).range(1_000..))]
    records: u64,

    /// Through which backend; may be given more than once [default: fuse, in a guest all]
    #[arg(long, value_name = "BACKEND", value_parser = BACKENDS)]
    backend: Vec<String>,

    /// In this kernel of the lab instead of on this machine
    #[arg(long = "in", value_name = "KERNEL")]
    kernel: Option<Kernel>,

    /// Give a test up after this time [default: five minutes, and one for each 100000 records; in a
    /// guest ten times that]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    timeout: Option<u64>,
}

const BACKENDS: [&str; 3] = ["fuse", "cuse", "kfusd"];

/// The tests that do it, in `suite/accounting.rs`.
const TESTS: [&str; 3] = [
    "every_record_goes_to_one_reader",
    "every_record_goes_to_every_reader",
    "a_killed_reader_takes_one_read_at_most",
];

/// The variables that tell them how many, and how long they may take.
const RECORDS: &str = "FUSD_SOAK_RECORDS";
const LIMIT: &str = "FUSD_TEST_LIMIT";

/// Runs it.
///
/// # Errors
///
/// Something cannot be built, or the guest cannot be started.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let What::Pipe(args) = &args.what;
    let backends = args.backends();
    let module = match args.kernel {
        Some(kernel) => Some(prepare(kernel, args)?),
        None if !Host::look().is_root() => bail!("the tests of nodes take root; run this as root"),
        None => None,
    };
    succeed(cargo(&["build", "--release", "--package", "fusd-pipe"]))?;
    let program = programs::build_fast("fusd-tests", "pipe")?;
    println!(
        "{} records a test, through {}",
        args.records,
        backends.join(", ")
    );
    let status = match (args.kernel, module) {
        (Some(kernel), Some(module)) => in_guest(args, kernel, &module, &program)?,
        _ => on_host(args, &program)?,
    };
    let verdict = if status.success() { "passed" } else { "FAILED" };
    println!(
        "{verdict}: {} records a test, through {}",
        args.records,
        backends.join(", ")
    );
    Ok(match status.success() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// Sees to a kernel and the project's module for it; where the module is.
fn prepare(kernel: Kernel, args: &Pipe) -> Result<std::path::PathBuf> {
    if let Some(reason) = lab::prepare(kernel, args.install.consent())? {
        bail!("{}: {reason}", kernel.name());
    }
    lab::build(kernel)?;
    lab::module(kernel)
}

impl Pipe {
    fn backends(&self) -> Vec<&str> {
        match (self.backend.is_empty(), self.kernel) {
            (false, _) => self.backend.iter().map(String::as_str).collect(),
            (true, None) => vec!["fuse"],
            (true, Some(_)) => BACKENDS.to_vec(),
        }
    }

    /// How long a test may take, in seconds.
    fn limit(&self) -> u64 {
        let times = if self.kernel.is_some() { 10 } else { 1 };
        let each = times * (300 + 60 * self.records.div_ceil(100_000));
        self.timeout.unwrap_or(each)
    }

    /// The names of the tests, as the test program knows them.
    fn tests(&self) -> Vec<String> {
        let of = |backend: &str| TESTS.map(|test| format!("{backend}::{test}"));
        self.backends().into_iter().flat_map(of).collect()
    }

    /// Has `command`, which runs the test program, run the tests of this soak.
    fn tell(&self, command: &mut Command) {
        command
            .args([
                "--exact",
                "--test-threads=1",
                "--nocapture",
                "--color=never",
            ])
            .args(self.tests())
            .env(RECORDS, self.records.to_string())
            .env(LIMIT, self.limit().to_string())
            .env("FUSD_REQUIRE", self.backends().join(","));
    }
}

fn on_host(args: &Pipe, program: &Program) -> Result<ExitStatus> {
    let mut command = Command::new(&program.file);
    command.current_dir(&program.folder);
    args.tell(&mut command);
    command.status().context("cannot run the test program")
}

/// Runs the tests in a guest, as `cargo xtask lab run` does.
fn in_guest(args: &Pipe, kernel: Kernel, module: &Path, program: &Program) -> Result<ExitStatus> {
    // Once more for what comes before and after the tests.
    let limit = args.limit() * (1 + args.tests().len() as u64);
    let mut command = Command::new("/proc/self/exe");
    command
        .args(["lab", "run", kernel.name()])
        .arg(format!("--timeout={limit}"))
        .arg("--")
        .arg(&program.file)
        .env("FUSD_KFUSD_MODULE", module);
    args.tell(&mut command);
    command.status().context("cannot run this program again")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::host::workspace;

    #[test]
    fn the_tests_it_runs_exist_and_read_their_variables() {
        let read = |file: &str| fs::read_to_string(workspace().join("tests").join(file)).unwrap();
        let suite = read("tests/pipe/suite/accounting.rs");
        for test in TESTS {
            assert!(suite.contains(&format!("fn {test}(")), "{test}");
            assert!(read("tests/pipe/main.rs").contains(test), "{test}");
        }
        assert!(read("tests/pipe/soak.rs").contains(&format!("\"{RECORDS}\"")));
        assert!(read("src/watchdog.rs").contains(&format!("\"{LIMIT}\"")));
    }
}
