//! The list of what an installation has written, by which it is removed.
//!
//! It is a text: a line for each file, with the part it belongs to, and for each directory that was not
//! there before. Paths are those at which things are used, without a directory put before them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use super::item::Part;

const HEAD: &str =
    "# What `cargo xtask install` has written. `--uninstall` removes it by this list.\n";
const DIRECTORY: &str = "directory";

/// What is installed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(crate) files: BTreeMap<PathBuf, Part>,
    /// Those that were made for the files.
    pub(crate) directories: BTreeSet<PathBuf>,
}

impl Manifest {
    /// Reads that at `real`; `None` if there is none.
    ///
    /// # Errors
    /// It cannot be read, or has a line that nobody has written.
    pub(crate) fn read(real: &Path) -> Result<Option<Self>> {
        let text = match fs::read_to_string(real) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", real.display()));
            }
        };
        Self::parse(&text)
            .with_context(|| real.display().to_string())
            .map(Some)
    }

    fn parse(text: &str) -> Result<Self> {
        let mut manifest = Self::default();
        for (number, line) in text.lines().enumerate() {
            if line.starts_with('#') || line.is_empty() {
                continue;
            }
            let bad = || format!("line {} is none of this list: {line:?}", number + 1);
            let (word, path) = line.split_once(' ').with_context(bad)?;
            let path = PathBuf::from(path);
            if !path.is_absolute() || path.components().any(|part| part.as_os_str() == "..") {
                bail!(bad());
            }
            if word == DIRECTORY {
                manifest.directories.insert(path);
            } else {
                let part = Part::from_str(word, false).ok().with_context(bad)?;
                manifest.files.insert(path, part);
            }
        }
        Ok(manifest)
    }

    pub(crate) fn text(&self) -> String {
        let mut text = HEAD.to_owned();
        for path in &self.directories {
            // Writing to a String does not fail.
            let _ = writeln!(text, "{DIRECTORY} {}", path.display());
        }
        for (path, part) in &self.files {
            let _ = writeln!(text, "{part} {}", path.display());
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let mut manifest = Manifest::default();
        manifest.files.insert("/usr/bin/a b".into(), Part::Tools);
        manifest.files.insert("/usr/lib/c".into(), Part::Library);
        manifest.directories.insert("/usr/lib".into());
        assert_eq!(Manifest::parse(&manifest.text()).unwrap(), manifest);
    }

    #[test]
    fn a_line_that_leads_elsewhere_is_refused() {
        for line in [
            "tools",
            "tools bin/x",
            "other /bin/x",
            "tools /usr/../etc/x",
        ] {
            let error = Manifest::parse(&format!("# x\n{line}\n")).unwrap_err();
            assert!(error.to_string().contains("line 2"), "{error}");
        }
    }

    #[test]
    fn no_list_is_no_error() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Manifest::read(&folder.path().join("x")).unwrap(), None);
    }
}
