//! The rings of one file.

use std::io;
use std::sync::Arc;

use super::shared::Shared;
use crate::backend::RingUse;
use crate::{Errno, OpenFile};

/// What serves reads and writes of a file in place of its device.
#[derive(Clone, Default)]
pub(crate) struct Attached {
    reads: Option<Arc<Shared>>,
    writes: Option<Arc<Shared>>,
}

impl Attached {
    /// Where reads are served from.
    pub(crate) fn reads(&self) -> Option<&Shared> {
        self.reads.as_deref()
    }

    /// Where writes go.
    pub(crate) fn writes(&self) -> Option<&Shared> {
        self.writes.as_deref()
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.reads.is_none() && self.writes.is_none()
    }

    /// Adds a ring, once `attach` has done what else there is to do.
    ///
    /// # Errors
    /// `EBUSY`: the file has one for that already. Those of `attach`.
    pub(crate) fn add(
        &mut self,
        ring: &Arc<Shared>,
        wanted: RingUse,
        attach: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<()> {
        let place = match wanted {
            RingUse::Reads => &mut self.reads,
            RingUse::Writes => &mut self.writes,
        };
        if place.is_some() {
            return Err(Errno::EBUSY.into());
        }
        attach()?;
        *place = Some(Arc::clone(ring));
        Ok(())
    }

    /// Has polls of `file` find what the rings say.
    pub(crate) fn watch<T: Send + Sync + 'static>(&self, file: &OpenFile<T>) {
        match (&self.reads, &self.writes) {
            (Some(reads), Some(writes)) if Arc::ptr_eq(reads, writes) => {
                reads.watch(file, true, true);
            }
            (reads, writes) => {
                if let Some(ring) = reads {
                    ring.watch(file, true, false);
                }
                if let Some(ring) = writes {
                    ring.watch(file, false, true);
                }
            }
        }
    }

    /// Ends [`watch`](Self::watch).
    pub(crate) fn unwatch<T>(&self, file: &OpenFile<T>) {
        for ring in [&self.reads, &self.writes].into_iter().flatten() {
            ring.unwatch(file);
        }
    }
}
