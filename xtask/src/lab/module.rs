//! `cargo xtask lab module`: a module of the kernel, built outside its tree for a kernel of the lab.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use super::build;
use super::kernel::Kernel;
use super::step::Log;
use crate::host;

/// Build a kernel module for one of the kernels, print where it is
///
/// Nothing is written beside the module's source; the object files and the module are in
/// target/lab/KERNEL. The kernel has to be built already.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// For which kernel
    kernel: Kernel,

    /// The folder with the module's Kbuild file [default: that of kfusd]
    folder: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let kfusd = || host::workspace().join("kfusd");
    let folder = args.folder.clone().unwrap_or_else(kfusd);
    for module in build_module(args.kernel, &folder)? {
        println!("{}", module.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// Builds what the Kbuild file in `folder` says, and returns where the modules are.
pub(crate) fn build_module(kernel: Kernel, folder: &Path) -> Result<Vec<PathBuf>> {
    let folder = fs::canonicalize(folder)
        .with_context(|| format!("cannot find the module's folder {}", folder.display()))?;
    if !folder.join("Kbuild").is_file() && !folder.join("Makefile").is_file() {
        bail!("{} is no module: it has no Kbuild file", folder.display());
    }
    let objects = make(kernel, &folder, "building", "objects", &[])?;
    let modules = collect(&objects, &target(kernel))?;
    if modules.is_empty() {
        bail!("the Kbuild file in {} makes no module", folder.display());
    }
    Ok(modules)
}

/// Has the kernel's clippy lints look at the module in `folder`.
///
/// # Errors
///
/// They find something; what it is is in the log, whose end is shown.
pub(crate) fn lint_module(kernel: Kernel, folder: &Path) -> Result<()> {
    let strict = ["CLIPPY=1", "KRUSTFLAGS=-Dwarnings"];
    make(kernel, folder, "linting", "lints", &strict).map(drop)
}

/// Has the kernel's make compile the module in `folder` into a folder of its own, whose name ends
/// so, and returns where that is.
fn make(
    kernel: Kernel,
    folder: &Path,
    verb: &str,
    suffix: &str,
    arguments: &[&str],
) -> Result<PathBuf> {
    let name = folder
        .file_name()
        .with_context(|| format!("{} has no name", folder.display()))?;
    let objects = target(kernel).join(name).with_extension(suffix);
    fs::create_dir_all(&objects).with_context(|| format!("cannot make {}", objects.display()))?;
    let mut make = build::make_for_modules(kernel)?;
    make.arg(format!("M={}", folder.display()))
        .arg(format!("MO={}", objects.display()))
        .args(arguments)
        .arg("modules");
    let title = format!("{verb} {} for {}", Path::new(name).display(), kernel.name());
    // Each build is short: the log is that of the last.
    let log = objects.with_extension(format!("{suffix}.log"));
    fs::write(&log, "").with_context(|| format!("cannot write {}", log.display()))?;
    Log::new(&log).run(&title, &mut make)?;
    Ok(objects)
}

/// Copies the modules that `modules.order` names from among the objects into `target`.
fn collect(objects: &Path, target: &Path) -> Result<Vec<PathBuf>> {
    let order = objects.join("modules.order");
    let text =
        fs::read_to_string(&order).with_context(|| format!("cannot read {}", order.display()))?;
    text.lines()
        .map(|object| {
            let built = objects.join(object).with_extension("ko");
            let file = built
                .file_name()
                .with_context(|| format!("{} names no module", order.display()))?;
            let copy = target.join(file);
            fs::copy(&built, &copy).with_context(|| format!("cannot copy {}", built.display()))?;
            Ok(copy)
        })
        .collect()
}

/// Where what is built for `kernel` goes: below where cargo puts what it builds.
fn target(kernel: Kernel) -> PathBuf {
    let chosen = env::var_os("CARGO_TARGET_DIR").filter(|folder| !folder.is_empty());
    let target = host::workspace().join(chosen.unwrap_or_else(|| "target".into()));
    target.join("lab").join(kernel.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_modules_that_were_made_are_copied() {
        let folder = tempfile::tempdir().unwrap();
        let objects = folder.path().join("x.objects");
        fs::create_dir_all(objects.join("part")).unwrap();
        fs::write(objects.join("modules.order"), "x.o\npart/y.o\n").unwrap();
        fs::write(objects.join("x.ko"), "x").unwrap();
        fs::write(objects.join("part/y.ko"), "y").unwrap();
        fs::write(objects.join("old.ko"), "").unwrap();
        let modules = collect(&objects, folder.path()).unwrap();
        assert_eq!(
            modules,
            ["x.ko", "y.ko"].map(|name| folder.path().join(name))
        );
        assert_eq!(fs::read_to_string(&modules[1]).unwrap(), "y");
    }
}
