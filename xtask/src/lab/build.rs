//! Builds a kernel into the cache, or finds it there.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use anyhow::{Context, Result, anyhow, bail};

use super::cache::Cache;
use super::kernel::Kernel;
use super::source::Source;
use super::step::Log;
use super::toolchain::{Toolchain, Tools};

/// The folder of the kernel's build, if it was built already.
pub(crate) fn find(kernel: Kernel) -> Result<Option<PathBuf>> {
    Ok(find_with_source(kernel)?.map(|(built, _)| built))
}

/// As [`find`], and what it was built of.
pub(crate) fn find_with_source(kernel: Kernel) -> Result<Option<(PathBuf, Source)>> {
    if !kernel.compiler().is_installed() {
        return Ok(None);
    }
    let cache = Cache::open()?;
    let Some(source) = Source::find(&cache)? else {
        return Ok(None);
    };
    let toolchain = Toolchain::look(kernel.compiler())?;
    let built = cache.find(&entry(kernel, &source, &toolchain));
    Ok(built.map(|built| (built, source)))
}

/// What to do where [`find`] finds nothing.
pub(crate) fn not_built(kernel: Kernel) -> anyhow::Error {
    let name = kernel.name();
    anyhow!("the kernel {name} is not built for this toolchain; run: cargo xtask lab build {name}")
}

/// The start of a call of make that builds modules for a kernel that is there.
pub(crate) fn make_for_modules(kernel: Kernel) -> Result<Command> {
    let (built, source) = find_with_source(kernel)?.ok_or_else(|| not_built(kernel))?;
    let mut make = make(kernel, &source, &built);
    kernel.compiler().apply(&mut make);
    Ok(make)
}

fn make(kernel: Kernel, source: &Source, folder: &Path) -> Command {
    let mut make = Command::new("make");
    make.arg("-C")
        .arg(&source.folder)
        .arg(format!("O={}", folder.display()))
        .arg(format!("ARCH={}", kernel.arch()));
    make
}

/// The folder of the kernel's build; builds it first if need be. `update` looks for a newer source.
pub(crate) fn ensure(kernel: Kernel, update: bool) -> Result<PathBuf> {
    if !update && let Some(folder) = find(kernel)? {
        return Ok(folder);
    }
    let cache = Cache::open()?;
    let writer = cache.write()?;
    let toolchain = Toolchain::look(kernel.compiler())?;
    let source = match Source::find(&cache)? {
        Some(source) if !update || source.is_given() => source,
        _ => Source::fetch(&writer)?,
    };
    writer.provide(&entry(kernel, &source, &toolchain), |partial, log| {
        let tools = toolchain.tools(&writer)?;
        Build {
            kernel,
            source: &source,
            tools: &tools,
            folder: partial,
            log: Log {
                busy: Some(partial.join(BUSY)),
                ..Log::new(log)
            },
        }
        .run()
    })
}

/// The name in the cache of what is built from this.
fn entry(kernel: Kernel, source: &Source, toolchain: &Toolchain) -> String {
    format!(
        "{}-{}-{}",
        kernel.name(),
        source.name,
        toolchain.digest(kernel.fragments())
    )
}

/// The name, in the folder of a build, of the file that is there while a step changes it.
const BUSY: &str = "lab.busy";

struct Build<'a> {
    kernel: Kernel,
    source: &'a Source,
    tools: &'a Tools,
    folder: &'a Path,
    log: Log<'a>,
}

