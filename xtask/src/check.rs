//! The checks that are not tests: format, lints, documentation, manual pages.
//!
//! Each counts as one test. One whose program is not installed is skipped.

use std::env;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::count::Count;
use crate::host;
use crate::man;

struct Check {
    name: &'static str,
    /// The cargo command that has to be there, unless it is part of cargo.
    needs: Option<&'static str>,
    run: fn() -> Result<()>,
}

const CHECKS: [Check; 5] = [
    Check {
        name: "fmt",
        needs: Some("fmt"),
        run: || succeed(cargo(&["fmt", "--all", "--check"])),
    },
    Check {
        name: "kfusd fmt",
        needs: Some("fmt"),
        run: || succeed(rustfmt_as_the_kernel_does("kfusd/kfusd_main.rs")),
    },
    Check {
        name: "clippy",
        needs: Some("clippy"),
        run: || {
            let arguments = [
                "clippy",
                "--workspace",
                "--all-targets",
                "--",
                "-D",
                "warnings",
            ];
            succeed(cargo(&arguments))
        },
    },
    Check {
        name: "doc",
        needs: None,
        run: || {
            let mut command = cargo(&["doc", "--no-deps", "--workspace"]);
            command.env("RUSTDOCFLAGS", "-D warnings");
            succeed(command)
        },
    },
    Check {
        name: "man",
        needs: None,
        run: man::check,
    },
];

/// Runs the checks whose name contains `filter`.
pub(crate) fn run(filter: &str) -> Count {
    let mut count = Count::default();
    for check in CHECKS.iter().filter(|check| check.name.contains(filter)) {
        let missing = check.needs.filter(|program| !has_cargo_command(program));
        count.add(one(check.name, || match missing {
            Some(program) => Ok(Some(format!("cargo {program} is not installed"))),
            None => (check.run)().map(|()| None),
        }));
    }
    count
}

/// Runs a check that may tell why it cannot be made.
pub(crate) fn one(name: &str, run: impl FnOnce() -> Result<Option<String>>) -> Count {
    let mut count = Count::default();
    let name = format!("check {name}");
    match run() {
        Ok(None) => {
            println!("{name} ... ok");
            count.passed += 1;
        }
        Ok(Some(reason)) => {
            println!("SKIP {name}: {reason}");
            count.skipped += 1;
        }
        Err(error) => {
            println!("{name} ... FAILED: {error:#}");
            count.fail(name);
        }
    }
    count
}

/// A command of the cargo that runs this program, in the root of the workspace, without input.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args(arguments)
        .current_dir(host::workspace())
        .stdin(Stdio::null());
    // `cargo run` told this program where it comes from. A build script that looks there is run again,
    // with all that depends on it, wherever that was different the last time.
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_MANIFEST_") || text.starts_with("CARGO_PKG_") {
            command.env_remove(&name);
        }
    }
    command
}

/// Compares the files of a kernel module with what the kernel's `.rustfmt.toml` asks for.
fn rustfmt_as_the_kernel_does(root: &str) -> Command {
    let mut command = Command::new("rustfmt");
    command
        .args(["--check", "--edition=2021", "--config=newline_style=Unix"])
        .arg(root)
        .current_dir(host::workspace());
    command
}

/// Runs `command` to its end, with its output shown.
pub(crate) fn succeed(mut command: Command) -> Result<()> {
    let program = command.get_program().to_owned();
    let status = command
        .status()
        .with_context(|| format!("cannot run {}", program.display()))?;
    if !status.success() {
        bail!("{status}");
    }
    Ok(())
}

fn has_cargo_command(name: &str) -> bool {
    cargo(&[name, "--version"])
        .output()
        .is_ok_and(|output| output.status.success())
}
