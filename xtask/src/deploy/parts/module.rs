//! The kernel module: its source as DKMS takes it, who may use it, and that it is loaded.
//!
//! What loads it is not an entry in modules-load.d: where the module is missing, as it is until DKMS has
//! built it, that would make each start of the system a failed one. systemd's modprobe@.service does the
//! same, and does not mind.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::deploy::item::{Item, Part};
use crate::deploy::layout::Layout;
use crate::host;

/// What DKMS calls this version of the module.
pub(crate) fn name() -> String {
    format!("kfusd-{}", env!("CARGO_PKG_VERSION"))
}

/// What is in the folder of the source, besides the source.
const BESIDE: [&str; 5] = [
    "Kbuild",
    "Makefile",
    "dkms.conf",
    "README.md",
    "60-fusd.rules",
];

pub(super) fn items(layout: &Layout) -> Result<Vec<Item>> {
    let root = host::workspace();
    let kfusd = root.join("kfusd");
    let source = layout.source(&name());
    let part = Part::Module;
    let mut items = vec![Item::copy(
        part,
        root.join("LICENSE-GPL-2.0"),
        source.join("LICENSE-GPL-2.0"),
    )];
    for name in BESIDE {
        items.push(Item::copy(part, kfusd.join(name), source.join(name)));
    }
    for file in rust_files(&kfusd)? {
        let place = source.join(file.strip_prefix(&kfusd)?);
        items.push(Item::copy(part, file, place));
    }
    let system = |name: &str| root.join("system").join(name);
    for (from, folder, name) in [
        (kfusd.join("60-fusd.rules"), "udev/rules.d", "60-fusd.rules"),
        (system("fusd.sysusers"), "sysusers.d", "fusd.conf"),
        (system("fusd.modprobe"), "modprobe.d", "fusd.conf"),
    ] {
        items.push(Item::copy(part, from, layout.configuration(folder, name)));
    }
    items.push(Item::link(
        part,
        "/lib/systemd/system/modprobe@.service",
        layout.unit("multi-user.target.wants/modprobe@kfusd.service"),
    ));
    Ok(items)
}

/// The files of the source, those behind links as well.
fn rust_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(rust_files(&path)?);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::item::Content;

    #[test]
    fn the_source_is_whole_and_has_no_links() {
        let layout = Layout::new(Path::new("/usr"), None).unwrap();
        let items = items(&layout).unwrap();
        let source = format!("/usr/src/{}", name());
        for file in [
            "dkms.conf",
            "Makefile",
            "wire.rs",
            "wire/layout.rs",
            "sys/node.rs",
            "LICENSE-GPL-2.0",
        ] {
            let path = Path::new(&source).join(file);
            let item = items.iter().find(|item| item.path == path);
            let item = item.unwrap_or_else(|| panic!("no {}", path.display()));
            assert!(matches!(&item.content, Content::Copy { from, .. } if from.is_file()));
        }
    }

    #[test]
    fn dkms_is_told_this_version() {
        let text = fs::read_to_string(host::workspace().join("kfusd/dkms.conf")).unwrap();
        let version = env!("CARGO_PKG_VERSION");
        assert!(
            text.contains(&format!("PACKAGE_VERSION=\"{version}\"\n")),
            "{text}"
        );
    }
}
