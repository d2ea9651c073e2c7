//! What the module calls the files that the session has its own numbers for.

use std::sync::Mutex;

use crate::backend::FileId;
use crate::idmap::IdMap;
use crate::sync::lock;

/// The files on a connection.
#[derive(Default)]
pub(super) struct Files(Mutex<Names>);

#[derive(Default)]
struct Names {
    /// The module's numbers of files whose opens are not answered, by the request.
    opening: IdMap<u64, u64>,
    /// Those of open files.
    open: IdMap<FileId, u64>,
}

impl Files {
    /// The request `id` opens the file that the module calls `number`.
    pub(super) fn opening(&self, id: u64, number: u64) {
        lock(&self.0).opening.insert(id, number);
    }

    /// The request `id` is about to succeed.
    pub(super) fn opened(&self, id: u64, file: FileId) {
        let mut names = lock(&self.0);
        if let Some(number) = names.opening.remove(&id) {
            names.open.insert(file, number);
        }
    }

    /// The request `id` failed.
    pub(super) fn refused(&self, id: u64) {
        lock(&self.0).opening.remove(&id);
    }

    /// The file is closed.
    pub(super) fn released(&self, file: FileId) {
        lock(&self.0).open.remove(&file);
    }

    /// What the module calls the file that the request `id` opens, until that is answered.
    pub(super) fn number_of_opening(&self, id: u64) -> Option<u64> {
        lock(&self.0).opening.get(&id).copied()
    }

    /// What the module calls it.
    pub(super) fn number(&self, file: FileId) -> Option<u64> {
        lock(&self.0).open.get(&file).copied()
    }
}
