// SPDX-License-Identifier: GPL-2.0-only

//! Who serves a connection: a list under the lock of all this, and a table in front of it that a thread
//! finds itself in without.

use kernel::{
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        GlobalLockedBy,
    },
};

use super::GRAPH;
use crate::sys::{Ticks, Worker};

/// In the number of a request (they do not grow so large): its thread has said to work on it. That counts
/// more than that another one has taken it, who may not have come for the next yet.
pub(super) const SAID: u64 = 1 << 63;

/// How many places of [`Servers::known`] a thread can have.
const WAYS: usize = 16;
/// The places where a thread's may begin. A connection with more servers never counts as stuck.
const KNOWN: usize = 1 << 7;

/// How many servers there are whose places have the hash that is the index. Who finds 0 serves nobody.
/// Large, for a client of the same hash as a server is taken for one, and pays for it.
static CALLERS: [Atomic<i32>; 4096] = [const { Atomic::new(0) }; 4096];

/// A number of so many bits out of a thread's place.
#[inline(always)]
fn hash<const BITS: u32>(place: usize) -> usize {
    // CAST: widens, then a few bits are left. (The multiplier is 2^64 over the golden ratio.)
    ((place as u64 >> 6).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - BITS)) as usize
}

/// How many servers may have this place.
#[inline(always)]
pub(super) fn callers(place: usize) -> Option<&'static Atomic<i32>> {
    CALLERS.get(hash::<12>(place))
}

/// A thread that serves a connection.
pub(super) struct Server {
    pub(super) worker: Worker,
    /// As of [`Worker::switches`], when it was looked at last, and since when that is so.
    switches: usize,
    since: Ticks,
}

impl Server {
    fn new(worker: Worker) -> Self {
        if let Some(callers) = callers(worker.place()) {
            callers.add(1, Relaxed);
        }
        Self {
            switches: worker.switches(),
            since: Ticks::now(),
            worker,
        }
    }

    /// Whether it has slept through the last `millis` milliseconds, as far as it was looked at.
    pub(super) fn is_idle(&self, millis: u32) -> bool {
        self.since.millis_ago() >= millis
            && self.worker.is_asleep()
            && self.worker.switches() == self.switches
    }

    /// Looks at it.
    pub(super) fn look(&mut self) {
        let switches = self.worker.switches();
        if switches != self.switches || !self.worker.is_asleep() {
            self.switches = switches;
            self.since = Ticks::now();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(callers) = callers(self.worker.place()) {
            callers.add(-1, Relaxed);
        }
    }
}

/// The servers of a connection.
#[derive(Default)]
pub(super) struct List {
    pub(super) servers: KVec<Server>,
    /// How many serve at a time, as the driver says; 0 if it does not.
    pub(super) limit: u32,
    pub(super) closed: bool,
}

impl List {
    pub(super) fn alive(&self) -> impl Iterator<Item = &Server> {
        let servers = self.servers.as_slice().iter();
        servers.filter(|server| server.worker.is_alive())
    }

    fn has(&self, place: usize) -> bool {
        let mut servers = self.servers.as_slice().iter();
        servers.any(|server| server.worker.place() == place)
    }
}

/// A thread that is in a connection's list, and what it works on.
struct Known {
    /// The thread's place; 0 for none.
    place: Atomic<usize>,
    /// The request that it took last, until it comes for the next, or that it has said to work on, with
    /// [`SAID`]; 0 for none.
    request: Atomic<u64>,
}

/// The servers of a connection, and a quick way to see that one of them is known.
pub(crate) struct Servers {
    /// By the hash of their places: each is one of the [`WAYS`] from there on. Written to under the
    /// lock, but for what a thread works on, which it says itself.
    known: KVec<Known>,
    /// There are more than were written down: nothing is known of the connection any more.
    pub(super) beyond: Atomic<bool>,
    pub(super) list: GlobalLockedBy<List, GRAPH>,
}

/// Where a thread is known, or was.
pub(crate) struct At<'a> {
    place: usize,
    known: &'a Known,
}

impl At<'_> {
    /// As [`Servers::work_on`], of the same task.
    #[inline(always)]
    pub(crate) fn work_on(&self, request: u64) {
        // The place may be another thread's by now, who then does not yet work on anything, as far as
        // this module gave it.
        if self.known.place.load(Relaxed) == self.place {
            self.known.request.store(request, Relaxed);
        }
    }
}

