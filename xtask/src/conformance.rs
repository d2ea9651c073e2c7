//! `cargo xtask conformance`: runs the suite of the contract on every backend, wherever that works,
//! and writes into README.md what each backend keeps.

mod contract;
mod table;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::host::{self, Host};
use crate::install;
use crate::lab::Kernel;
use crate::programs::{self, CONFORMANCE};
use crate::results::Results;
use crate::test;
use table::Table;

/// What surrounds the table in README.md.
const BEGIN: &str = "<!-- written by `cargo xtask conformance`: begin -->\n";
const END: &str = "<!-- end -->\n";

/// Run the contract on every backend, write what each keeps into README.md
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    install: install::Options,
}

/// Runs the suite and writes the table, unless a test failed or did not run.
///
/// # Errors
///
/// Packages are missing and were not installed, or the table cannot be written.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let host = Host::look();
    let consent = args.install.consent();
    println!("-- on the host: {host} --");
    install::ensure(&install::TESTS, consent, host.is_root())?;
    let mut programs = programs::build()?;
    programs.retain(|program| program.title == CONFORMANCE);
    let mut results = Results::default();
    test::on_host(&programs, &host, "", &mut results)?;
    test::in_guests(&programs, &[Kernel::Um], consent, "", &mut results)?;
    let code = test::sum_up(&results);
    if results.count().failed > 0 {
        bail!("README.md stays as it is, for tests have failed");
    }
    let table = match Table::of(&results) {
        Ok(table) => table.to_string(),
        Err(reason) => bail!("README.md stays as it is: {reason}"),
    };
    let text = read()?;
    let written = replace(&text, &table)?;
    println!("\n{table}");
    if written == text {
        println!("README.md says so already");
    } else {
        fs::write(path(), written).context("cannot write README.md")?;
        println!("README.md was changed");
    }
    Ok(code)
}

/// Compares README.md with the results. Gives the reason where they do not tell all.
///
/// # Errors
///
/// They differ.
pub(crate) fn check(results: &Results) -> Result<Option<String>> {
    let table = match Table::of(results) {
        Ok(table) => table.to_string(),
        Err(reason) => return Ok(Some(reason)),
    };
    compare(&read()?, &table)?;
    Ok(None)
}

/// Makes sure that `text` has `table` between the marks.
fn compare(text: &str, table: &str) -> Result<()> {
    if replace(text, table)? != text {
        bail!("README.md does not say what the tests say; run: cargo xtask conformance");
    }
    Ok(())
}

fn path() -> PathBuf {
    host::workspace().join("README.md")
}

fn read() -> Result<String> {
    fs::read_to_string(path()).context("cannot read README.md")
}

/// `text` with `table` between the marks.
fn replace(text: &str, table: &str) -> Result<String> {
    let parts = text.split_once(BEGIN).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(END)?;
        Some((before, after))
    });
    let (before, after) = parts.context("README.md has lost the marks around the table")?;
    Ok(format!("{before}{BEGIN}{table}{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_goes_between_the_marks() {
        let text = format!("before\n{BEGIN}old\n{END}after\n");
        let written = replace(&text, "new\n").unwrap();
        assert_eq!(written, format!("before\n{BEGIN}new\n{END}after\n"));
        assert_eq!(replace(&written, "new\n").unwrap(), written);
        assert!(replace("no marks", "new\n").is_err());
    }

    #[test]
    fn a_table_that_says_something_else_is_noticed() {
        let text = format!("{BEGIN}| 1 | yes |\n{END}");
        assert!(compare(&text, "| 1 | yes |\n").is_ok());
        assert!(compare(&text, "| 1 | mostly (1) |\n").is_err());
    }

    #[test]
    fn the_readme_has_the_marks() {
        assert!(replace(&read().unwrap(), "").is_ok());
    }
}
