//! Puts what is in a package into a folder, from which dpkg-deb makes it.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::packages::{Package, VERSION};
use super::{control, output_of};
use crate::deploy::item::Item;
use crate::deploy::place::Place;
use crate::host;

/// Fills the folder `place`.
pub(super) fn fill<'a>(
    place: &Path,
    package: &Package,
    items: impl Iterator<Item = &'a Item>,
    machine: &str,
    time: u64,
) -> Result<()> {
    let tree = Place(Some(place.to_owned()));
    for item in items {
        tree.fill(std::slice::from_ref(item))?;
    }
    let document = place.join("usr/share/doc").join(package.name);
    write(
        &document.join("changelog.gz"),
        &gzip(control::changelog(time)?.as_bytes())?,
    )?;
    let mit = fs::read_to_string(host::workspace().join("LICENSE-MIT"))?;
    write(
        &document.join("copyright"),
        control::copyright(&mit).as_bytes(),
    )?;

    let mut linked = Vec::new();
    for file in files(place)? {
        match kind(&file) {
            Kind::Page => compress(&file)?,
            Kind::Linked => {
                strip(&file, "--strip-unneeded")?;
                linked.push(file);
            }
            Kind::Archive => strip(&file, "--strip-debug")?,
            Kind::Other => {}
        }
    }
    let libraries = match linked.is_empty() {
        true => String::new(),
        false => libraries(&linked)?,
    };
    meta(place, package, machine, &libraries)
}

/// What is in the folder DEBIAN.
fn meta(place: &Path, package: &Package, machine: &str, libraries: &str) -> Result<()> {
    let files = files(place)?;
    let mut size = 0;
    for file in &files {
        size += fs::symlink_metadata(file)?.len().div_ceil(1024);
    }
    let sums = sums(place, &files)?;
    let folder = place.join("DEBIAN");
    let text = control::control(package, machine, libraries, size);
    write(&folder.join("control"), text.as_bytes())?;
    write(&folder.join("md5sums"), sums.as_bytes())?;
    if package.name == "libfusd0" {
        let shlibs = format!("libfusd 0 libfusd0 (>= {VERSION})\n");
        write(&folder.join("shlibs"), shlibs.as_bytes())?;
        write(&folder.join("triggers"), b"activate-noawait ldconfig\n")?;
    }
    for script in ["postinst", "prerm", "postrm"] {
        let name = format!("{}.{script}", package.name);
        let from = host::workspace().join("system/debian").join(name);
        if !from.is_file() {
            continue;
        }
        let text = fs::read_to_string(&from).with_context(|| from.display().to_string())?;
        let to = folder.join(script);
        write(&to, text.replace("@version@", VERSION).as_bytes())?;
        fs::set_permissions(&to, Permissions::from_mode(0o755))?;
    }
    Ok(())
}

/// How a file is treated.
enum Kind {
    /// A manual page.
    Page,
    /// A program, or a shared library.
    Linked,
    /// A static library.
    Archive,
    Other,
}

fn kind(file: &Path) -> Kind {
    let is_link = fs::symlink_metadata(file).is_ok_and(|status| status.is_symlink());
    let has = |folder: &str| file.components().any(|part| part.as_os_str() == folder);
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    match () {
        () if is_link => Kind::Other,
        () if has("man") => Kind::Page,
        () if name.ends_with(".a") => Kind::Archive,
        () if has("bin") || name.contains(".so.") => Kind::Linked,
        () => Kind::Other,
    }
}

/// All files and links below `folder`, sorted.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => found.extend(files(&entry.path())?),
            false => found.push(entry.path()),
        }
    }
    found.sort();
    Ok(found)
}

fn write(path: &Path, content: &[u8]) -> Result<()> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(path, content))
        .and_then(|()| fs::set_permissions(path, Permissions::from_mode(0o644)))
        .with_context(|| format!("cannot write {}", path.display()))
}

fn compress(file: &Path) -> Result<()> {
    output_of(Command::new("gzip").args(["-9n"]).arg(file)).map(drop)
}

/// The content, compressed, with no date in it.
fn gzip(content: &[u8]) -> Result<Vec<u8>> {
    let mut child = Command::new("gzip")
        .args(["-9n"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run gzip")?;
    // A changelog is shorter than what a pipe holds.
    if let Some(mut input) = child.stdin.take() {
        input.write_all(content).context("cannot write to gzip")?;
    }
    let output = child.wait_with_output().context("cannot wait for gzip")?;
    if !output.status.success() {
        bail!("gzip has failed: {}", output.status);
    }
    Ok(output.stdout)
}

fn strip(file: &Path, how: &str) -> Result<()> {
    let sections = ["--remove-section=.comment", "--remove-section=.note"];
    output_of(Command::new("strip").arg(how).args(sections).arg(file)).map(drop)
}

/// The packages of the libraries that these files are linked with.
fn libraries(files: &[PathBuf]) -> Result<String> {
    let folder = tempfile::tempdir().context("cannot make a folder")?;
    // It takes the place of a source package's.
    write(
        &folder.path().join("debian/control"),
        b"Source: fusd\n\nPackage: fusd\nArchitecture: any\n",
    )?;
    let mut command = Command::new("dpkg-shlibdeps");
    command.current_dir(folder.path()).arg("-O");
    for file in files {
        command.arg("-e").arg(file);
    }
    let text = output_of(&mut command)?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("shlibs:Depends="));
    line.map(str::to_owned)
        .context("dpkg-shlibdeps says nothing of the libraries")
}

fn sums(place: &Path, files: &[PathBuf]) -> Result<String> {
    let mut command = Command::new("md5sum");
    command.current_dir(place).arg("--");
    for file in files {
        if !fs::symlink_metadata(file)?.is_symlink() {
            command.arg(file.strip_prefix(place)?);
        }
    }
    output_of(&mut command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_compressed_is_the_same_each_time() {
        let once = gzip(b"changes").unwrap();
        assert_eq!(once[..2], [0x1f, 0x8b]);
        assert_eq!(once, gzip(b"changes").unwrap());
    }

    #[test]
    fn a_page_is_compressed_and_a_program_is_stripped() {
        let is_page = |path: &str| matches!(kind(Path::new(path)), Kind::Page);
        let is_linked = |path: &str| matches!(kind(Path::new(path)), Kind::Linked);
        assert!(is_page("/x/usr/share/man/man1/a.1"));
        assert!(is_linked("/x/usr/bin/a") && is_linked("/x/usr/lib/l/libfusd.so.0.1.0"));
        assert!(!is_linked("/x/usr/src/kfusd-0.1.0/wire.rs"));
    }
}
