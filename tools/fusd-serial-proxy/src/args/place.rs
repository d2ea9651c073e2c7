//! Where the node goes, and whether it is to be a pseudo-terminal.

use std::fs::File;
use std::path::{Path, PathBuf};

use fusd::{Error, ErrorKind};
use fusd_tool::{BackendArg, Tool, ToolError};

use super::Args;
use crate::pty::{self, Access};

impl Args {
    /// Who may use a pseudo-terminal.
    pub(super) fn access(&self) -> Access {
        Access {
            mode: self.common.mode,
            owner: self.common.owner,
            group: self.common.group,
        }
    }

    /// Whether the node is to be a pseudo-terminal: as asked, or for want of anything else.
    pub(super) fn takes_pseudo_terminal(&self) -> bool {
        let fuse_alone = match self.common.backend {
            Some(BackendArg::Kfusd | BackendArg::Cuse) => false,
            Some(BackendArg::Fuse) => true,
            Some(BackendArg::Auto) | None => !self.may_be_a_device(),
        };
        if fuse_alone && !self.pty {
            tracing::warn!(
                "no terminal can be made but a pseudo-terminal: {}",
                pty::LACKS
            );
        }
        self.pty || fuse_alone
    }

    /// Whether a character device can be made where the node is to be.
    fn may_be_a_device(&self) -> bool {
        let asked = std::env::var("FUSD_BACKEND");
        if asked.is_ok_and(|asked| asked == "fuse") {
            return false;
        }
        let below = match self.node_path() {
            None => true,
            Some(path) => {
                let folder = path.parent().unwrap_or(Path::new("/"));
                let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
                folder.starts_with("/dev")
            }
        };
        let opens = |path| File::options().read(true).write(true).open(path).is_ok();
        below && (opens("/dev/fusd/control") || opens("/dev/cuse"))
    }

    /// Where a node that is no device goes.
    pub(super) fn place(&self) -> Result<PathBuf, ToolError> {
        if let Some(path) = self.node_path() {
            return Ok(path.to_owned());
        }
        let name = self.node_name().ok_or_else(|| {
            ToolError::usage("the node has no name; give --name NAME for /dev/NAME, or --path PATH")
        })?;
        if nix::unistd::geteuid().is_root() {
            return Ok(Path::new("/dev").join(name));
        }
        let folder = std::env::var_os("XDG_RUNTIME_DIR").ok_or_else(|| {
            ToolError::usage("there is no $XDG_RUNTIME_DIR; give the node's place by --path PATH")
        })?;
        let folder = Path::new(&folder).join("fusd");
        std::fs::create_dir_all(&folder).map_err(|error| {
            Error::system(ErrorKind::Node, error, "make the directory").on(&folder)
        })?;
        Ok(folder.join(name))
    }
}
