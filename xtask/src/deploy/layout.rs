//! Where each kind of file goes.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// The places of an installation.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    prefix: PathBuf,
    libdir: PathBuf,
    /// Below `share`: zsh looks elsewhere for what packages bring.
    zsh: &'static str,
}

impl Layout {
    /// That below `prefix`, with the libraries in `libdir` if it is given.
    ///
    /// # Errors
    /// One of them is not absolute, or has a line break in it.
    pub(crate) fn new(prefix: &Path, libdir: Option<&Path>) -> Result<Self> {
        let prefix = absolute(prefix, "--prefix")?;
        let libdir = match libdir {
            Some(libdir) => absolute(libdir, "--libdir")?,
            None => prefix.join("lib"),
        };
        Ok(Self {
            prefix,
            libdir,
            zsh: "zsh/site-functions",
        })
    }

    /// That of a Debian package, for an architecture such as "x86_64-linux-gnu".
    pub(crate) fn of_debian(multiarch: &str) -> Self {
        Self {
            prefix: "/usr".into(),
            libdir: Path::new("/usr/lib").join(multiarch),
            zsh: "zsh/vendor-completions",
        }
    }

    pub(crate) fn prefix(&self) -> &Path {
        &self.prefix
    }

    pub(crate) fn libdir(&self) -> &Path {
        &self.libdir
    }

    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.prefix.join("bin").join(name)
    }

    pub(crate) fn library(&self, name: &str) -> PathBuf {
        self.libdir.join(name)
    }

    pub(crate) fn header(&self, name: &str) -> PathBuf {
        self.prefix.join("include").join(name)
    }

    /// `page` ends with a dot and its section.
    pub(crate) fn page(&self, page: &str) -> PathBuf {
        let section = page.rsplit('.').next().unwrap_or_default();
        self.share(&format!("man/man{section}")).join(page)
    }

    pub(crate) fn bash_completion(&self, program: &str) -> PathBuf {
        self.share("bash-completion/completions").join(program)
    }

    pub(crate) fn zsh_completion(&self, program: &str) -> PathBuf {
        self.share(self.zsh).join(format!("_{program}"))
    }

    pub(crate) fn fish_completion(&self, program: &str) -> PathBuf {
        let folder = self.share("fish/vendor_completions.d");
        folder.join(format!("{program}.fish"))
    }

    pub(crate) fn unit(&self, name: &str) -> PathBuf {
        self.configuration("systemd/system", name)
    }

    /// A program that tells the service manager of units.
    pub(crate) fn generator(&self, name: &str) -> PathBuf {
        self.configuration("systemd/system-generators", name)
    }

    /// What some part of the system reads from `lib/FOLDER`, such as `sysusers.d`.
    pub(crate) fn configuration(&self, folder: &str, name: &str) -> PathBuf {
        self.prefix.join("lib").join(folder).join(name)
    }

    /// Sources of `name`, as DKMS calls a module with its version.
    pub(crate) fn source(&self, name: &str) -> PathBuf {
        self.prefix.join("src").join(name)
    }

    pub(crate) fn document(&self, name: &str) -> PathBuf {
        self.share("doc/fusd").join(name)
    }

    /// The list of what is installed.
    pub(crate) fn manifest(&self) -> PathBuf {
        self.share("fusd/installed")
    }

    /// Whether the service manager, udev and the others look below this prefix.
    pub(crate) fn is_of_the_system(&self) -> bool {
        ["/usr", "/usr/local"]
            .iter()
            .any(|one| self.prefix == Path::new(one))
    }

    fn share(&self, folder: &str) -> PathBuf {
        self.prefix.join("share").join(folder)
    }
}

fn absolute(path: &Path, option: &str) -> Result<PathBuf> {
    let shown = path.display();
    if !path.is_absolute() {
        bail!("{option} {shown}: give an absolute path");
    }
    // The list of what is installed is a text with a line for each path.
    if path.to_str().is_none_or(|text| text.contains('\n')) {
        bail!("{option} {shown:?}: give a path in UTF-8, without a line break");
    }
    Ok(path.components().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_places_follow_the_prefix() {
        let layout = Layout::new(Path::new("/opt/x/"), None).unwrap();
        assert_eq!(layout.prefix(), Path::new("/opt/x"));
        assert_eq!(layout.library("l.so"), Path::new("/opt/x/lib/l.so"));
        assert_eq!(layout.page("x.1"), Path::new("/opt/x/share/man/man1/x.1"));
        assert!(!layout.is_of_the_system());
        assert!(
            Layout::new(Path::new("/usr/local/"), None)
                .unwrap()
                .is_of_the_system()
        );
    }

    #[test]
    fn a_path_that_cannot_be_kept_is_refused() {
        for (path, text) in [("usr", "absolute"), ("/a\nb", "line break")] {
            let error = Layout::new(Path::new(path), None).unwrap_err().to_string();
            assert!(
                error.contains("--prefix") && error.contains(text),
                "{error}"
            );
        }
        let error = Layout::new(Path::new("/a"), Some(Path::new("b"))).unwrap_err();
        assert_eq!(error.to_string(), "--libdir b: give an absolute path");
    }
}
