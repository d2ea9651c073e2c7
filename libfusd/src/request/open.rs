//! open(2).

use std::mem;
use std::sync::Weak;

use super::{Context, request};
use crate::Delivery;
use crate::backend::{Answer, FileId};
use crate::file::{Adopter, OpenFile, Slot};

/// A client opens the node. Accepted, it becomes an [`OpenFile`] with the state `T`.
pub struct OpenRequest<T: Send + Sync + 'static> {
    context: Context,
    /// The session, which this must not keep alive: its device may be what holds it.
    adopter: Weak<dyn Adopter<T>>,
    slot: Slot,
}

request!(OpenRequest<T>);

impl<T: Send + Sync + 'static> OpenRequest<T> {
    pub(crate) fn new(context: Context, adopter: Weak<dyn Adopter<T>>, slot: Slot) -> Self {
        Self {
            context,
            adopter,
            slot,
        }
    }

    /// Lets the client in. Every accepted file is released exactly once, also where the client
    /// had stopped waiting for it. After the end of its device, there is no file to be had.
    pub fn accept(self, state: T) -> Delivery {
        self.accept_with(state, |_| {})
    }

    /// Lets the client in, after `setup` has seen the file: the client's first call, its first
    /// poll and the release come later. The file starts ready for reading and writing unless
    /// `setup` says otherwise.
    pub fn accept_with(self, state: T, setup: impl FnOnce(&OpenFile<T>)) -> Delivery {
        let Some(adopter) = self.adopter.upgrade() else {
            return Delivery::Unwanted;
        };
        let file = adopter.adopt(state, self.context.flags(), self.slot);
        // Also where `setup` panics.
        let unless_delivered = Abandon(&*adopter, file.id());
        setup(&file);
        let events = file.ready();
        let delivery = self.context.finish(Answer::Opened(file.id(), events));
        if delivery.is_delivered() {
            mem::forget(unless_delivered);
            file.readiness().opened(events);
        }
        delivery
    }
}

/// Has a file released that reached no client, when dropped.
struct Abandon<'a, T>(&'a dyn Adopter<T>, FileId);

impl<T> Drop for Abandon<'_, T> {
    fn drop(&mut self) {
        self.0.abandon(self.1);
    }
}
