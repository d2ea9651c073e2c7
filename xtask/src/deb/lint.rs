//! Has lintian read the packages, where it is installed.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::host;

/// What it says of them that stays as it is, and why.
const KNOWN: [(&str, &str); 4] = [
    ("bogus-mail-host", DEBEMAIL),
    ("bogus-mail-host-in-debian-changelog", DEBEMAIL),
    ("root-in-contact", DEBEMAIL),
    (
        "service-file-is-not-a-file",
        "the link has the system start modprobe@kfusd.service",
    ),
];

const DEBEMAIL: &str = "who makes the packages says so in DEBEMAIL";

/// Shows what it says, but for what is [known](KNOWN). That is for people to judge: other releases of it
/// have other opinions.
///
/// # Errors
/// It cannot be run.
pub(super) fn run(packages: &[PathBuf]) -> Result<()> {
    if host::find_program("lintian").is_none() {
        println!("-- lintian is not installed: nobody reads the packages --");
        return Ok(());
    }
    println!("-- lintian --");
    for (tag, why) in KNOWN {
        println!("not shown: {tag}: {why}");
    }
    let tags = KNOWN.map(|(tag, _)| tag).join(",");
    let mut lintian = Command::new("lintian");
    lintian
        .args(["--no-cfg", "--allow-root", "--tag-display-limit=0"])
        .args(["--suppress-tags", &tags])
        .args(packages)
        .stdin(Stdio::null());
    // Its exit status only says whether it has said something.
    lintian.status().context("cannot run lintian").map(drop)
}
