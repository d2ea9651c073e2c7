//! `cargo xtask install`: builds the C library and puts it where C programs look for it.

mod link;

use std::env;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::check::cargo;
use crate::host;
use crate::man::WRITTEN;

/// Install the C library: its headers, libfusd.so, libfusd.a, and the pkg-config file.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where it will be used.
    #[arg(long, value_name = "DIR", default_value = "/usr/local")]
    prefix: PathBuf,

    /// The directory of the libraries, if not PREFIX/lib.
    #[arg(long, value_name = "DIR")]
    libdir: Option<PathBuf>,

    /// Put before all these paths, to pack it; DESTDIR in the environment is the same. Empty, it is
    /// none.
    // As OsString: an empty path would be refused.
    #[arg(long, value_name = "DIR")]
    destdir: Option<OsString>,

    /// The build that is made for debugging: larger and slower.
    #[arg(long)]
    debug: bool,
}

/// The number in the soname, as in `libfusd/c/build.rs`.
const INTERFACE: &str = "0";

/// The headers, in `libfusd/include/`.
const HEADERS: [&str; 2] = ["fusd.h", "fusd_device.h"];

pub(crate) fn run(args: &Args) -> Result<()> {
    let prefix = absolute(&args.prefix, "--prefix")?;
    let libdir = match &args.libdir {
        Some(libdir) => absolute(libdir, "--libdir")?.to_owned(),
        None => prefix.join("lib"),
    };
    let destdir = destdir(args.destdir.clone(), env::var_os("DESTDIR"));
    let place = Place(destdir.as_deref());
    let archive = build(args.debug)?;
    let sources = host::workspace().join("libfusd");
    let version = env!("CARGO_PKG_VERSION");
    let template =
        fs::read_to_string(sources.join("c/fusd.pc.in")).context("cannot read fusd.pc.in")?;

    let soname = format!("libfusd.so.{INTERFACE}");
    let linked = archive.with_file_name(format!("{soname}-{}", std::process::id()));
    let map = sources.join("c/fusd.map");
    link::shared(&archive, &map, libraries(&template)?, &soname, &linked)?;
    let real = format!("libfusd.so.{version}");
    let copied = place.copy(&linked, &libdir.join(&real), 0o755);
    // Where it cannot be removed, it is in the way of nobody.
    let _ = fs::remove_file(&linked);
    copied?;
    place.link(&real, &libdir.join(&soname))?;
    place.link(&soname, &libdir.join("libfusd.so"))?;
    place.copy(&archive, &libdir.join("libfusd.a"), 0o644)?;
    for header in HEADERS {
        let from = sources.join("include").join(header);
        place.copy(&from, &prefix.join("include").join(header), 0o644)?;
    }
    let text = fill(&template, prefix, &libdir, version);
    place.write(text.as_bytes(), &libdir.join("pkgconfig/fusd.pc"), 0o644)?;
    let pages = host::workspace().join("man");
    for page in WRITTEN.iter().filter(|page| page.ends_with(".3")) {
        let to = prefix.join("share/man/man3").join(page);
        place.copy(&pages.join(page), &to, 0o644)?;
    }
    if destdir.is_none() {
        println!("{}", hint(&soname, &libdir));
    }
    Ok(())
}

/// What is left for the person to do. (A packager's tools do that.)
fn hint(soname: &str, libdir: &Path) -> String {
    let libdir = libdir.display();
    format!(
        "so that programs find {soname}, run ldconfig as root; if {libdir} is not in /etc/ld.so.conf, set \
         LD_LIBRARY_PATH={libdir} for them instead"
    )
}

/// What the library needs, as options for the linker.
fn libraries(template: &str) -> Result<&str> {
    let mut lines = template.lines();
    let line = lines.find_map(|line| line.strip_prefix("Libs.private:"));
    line.context("fusd.pc.in has no line Libs.private")
}

/// The directory before all paths; packagers who want none may give an empty one.
fn destdir(option: Option<OsString>, environment: Option<OsString>) -> Option<PathBuf> {
    let wanted = option.or(environment)?;
    (!wanted.is_empty()).then(|| wanted.into())
}

