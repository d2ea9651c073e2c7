//! A page without content that takes no room, and the server that has it.

use std::fs::File;
use std::path::Path;

use anyhow::Context;
use tempfile::TempDir;

use super::nginx::Nginx;

/// What is read. Dropped, its server is killed.
pub(crate) struct Page {
    pub(crate) length: u64,
    nginx: Nginx,
    _directory: TempDir,
}

impl Page {
    /// A page of so many bytes, all of them zero, behind nginx.
    pub(crate) fn serve(length: u64) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let root = directory.path().join("root");
        std::fs::create_dir(&root)?;
        open_to_all(directory.path())?;
        let file = File::create(root.join("page")).context("cannot make the page")?;
        file.set_len(length).context("cannot make the page")?;
        let nginx = Nginx::start(directory.path(), &root)?;
        Ok(Self {
            length,
            nginx,
            _directory: directory,
        })
    }

    /// Where it is.
    pub(crate) fn url(&self) -> String {
        format!("{}page", self.folder())
    }

    /// Where what lists it is.
    pub(crate) fn folder(&self) -> String {
        format!("http://127.0.0.1:{}/", self.nginx.port)
    }
}

/// nginx reads as another user where root starts it.
fn open_to_all(directory: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let all = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(directory, all).context("cannot open the folder to all")
}
