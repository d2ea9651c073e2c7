//! `cargo xtask test`: installs what is needed, runs every check and every test on the host and in
//! the lab's kernels, ends with a count.

use std::process::ExitCode;

use anyhow::Result;
use clap::ValueEnum;

use crate::check;
use crate::conformance;
use crate::host::Host;
use crate::in_guest;
use crate::install::{self, Consent};
use crate::lab::{self, Kernel};
use crate::programs::{self, Program, Which};
use crate::results::{Place, Results};

/// Run every check and every test, on the host and in a guest; the last line of output is the count.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    install: install::Options,

    /// Run the tests in every kernel of the lab, not in User-Mode Linux alone; in those that QEMU
    /// interprets, what depends on the processor.
    #[arg(long)]
    all: bool,

    /// Run only what runs in this kernel; may be given more than once.
    #[arg(long = "in", value_name = "KERNEL", conflicts_with = "all")]
    only_in: Vec<Kernel>,

    /// Run only the checks and tests whose name contains this, and the test programs whose name does.
    filter: Option<String>,
}

/// Runs it all. Failures are counted, not returned.
///
/// # Errors
///
/// The packages that the tests need are missing and were not installed.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let host = Host::look();
    let consent = args.install.consent();
    let filter = args.filter.as_deref().unwrap_or_default();
    if !args.only_in.is_empty() {
        return only_in(&args.only_in, consent, filter);
    }
    println!("-- on the host: {host} --");
    install::ensure(&install::TESTS, consent, host.is_root())?;

    let kernels = match args.all {
        true => Kernel::value_variants(),
        false => &[Kernel::Um],
    };
    if filter.is_empty() {
        // Whoever is asked at all is asked now, not in the middle.
        for kernel in kernels {
            lab::prepare(*kernel, consent)?;
        }
    }
    let mut results = Results::default();
    results.add_count(check::run(filter));
    match programs::build() {
        Ok(programs) => {
            on_host(&programs, &host, filter, &mut results)?;
            results.add(Place::Host, "examples", programs::documentation(filter)?);
            in_guests(&programs, kernels, consent, filter, &mut results)?;
        }
        Err(error) => {
            println!("build ... FAILED: {error:#}");
            results.fail("build");
        }
    }
    if filter.is_empty() {
        results.add_count(check::one("conformance", || conformance::check(&results)));
    }
    Ok(sum_up(&results))
}

/// Runs the tests in these kernels and nothing on the host.
fn only_in(kernels: &[Kernel], consent: Consent, filter: &str) -> Result<ExitCode> {
    for kernel in kernels {
        lab::prepare(*kernel, consent)?;
    }
    let mut results = Results::default();
    in_guests(&programs::build()?, kernels, consent, filter, &mut results)?;
    Ok(sum_up(&results))
}

/// Runs the tests of these programs on the host: as root, also those that need root, and then the
/// FUSE backend has to work.
pub(crate) fn on_host(
    programs: &[Program],
    host: &Host,
    filter: &str,
    results: &mut Results,
) -> Result<()> {
    let (which, required) = match host.is_root_with_fuse() {
        true => (Which::All, "fuse"),
        false => (Which::Plain, ""),
    };
    for program in programs {
        if program.has(Which::All, filter)? {
            let report = program.run(which, filter, required)?;
            results.add(Place::Host, &program.title, report);
        }
    }
    Ok(())
}

/// Runs the tests of these programs in each of the kernels, which are built if need be.
pub(crate) fn in_guests(
    programs: &[Program],
    kernels: &[Kernel],
    consent: Consent,
    filter: &str,
    results: &mut Results,
) -> Result<()> {
    for &kernel in kernels {
        let chosen = in_guest::choose(kernel, programs, filter)?;
        if chosen.is_empty() && !LINT.contains(filter) {
            continue;
        }
        let name = kernel.name();
        if let Some(reason) = lab::prepare(kernel, consent)? {
            println!("\nSKIP {name}: {reason}");
            results.skip();
            continue;
        }
        match lab::build(kernel) {
            Ok(()) => {
                lint(kernel, filter, results);
                if !chosen.is_empty() {
                    in_guest::run(kernel, &chosen, filter, results)?;
                }
            }
            Err(error) => {
                println!("\n{name} ... FAILED: {error:#}");
                results.fail(format!("{name}: {error:#}"));
            }
        }
    }
    Ok(())
}

/// The check of the module by the kernel's own lints.
const LINT: &str = "kfusd clippy";

/// Makes it, for one of the kernels: they have the same lints.
fn lint(kernel: Kernel, filter: &str, results: &mut Results) {
    if kernel == Kernel::Um && LINT.contains(filter) {
        results.add_count(check::one(LINT, || lab::lint(kernel)));
    }
}

/// Prints what ran nowhere, what failed, and the count.
pub(crate) fn sum_up(results: &Results) -> ExitCode {
    let count = results.count();
    println!();
    for (reason, names) in results.skipped() {
        println!("skipped: {}: {reason}", names.join(", "));
    }
    for failure in &count.failures {
        println!("failed: {failure}");
    }
    if count.passed + count.failed == 0 {
        println!("no test ran");
    }
    println!("{count}");
    count.exit_code()
}