impl Build<'_> {
    /// Configures and compiles. What a build that failed or was interrupted left in the folder is
    /// used.
    fn run(&self) -> Result<()> {
        remove_ruin(self.folder)?;
        let fragment = self.folder.join("lab.config");
        fs::write(&fragment, self.kernel.fragments().concat())
            .with_context(|| format!("cannot write {}", fragment.display()))?;
        self.make("configuring the kernel", &[self.kernel.base()])?;
        let merge = self.source.folder.join("scripts/kconfig/merge_config.sh");
        let config = self.folder.join(".config");
        self.log.run(
            "setting the lab's options",
            Command::new(merge)
                .current_dir(&self.source.folder)
                .env("KCONFIG_CONFIG", &config)
                .args(["-m", "-O"])
                .arg(self.folder)
                .arg(&config)
                .arg(&fragment),
        )?;
        self.make("resolving the options", &["olddefconfig"])?;
        self.check_config(&config)?;
        let jobs = thread::available_parallelism().map_or(1, |number| number.get() + 1);
        self.make(
            &format!(
                "building the kernel {} {}",
                self.kernel.name(),
                self.source.name
            ),
            &[&format!("-j{jobs}")],
        )?;
        let image = self.folder.join(self.kernel.image());
        if !image.is_file() {
            bail!("the build made no {}", image.display());
        }
        self.forget_folder()
    }

    /// Lets the build work under another name: its Makefile, which stands for a source's where
    /// modules are built, says where it is.
    fn forget_folder(&self) -> Result<()> {
        let path = self.folder.join("Makefile");
        fs::read_to_string(&path)
            .and_then(|text| fs::write(&path, without_folder(&text, self.folder)))
            .with_context(|| format!("cannot change {}", path.display()))
    }

    fn make(&self, title: &str, arguments: &[&str]) -> Result<()> {
        let mut make = make(self.kernel, self.source, self.folder);
        make.args(arguments);
        self.tools.apply(&mut make)?;
        self.log.run(title, &mut make)
    }

    /// Kconfig drops what it cannot grant without a word; here that is a failure.
    fn check_config(&self, config: &Path) -> Result<()> {
        let text = fs::read_to_string(config)
            .with_context(|| format!("cannot read {}", config.display()))?;
        let unmet = self.kernel.unmet(&text);
        if unmet.contains(&"CONFIG_RUST=y") {
            self.make("asking why Rust is not available", &["rustavailable"])?;
        }
        if !unmet.is_empty() {
            bail!("this kernel's source does not grant {}", unmet.join(" "));
        }
        Ok(())
    }
}

/// Empties the folder of a build that was killed: make(1) takes a file that was written by half for
/// a whole one, as it goes by the time of its last change.
fn remove_ruin(folder: &Path) -> Result<()> {
    let busy = folder.join(BUSY);
    if !busy.exists() {
        return Ok(());
    }
    eprintln!("the last build was killed, so this one starts anew");
    let remove = || -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() && !path.is_symlink() {
                fs::remove_dir_all(path)?;
            } else if path != busy {
                fs::remove_file(path)?;
            }
        }
        // Last: this may be interrupted, too.
        fs::remove_file(&busy)
    };
    remove().with_context(|| format!("cannot empty {}", folder.display()))
}

/// The Makefile of a build, with what finds the folder that it is in instead of `folder`.
fn without_folder(makefile: &str, folder: &Path) -> String {
    makefile.replace(
        &format!("= {}\n", folder.display()),
        ":= $(realpath $(dir $(lastword $(MAKEFILE_LIST))))\n",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn what_a_killed_build_left_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let object = folder.path().join("kernel/x.o");
        fs::create_dir(folder.path().join("kernel")).unwrap();
        fs::write(&object, "half").unwrap();
        symlink("/", folder.path().join("source")).unwrap();
        remove_ruin(folder.path()).unwrap();
        assert!(object.exists());
        fs::write(folder.path().join(BUSY), "").unwrap();
        remove_ruin(folder.path()).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_builds_makefile_finds_its_folder_wherever_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let folder = fs::canonicalize(folder.path()).unwrap();
        let made_in = folder.join("x.partial");
        let text = format!(
            "export KBUILD_OUTPUT = {}\nall:; @echo $(KBUILD_OUTPUT)\n",
            made_in.display()
        );
        let makefile = folder.join("Makefile");
        fs::write(&makefile, without_folder(&text, &made_in)).unwrap();
        let output = Command::new("make")
            .arg("-f")
            .arg(&makefile)
            .env_remove("MAKEFLAGS")
            .output()
            .unwrap();
        let found = String::from_utf8(output.stdout).unwrap();
        assert_eq!(found.trim(), folder.to_str().unwrap());
    }
}
