//! Writes what is installed, and removes it.
//!
//! The list of it is written first and last: whatever interrupts an installation, what it has written is
//! known, and the next one, or a removal, goes by that.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nix::unistd::{AccessFlags, eaccess};

use super::item::{Content, Item, Part};
use super::manifest::Manifest;

/// A directory that is put before all paths, or none.
#[derive(Clone, Debug)]
pub(crate) struct Place(pub(crate) Option<PathBuf>);

impl Place {
    /// Where `path` really is.
    pub(crate) fn of(&self, path: &Path) -> PathBuf {
        match &self.0 {
            None => path.to_owned(),
            Some(before) => before.join(path.strip_prefix("/").unwrap_or(path)),
        }
    }

    /// The first directory that this user cannot write to, of those that have to be.
    pub(crate) fn barrier<'a>(&self, paths: impl Iterator<Item = &'a Path>) -> Option<PathBuf> {
        let parents: BTreeSet<PathBuf> = paths
            .filter_map(|path| self.of(path).parent().map(existing))
            .collect();
        let is_closed = |folder: &PathBuf| eaccess(folder, AccessFlags::W_OK).is_err();
        parents.into_iter().find(is_closed)
    }

    /// Writes `items`, and removes what an earlier installation of the same parts had besides. Says so,
    /// a line for each.
    pub(crate) fn install(&self, items: &[Item], parts: &[Part], manifest: &Path) -> Result<()> {
        let list = self.of(manifest);
        let old = Manifest::read(&list)?.unwrap_or_default();
        let mut new = Manifest {
            files: old.files.clone(),
            directories: old.directories.clone(),
        };
        let paths = items.iter().map(|item| item.path.as_path());
        new.directories
            .extend(self.missing(paths.chain([manifest])));
        for item in items {
            new.files.insert(item.path.clone(), item.part);
        }
        write(&list, new.text().as_bytes(), 0o644)?;
        for item in items {
            let is_others = !old.files.contains_key(&item.path);
            self.put(item, is_others)?;
        }
        let wanted: BTreeSet<&Path> = items.iter().map(|item| item.path.as_path()).collect();
        for (path, part) in &old.files {
            if parts.contains(part) && !wanted.contains(path.as_path()) {
                remove_file(&self.of(path))?;
                new.files.remove(path);
            }
        }
        self.remove_directories(&mut new)?;
        write(&list, new.text().as_bytes(), 0o644)
    }

    /// Writes `items` and no list of them, without a word.
    pub(crate) fn fill(&self, items: &[Item]) -> Result<()> {
        items.iter().try_for_each(|item| self.create(item))
    }

    /// Removes what the list `manifest` has, and the list.
    pub(crate) fn uninstall(&self, manifest: &Path) -> Result<()> {
        let list = self.of(manifest);
        let Some(mut installed) = Manifest::read(&list)? else {
            bail!(
                "nothing to remove: there is no list {}; give the --prefix and the --destdir that it \
                 was installed with",
                list.display()
            );
        };
        for path in installed.files.keys() {
            remove_file(&self.of(path))?;
        }
        remove_file(&list)?;
        installed.files.clear();
        self.remove_directories(&mut installed)?;
        for path in &installed.directories {
            println!("kept {}: something else is in it", self.of(path).display());
        }
        Ok(())
    }

    /// Removes those directories of the list that are empty, from the list as well.
    fn remove_directories(&self, manifest: &mut Manifest) -> Result<()> {
        let directories: Vec<PathBuf> = manifest.directories.iter().rev().cloned().collect();
        for path in directories {
            let real = self.of(&path);
            match fs::remove_dir(&real) {
                Ok(()) => println!("removed {}", real.display()),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => continue,
                Err(error) => {
                    let real = real.display();
                    return Err(error).with_context(|| format!("cannot remove {real}"));
                }
            }
            manifest.directories.remove(&path);
        }
        Ok(())
    }

    /// The directories of `paths` that are not there yet.
    fn missing<'a>(&self, paths: impl Iterator<Item = &'a Path>) -> BTreeSet<PathBuf> {
        let above = paths.flat_map(|path| path.ancestors().skip(1));
        let above: BTreeSet<&Path> = above.filter(|path| path.parent().is_some()).collect();
        let missing = above.into_iter().filter(|path| !self.of(path).exists());
        missing.map(Path::to_owned).collect()
    }

    fn put(&self, item: &Item, is_others: bool) -> Result<()> {
        let real = self.of(&item.path);
        let had = is_others && real.symlink_metadata().is_ok();
        self.create(item)?;
        let replaced = if had {
            " (replaced what was there)"
        } else {
            ""
        };
        println!("{}{replaced}", real.display());
        Ok(())
    }

    fn create(&self, item: &Item) -> Result<()> {
        let real = self.of(&item.path);
        match &item.content {
            Content::Text { text, mode } => write(&real, text, *mode),
            Content::Copy { from, mode } => {
                let content =
                    fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
                write(&real, &content, *mode)
            }
            Content::Link(target) => {
                make_room(&real)?;
                symlink(target, &real).with_context(|| format!("cannot link {}", real.display()))
            }
        }
    }
}

