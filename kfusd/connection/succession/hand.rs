// SPDX-License-Identifier: GPL-2.0-only

//! What a driver had in hand that has gone, or that gives something back: it waits for the next one, or
//! fails.

use kernel::{prelude::*, rbtree::RBTree, sync::Arc};

use crate::bytes::Bytes;
use crate::connection::ending::find;
use crate::connection::{Connection, Guard, Inner};
use crate::device::Device;
use crate::request::{Request, Stage};
use crate::sys::Sleeper;
use crate::wire::{REGISTER_AGAIN, REGISTER_KEEP};

/// Requests by their numbers.
type Requests = RBTree<u64, Arc<Request>>;

/// What becomes of a request that its driver does not answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Back to the queue: its driver has not begun with it.
    Back,
    /// Back to the queue: its driver may have begun with it, and the device takes that.
    Again,
    /// It fails.
    Fail,
}

impl Connection {
    /// What drivers on the seats that `gone` says have in hand goes back, or fails.
    pub(super) fn forsake(&self, gone: impl Fn(u64) -> bool) {
        let is_theirs = |inner: &Inner, request: &Request| gone(request.state.access(inner).seat);
        // The news of a copy is in the queue, and of no use to anybody else.
        let trees: [fn(&Inner) -> &Requests; 2] = [|inner| &inner.sent, |inner| &inner.queue];
        for tree in trees {
            let mut next = 0;
            loop {
                let inner = self.lock();
                let theirs = find(tree(&inner), next, |request| is_theirs(&inner, request));
                let Some((id, request)) = theirs else {
                    break;
                };
                next = id.wrapping_add(1);
                let fate = Fate::of(request.handle.device());
                self.take_from_driver(inner, id, &request, fate);
            }
        }
        // So is that of the signal of a client that has gone.
        let mut next = 0;
        loop {
            let mut inner = self.lock();
            let Some((id, request)) = find(&inner.interrupts, next, |request| {
                is_theirs(&inner, request)
            }) else {
                break;
            };
            next = id.wrapping_add(1);
            let node = inner.interrupts.remove_node(&id);
            drop(inner);
            drop((node, request));
        }
    }

    /// Gives request `id` back for the driver on seat `seat`, which has not begun with it.
    ///
    /// # Errors
    /// `ENOENT`: that driver has no such request. `EBUSY`: as of an answer. `EINVAL`: its device is
    /// not to be kept.
    pub(crate) fn give_back(&self, seat: u64, id: u64) -> Result {
        let inner = self.lock();
        let request = inner.sent.get(&id).cloned().ok_or(ENOENT)?;
        let state = request.state.access(&inner);
        if state.seat != seat {
            return Err(ENOENT);
        }
        if state.stage != Stage::Delivered || state.sending {
            return Err(EBUSY);
        }
        if !request.handle.device().has_flag(REGISTER_KEEP) {
            return Err(EINVAL);
        }
        self.take_from_driver(inner, id, &request, Fate::Back);
        self.announce();
        Ok(())
    }

    /// Takes request `id` from the driver that has it. What another thread is just giving to it, or
    /// answering, stays: that driver lives.
    fn take_from_driver(&self, mut inner: Guard<'_>, id: u64, request: &Arc<Request>, fate: Fate) {
        let state = request.state.access_mut(&mut inner);
        if state.sending || state.stage == Stage::Answering {
            return;
        }
        let job = state.job.take();
        // What a copy has fetched goes with it; what the request came with is still needed.
        let data = match state.copied.take() {
            Some(_) => core::mem::take(&mut state.data),
            None => Bytes::Empty,
        };
        let mut client = None;
        if fate == Fate::Fail || state.told {
            // A signal has come: the call begins anew if its caller wants that.
            let error = match fate {
                Fate::Fail => EPIPE,
                Fate::Again | Fate::Back => ERESTARTSYS,
            };
            state.stage = Stage::Done;
            state.end = Some(Err(error));
            client = request.call_attention(state);
        } else {
            state.stage = Stage::Queued;
            state.seat = 0;
            // A signal may take it back again: of what comes again, that is no more than is said.
            state.begun = false;
            state.again |= fate == Fate::Again;
        }
        let is_queued = state.stage == Stage::Queued;
        let interrupt = inner.interrupts.remove_node(&id);
        let node = match is_queued {
            true => {
                // What is in the queue already stays there.
                if let Some(node) = inner.sent.remove_node(&id) {
                    inner.queue.insert(node);
                }
                None
            }
            false => match inner.sent.remove_node(&id) {
                Some(node) => Some(node),
                None => inner.queue.remove_node(&id),
            },
        };
        drop(inner);
        drop((job, data, interrupt, node));
        client.inspect(Sleeper::wake);
    }
}

impl Fate {
    /// Of what a driver of `device` leaves.
    fn of(device: &Device) -> Self {
        match device.has_flag(REGISTER_AGAIN) {
            true => Self::Again,
            false => Self::Fail,
        }
    }
}
