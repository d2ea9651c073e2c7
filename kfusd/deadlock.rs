// SPDX-License-Identifier: GPL-2.0-only

//! Drivers that wait for themselves: who serves whom, which of these threads wait as clients, and the
//! call that would close the circle, which fails instead.
//!
//! A connection has *servers*: the threads that have come to take a message, or have said that they
//! serve. It is *stuck* when none of them is left who could take a call: all of them, or as many as its
//! driver says work at a time, wait for answers that do not come. An answer does not come if the call
//! waits to be taken from a connection that is stuck, or if the server that has taken it waits itself:
//! a server works on what it has taken until it comes for more. That is looked at as a server makes a
//! call, before the call is queued (`search.rs`). What cannot be known at once, because a server sleeps
//! elsewhere, is looked at now and then (`watch.rs`).
//!
//! What a client pays that serves nobody is one load, of [`CALLERS`]; a server pays one or a few loads
//! and a store, twice per message, of [`Servers::known`].

use kernel::{
    prelude::*,
    rbtree::{RBTree, RBTreeNodeReservation},
    str::CString,
    sync::{
        atomic::{Atomic, Relaxed},
        Arc, GlobalGuard, GlobalLockedBy,
    },
};

use crate::connection::Connection;
use crate::device::Device;
use crate::error;
use crate::registry;
use crate::request::Request;
use crate::sys::{Ticks, Worker};

mod search;
mod watch;

pub(crate) use watch::start as watch;

/// In the number of a request (they do not grow so large): its thread has said to work on it. That counts
/// more than that another one has taken it, who may not have come for the next yet.
const SAID: u64 = 1 << 63;

/// How many places of [`Servers::known`] a thread can have.
const WAYS: usize = 16;
/// The places where a thread's may begin. A connection with more servers never counts as stuck.
const KNOWN: usize = 1 << 7;

/// Who waits for whom, and what has come of it.
struct Graph {
    /// The calls that servers of any connection make as clients, by the thread's place.
    calls: RBTree<usize, Call>,
    /// How many calls have failed for it.
    count: u64,
    last: Option<Last>,
}

/// A call that has failed.
struct Last {
    device: CString,
    /// As the initial pid namespace numbers it.
    pid: u32,
}

kernel::sync::global_lock! {
    // SAFETY: `init` is called in the module's init, before anything can lock it.
    unsafe(uninit) static GRAPH: Mutex<Option<Graph>> = None;
}

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
fn callers(place: usize) -> Option<&'static Atomic<i32>> {
    CALLERS.get(hash::<12>(place))
}

/// A call of a server.
struct Call {
    target: Arc<Connection>,
    /// None before it has been made.
    request: Option<Arc<Request>>,
}

/// A thread that serves a connection.
struct Server {
    worker: Worker,
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
    fn is_idle(&self, millis: u32) -> bool {
        self.since.millis_ago() >= millis
            && self.worker.is_asleep()
            && self.worker.switches() == self.switches
    }

