//! The C library: linked anew, with versions of its symbols, and put where C programs look for it.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::artifacts;
use crate::deploy::item::{Item, Part};
use crate::deploy::layout::Layout;
use crate::deploy::link;
use crate::host;

/// The name that programs ask for; its number is that of the binary interface, as in
/// `libfusd/c/build.rs`.
pub(crate) const SONAME: &str = "libfusd.so.0";

/// The headers, in `libfusd/include/`.
const HEADERS: [&str; 2] = ["fusd.h", "fusd_device.h"];

pub(super) fn items(layout: &Layout, debug: bool) -> Result<Vec<Item>> {
    let archive = artifacts::archive(&artifacts::build(&["--package", "fusd-c"], debug)?)?;
    let sources = host::workspace().join("libfusd");
    let version = env!("CARGO_PKG_VERSION");
    let template =
        fs::read_to_string(sources.join("c/fusd.pc.in")).context("cannot read fusd.pc.in")?;
    let real = format!("libfusd.so.{version}");
    let part = Part::Library;

    // The permissions are those of a text: nobody runs it.
    let shared = shared(&archive, &sources, &template)?;
    let mut items = vec![
        Item::text(part, shared, layout.library(&real)),
        Item::link(part, &real, layout.library(SONAME)),
        Item::link(part, SONAME, layout.library("libfusd.so")),
        Item::copy(part, archive, layout.library("libfusd.a")),
    ];
    for header in HEADERS {
        let from = sources.join("include").join(header);
        items.push(Item::copy(part, from, layout.header(header)));
    }
    let text = fill(&template, layout.prefix(), layout.libdir(), version);
    items.push(Item::text(part, text, layout.library("pkgconfig/fusd.pc")));
    Ok(items)
}

/// The shared library.
fn shared(archive: &Path, sources: &Path, template: &str) -> Result<Vec<u8>> {
    let linked = archive.with_file_name(format!("{SONAME}-{}", std::process::id()));
    let map = sources.join("c/fusd.map");
    link::shared(archive, &map, libraries(template)?, SONAME, &linked)?;
    let content = fs::read(&linked).with_context(|| format!("cannot read {}", linked.display()));
    // Where it cannot be removed, it is in the way of nobody.
    let _ = fs::remove_file(&linked);
    content
}

/// What the library needs, as options for the linker.
fn libraries(template: &str) -> Result<&str> {
    let mut lines = template.lines();
    let line = lines.find_map(|line| line.strip_prefix("Libs.private:"));
    line.context("fusd.pc.in has no line Libs.private")
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
    fn the_soname_is_that_of_the_build() {
        let build = fs::read_to_string(host::workspace().join("libfusd/c/build.rs")).unwrap();
        assert!(build.contains(&format!("-soname,{SONAME}\"")));
    }
}
