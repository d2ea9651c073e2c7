//! Packages that are unpacked into the cache folder and not installed: to install them would start a
//! service.

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

/// Downloads `package` from the system's archive, as any user can, and unpacks it.
///
/// # Errors
///
/// The archive does not have it, or the folder cannot be written.
pub(crate) fn unpack(package: &str) -> Result<()> {
    let whole = folder(package)?;
    let partial = whole.with_extension("partial");
    let downloads = whole.with_extension("downloads");
    for folder in [&partial, &downloads] {
        // What an interruption left is of no use.
        let _ = fs::remove_dir_all(folder);
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let mut download = Command::new("apt-get");
    // As the user who runs it: its own user may not reach the folder.
    download.args(["-qq", "-o", "APT::Sandbox::User=root", "download", package]);
    succeed(download.current_dir(&downloads))?;
    let file = fs::read_dir(&downloads)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|ending| ending == "deb"))
        .with_context(|| format!("apt-get left no package in {}", downloads.display()))?;
    succeed(Command::new("dpkg-deb").arg("-x").arg(&file).arg(&partial))?;
    fs::remove_dir_all(&downloads)
        .with_context(|| format!("cannot remove {}", downloads.display()))?;
    fs::rename(&partial, &whole).with_context(|| format!("cannot make {}", whole.display()))
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
