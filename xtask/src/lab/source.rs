//! The kernel's source: from the distribution's archive, or the folder in `FUSD_LINUX`.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::apt::Archive;
use super::cache::{self, Cache, Writer};
use super::step::Log;
use super::version::{SERIES, choose_linux, choose_rust_src, numbers, source_package};

/// A kernel's source.
pub(crate) struct Source {
    pub(crate) folder: PathBuf,
    /// The version, with what tells this source from another of the same version.
    pub(crate) name: String,
    is_given: bool,
}

/// How the entries of unpacked sources begin.
const LINUX: &str = "linux-";

impl Source {
    /// The source that needs no download: that of `FUSD_LINUX`, or the newest in the cache.
    pub(crate) fn find(cache: &Cache) -> Result<Option<Self>> {
        if let Some(folder) = env::var_os("FUSD_LINUX").filter(|folder| !folder.is_empty()) {
            return Self::given(Path::new(&folder)).map(Some);
        }
        let mut names = cache.list(LINUX)?;
        names.sort_by_key(|name| numbers(name));
        Ok(names.pop().and_then(|name| {
            let folder = cache.find(&format!("{LINUX}{name}"))?;
            Some(Self {
                folder,
                name,
                is_given: false,
            })
        }))
    }

    /// The source in a folder of the user's.
    fn given(folder: &Path) -> Result<Self> {
        let folder = fs::canonicalize(folder)
            .with_context(|| format!("cannot find FUSD_LINUX={}", folder.display()))?;
        let makefile = folder.join("Makefile");
        let text = fs::read_to_string(&makefile)
            .with_context(|| format!("cannot read {}", makefile.display()))?;
        let version = makefile_version(&text).with_context(|| {
            format!(
                "FUSD_LINUX={} is no kernel source: its Makefile has no VERSION",
                folder.display()
            )
        })?;
        let place = super::toolchain::digest(&[&folder.to_string_lossy()]);
        let name = format!("{version}-in-{place}");
        Ok(Self {
            folder,
            name,
            is_given: true,
        })
    }

    /// Whether the user named its folder.
    pub(crate) fn is_given(&self) -> bool {
        self.is_given
    }

    /// The newest source that the archive has; downloaded unless it is in the cache.
    pub(crate) fn fetch(writer: &Writer<'_>) -> Result<Self> {
        let log = writer.log("apt");
        let archive = Archive::open(&writer.folder("apt")?, &log)?;
        let offers = archive.offers(&SERIES.map(source_package))?;
        let offer = choose_linux(&offers).with_context(|| {
            let series = SERIES.join(" or ");
            format!(
                "the archive has no source of Linux {series}; name the folder of one in FUSD_LINUX"
            )
        })?;
        let name = offer.version.replace('~', "-");
        let folder = writer.provide(&format!("{LINUX}{name}"), |partial, log| {
            cache::empty(partial)?;
            archive.unpack(offer, partial)?;
            let packed = partial.join(format!("usr/src/{}.tar.xz", offer.package));
            Log::new(log).run(
                "unpacking the kernel's source",
                Command::new("tar")
                    .args(["--strip-components=1", "-C"])
                    .arg(partial)
                    .arg("-xf")
                    .arg(&packed),
            )?;
            // `usr` is also a folder of the kernel's: only what came from the package goes.
            for path in ["usr/src", "usr/share"] {
                let path = partial.join(path);
                if path.exists() {
                    cache::remove(&path)?;
                }
            }
            Ok(())
        })?;
        Ok(Self {
            folder,
            name,
            is_given: false,
        })
    }
}

/// The source of Rust's library for rustc `release`, from the archive.
pub(crate) fn fetch_rust_library(writer: &Writer<'_>, release: &str) -> Result<PathBuf> {
    let entry = rust_library_entry(release);
    let inside = format!("usr/src/rustc-{release}/library");
    let folder = writer.provide(&entry, |partial, log| {
        cache::empty(partial)?;
        let archive = Archive::open(&writer.folder("apt")?, log)?;
        let offers = archive.offers(&["rust-src".to_owned()])?;
        let Some(offer) = choose_rust_src(&offers, release) else {
            bail!(
                "this toolchain has no library source, and the archive has none for rustc \
                 {release}; run: rustup component add rust-src, or name its folder in RUST_LIB_SRC"
            );
        };
        archive.unpack(offer, partial)?;
        if !partial.join(&inside).is_dir() {
            bail!("the package rust-src {} has no {inside}", offer.version);
        }
        Ok(())
    })?;
    Ok(folder.join(inside))
}

fn rust_library_entry(release: &str) -> String {
    format!("rust-src-{release}")
}

/// `7.2.13` from the first lines of the kernel's Makefile.
fn makefile_version(text: &str) -> Option<String> {
    let value = |name: &str| {
        text.lines().take(20).find_map(|line| {
            let (key, value) = line.split_once('=')?;
            (key.trim() == name).then(|| value.trim().to_owned())
        })
    };
    Some(format!(
        "{}.{}.{}",
        value("VERSION")?,
        value("PATCHLEVEL")?,
        value("SUBLEVEL")?
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_makefile_tells_the_version() {
        let text = "# SPDX\nVERSION = 7\nPATCHLEVEL = 2\nSUBLEVEL = 13\nEXTRAVERSION =\n";
        assert_eq!(makefile_version(text).as_deref(), Some("7.2.13"));
        assert_eq!(makefile_version("all:\n"), None);
    }
}