    /// Looks at it.
    fn look(&mut self) {
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
struct List {
    servers: KVec<Server>,
    /// How many serve at a time, as the driver says; 0 if it does not.
    limit: u32,
    closed: bool,
}

impl List {
    fn alive(&self) -> impl Iterator<Item = &Server> {
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
    beyond: Atomic<bool>,
    list: GlobalLockedBy<List, GRAPH>,
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
    /// whether it is.
    #[inline(always)]
    pub(crate) fn work_on(&self, request: u64) -> bool {
        match self.find(Worker::current_place()) {
            Some(known) => {
                known.request.store(request, Relaxed);
                true
            }
            None => false,
        }
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
    fn request_of(&self, server: &Server) -> u64 {
        let known = self.find(server.worker.place());
        known.map_or(0, |known| known.request.load(Relaxed))
    }

    /// The driver says how many serve at a time.
    pub(crate) fn limit(&self, limit: u32) {
        self.list.as_mut(&mut GRAPH.lock()).limit = limit;
    }

    /// The connection has ended.
    pub(crate) fn close(&self) {
        let mut graph = GRAPH.lock();
        let list = self.list.as_mut(&mut graph);
        list.closed = true;
        let servers = core::mem::take(&mut list.servers);
        drop(graph);
        drop(servers);
    }
}

/// The mark of a call that a server makes as a client, from before it waits for anything until it has
/// what it waited for.
pub(crate) struct Waiting {
    /// The thread's place; 0 for one that serves nobody.
    place: usize,
}

impl Waiting {
    /// The current task is going to wait for an answer of this device's driver.
    ///
    /// # Errors
    /// `EDEADLK`: the driver would be waiting for itself. `ENOMEM`.
    #[inline(always)]
    pub(crate) fn begin(device: &Device) -> Result<Self> {
        let place = Worker::current_place();
        if callers(place).is_none_or(|callers| callers.load(Relaxed) == 0) {
            return Ok(Self { place: 0 });
        }
        Self::begin_as_server(device, place)
    }

    #[cold]
    fn begin_as_server(device: &Device, place: usize) -> Result<Self> {
        let target = device.connection();
        let slot = RBTreeNodeReservation::new(GFP_KERNEL_ACCOUNT)?;
        let call = Call {
            target: target.clone(),
            request: None,
        };
        let mut graph = GRAPH.lock();
        // Seen by all others from here on: of several calls that close a circle together, the last
        // one sees that it does.
        let before = match graph.as_mut() {
            Some(graph) => graph.calls.insert(slot.into_node(place, call)),
            None => None,
        };
        let closes = search::closes_circle(&graph, target, place, None);
        let node = match graph.as_mut() {
            Some(graph) if closes => graph.calls.remove_node(&place),
            _ => None,
        };
        drop(graph);
        drop((before, node));
        if closes {
            report(device, Worker::current().pid());
            return Err(error::edeadlk());
        }
        Ok(Self { place })
    }

    /// What it waits for.
    pub(crate) fn on(&self, request: &Arc<Request>) {
        if self.place == 0 {
            return;
        }
        if let Some(graph) = GRAPH.lock().as_mut() {
            if let Some(call) = graph.calls.get_mut(&self.place) {
                call.request = Some(request.clone());
            }
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.place == 0 {
            return;
        }
        let node = match GRAPH.lock().as_mut() {
            Some(graph) => graph.calls.remove_node(&self.place),
            None => None,
        };
        drop(node);
    }
}

/// A call on `device` by the process `pid` has failed.
fn report(device: &Device, pid: u32) {
    device.count_deadlock();
    let last = CString::try_from(device.name()).map(|device| Last { device, pid });
    let mut guard = GRAPH.lock();
    let before = match guard.as_mut() {
        Some(graph) => {
            graph.count = graph.count.saturating_add(1);
            core::mem::replace(&mut graph.last, last.ok())
        }
        None => None,
    };
    drop(guard);
    drop(before);
    registry::changed();
}

/// If calls have failed, calls `tell` with how many, and the device and the process of the last one.
pub(crate) fn tell<R>(tell: impl FnOnce(u64, &str, u32) -> R) -> Option<R> {
    let guard = GRAPH.lock();
    let graph = guard.as_ref()?;
    let last = graph.last.as_ref()?;
    let device = last.device.to_str().unwrap_or_default();
    Some(tell(graph.count, device, last.pid))
}

/// All of it, for as long as this lives: until the module goes.
pub(crate) struct Running(());

impl Running {
    /// Nobody serves, nobody waits.
    pub(crate) fn new() -> Self {
        // SAFETY: the module's init calls this, once, before it makes a node.
        unsafe { GRAPH.init() };
        *GRAPH.lock() = Some(Graph {
            calls: RBTree::new(),
            count: 0,
            last: None,
        });
        watch::init();
        Self(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        watch::stop();
        let graph = GRAPH.lock().take();
        drop(graph);
    }
}
