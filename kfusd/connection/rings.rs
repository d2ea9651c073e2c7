// SPDX-License-Identifier: GPL-2.0-only

//! The rings of a connection: made and dropped by its driver, attached to files.

use kernel::{prelude::*, rbtree::RBTreeNodeReservation, sync::Arc};

use super::{Connection, Phase};
use crate::error;
use crate::limits::Share;
use crate::ring::Ring;
use crate::sys::Event;
use crate::wire::{self, REGISTER_STREAM};

impl Connection {
    /// Makes a ring, or changes or drops one.
    ///
    /// # Errors
    /// `ENOENT`: there is no such ring, and no size is given. `EEXIST`: there is one, and a size is given.
    /// `EINVAL`: it is too large. `ENOSPC`: there are too many. `ENOMEM`.
    pub(crate) fn set_ring(&self, wanted: &wire::Ring, event: Option<Event>) -> Result {
        if wanted.size == 0 {
            let ring = self.ring(wanted.ring).ok_or(ENOENT)?;
            match wanted.flags & wire::RING_DROP {
                0 => ring.change(wanted, event),
                _ => self.drop_ring(wanted.ring),
            }
            return Ok(());
        }
        if wanted.size > crate::limits::max_transfer() {
            return Err(EINVAL);
        }
        if self.ring(wanted.ring).is_some() {
            return Err(EEXIST);
        }
        // First, so that memory is taken for no more than there may be.
        let share = Share::of(&self.ring_bytes, Ring::bytes(wanted.size))?;
        let ring = Ring::new(wanted, event, share)?;
        let slot = RBTreeNodeReservation::new(GFP_KERNEL_ACCOUNT)?;
        let mut inner = self.lock();
        // Another thread may have come before, with the same number.
        if inner.phase == Phase::Closed || inner.rings.get(&wanted.ring).is_some() {
            return Err(EEXIST);
        }
        inner.rings.insert(slot.into_node(wanted.ring, ring));
        Ok(())
    }

    /// The ring that the driver calls `number`.
    pub(crate) fn ring(&self, number: u64) -> Option<Arc<Ring>> {
        self.lock().rings.get(&number).cloned()
    }

    /// Has a file that is being opened served by a ring.
    ///
    /// # Errors
    /// `ENOENT`: no such file, or ring. `EINVAL`: its device is no stream. `EBUSY`: the file is open, or is
    /// attached already.
    pub(crate) fn attach(&self, attach: &wire::Attach) -> Result {
        if !self.has(wire::FEATURE_RINGS) {
            return Err(error::eopnotsupp());
        }
        let file = self.file(attach.file).ok_or(ENOENT)?;
        let ring = self.ring(attach.ring).ok_or(ENOENT)?;
        if !file.device().has_flag(REGISTER_STREAM) {
            return Err(EINVAL);
        }
        let inner = self.lock();
        // Who has the file does not find it changed: it is opened under this lock.
        let attached = !file.is_open() && file.attach(&ring, attach.flags);
        drop(inner);
        match attached {
            true => Ok(()),
            false => Err(EBUSY),
        }
    }

    /// The driver is done with a ring.
    fn drop_ring(&self, number: u64) {
        let mut inner = self.lock();
        let node = inner.rings.remove_node(&number);
        drop(inner);
        if let Some(node) = node {
            let (_, ring) = node.to_key_value();
            ring.abandon();
        }
    }

    /// The driver has gone for good, and with it whatever it could still have done with its rings.
    pub(super) fn drop_rings(&self) {
        while let Some(ring) = self.ring_from(0) {
            self.drop_ring(ring.number());
        }
    }

    /// Has everybody look who waits at a ring: a device is gone.
    pub(super) fn stir_rings(&self) {
        let mut next = Some(0);
        while let Some(ring) = next.and_then(|from| self.ring_from(from)) {
            ring.stir();
            next = ring.number().checked_add(1);
        }
    }

    /// The first ring whose number is at least `from`.
    fn ring_from(&self, from: u64) -> Option<Arc<Ring>> {
        let inner = self.lock();
        let cursor = inner.rings.cursor_lower_bound(&from)?;
        let (_, ring) = cursor.current();
        Some(ring.clone())
    }
}
