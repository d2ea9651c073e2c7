//! The calls of a session that are not answered yet.

use std::io;
use std::mem;
use std::sync::{Arc, Mutex};

use super::ticket::{Pending, Ticket, What};
use super::told::Told;
use crate::Errno;
use crate::backend::{Backend, RequestId, RingUse};
use crate::idmap::IdMap;
use crate::ring::{self, SessionRings};
use crate::sync::lock;
use crate::trace::Trace;

/// The requests a session has not answered yet, and the backend that carries the answers.
pub(crate) struct Link {
    pub(crate) backend: Arc<dyn Backend>,
    /// Lock order: before `table`.
    latest: Mutex<Latest>,
    /// Requests that were still pending when the next one came.
    table: Mutex<IdMap<RequestId, Arc<Ticket>>>,
    pub(super) access_log: bool,
    pub(super) trace: Trace,
    /// Answers may have to wait for the readiness they bring about.
    pub(super) holds: bool,
    rings: SessionRings,
}

/// The request that came last. Most are answered before the next one comes: those never see the
/// table, and leave their ticket to their successor.
#[derive(Default)]
struct Latest {
    ticket: Option<Arc<Ticket>>,
    closed: bool,
}

impl Link {
    pub(crate) fn new(backend: Arc<dyn Backend>) -> Arc<Self> {
        Arc::new(Self {
            holds: backend.takes_readiness(),
            trace: Trace::new(backend.kind(), backend.path()),
            backend,
            latest: Mutex::default(),
            table: Mutex::default(),
            access_log: tracing::enabled!(target: crate::ACCESS_LOG, tracing::Level::INFO),
            rings: SessionRings::default(),
        })
    }

    /// Takes a request in. `None` once the link is closed: then it has been answered `EPIPE`.
    /// `arguments` says what it is about, where somebody traces.
    #[inline]
    pub(crate) fn admit(
        self: &Arc<Self>,
        call: What,
        arguments: impl FnOnce() -> String,
    ) -> Option<Pending> {
        let told = self.told(arguments);
        let mut latest = lock(&self.latest);
        if let Some(last) = &mut latest.ticket
            && let Some(ticket) = Arc::get_mut(last)
        {
            ticket.renew(call, told);
            return Some(Pending::new(Arc::clone(last)));
        }
        drop(latest);
        self.admit_anew(call, told)
    }

    /// Likewise, where the ticket before is still somebody's.
    #[inline(never)]
    fn admit_anew(self: &Arc<Self>, call: What, told: Option<Box<Told>>) -> Option<Pending> {
        let ticket = Ticket::new(self, call, told);
        let mut latest = lock(&self.latest);
        if latest.closed {
            drop(latest);
            ticket.abandon(Errno::EPIPE);
            return None;
        }
        if let Some(last) = latest.ticket.replace(Arc::clone(&ticket)) {
            self.remember(last);
        }
        Some(Pending::new(ticket))
    }

    /// What is to be told of a call, if anybody wants to hear of it.
    #[inline]
    fn told(&self, arguments: impl FnOnce() -> String) -> Option<Box<Told>> {
        match self.trace.is_watched() {
            true => Some(Told::new(Some(arguments()))),
            false if self.access_log => Some(Told::new(None)),
            false => None,
        }
    }

    /// Puts a ticket that may be pending into the table.
    fn remember(&self, ticket: Arc<Ticket>) {
        if !ticket.is_pending() {
            return;
        }
        let mut table = lock(&self.table);
        // Either this sees that it has ended, or who ends it sees that it is here.
        if ticket.table() {
            table.insert(ticket.id(), ticket);
        }
    }

    /// The client no longer waits for `id`. False where no such request is pending (yet).
    pub(crate) fn interrupt(&self, id: RequestId) -> bool {
        let ticket = {
            let latest = lock(&self.latest);
            match &latest.ticket {
                Some(ticket) if ticket.id() == id => Some(Arc::clone(ticket)),
                _ => lock(&self.table).remove(&id),
            }
        };
        ticket.is_some_and(|ticket| ticket.abandon(Errno::EINTR))
    }

    /// Ends all pending requests with `EPIPE`, and those that come later.
    pub(crate) fn shut(&self) {
        for ticket in self.close() {
            ticket.abandon(Errno::EPIPE);
        }
        self.rings.end();
    }

    /// Has a ring belong to the session, as [`SessionRings::join`] does. What is served by the kernel neither
    /// comes to an access log, nor could the next driver go on with it.
    pub(crate) fn join(
        &self,
        ring: &Arc<ring::Shared>,
        wanted: RingUse,
        shared: bool,
    ) -> io::Result<Option<u64>> {
        let shared = shared && !self.access_log && !self.backend.keeps();
        self.rings.join(&self.backend, ring, wanted, shared)
    }

    /// Gives back the requests that wait in queues. Others are the successor's as the device's
    /// policy says, once the connection is cut.
    pub(crate) fn give_way(&self) {
        for ticket in self.close() {
            if ticket.is_parked() {
                ticket.give_back();
            }
        }
        self.rings.end();
    }

    /// Whether there are requests that somebody other than a queue has.
    pub(crate) fn is_busy(&self) -> bool {
        let busy = |ticket: &Arc<Ticket>| ticket.is_busy();
        let latest = lock(&self.latest);
        latest.ticket.as_ref().is_some_and(busy) || lock(&self.table).values().any(busy)
    }

    /// Takes no more requests. Those there are.
    fn close(&self) -> Vec<Arc<Ticket>> {
        let mut latest = lock(&self.latest);
        latest.closed = true;
        let table = mem::take(&mut *lock(&self.table));
        table.into_values().chain(latest.ticket.take()).collect()
    }

    /// Takes a ticket that has ended out of the table, if it is there.
    #[cold]
    pub(super) fn forget(&self, id: RequestId) {
        let ticket = lock(&self.table).remove(&id);
        drop(ticket);
    }
}