/// The nearest directory above, or `path` itself, that is there.
fn existing(path: &Path) -> PathBuf {
    let there = path.ancestors().find(|above| above.exists());
    there.unwrap_or(Path::new("/")).to_owned()
}

fn write(real: &Path, content: &[u8], mode: u32) -> Result<()> {
    make_room(real)?;
    fs::write(real, content)
        .and_then(|()| fs::set_permissions(real, Permissions::from_mode(mode)))
        .with_context(|| format!("cannot write {}", real.display()))
}

/// Has the directory there, and nothing at the place itself: a program that runs may have the old file
/// mapped, and keeps that.
fn make_room(real: &Path) -> Result<()> {
    if let Some(parent) = real.parent() {
        fs::create_dir_all(parent)
            .with_context(|| format!("cannot make the directory {}", parent.display()))?;
    }
    ignore_missing(fs::remove_file(real))
        .with_context(|| format!("cannot replace {}", real.display()))
}

fn remove_file(real: &Path) -> Result<()> {
    let there = real.symlink_metadata().is_ok();
    ignore_missing(fs::remove_file(real))
        .with_context(|| format!("cannot remove {}", real.display()))?;
    if there {
        println!("removed {}", real.display());
    }
    Ok(())
}

fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        // Below what is no directory, there is nothing.
        Err(error) if error.kind() == ErrorKind::NotADirectory => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "/usr/share/fusd/installed";

    fn text(part: Part, path: &str) -> Item {
        Item::text(part, path, path.into())
    }

    fn place() -> (tempfile::TempDir, Place) {
        let folder = tempfile::tempdir().unwrap();
        let place = Place(Some(folder.path().join("root")));
        (folder, place)
    }

    fn install(place: &Place, items: &[Item], parts: &[Part]) {
        place.install(items, parts, Path::new(LIST)).unwrap();
    }

    #[test]
    fn what_was_installed_goes_and_nothing_else() {
        let (_folder, place) = place();
        let others = place.of(Path::new("/usr/lib/others"));
        fs::create_dir_all(others.parent().unwrap()).unwrap();
        fs::write(&others, "").unwrap();
        let items = [
            text(Part::Tools, "/usr/bin/one"),
            text(Part::Library, "/usr/lib/deep/two"),
            Item::link(Part::Library, "two", "/usr/lib/deep/three".into()),
        ];
        install(&place, &items, &[Part::Tools, Part::Library]);
        assert_eq!(
            fs::read(place.of(&items[2].path)).unwrap(),
            b"/usr/lib/deep/two"
        );
        place.uninstall(Path::new(LIST)).unwrap();
        let left: Vec<_> = fs::read_dir(place.of(Path::new("/usr")))
            .unwrap()
            .flatten()
            .collect();
        assert_eq!(left.len(), 1, "{left:?}");
        assert!(others.exists());
        let left = fs::read_dir(others.parent().unwrap()).unwrap().count();
        assert_eq!(left, 1);
        let error = place.uninstall(Path::new(LIST)).unwrap_err().to_string();
        assert!(
            error.contains("there is no list") && error.contains("--prefix"),
            "{error}"
        );
    }

    #[test]
    fn a_directory_that_others_use_by_now_stays() {
        let (_folder, place) = place();
        install(&place, &[text(Part::Tools, "/usr/bin/one")], &[Part::Tools]);
        let others = place.of(Path::new("/usr/bin/others"));
        fs::write(&others, "").unwrap();
        place.uninstall(Path::new(LIST)).unwrap();
        assert!(others.exists());
        assert!(!place.of(Path::new("/usr/bin/one")).exists());
        assert!(!place.of(Path::new("/usr/share")).exists());
    }

    #[test]
    fn a_second_installation_takes_away_what_the_first_had_of_the_same_parts() {
        let (_folder, place) = place();
        let items = [
            text(Part::Tools, "/usr/a/old"),
            text(Part::Library, "/usr/b/kept"),
        ];
        install(&place, &items, &[Part::Tools, Part::Library]);
        install(&place, &[text(Part::Tools, "/usr/c/new")], &[Part::Tools]);
        let there = |path| place.of(Path::new(path)).exists();
        assert!(!there("/usr/a") && there("/usr/b/kept") && there("/usr/c/new"));
        place.uninstall(Path::new(LIST)).unwrap();
        assert!(!there("/usr"));
    }

    #[test]
    fn a_file_that_somebody_has_removed_is_no_failure() {
        let (_folder, place) = place();
        install(&place, &[text(Part::Tools, "/usr/bin/one")], &[Part::Tools]);
        fs::remove_dir_all(place.of(Path::new("/usr/bin"))).unwrap();
        place.uninstall(Path::new(LIST)).unwrap();
        assert!(!place.of(Path::new("/usr")).exists());
    }
}
