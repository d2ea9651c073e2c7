// SPDX-License-Identifier: GPL-2.0-only

//! Whether a connection is stuck: a look at all that its servers wait for, and what those wait for.
//! Everything that is come across counts as stuck at first; then who is free is found out, who is free
//! because of that, and so on.

use kernel::{
    alloc::AllocError,
    prelude::*,
    sync::{atomic::Relaxed, Arc},
};

use super::servers::{List, Server, SAID};
use super::{Call, GlobalGuard, GRAPH};
use crate::connection::Connection;
use crate::request::Stage;
use crate::sys::Worker;

/// Who has a call.
#[derive(Clone, Copy)]
enum Holder {
    /// Nobody yet.
    Nobody,
    /// The server at this place.
    Server(usize),
    /// Somebody of the driver: it was put aside, or another thread works on it.
    Somebody,
}

impl Call {
    /// Who has it; `None` if it has its answer.
    fn holder(&self, graph: &GlobalGuard<GRAPH>) -> Option<Holder> {
        let Some(request) = &self.request else {
            return Some(Holder::Nobody);
        };
        let inner = self.target.lock();
        let state = request.state.access(&inner);
        let (id, stage, begun) = (state.id, state.stage, state.begun);
        drop(inner);
        match stage {
            Stage::Done | Stage::Abandoned => None,
            Stage::New | Stage::Queued if !begun => Some(Holder::Nobody),
            _ => {
                let servers = &self.target.servers;
                let list = servers.list.as_ref(graph);
                let has = |id| list.alive().find(|it| servers.request_of(it) == id);
                let server = has(id | SAID).or_else(|| has(id));
                Some(server.map_or(Holder::Somebody, |it| Holder::Server(it.worker.place())))
            }
        }
    }
}

impl List {
    /// Whether somebody may serve who is not in the list: threads of the same processes.
    fn has_strangers(&self) -> bool {
        self.limit == 0
            && self.alive().any(|server| {
                let process = server.worker.process();
                let known = self.alive().filter(|it| it.worker.process() == process);
                known.count() < server.worker.threads()
            })
    }
}

/// A connection that was come across.
struct Seen {
    connection: Arc<Connection>,
    strangers: bool,
    /// It is not stuck.
    free: bool,
}

/// A server that waits as a client.
struct Waiter {
    place: usize,
    holder: Holder,
    /// Where in the list the connection is that it waits for.
    target: usize,
    /// Its answer may come.
    free: bool,
}

/// A look at everything that can be got to from one connection.
struct Search<'a> {
    graph: &'a GlobalGuard<GRAPH>,
    seen: KVec<Seen>,
    waiters: KVec<Waiter>,
    /// A call that was not taken for so many milliseconds is not going to be. None: that is not asked.
    patience: Option<u32>,
    /// A server of the first connection that has slept as long counts as one that waits.
    sleepers: bool,
}

/// Whether the call on `root` by the server at `place` is one of those that cannot end. Without
/// `patience`, only if that is so whatever happens outside of this module.
pub(super) fn closes_circle(
    graph: &GlobalGuard<GRAPH>,
    root: &Arc<Connection>,
    place: usize,
    patience: Option<u32>,
) -> bool {
    // Without memory nothing is known, and so nothing fails.
    Search::run(graph, root, patience, false).is_ok_and(|search| search.has_waiting(place))
}

/// Whether nobody serves `root` because a server sleeps, for at least `patience` milliseconds, of whose
/// process, or its children, `waiter` is.
pub(super) fn waits_for_relative(
    graph: &GlobalGuard<GRAPH>,
    root: &Arc<Connection>,
    waiter: &Worker,
    patience: u32,
) -> bool {
    Search::run(graph, root, Some(patience), true).is_ok_and(|search| {
        let is_stuck = search.seen.first().is_some_and(|root| !root.free);
        let mut servers = root.servers.list.as_ref(graph).alive();
        is_stuck
            && servers.any(|server| {
                server.is_idle(patience) && waiter.descends_from(server.worker.process())
            })
    })
}

