//! A package of the system, and what shows that it is there.

use std::fmt;
use std::path::Path;

use crate::host;
use crate::unpacked::{self, Sources};

/// A package of Debian and its derivatives, and what shows that it is there.
pub(crate) struct Package {
    pub(crate) name: &'static str,
    pub(crate) proof: Proof,
    pub(crate) why: &'static str,
}

/// What is there when a package is installed.
#[derive(Clone, Copy)]
pub(crate) enum Proof {
    /// A program in PATH.
    Program(&'static str),
    /// A file at this place.
    File(&'static str),
    /// A program at this place of a package that is [only unpacked](unpacked).
    Unpacked(&'static str),
    /// A file of the sources of a Python package, likewise. Without them, a test is skipped: a network
    /// that has the system's archive need not have Python's.
    Sources(Sources),
}

impl Package {
    pub(super) fn is_there(&self) -> bool {
        match self.proof {
            Proof::Program(program) => host::find_program(program).is_some(),
            Proof::File(path) => Path::new(path).exists(),
            Proof::Unpacked(path) => unpacked::find(self.name, path).is_some(),
            Proof::Sources(sources) => unpacked::find_sources(self.name, sources.proof).is_some(),
        }
    }

    pub(super) fn is_installed(&self) -> bool {
        !matches!(self.proof, Proof::Unpacked(_) | Proof::Sources(_))
    }

    pub(super) fn is_of_the_system(&self) -> bool {
        !matches!(self.proof, Proof::Sources(_))
    }

    /// The commands that unpack it.
    pub(super) fn by_hand(&self) -> String {
        match self.proof {
            Proof::Sources(sources) => unpacked::sources_by_hand(self.name, &sources),
            _ => unpacked::by_hand(self.name),
        }
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Program(text) | Self::File(text) | Self::Unpacked(text) => f.write_str(text),
            Self::Sources(sources) => f.write_str(sources.proof),
        }
    }
}