/// Builds the library, and looks where cargo has put the archive.
fn build(debug: bool) -> Result<PathBuf> {
    let mut command = cargo(&["build", "--package", "fusd-c"]);
    let output = command
        .args((!debug).then_some("--release"))
        .arg("--message-format=json-render-diagnostics")
        .stdout(Stdio::piped())
        .spawn()
        .and_then(|child| child.wait_with_output())
        .context("cannot run cargo")?;
    if !output.status.success() {
        bail!("{}", output.status);
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let artifact = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find(|message| message["target"]["crate_types"][0] == "cdylib")
        .context("cargo has built no library")?;
    let files = artifact["filenames"].as_array().into_iter().flatten();
    let archive = files
        .filter_map(|name| name.as_str())
        .find(|name| name.ends_with(".a"));
    archive.map(PathBuf::from).context("cargo has built no .a")
}

/// What the pkg-config file says.
fn fill(template: &str, prefix: &Path, libdir: &Path, version: &str) -> String {
    let libdir = match libdir.strip_prefix(prefix) {
        Ok(below) => format!("${{prefix}}/{}", below.display()),
        Err(_) => libdir.display().to_string(),
    };
    template
        .replace("@prefix@", &prefix.display().to_string())
        .replace("@libdir@", &libdir)
        .replace("@version@", version)
}

fn absolute<'a>(path: &'a Path, option: &str) -> Result<&'a Path> {
    if !path.is_absolute() {
        bail!("{option} {}: give an absolute path", path.display());
    }
    Ok(path)
}

/// Where things are put: below a directory that is not part of their names.
struct Place<'a>(Option<&'a Path>);

impl Place<'_> {
    /// The real path of `path`, whose directory is there afterwards.
    fn of(&self, path: &Path) -> Result<PathBuf> {
        let real = match self.0 {
            None => path.to_owned(),
            Some(before) => before.join(path.strip_prefix("/").unwrap_or(path)),
        };
        if let Some(parent) = real.parent() {
            fs::create_dir_all(parent)
                .with_context(|| format!("cannot make the directory {}", parent.display()))?;
        }
        // A program that runs may have the old file mapped: it keeps that.
        match fs::remove_file(&real) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot replace {}", real.display()))
            }
            _ => {
                println!("{}", real.display());
                Ok(real)
            }
        }
    }

    fn copy(&self, from: &Path, to: &Path, mode: u32) -> Result<()> {
        let content = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
        self.write(&content, to, mode)
    }

    fn write(&self, content: &[u8], to: &Path, mode: u32) -> Result<()> {
        let real = self.of(to)?;
        fs::write(&real, content)
            .and_then(|()| fs::set_permissions(&real, fs::Permissions::from_mode(mode)))
            .with_context(|| format!("cannot write {}", real.display()))
    }

    fn link(&self, target: &str, at: &Path) -> Result<()> {
        let real = self.of(at)?;
        symlink(target, &real).with_context(|| format!("cannot link {}", real.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pkg_config_file_follows_the_places() {
        let template = "prefix=@prefix@\nlibdir=@libdir@\nVersion: @version@\n";
        let text = |libdir: &str| fill(template, Path::new("/usr"), Path::new(libdir), "1.2.3");
        assert_eq!(
            text("/usr/lib/arm"),
            "prefix=/usr\nlibdir=${prefix}/lib/arm\nVersion: 1.2.3\n"
        );
        assert_eq!(text("/lib"), "prefix=/usr\nlibdir=/lib\nVersion: 1.2.3\n");
    }

    #[test]
    fn what_is_needed_is_what_pkg_config_says() {
        let template = fs::read_to_string(host::workspace().join("libfusd/c/fusd.pc.in")).unwrap();
        assert!(libraries(&template).unwrap().contains("-lgcc_s"));
        assert!(libraries("Libs: -lfusd\n").is_err());
    }

    #[test]
    fn the_hint_says_what_to_do_where() {
        let hint = hint("libfusd.so.0", Path::new("/opt/lib"));
        assert!(hint.contains("run ldconfig") && hint.contains("LD_LIBRARY_PATH=/opt/lib"));
    }

    #[test]
    fn an_empty_destdir_is_none() {
        let chosen = |option: Option<&str>, environment: Option<&str>| {
            destdir(option.map(Into::into), environment.map(Into::into))
        };
        assert_eq!(chosen(None, None), None);
        assert_eq!(chosen(None, Some("")), None);
        assert_eq!(chosen(Some(""), Some("/b")), None);
        assert_eq!(chosen(None, Some("/b")), Some("/b".into()));
        assert_eq!(chosen(Some("/a"), Some("/b")), Some("/a".into()));
    }

    #[test]
    fn the_soname_is_that_of_the_build() {
        let build = fs::read_to_string(host::workspace().join("libfusd/c/build.rs")).unwrap();
        assert!(build.contains(&format!("-soname,libfusd.so.{INTERFACE}\"")));
    }
}
