//! The rings of one session.

use std::io;
use std::sync::{Arc, Mutex, Weak};

use super::shared::Shared;
use crate::Errno;
use crate::backend::{Backend, RingUse};
use crate::sync::lock;

/// The rings that belong to a session, until it ends.
#[derive(Default)]
pub(crate) struct SessionRings(Mutex<Known>);

#[derive(Default)]
struct Known {
    rings: Vec<Weak<Shared>>,
    over: bool,
}

impl SessionRings {
    /// Has `ring` be one of them, for files that are to use it in this way. `shared`: if it is new, the kernel
    /// may have it. Returns its number there, if it has.
    ///
    /// # Errors
    /// `EBUSY`: it belongs to another session. `EPIPE`: its session has ended.
    pub(crate) fn join(
        &self,
        owner: &Arc<dyn Backend>,
        ring: &Arc<Shared>,
        wanted: RingUse,
        shared: bool,
    ) -> io::Result<Option<u64>> {
        let mut known = lock(&self.0);
        if known.over {
            return Err(Errno::EPIPE.into());
        }
        let number = ring.join(owner, wanted, shared)?;
        known.rings.retain(|ring| ring.strong_count() > 0);
        if !known
            .rings
            .iter()
            .any(|known| known.as_ptr() == Arc::as_ptr(ring))
        {
            known.rings.push(Arc::downgrade(ring));
        }
        Ok(number)
    }

    /// The session has ended: nobody is served from them any more.
    pub(crate) fn end(&self) {
        let rings = {
            let mut known = lock(&self.0);
            known.over = true;
            std::mem::take(&mut known.rings)
        };
        for ring in rings.iter().filter_map(Weak::upgrade) {
            ring.end();
        }
    }
}
