//! Has lintian read the packages, where it is installed.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::check::succeed;
use crate::host;

/// What it says of them that stays as it is, and why.
const KNOWN: [(&str, &str); 0] = [];

/// # Errors
/// It has found an error, or something to warn of, that is not [known](KNOWN).
pub(super) fn run(packages: &[PathBuf]) -> Result<()> {
    if host::find_program("lintian").is_none() {
        println!("-- lintian is not installed: nobody reads the packages --");
        return Ok(());
    }
    println!("-- lintian --");
    let tags = KNOWN.map(|(tag, _)| tag).join(",");
    let mut lintian = Command::new("lintian");
    lintian
        .args(["--no-cfg", "--allow-root", "--tag-display-limit=0"])
        .args(["--fail-on=error,warning", "--suppress-tags", &tags])
        .args(packages)
        .stdin(Stdio::null());
    succeed(lintian).context("lintian has found something in the packages")
}
