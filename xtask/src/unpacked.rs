//! Packages that are unpacked into the cache folder and not installed: to install them would start a
//! service, or leave out what is wanted of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::host;

/// Where the file `path` of `package` is: installed, in PATH, or unpacked.
pub(crate) fn find(package: &str, path: &str) -> Option<PathBuf> {
    let installed = Path::new("/").join(path);
    let program = installed.file_name().and_then(|name| name.to_str());
    let unpacked = folder(package).ok().map(|folder| folder.join(path));
    [
        program.and_then(host::find_program),
        Some(installed),
        unpacked,
    ]
    .into_iter()
    .flatten()
    .find(|file| file.is_file())
}

/// The folder that `package` is unpacked into.
fn folder(package: &str) -> Result<PathBuf> {
    Ok(host::cache()?.join("packages").join(package))
}

/// The commands that do what [`unpack`] does.
pub(crate) fn by_hand(package: &str) -> String {
    format!(
        "apt-get download {package} && dpkg-deb -x {package}_*.deb ~/.cache/fusd/packages/{package}"
    )
}

/// Where the file `path` of the Python package `package` is, whose sources are unpacked.
pub(crate) fn find_sources(package: &str, path: &str) -> Option<PathBuf> {
    let unpacked = folder(package).ok().map(|folder| folder.join(path));
    unpacked.filter(|file| file.is_file())
}

/// Sources of a Python package: those of one version, with this content.
#[derive(Clone, Copy)]
pub(crate) struct Sources {
    /// A file that shows that they are there.
    pub(crate) proof: &'static str,
    pub(crate) version: &'static str,
    /// Of the archive, in hexadecimal.
    pub(crate) sha256: &'static str,
}

impl Sources {
    /// What pip is to get, in the form of its requirements files.
    fn requirement(&self, package: &str) -> String {
        format!("{package}=={} --hash=sha256:{}", self.version, self.sha256)
    }
}

/// The commands that do what [`unpack_sources`] does.
pub(crate) fn sources_by_hand(package: &str, sources: &Sources) -> String {
    format!(
        "mkdir -p ~/.cache/fusd/packages/{package} && cd ~/.cache/fusd/packages/{package} && \
         echo '{}' >wanted && pip3 download --no-deps --no-binary {package} --require-hashes -r wanted \
         && tar -xf {package}-{}.tar.gz --strip-components 1",
        sources.requirement(package),
        sources.version
    )
}

/// Downloads the sources of `package` as any user can, and unpacks them. What pip runs of them, to
/// learn about the package, is only what they are known to contain.
///
/// # Errors
///
/// There is no pip, it does not get them, or gets others, or the folder cannot be written.
pub(crate) fn unpack_sources(package: &str, sources: &Sources) -> Result<()> {
    place(package, |downloads, partial| {
        let wanted = downloads.join("wanted");
        fs::write(&wanted, sources.requirement(package))
            .with_context(|| format!("cannot write {}", wanted.display()))?;
        let mut download = Command::new("pip3");
        download
            .args(["download", "--quiet", "--no-deps", "--no-binary", package])
            .args(["--require-hashes", "-r"])
            .arg(&wanted);
        succeed(download.current_dir(downloads))?;
        let file = only(downloads, "gz")?;
        let unpack = ["--strip-components", "1", "-xf"];
        succeed(
            Command::new("tar")
                .args(unpack)
                .arg(&file)
                .arg("-C")
                .arg(partial),
        )
    })
}

/// Downloads `package` from the system's archive, as any user can, and unpacks it.
///
/// # Errors
///
/// The archive does not have it, or the folder cannot be written.
pub(crate) fn unpack(package: &str) -> Result<()> {
    place(package, |downloads, partial| {
        let mut download = Command::new("apt-get");
        // As the user who runs it: its own user may not reach the folder.
        download.args(["-qq", "-o", "APT::Sandbox::User=root", "download", package]);
        succeed(download.current_dir(downloads))?;
        let file = only(downloads, "deb")?;
        succeed(Command::new("dpkg-deb").arg("-x").arg(&file).arg(partial))
    })
}

/// Has `fill` download into one folder, and fill another, which becomes that of `package`.
fn place(package: &str, fill: impl FnOnce(&Path, &Path) -> Result<()>) -> Result<()> {
    let whole = folder(package)?;
    let partial = whole.with_extension("partial");
    let downloads = whole.with_extension("downloads");
    for folder in [&partial, &downloads] {
        // What an interruption left is of no use.
        let _ = fs::remove_dir_all(folder);
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    fill(&downloads, &partial)?;
    fs::remove_dir_all(&downloads)
        .with_context(|| format!("cannot remove {}", downloads.display()))?;
    // Without what shows that it is whole, it is not.
    let _ = fs::remove_dir_all(&whole);
    fs::rename(&partial, &whole).with_context(|| format!("cannot make {}", whole.display()))
}

/// The file in `folder` whose name ends so.
fn only(folder: &Path, ending: &str) -> Result<PathBuf> {
    fs::read_dir(folder)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|found| found == ending))
        .with_context(|| format!("nothing was left in {}", folder.display()))
}

fn succeed(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("cannot run {program}"))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        bail!("{program} failed: {}: {}", output.status, text.trim());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_installed_need_not_be_unpacked() {
        assert!(find("coreutils", "usr/bin/env").is_some());
        assert_eq!(find("coreutils", "usr/bin/no-such-program"), None);
    }
}
