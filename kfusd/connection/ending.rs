// SPDX-License-Identifier: GPL-2.0-only

//! The end of a device, or of a whole connection: what is under way fails, and nothing new comes.

use kernel::{prelude::*, rbtree::RBTree, sync::Arc};

use super::{Connection, Inner};
use crate::device::Device;
use crate::handle::Handle;
use crate::request::{Request, Stage};
use crate::sys::Sleeper;

impl Connection {
    /// Ends what is under way on `device`, or on all of them: blocked calls fail with `EPIPE`, and
    /// polls report it. To be called once nothing new can come.
    pub(crate) fn fail(&self, device: Option<&Device>) {
        let concerns = |request: &Request| {
            device.is_none_or(|device| core::ptr::eq(request.handle.device(), device))
        };
        self.fail_tree(|inner| &mut inner.queue, concerns);
        self.fail_tree(|inner| &mut inner.sent, concerns);
        // These have been ended above: only their news is left.
        self.fail_tree(|inner| &mut inner.interrupts, concerns);
        self.room.wake_all();
        self.stir_rings();
        let mut next = 0;
        while let Some(handle) = self.file_from(next) {
            next = handle.id().wrapping_add(1);
            if device.is_none_or(|device| core::ptr::eq(handle.device(), device)) {
                handle.hang_up();
            }
        }
    }

    /// The first file whose number is at least `from`.
    fn file_from(&self, from: u64) -> Option<Arc<Handle>> {
        let inner = self.lock();
        let cursor = inner.files.cursor_lower_bound(&from)?;
        let (_, handle) = cursor.current();
        Some(handle.clone())
    }

    /// Takes everything out of a tree that `concerns` says, and ends it.
    fn fail_tree(
        &self,
        tree: impl Fn(&mut Inner) -> &mut RBTree<u64, Arc<Request>>,
        concerns: impl Fn(&Request) -> bool,
    ) {
        let mut next = 0;
        loop {
            let mut inner = self.lock();
            let Some((id, request)) = find(tree(&mut inner), next, &concerns) else {
                return;
            };
            next = id.wrapping_add(1);
            let node = tree(&mut inner).remove_node(&id);
            let mut file = None;
            let mut client = None;
            if request.notice {
                file = request.noticed(&mut inner);
            } else {
                let state = request.state.access_mut(&mut inner);
                if !matches!(state.stage, Stage::Done | Stage::Abandoned) {
                    state.stage = Stage::Done;
                    state.end = Some(Err(EPIPE));
                    client = request.call_attention(state);
                }
            }
            drop(inner);
            drop((node, file));
            client.inspect(Sleeper::wake);
        }
    }

    /// Ends the devices that `which` says.
    pub(super) fn end_devices(&self, which: impl Fn(&Device) -> bool) {
        while let Some(number) = self.first_device(&which) {
            if let Some(device) = self.remove_device(number) {
                device.end();
            }
        }
    }

    fn first_device(&self, which: impl Fn(&Device) -> bool) -> Option<u64> {
        let inner = self.lock();
        let (number, _) = inner.devices.iter().find(|(_, device)| which(device))?;
        Some(*number)
    }
}

/// The first request in `tree` from `from` on that `concerns` says.
pub(super) fn find(
    tree: &RBTree<u64, Arc<Request>>,
    from: u64,
    concerns: impl Fn(&Request) -> bool,
) -> Option<(u64, Arc<Request>)> {
    let mut from = from;
    loop {
        let cursor = tree.cursor_lower_bound(&from)?;
        let (id, request) = cursor.current();
        if concerns(request) {
            return Some((*id, request.clone()));
        }
        from = id.wrapping_add(1);
    }
}
