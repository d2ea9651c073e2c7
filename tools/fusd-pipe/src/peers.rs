//! Opens that wait for the other side, as those of mkfifo(1) do.

use std::sync::{Arc, Weak};

/// A file that is being opened; it counts for the other side until this is dropped.
#[derive(Debug)]
pub(crate) struct Coming {
    _alive: Arc<()>,
}

/// Who is waiting in open(2).
#[derive(Debug, Default)]
pub(crate) struct Peers {
    readers: Vec<Weak<()>>,
    writers: Vec<Weak<()>>,
}

impl Peers {
    /// Somebody opens the node, for reading or for writing.
    pub(crate) fn come(&mut self, readable: bool) -> Coming {
        let alive = Arc::new(());
        let side = match readable {
            true => &mut self.readers,
            false => &mut self.writers,
        };
        side.retain(|coming| coming.strong_count() > 0);
        side.push(Arc::downgrade(&alive));
        Coming { _alive: alive }
    }

    /// Whether anybody is waiting who will read, or write.
    pub(crate) fn any(&self, readable: bool) -> bool {
        let side = match readable {
            true => &self.readers,
            false => &self.writers,
        };
        side.iter().any(|coming| coming.strong_count() > 0)
    }
}