impl<'a> Search<'a> {
    fn run(
        graph: &'a GlobalGuard<GRAPH>,
        root: &Arc<Connection>,
        patience: Option<u32>,
        sleepers: bool,
    ) -> Result<Self, AllocError> {
        let mut search = Self {
            graph,
            seen: KVec::new(),
            waiters: KVec::new(),
            patience,
            sleepers,
        };
        search.see(root)?;
        let mut next = 0_usize;
        while let Some(seen) = search.seen.get(next) {
            let connection = seen.connection.clone();
            for server in connection.servers.list.as_ref(graph).alive() {
                search.follow(server.worker.place())?;
            }
            next = next.saturating_add(1);
        }
        while search.settle() {}
        Ok(search)
    }

    /// Takes down a connection, once. Returns where it is in the list.
    fn see(&mut self, connection: &Arc<Connection>) -> Result<usize, AllocError> {
        let mut seen = self.seen.iter();
        let there = seen.position(|seen| Arc::ptr_eq(&seen.connection, connection));
        if let Some(there) = there {
            return Ok(there);
        }
        let list = connection.servers.list.as_ref(self.graph);
        let seen = Seen {
            connection: connection.clone(),
            strangers: list.has_strangers(),
            free: list.closed || connection.servers.beyond.load(Relaxed),
        };
        self.seen.push(seen, GFP_KERNEL)?;
        Ok(self.seen.len().saturating_sub(1))
    }

    /// Takes down what the server at `place` waits for, once.
    fn follow(&mut self, place: usize) -> Result<(), AllocError> {
        if self.waiters.iter().any(|waiter| waiter.place == place) {
            return Ok(());
        }
        let graph = self.graph;
        let call = graph.as_ref().and_then(|graph| graph.calls.get(&place));
        let Some(call) = call else {
            return Ok(());
        };
        let Some(holder) = call.holder(graph) else {
            return Ok(());
        };
        let target = self.see(&call.target)?;
        self.waiters.push(
            Waiter {
                place,
                holder,
                target,
                free: false,
            },
            GFP_KERNEL,
        )
    }

    /// Finds one more that is free. Returns whether there was one.
    fn settle(&mut self) -> bool {
        let mut waiters = self.waiters.iter();
        if let Some(index) = waiters.position(|it| !it.free && self.may_end(it)) {
            if let Some(waiter) = self.waiters.get_mut(index) {
                waiter.free = true;
            }
            return true;
        }
        let mut seen = self.seen.iter().enumerate();
        let free = seen.find(|(index, seen)| !seen.free && self.is_free(seen, *index == 0));
        let index = free.map(|(index, _)| index);
        let seen = index.and_then(|index| self.seen.get_mut(index));
        seen.is_some_and(|seen| {
            seen.free = true;
            true
        })
    }

    /// Whether an answer may come, as far as is known by now.
    fn may_end(&self, waiter: &Waiter) -> bool {
        let target = self.seen.get(waiter.target);
        target.is_none_or(|target| match waiter.holder {
            Holder::Nobody => target.free,
            Holder::Server(place) => !self.has_waiting(place),
            Holder::Somebody => target.free || target.strangers,
        })
    }

    /// Whether a connection has a server who can take a call, as far as is known by now.
    fn is_free(&self, seen: &Seen, first: bool) -> bool {
        if seen.strangers {
            // Any of them may come to serve. If it was about to, it would have done so.
            let unseen = seen.connection.longest_unseen();
            if self.patience.is_none_or(|millis| unseen < Some(millis)) {
                return true;
            }
        }
        let list = seen.connection.servers.list.as_ref(self.graph);
        let sleepers = self.patience.filter(|_| self.sleepers && first);
        let waits = |server: &Server| {
            self.has_waiting(server.worker.place())
                || sleepers.is_some_and(|millis| server.is_idle(millis))
        };
        let (mut waiting, mut all) = (0_u32, 0_u32);
        for server in list.alive() {
            all = all.saturating_add(1);
            waiting = waiting.saturating_add(waits(server).into());
        }
        match list.limit {
            // Threads that sleep may be those that have nothing to do: all must.
            limit if limit != 0 && sleepers.is_none() => waiting < limit,
            _ => all == 0 || waiting < all,
        }
    }

    /// Whether the server at `place` waits for an answer that, as far as is known by now, does not come.
    fn has_waiting(&self, place: usize) -> bool {
        let mut waiters = self.waiters.iter();
        waiters.any(|waiter| waiter.place == place && !waiter.free)
    }
}
