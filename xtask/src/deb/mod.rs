//! `cargo xtask deb`: Debian packages of what `cargo xtask install` installs.
//!
//! They are made with dpkg-deb, of the same list of files: cargo-deb would need that list a second time,
//! for each crate, and makes no package that belongs to none, as the module's source does; debhelper
//! builds by itself, and would have to be kept from it.

mod check;
mod control;
mod lint;
mod module;
mod packages;
mod services;
mod stage;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use self::packages::PACKAGES;
use crate::deploy::item::{Item, Part};
use crate::deploy::layout::Layout;
use crate::deploy::parts;
use crate::host;

/// Make Debian packages: fusd, libfusd0, libfusd-dev and fusd-dkms
///
/// They are for the release of Debian, or of a derivative, that this machine has. DEBFULLNAME and
/// DEBEMAIL in the environment say who makes them.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where to put them
    #[arg(long, value_name = "DIR", default_value = "target/debian")]
    output: PathBuf,

    /// The build that is made for debugging: larger and slower
    #[arg(long)]
    debug: bool,

    /// Install them into a fresh system of its own, use them there, remove them, and see that nothing
    /// is left; root
    #[arg(long)]
    check: bool,
}

/// What has to be there, and the package that has it.
const PROGRAMS: [(&str, &str); 5] = [
    ("dpkg-deb", "dpkg"),
    ("dpkg-shlibdeps", "dpkg-dev"),
    ("strip", "binutils"),
    ("gzip", "gzip"),
    ("md5sum", "coreutils"),
];

pub(crate) fn run(args: &Args) -> Result<()> {
    for (program, package) in PROGRAMS {
        if host::find_program(program).is_none() {
            bail!("no {program} here, which makes the packages: install {package}");
        }
    }
    if args.check {
        check::is_possible()?;
    }
    let output = host::workspace().join(&args.output);
    let architecture = architecture("DEB_HOST_ARCH")?;
    let layout = Layout::of_debian(&self::architecture("DEB_HOST_MULTIARCH")?);
    let items = parts::make(
        &[Part::Tools, Part::Library, Part::Module],
        &layout,
        args.debug,
    )?;
    let built = build(&items, &output, &architecture, args.debug)?;
    match args.check {
        true => check::run(&built),
        false => Ok(()),
    }
}

/// Makes each package, and says where it is.
fn build(items: &[Item], output: &Path, architecture: &str, debug: bool) -> Result<Vec<PathBuf>> {
    fs::create_dir_all(output).with_context(|| format!("cannot make {}", output.display()))?;
    let folder = tempfile::tempdir().context("cannot make a folder for the packages")?;
    let time = commit_time();
    let mut built = Vec::new();
    for package in &PACKAGES {
        let of_it = items.iter().filter(|item| package.has(item));
        let file = output.join(format!(
            "{}_{}_{}.deb",
            package.name,
            packages::VERSION,
            package.architecture(architecture)
        ));
        let place = folder.path().join(package.name);
        stage::fill(&place, package, of_it, architecture, time)?;
        pack(&place, &file, time, debug)?;
        println!("{}", file.display());
        built.push(file);
    }
    Ok(built)
}

fn pack(place: &Path, file: &Path, time: u64, debug: bool) -> Result<()> {
    let mut command = Command::new("dpkg-deb");
    // The same sources make the same package.
    command
        .env("SOURCE_DATE_EPOCH", time.to_string())
        // Nobody keeps those for debugging: what compresses fast will do.
        .args(debug.then_some(["-Zgzip", "-z1"]).into_iter().flatten())
        .args(["--root-owner-group", "--build"])
        .arg(place)
        .arg(file);
    output_of(&mut command).map(drop)
}

/// What dpkg calls this machine.
fn architecture(variable: &str) -> Result<String> {
    let mut command = Command::new("dpkg-architecture");
    Ok(output_of(command.arg(format!("-q{variable}")))?
        .trim()
        .to_owned())
}

/// When what is packed was changed last, in seconds since 1970: when it was committed, or now.
fn commit_time() -> u64 {
    let mut command = Command::new("git");
    command
        .args(["log", "-1", "--format=%ct"])
        .current_dir(host::workspace())
        .stderr(Stdio::null());
    let told = output_of(&mut command).ok();
    let told = told.and_then(|text| text.trim().parse().ok());
    told.unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.map_or(0, |since| since.as_secs())
    })
}

/// Runs a command to its end, which has to be a good one; gives what it prints.
fn output_of(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {program}"))?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!("{program} has failed: {}: {}", output.status, errors.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_is_in_one_package() {
        let layout = Layout::of_debian("x86_64-linux-gnu");
        for item in parts::unbuilt(&layout).unwrap() {
            let of: Vec<&str> = PACKAGES
                .iter()
                .filter(|package| package.has(&item))
                .map(|package| package.name)
                .collect();
            assert_eq!(of.len(), 1, "{} is in {of:?}", item.path.display());
        }
    }

    #[test]
    fn the_time_is_that_of_the_sources() {
        assert!(commit_time() > 1_700_000_000);
    }
}
