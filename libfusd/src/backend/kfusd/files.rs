//! The files of a connection. The session calls them by the module's numbers.

use std::sync::Mutex;

use crate::backend::FileId;
use crate::idmap::IdMap;
use crate::sync::lock;

/// The files on a connection.
#[derive(Default)]
pub(super) struct Files(Mutex<Names>);

#[derive(Default)]
struct Names {
    /// Files whose opens are not answered, by the request.
    opening: IdMap<u64, FileId>,
    /// Their tokens.
    tokens: IdMap<FileId, u64>,
    open: IdMap<FileId, ()>,
}

impl Files {
    /// Files that are open.
    pub(super) fn of(open: impl Iterator<Item = FileId>) -> Self {
        Self(Mutex::new(Names {
            open: open.map(|file| (file, ())).collect(),
            ..Names::default()
        }))
    }

    /// The request `id` opens `file`.
    pub(super) fn opening(&self, id: u64, file: FileId) {
        let mut names = lock(&self.0);
        names.opening.insert(id, file);
        names.tokens.insert(file, 0);
    }

    /// The request `id` is about to succeed. The file's token.
    pub(super) fn opened(&self, id: u64) -> u64 {
        let mut names = lock(&self.0);
        let Some(file) = names.opening.remove(&id) else {
            return 0;
        };
        names.open.insert(file, ());
        names.tokens.remove(&file).unwrap_or(0)
    }

    /// The request `id` failed.
    pub(super) fn refused(&self, id: u64) {
        let mut names = lock(&self.0);
        if let Some(file) = names.opening.remove(&id) {
            names.tokens.remove(&file);
        }
    }

    /// The file is closed.
    pub(super) fn released(&self, file: FileId) {
        lock(&self.0).open.remove(&file);
    }

    /// The file that the request `id` opens, until that is answered.
    pub(super) fn of_opening(&self, id: u64) -> Option<FileId> {
        lock(&self.0).opening.get(&id).copied()
    }

    /// Whether the module has it open.
    pub(super) fn is_open(&self, file: FileId) -> bool {
        lock(&self.0).open.contains_key(&file)
    }

    /// Keeps the token of a file that is being opened. False: it is not.
    pub(super) fn keep(&self, file: FileId, token: u64) -> bool {
        let mut names = lock(&self.0);
        let slot = names.tokens.get_mut(&file);
        let there = slot.is_some();
        if let Some(slot) = slot {
            *slot = token;
        }
        there
    }
}
