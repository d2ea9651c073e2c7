//! `cargo xtask lab`: kernels of our own, and commands that run inside them.
//!
//! What needs a kernel module cannot be tried on a machine whose kernel loads none. The lab fetches
//! a kernel's source, builds it into the user's cache folder and boots it, as a process or in QEMU,
//! with the machine's own programs inside. Nothing outside the cache folder changes.

pub(crate) mod apt;
pub(crate) mod build;
mod cache;
mod channel;
mod console;
mod guest;
mod init;
pub(crate) mod kernel;
mod module;
mod packages;
mod qemu;
mod run;
mod source;
mod step;
mod toolchain;
mod uml;
mod version;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::host::{self, Host, workspace};
use crate::install::{self, Consent, Needs};
pub(crate) use kernel::Kernel;

/// Build a kernel, and run commands in it
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    Build(BuildArgs),
    Run(run::Args),
    Shell(run::ShellArgs),
    Module(module::Args),
}

/// Build a kernel, unless it is there already
///
/// The source is the newest point release of a supported series in the distribution's archive, or
/// the folder that FUSD_LINUX names.
#[derive(clap::Args)]
struct BuildArgs {
    /// Which kernel
    #[arg(default_value = "um")]
    kernel: Kernel,

    /// Install missing packages without asking (CI=true in the environment: the same)
    #[arg(long)]
    yes: bool,

    /// Look for a newer point release than the one that is there
    #[arg(long)]
    update: bool,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    match &args.command {
        Command::Build(args) => build_command(args),
        Command::Run(args) => run::run(args),
        Command::Shell(args) => run::shell(args),
        Command::Module(args) => module::run(args),
    }
}

fn build_command(args: &BuildArgs) -> Result<ExitCode> {
    let consent = match args.yes || install::is_ci() {
        true => Consent::Given,
        false => Consent::Ask,
    };
    // What is built and not updated needs less.
    let is_there = !args.update && build::find(args.kernel)?.is_some();
    let needs = Needs {
        who: "The kernels of the lab",
        packages: packages::packages(args.kernel, is_there),
        without: None,
    };
    install::ensure(&needs, consent, Host::look().is_root())?;
    let built = build::ensure(args.kernel, args.update)?;
    println!("{}", built.join(args.kernel.image()).display());
    Ok(ExitCode::SUCCESS)
}

/// Installs what tests in `kernel` take, and its build unless it is built, as far as `consent` goes.
/// Returns why no test can run in it where nothing may be installed.
///
/// # Errors
///
/// A package is missing, and cannot be installed or nobody said that it may be.
pub(crate) fn prepare(kernel: Kernel, consent: Consent) -> Result<Option<String>> {
    let needs = Needs {
        who: "The kernels of the lab",
        packages: packages::packages(kernel, build::find(kernel)?.is_some()),
        without: install::TESTS.without,
    };
    let missing: Vec<_> = needs.missing().iter().map(|package| package.name).collect();
    if consent == Consent::Withheld && !missing.is_empty() {
        let missing = missing.join(" ");
        return Ok(Some(format!("these packages are not installed: {missing}")));
    }
    install::ensure(&needs, consent, Host::look().is_root())?;
    Ok(None)
}

/// Builds the project's own module for `kernel`, which is built, and returns where it is.
///
/// # Errors
///
/// The build fails; its last words are on standard error.
pub(crate) fn module(kernel: Kernel) -> Result<PathBuf> {
    let modules = module::build_module(kernel, &workspace().join("kfusd"))?;
    modules.into_iter().next().context("kfusd makes no module")
}

/// Has the lints of `kernel`, which is built, look at the project's own module. Returns why they
/// cannot.
///
/// # Errors
///
/// They find something; what it is is on standard error.
pub(crate) fn lint(kernel: Kernel) -> Result<Option<String>> {
    if host::find_program("clippy-driver").is_none() {
        return Ok(Some("clippy is not installed".to_owned()));
    }
    module::lint_module(kernel, &workspace().join("kfusd")).map(|()| None)
}

/// Builds `kernel`, unless it is there already.
///
/// # Errors
///
/// The build fails; its last words are on standard error.
pub(crate) fn build(kernel: Kernel) -> Result<()> {
    build::ensure(kernel, false).map(|_| ())
}