impl Servers {
    /// None.
    pub(crate) fn new() -> Result<Self> {
        // So that the last place has all its ways, too.
        let mut known = KVec::with_capacity(KNOWN + WAYS, GFP_KERNEL_ACCOUNT)?;
        for _ in 0..KNOWN + WAYS {
            known.push(
                Known {
                    place: Atomic::new(0),
                    request: Atomic::new(0),
                },
                GFP_KERNEL_ACCOUNT,
            )?;
        }
        Ok(Self {
            known,
            beyond: Atomic::new(false),
            list: GlobalLockedBy::new(List::default()),
        })
    }

    /// Where a thread is among those that are known, if it is.
    #[inline(always)]
    fn find(&self, place: usize) -> Option<&Known> {
        self.find_with(place, place)
    }

    /// Which of the ways of a thread's place has `what` in it.
    #[inline(always)]
    fn find_with(&self, place: usize, what: usize) -> Option<&Known> {
        let ways = self.known.get(hash::<7>(place)..).unwrap_or_default();
        let mut ways = ways.iter().take(WAYS);
        ways.find(|known| known.place.load(Relaxed) == what)
    }

    /// The current task, which is known to serve, has said to work on this request; 0 for none.
    pub(crate) fn say_work_on(&self, request: u64) {
        self.work_on(match request {
            0 => 0,
            request => request | SAID,
        });
    }

    /// If the current task is known to serve, it works on this request from now on; 0 for none. Returns
    /// where it is known.
    #[inline(always)]
    pub(crate) fn work_on(&self, request: u64) -> Option<At<'_>> {
        let place = Worker::current_place();
        let known = self.find(place)?;
        known.request.store(request, Relaxed);
        Some(At { place, known })
    }

    /// The current task serves. Where there is no place to write that down, the connection does not
    /// count as stuck any more.
    pub(crate) fn add_current(&self) {
        if self.beyond.load(Relaxed) {
            return;
        }
        let server = Server::new(Worker::current());
        let place = server.worker.place();
        let mut graph = GRAPH.lock();
        let list = self.list.as_mut(&mut graph);
        if list.closed {
            return;
        }
        // Those that have ended make room. Their places may belong to others as soon as they are gone
        // from the list.
        list.servers.retain(|server| {
            let alive = server.worker.is_alive();
            if !alive {
                self.forget(server.worker.place());
            }
            alive
        });
        if !list.has(place)
            && (!self.remember(place) || list.servers.push(server, GFP_KERNEL_ACCOUNT).is_err())
        {
            self.forget(place);
            self.beyond.store(true, Relaxed);
        }
    }

    /// Has [`Self::find`] find a thread, if there is room.
    fn remember(&self, place: usize) -> bool {
        match self.find(place).or_else(|| self.find_with(place, 0)) {
            Some(known) => {
                known.request.store(0, Relaxed);
                known.place.store(place, Relaxed);
                true
            }
            None => false,
        }
    }

    fn forget(&self, place: usize) {
        if let Some(known) = self.find(place) {
            known.place.store(0, Relaxed);
        }
    }

    /// What a server works on; 0 for nothing.
    pub(super) fn request_of(&self, server: &Server) -> u64 {
        let known = self.find(server.worker.place());
        known.map_or(0, |known| known.request.load(Relaxed))
    }

    /// The driver says how many serve at a time.
    pub(crate) fn limit(&self, limit: u32) {
        self.list.as_mut(&mut GRAPH.lock()).limit = limit;
    }

    /// The driver has gone: nobody serves until another one comes.
    pub(crate) fn dismiss(&self) {
        self.clear(false);
    }

    /// The connection has ended.
    pub(crate) fn close(&self) {
        self.clear(true);
    }

    fn clear(&self, closed: bool) {
        let mut graph = GRAPH.lock();
        let list = self.list.as_mut(&mut graph);
        list.closed = closed;
        list.limit = 0;
        let servers = core::mem::take(&mut list.servers);
        for server in &servers {
            self.forget(server.worker.place());
        }
        self.beyond.store(false, Relaxed);
        drop(graph);
        drop(servers);
    }
}
