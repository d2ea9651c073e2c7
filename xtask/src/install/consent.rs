//! What a person, or the command line, says to the installation of packages.

use std::env;
use std::io::{self, IsTerminal, Write};

use anyhow::{Context, Result, bail};

use super::Needs;

/// How a command that needs packages is told what may be done about them.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Install missing packages without asking (CI=true in the environment: the same).
    #[arg(long)]
    yes: bool,

    /// Install nothing: tests that need a missing package are skipped.
    #[arg(long, conflicts_with = "yes")]
    no_install: bool,
}

impl Options {
    pub(crate) fn consent(&self) -> Consent {
        match (self.no_install, self.yes || is_ci()) {
            (true, _) => Consent::Withheld,
            (_, true) => Consent::Given,
            _ => Consent::Ask,
        }
    }
}

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

/// Returns when the person at the terminal agrees.
pub(super) fn ask(needs: &Needs, by_hand: &str) -> Result<()> {
    if !io::stdin().is_terminal() {
        bail!(
            "there is no terminal to ask at; agree with --yes (or CI=true), or install them \
             yourself ({by_hand}){}",
            needs.or_without(", or go on without them: ")
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
        _ => bail!(
            "nothing was installed{}",
            needs.or_without("; to go on without them: ")
        ),
    }
}

/// Whether the environment says that no person is there to be asked (`CI=true`).
pub(crate) fn is_ci() -> bool {
    env::var_os("CI").is_some_and(|value| value == "true")
}
