//! The system packages that the tests need: finds what is missing and installs it.
//!
//! Nothing is installed unasked: it takes a person's yes, `--yes`, or `CI=true`.

use std::env;
use std::io::{self, IsTerminal, Write};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail};

use crate::host;

/// A package of Debian and its derivatives, and the program that shows that it is there.
struct Package {
    name: &'static str,
    program: &'static str,
    why: &'static str,
}

const PACKAGES: [Package; 3] = [
    Package {
        name: "fuse3",
        program: "fusermount3",
        why: "an ordinary user mounts with it",
    },
    Package {
        name: "man-db",
        program: "man",
        why: "the manual pages are read with it",
    },
    Package {
        name: "groff-base",
        program: "groff",
        why: "it formats the manual pages",
    },
];

/// What may be done about a missing package.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Consent {
    /// Install it.
    Given,
    /// Ask the person at the terminal, if there is one.
    Ask,
    /// Leave it: the tests that need it are skipped.
    Withheld,
}

/// Installs what is missing, as far as `consent` goes.
///
/// # Errors
///
/// Something is missing and cannot be installed, or nobody said that it may be.
pub(crate) fn ensure(consent: Consent, is_root: bool) -> Result<()> {
    let missing = missing();
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing
        .iter()
        .map(|package| package.name)
        .collect::<Vec<_>>()
        .join(" ");
    if consent == Consent::Withheld {
        println!("missing, and not installed because of --no-install: {names}");
        return Ok(());
    }
    println!("The tests need packages that are not installed here:");
    for package in &missing {
        println!(
            "  {:<12}{} ({})",
            package.name, package.program, package.why
        );
    }
    if host::find_program("apt-get").is_none() {
        bail!(
            "no apt-get here: install {names}, or what your distribution calls them, and run this \
             again; or go on without them: cargo xtask test --no-install"
        );
    }
    let by_hand = format!("apt-get install {names}");
    if consent == Consent::Ask {
        ask(&by_hand)?;
    }
    println!("installing {names}");
    install(&missing, is_root).with_context(|| {
        format!("cannot install {names}; as root, run: {by_hand}; or use --no-install")
    })
}

fn missing() -> Vec<&'static Package> {
    PACKAGES
        .iter()
        .filter(|package| host::find_program(package.program).is_none())
        .collect()
}

/// Returns when the person at the terminal agrees.
fn ask(by_hand: &str) -> Result<()> {
    if !io::stdin().is_terminal() {
        bail!(
            "there is no terminal to ask at; agree with --yes (or CI=true), install them yourself \
             ({by_hand}), or go on without them with --no-install"
        );
    }
    print!("Install them now ({by_hand})? [Y/n] ");
    io::stdout().flush()?;
    let mut answer = String::new();
    let length = io::stdin()
        .read_line(&mut answer)
        .context("cannot read the answer")?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "" | "y" | "yes" if length > 0 => Ok(()),
        _ => bail!("nothing was installed; to go on without them: cargo xtask test --no-install"),
    }
}

/// Installs quietly; refreshes the package lists only if the first attempt fails.
fn install(packages: &[&Package], is_root: bool) -> Result<()> {
    let mut arguments = vec!["install", "--yes", "--no-install-recommends"];
    arguments.extend(packages.iter().map(|package| package.name));
    let mut output = apt_get(&arguments, is_root)?;
    if !output.status.success() {
        let update = apt_get(&["update"], is_root)?;
        output = match update.status.success() {
            true => apt_get(&arguments, is_root)?,
            false => update,
        };
    }
    if !output.status.success() {
        io::stderr().write_all(&output.stdout)?;
        io::stderr().write_all(&output.stderr)?;
        bail!("apt-get failed: {}", output.status);
    }
    let still = missing()
        .iter()
        .map(|package| package.program)
        .collect::<Vec<_>>()
        .join(" ");
    if !still.is_empty() {
        bail!("apt-get succeeded, yet these are not in PATH: {still}");
    }
    Ok(())
}

fn apt_get(arguments: &[&str], is_root: bool) -> Result<Output> {
    let mut command = match is_root {
        true => Command::new("env"),
        false => Command::new("sudo"),
    };
    if !is_root {
        // With nobody at the terminal, fail rather than wait for a password.
        if !io::stdin().is_terminal() {
            command.arg("-n");
        }
        command.arg("env");
    }
    command
        .args([
            "DEBIAN_FRONTEND=noninteractive",
            "apt-get",
            "-qq",
            "-o",
            "DPkg::Lock::Timeout=120",
        ])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .with_context(|| match is_root {
            true => "cannot run apt-get".to_owned(),
            false => "cannot run sudo, and only root can install packages".to_owned(),
        })
}

/// Whether the environment says that no person is there to be asked (`CI=true`).
pub(crate) fn is_ci() -> bool {
    env::var_os("CI").is_some_and(|value| value == "true")
}
