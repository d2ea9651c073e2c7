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
//! What a client pays that serves nobody is one load, of `CALLERS`; a server pays one or a few loads
//! and a store, twice per message, of `Servers::known` (`servers.rs`).

use kernel::{
    prelude::*,
    rbtree::{RBTree, RBTreeNodeReservation},
    str::CString,
    sync::{atomic::Relaxed, Arc, GlobalGuard},
};

use crate::connection::Connection;
use crate::device::Device;
use crate::error;
use crate::registry;
use crate::request::Request;
use crate::sys::Worker;

mod search;
mod servers;
mod watch;

use servers::callers;
pub(crate) use servers::{At, Servers};
pub(crate) use watch::start as watch;

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

/// A call of a server.
struct Call {
    target: Arc<Connection>,
    /// None before it has been made.
    request: Option<Arc<Request>>,
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
        match Self::is_needed() {
            true => Self::begin_as_server(device, Worker::current_place()),
            false => Ok(Self { place: 0 }),
        }
    }

    /// Whether [`Self::begin`] is to be asked before the current task waits: it may serve somebody.
    #[inline(always)]
    pub(crate) fn is_needed() -> bool {
        callers(Worker::current_place()).is_some_and(|callers| callers.load(Relaxed) != 0)
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
