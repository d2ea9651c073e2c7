//! A comparison of a tool: what it needs built, and the guest that it may run in.

use std::env;
use std::ffi::OsStr;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

use crate::count::MODULE;
use crate::lab::{build_module, lab};

/// Seconds that a guest may take.
const TIMEOUT: u32 = 1800;

/// Builds a tool beside this program.
///
/// # Errors
/// It cannot be built.
pub(crate) fn build_tool(package: &str) -> anyhow::Result<()> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--quiet", "--release", "--package", package])
        .status()
        .context("cannot run cargo")?;
    ensure!(status.success(), "{package} cannot be built");
    Ok(())
}

/// Has this program run with these arguments in a guest that has the project's module at hand, and so many
/// processors: with two, User-Mode Linux takes 10 ms now and then to wake the other.
///
/// # Errors
/// There is no such guest, or it did not measure.
pub(crate) fn in_guest<I>(kernel: &str, cpus: u32, arguments: I) -> anyhow::Result<()>
where
    I: IntoIterator<Item: AsRef<OsStr>>,
{
    let module = build_module(kernel)?;
    let status = lab()
        .args(["run", kernel, &format!("--cpus={cpus}")])
        .arg(format!("--timeout={TIMEOUT}"))
        .arg("--")
        .arg(env::current_exe()?)
        .args(arguments)
        .env(MODULE, module)
        .stdin(Stdio::null())
        .status()
        .context("cannot run cargo")?;
    ensure!(status.success(), "the guest did not measure");
    Ok(())
}
