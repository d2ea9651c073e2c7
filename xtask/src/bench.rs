//! `cargo xtask bench`: how fast a device is, beside its peers, in one run.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::host::Host;
use crate::lab::build;
use crate::lab::kernel::Kernel;

/// Measure reads through a device beside its peers
///
/// Without arguments: each of fuse and lab that can run here as things are.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// `fuse`, `lab`, `times`, `pipe`, `http` or `serial`, and its options (see `fuse --help` and so on)
    ///
    /// fuse: the time of a read, natively (root). lab: the instructions of a read, counted in the
    /// lab's kernel x86, which is built first if need be. times: bytes a second through kfusd and CUSE,
    /// there, by the clock. pipe: bytes a second through fusd-pipe,
    /// beside a FIFO and socat, here (root) or, with `--in um`, in a guest. http: bytes and reads a
    /// second of a page, through fusd-http, curl, httpdirfs and nbdkit (root). serial: what
    /// fusd-serial-proxy and socat add to a serial port, here or in a guest.
    #[arg(
        value_name = "WHAT",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    arguments: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let succeeded = match args.arguments.as_slice() {
        [] => run_what_can()?,
        arguments => bench(arguments)?,
    };
    Ok(match succeeded {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// Runs each benchmark that needs nothing further, and says what the others need.
fn run_what_can() -> Result<bool> {
    let obstacles = [("fuse", fuse_needs()), ("lab", lab_needs()?)];
    if obstacles.iter().all(|(_, needs)| needs.is_some()) {
        let lines = obstacles.map(|(what, needs)| format!("{what} {}", needs.unwrap_or_default()));
        bail!("no benchmark can run: {}", lines.join("; "));
    }
    let mut succeeded = true;
    for (what, needs) in obstacles {
        match needs {
            Some(needs) => eprintln!("{what} is left out: it {needs}"),
            None => succeeded &= bench(&[what.to_owned()])?,
        }
    }
    Ok(succeeded)
}

fn fuse_needs() -> Option<&'static str> {
    if !Path::new("/dev/fuse").exists() {
        return Some("needs /dev/fuse (modprobe fuse)");
    }
    (!Host::look().is_root()).then_some("needs root")
}

fn lab_needs() -> Result<Option<&'static str>> {
    let built = build::find(Kernel::X86)?;
    Ok(built
        .is_none()
        .then_some("needs a kernel, which `cargo xtask bench lab` builds"))
}

/// Whether the benchmark has succeeded.
fn bench(arguments: &[String]) -> Result<bool> {
    let status = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--release", "--package", "fusd-bench"])
        .arg("--")
        .args(arguments)
        .status()
        .context("cannot run cargo")?;
    Ok(status.success())
}
