//! Versions of pages: what a reader who has begun with one goes on with.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::cache::{BLOCK, GRAIN, Recent, VERSIONS};
use crate::grid::Grid;
use crate::head::Validators;
use crate::who::Who;

/// One version of a page of known length, of which the server gives parts.
#[derive(Debug)]
pub(crate) struct Version {
    /// Its length in bytes.
    pub(crate) total: u64,
    pub(crate) validators: Validators,
    /// In whose name parts are asked for.
    pub(crate) who: Arc<Who>,
    /// As blocks.
    pub(crate) blocks: Arc<Grid>,
    /// As grains, for who jumps about.
    pub(crate) grains: Arc<Grid>,
}

/// All versions that somebody reads, and the latest of others.
#[derive(Debug)]
pub(crate) struct Versions {
    /// The next name of a grid.
    next: AtomicU64,
    known: Mutex<Recent<Key, Arc<Version>>>,
}

type Key = (String, Validators, u64);

impl Default for Versions {
    fn default() -> Self {
        Self {
            next: AtomicU64::new(0),
            known: Mutex::new(Recent::new(VERSIONS)),
        }
    }
}

impl Versions {
    /// The version with these marks of what is at `place`: for all who find the same, the same, where
    /// no other version has them (`unique`).
    pub(crate) fn find(
        &self,
        place: String,
        who: &Arc<Who>,
        validators: Validators,
        unique: bool,
        total: u64,
    ) -> Arc<Version> {
        if !unique {
            return self.make(who, validators, total);
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (place, validators.clone(), total);
        let version = known.get_or_insert(key, || self.make(who, validators, total));
        Arc::clone(version)
    }

    fn make(&self, who: &Arc<Who>, validators: Validators, total: u64) -> Arc<Version> {
        let grid = |size| Arc::new(Grid::new(self.next.fetch_add(1, Ordering::Relaxed), size));
        Arc::new(Version {
            total,
            validators,
            who: Arc::clone(who),
            blocks: grid(BLOCK),
            grains: grid(GRAIN),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_share_what_cannot_be_anything_else() {
        let versions = Versions::default();
        let find = |unique| {
            let who = Arc::new(Who::default());
            let version = versions.find(String::new(), &who, Validators::default(), unique, 1);
            (version.blocks.id, version.grains.id)
        };
        assert_eq!(find(true), find(true));
        assert_ne!(find(false), find(false));
    }
}
