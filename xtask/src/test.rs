//! `cargo xtask test`: installs what is needed, runs every check and every test, ends with a count.

use std::io::{BufRead, BufReader};
use std::process::{ExitCode, Stdio};

use anyhow::{Context, Result};

use crate::check::{self, cargo, succeed};
use crate::count::Count;
use crate::host::Host;
use crate::install::{self, Consent};
use crate::libtest::Reader;

/// Run every check and every test; the last line of output is the count.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Install missing packages without asking (CI=true in the environment: the same).
    #[arg(long)]
    yes: bool,

    /// Install nothing: tests that need a missing package are skipped.
    #[arg(long, conflicts_with = "yes")]
    no_install: bool,

    /// Run only the checks and tests whose name contains this.
    filter: Option<String>,
}

impl Args {
    fn consent(&self) -> Consent {
        match (self.no_install, self.yes || install::is_ci()) {
            (true, _) => Consent::Withheld,
            (_, true) => Consent::Given,
            _ => Consent::Ask,
        }
    }
}

/// Runs it all. Failures are counted, not returned.
///
/// # Errors
///
/// The packages that the tests need are missing and were not installed.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let host = Host::look();
    println!("{host}");
    install::ensure(&install::TESTS, args.consent(), host.is_root())?;

    let filter = args.filter.as_deref().unwrap_or_default();
    let mut count = check::run(filter);
    // The tests start the programs that this puts beside them, in the same profile.
    match succeed(cargo(&["build", "--workspace", "--bins"])) {
        Ok(()) => {
            count.add(tests(
                &["--lib", "--bins", "--tests"],
                host.is_root_with_fuse(),
                filter,
            )?);
            count.add(tests(&["--doc"], false, filter)?);
        }
        Err(error) => {
            println!("build ... FAILED: {error:#}");
            count.fail("build");
        }
    }

    for failure in &count.failures {
        println!("failed: {failure}");
    }
    if count.passed + count.failed == 0 {
        println!("no test ran");
    }
    println!("{count}");
    Ok(count.exit_code())
}

/// Runs the tests of the given targets and shows their output as it comes.
///
/// `privileged` adds the tests marked as ignored, which need root, and makes it a failure if the
/// FUSE backend cannot be used.
fn tests(targets: &[&str], privileged: bool, filter: &str) -> Result<Count> {
    let mut command = cargo(&["test", "--workspace", "--no-fail-fast"]);
    command
        .args(targets)
        .args(["--", "--show-output", "--color=never"]);
    if privileged {
        command.arg("--include-ignored").env("FUSD_REQUIRE", "fuse");
    }
    if !filter.is_empty() {
        command.arg(filter);
    }
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run cargo")?;
    let output = child.stdout.take().context("cargo test has no output")?;
    let mut reader = Reader::new();
    for line in BufReader::new(output).split(b'\n') {
        let line = line.context("cannot read the output of cargo test")?;
        let line = String::from_utf8_lossy(&line);
        if reader.line(line.trim_end_matches('\r')) {
            println!("{line}");
        }
    }
    let status = child.wait().context("cannot wait for cargo test")?;
    Ok(reader.finish(status.success()))
}
