//! `cargo xtask bench`: how fast a device is, beside its peers, in one run.

use std::process::{Command, ExitCode};

use anyhow::Context;

/// Measure calls through a device beside its peers (root; see `bench/`)
#[derive(clap::Args)]
pub(crate) struct Args {
    /// What to measure, and the benchmark's own options
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        default_value = "fuse"
    )]
    arguments: Vec<String>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let status = Command::new(env!("CARGO"))
        .args([
            "run",
            "--quiet",
            "--release",
            "--package",
            "fusd-bench",
            "--",
        ])
        .args(&args.arguments)
        .status()
        .context("cannot run cargo")?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
