// SPDX-License-Identifier: GPL-2.0-only

//! The calls that no thread of the driver has seen yet, for who looks whether one ever will.

use kernel::sync::Arc;

use super::{Connection, Inner};
use crate::error;
use crate::request::{Request, Stage};
use crate::sys::Sleeper;

/// Whether it is a call that waits and that the driver has not seen.
fn is_unseen(inner: &Inner, request: &Request) -> bool {
    !request.notice && !request.state.access(inner).begun
}

impl Connection {
    /// Whether the driver has this request, and has yet to answer it.
    pub(crate) fn has_sent(&self, id: u64) -> bool {
        self.lock().sent.get(&id).is_some()
    }

    /// For how long the oldest call has waited that the driver has not seen, in milliseconds.
    pub(crate) fn longest_unseen(&self) -> Option<u32> {
        let inner = self.lock();
        // The first one by number is the oldest.
        let mut unseen = inner.queue.values().filter(|it| is_unseen(&inner, it));
        unseen.next().map(|request| request.since.millis_ago())
    }

    /// The first call that the driver has not seen whose number is at least `from`, with its number
    /// and who waits.
    pub(crate) fn unseen_from(&self, from: u64) -> Option<(u64, Arc<Request>, Sleeper)> {
        let inner = self.lock();
        let mut from = from;
        loop {
            let cursor = inner.queue.cursor_lower_bound(&from)?;
            let (id, request) = cursor.current();
            if is_unseen(&inner, request) {
                let client = request.state.access(&inner).waiter()?;
                return Some((*id, request.clone(), client));
            }
            from = id.wrapping_add(1);
        }
    }

    /// Has a call fail with `EDEADLK` that the driver has not seen; its client is yet to be woken.
    /// Returns false if the driver has seen it meanwhile, or the call has ended.
    pub(crate) fn break_off(&self, request: &Arc<Request>) -> bool {
        let mut inner = self.lock();
        let state = request.state.access_mut(&mut inner);
        if state.stage != Stage::Queued || state.begun {
            return false;
        }
        let id = state.id;
        state.stage = Stage::Done;
        state.end = Some(Err(error::edeadlk()));
        state.broken = true;
        let client = request.call_attention(state);
        let node = inner.queue.remove_node(&id);
        drop(inner);
        drop((node, client));
        true
    }

    /// Whether a call has ended by [`Self::break_off`].
    pub(crate) fn was_broken_off(&self, request: &Request) -> bool {
        request.state.access(&self.lock()).broken
    }
}
