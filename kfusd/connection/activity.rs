// SPDX-License-Identifier: GPL-2.0-only

//! What people are told of a connection.

use kernel::{
    rbtree::RBTree,
    sync::Arc,
    time::{Delta, Instant, Monotonic},
};

use super::Connection;
use crate::device::Device;
use crate::request::Request;
use crate::sys::Ticks;

/// What is going on on a device.
pub(crate) struct Activity {
    /// Files open.
    pub(crate) files: u32,
    /// Requests under way.
    pub(crate) requests: u32,
    /// When the oldest of them was made, to a tick of the kernel's timer.
    pub(crate) oldest: Option<Instant<Monotonic>>,
}

impl Connection {
    /// How many devices, requests in the queue, and requests without an answer there are.
    pub(crate) fn counts(&self) -> (u32, usize, usize) {
        let inner = self.lock();
        let count = |tree: &RBTree<u64, Arc<Request>>| tree.keys().count();
        (inner.device_count, count(&inner.queue), count(&inner.sent))
    }

    /// What is going on on `device`.
    pub(crate) fn activity(&self, device: &Device) -> Activity {
        let inner = self.lock();
        let concerns =
            |request: &Request| !request.notice && core::ptr::eq(request.handle.device(), device);
        // The first one by number is the oldest: at most all are looked at, once.
        let since = |tree: &RBTree<u64, Arc<Request>>| {
            let first = tree.values().find(|request| concerns(request));
            first.map(|request| request.since)
        };
        let state = device.state.access(&inner);
        let oldest = match state.load.requests() {
            0 => None,
            _ => match (since(&inner.sent), since(&inner.queue)) {
                (Some(sent), Some(queued)) => Some(sent.millis_ago().max(queued.millis_ago())),
                (sent, queued) => sent.or(queued).map(Ticks::millis_ago),
            },
        };
        let oldest = oldest.map(|millis| Instant::now() - Delta::from_millis(millis.into()));
        Activity {
            files: state.files,
            requests: state.load.requests(),
            oldest,
        }
    }
}
