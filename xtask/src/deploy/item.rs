//! What is installed: a file or a link, where it goes, and which part of the project it belongs to.

use std::fmt;
use std::path::PathBuf;

use clap::ValueEnum;

/// What can be installed by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Part {
    /// The tools, with their manual pages, completions and units
    Tools,
    /// The C library: libfusd.so, libfusd.a, headers, the pkg-config file, manual pages
    Library,
    /// The kernel module's source for DKMS, who may use it, and that it is loaded
    Module,
}

impl Part {
    /// The word for it on the command line and in the list of what is installed.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Library => "library",
            Self::Module => "module",
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Something that is installed.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) part: Part,
    /// Where it will be used: an absolute path, without the directory that is put before all.
    pub(crate) path: PathBuf,
    pub(crate) content: Content,
}

/// What is at that place.
#[derive(Debug)]
pub(crate) enum Content {
    /// A copy of a file, with these permissions.
    Copy { from: PathBuf, mode: u32 },
    /// A text, with these permissions.
    Text { text: Vec<u8>, mode: u32 },
    /// A symbolic link to this.
    Link(PathBuf),
}

impl Item {
    pub(crate) fn copy(part: Part, from: PathBuf, path: PathBuf) -> Self {
        let content = Content::Copy { from, mode: 0o644 };
        Self {
            part,
            path,
            content,
        }
    }

    pub(crate) fn program(part: Part, from: PathBuf, path: PathBuf) -> Self {
        let content = Content::Copy { from, mode: 0o755 };
        Self {
            part,
            path,
            content,
        }
    }

    pub(crate) fn text(part: Part, text: impl Into<Vec<u8>>, path: PathBuf) -> Self {
        let content = Content::Text {
            text: text.into(),
            mode: 0o644,
        };
        Self {
            part,
            path,
            content,
        }
    }

    pub(crate) fn script(part: Part, text: String, path: PathBuf) -> Self {
        let content = Content::Text {
            text: text.into(),
            mode: 0o755,
        };
        Self {
            part,
            path,
            content,
        }
    }

    pub(crate) fn link(part: Part, target: impl Into<PathBuf>, path: PathBuf) -> Self {
        let content = Content::Link(target.into());
        Self {
            part,
            path,
            content,
        }
    }
}
