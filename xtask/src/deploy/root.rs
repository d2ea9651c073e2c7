//! Installs where this user may not write: what was built is put into a folder of its own, and a second
//! process of this program, started by sudo, installs that. So nothing is ever built by root.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, IsTerminal};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use nix::unistd::Uid;

use super::item::{Content, Item, Part};
use super::layout::Layout;
use super::manifest::Manifest;
use super::place::Place;
use crate::host;

/// Installs `items` as root, as `barrier` is not this user's to write to.
pub(super) fn install(
    items: &[Item],
    parts: &[Part],
    layout: &Layout,
    place: &Place,
    barrier: &Path,
) -> Result<()> {
    let stage = tempfile::Builder::new()
        .prefix("fusd-install-")
        .tempdir()
        .context("cannot make a folder for what was built")?;
    let tree = Place(Some(stage.path().join(TREE)));
    tree.fill(items)?;
    let list = Manifest {
        files: items
            .iter()
            .map(|item| (item.path.clone(), item.part))
            .collect(),
        ..Manifest::default()
    };
    let file = stage.path().join(LIST);
    fs::write(&file, list.text()).with_context(|| format!("cannot write {}", file.display()))?;
    let mut options = vec!["--staged".into(), stage.path().into()];
    for part in parts {
        options.extend(["--only".into(), part.name().into()]);
    }
    again(options, layout, place, barrier)
}

/// What the first process has put into the folder `stage`.
pub(super) fn staged(stage: &Path) -> Result<Vec<Item>> {
    let list = stage.join(LIST);
    let list = Manifest::read(&list)?.with_context(|| format!("no {}", list.display()))?;
    let tree = Place(Some(stage.join(TREE)));
    let item = |(path, part): (PathBuf, Part)| {
        let from = tree.of(&path);
        let status = from
            .symlink_metadata()
            .with_context(|| format!("cannot find {}", from.display()))?;
        let content = match status.is_symlink() {
            true => Content::Link(fs::read_link(&from)?),
            false => Content::Copy {
                from,
                mode: status.permissions().mode() & 0o777,
            },
        };
        Ok(Item {
            part,
            path,
            content,
        })
    };
    list.files.into_iter().map(item).collect()
}

/// Removes what is installed, as root.
pub(super) fn uninstall(layout: &Layout, place: &Place, barrier: &Path) -> Result<()> {
    again(vec!["--uninstall".into()], layout, place, barrier)
}

const TREE: &str = "tree";
const LIST: &str = "list";

/// Runs this program again, as root.
fn again(options: Vec<OsString>, layout: &Layout, place: &Place, barrier: &Path) -> Result<()> {
    let barrier = barrier.display();
    let advice = "choose another place by --prefix, such as ~/.local";
    if Uid::effective().is_root() {
        bail!("{barrier} cannot be written to, not even by root; {advice}");
    }
    if host::find_program("sudo").is_none() {
        bail!(
            "{barrier} is not yours to write to, and there is no sudo: run this as root, or {advice}"
        );
    }
    println!("{barrier} is not yours to write to: sudo does it");
    let program = env::current_exe().context("this program does not know its own place")?;
    let mut command = Command::new("sudo");
    // With nobody at the terminal, fail rather than wait for a password.
    if !io::stdin().is_terminal() {
        command.arg("-n");
    }
    command
        .arg("--")
        .arg(program)
        .args(["install", "--by-sudo"])
        .args(options)
        .args([OsStr::new("--prefix"), layout.prefix().as_os_str()])
        .args([
            OsStr::new("--destdir"),
            place.0.as_deref().unwrap_or(Path::new("")).as_os_str(),
        ]);
    let status = command.status().context("cannot run sudo")?;
    if !status.success() {
        bail!("sudo has not done it ({status}): run this as root, or {advice}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_staged_is_what_was_built() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("program");
        fs::write(&program, "p").unwrap();
        let items = [
            Item::program(Part::Tools, program, "/usr/bin/p".into()),
            Item::link(Part::Library, "x", "/usr/lib/l".into()),
        ];
        let tree = Place(Some(folder.path().join(TREE)));
        tree.fill(&items).unwrap();
        let list = Manifest {
            files: items
                .iter()
                .map(|item| (item.path.clone(), item.part))
                .collect(),
            ..Manifest::default()
        };
        fs::write(folder.path().join(LIST), list.text()).unwrap();
        let found = staged(folder.path()).unwrap();
        assert_eq!(found.len(), 2);
        assert!(matches!(
            &found[0].content,
            Content::Copy { mode: 0o755, .. }
        ));
        assert!(matches!(&found[1].content, Content::Link(target) if target == Path::new("x")));
        assert_eq!(found[1].part, Part::Library);
    }
}
