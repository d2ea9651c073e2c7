//! Installs packages by apt-get, or unpacks them, without a word and without a service that starts.

use std::io::{self, IsTerminal, Write};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail};

use super::Needs;
use super::package::{Package, Proof};
use crate::unpacked;

/// Installs quietly; refreshes the package lists only if the first attempt fails.
pub(super) fn install(needs: &Needs, packages: &[&Package], is_root: bool) -> Result<()> {
    let (whole, unpacked): (Vec<&Package>, Vec<&Package>) =
        packages.iter().partition(|package| package.is_installed());
    if !whole.is_empty() {
        let mut arguments = vec!["install", "--yes", "--no-install-recommends"];
        arguments.extend(whole.iter().map(|package| package.name));
        let mut output = apt_get(&arguments, is_root)?;
        if !output.status.success() {
            let update = apt_get(&["update"], is_root)?;
            output = match update.status.success() {
                true => apt_get(&arguments, is_root)?,
                false => update,
            };
        }
        succeeded(&output)?;
    }
    for package in unpacked {
        if let Proof::Sources(sources) = package.proof {
            if let Err(error) = unpacked::unpack_sources(package.name, &sources) {
                eprintln!(
                    "warning: cannot get the sources of {}, the test that needs them is skipped: \
                     {error:#}; as yourself, run: {}",
                    package.name,
                    package.by_hand()
                );
            }
            continue;
        }
        if unpacked::unpack(package.name).is_err() {
            succeeded(&apt_get(&["update"], is_root)?)?;
            unpacked::unpack(package.name)?;
        }
    }
    let still = needs
        .missing()
        .iter()
        .filter(|package| package.is_of_the_system())
        .map(|package| package.proof.to_string())
        .collect::<Vec<_>>()
        .join(" ");
    if !still.is_empty() {
        bail!("apt-get succeeded, yet these are still missing: {still}");
    }
    Ok(())
}

fn succeeded(output: &Output) -> Result<()> {
    if output.status.success() {
        return Ok(());
    }
    io::stderr().write_all(&output.stdout)?;
    io::stderr().write_all(&output.stderr)?;
    bail!("apt-get failed: {}", output.status);
}

/// Runs the command in its arguments while a policy forbids packages to start services, and has those
/// that it brought not start by themselves later either: tests start what they need.
const WITHOUT_SERVICES: &str = r#"
policy=/usr/sbin/policy-rc.d
had=$(test -e /usr/sbin/nginx && echo nginx)
if test ! -e $policy; then
    # A shell that a signal ends does not come to its end by itself.
    trap 'rm -f $policy' EXIT
    trap 'exit 130' HUP INT TERM
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod 755 $policy
fi
"$@"
status=$?
if test -z "$had" && test -e /usr/sbin/nginx && command -v systemctl >/dev/null; then
    systemctl --quiet disable nginx.service >/dev/null 2>&1
fi
exit $status
"#;

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
            "sh",
            "-c",
            WITHOUT_SERVICES,
            "sh",
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
