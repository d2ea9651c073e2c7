// SPDX-License-Identifier: GPL-2.0-only

//! What is looked at now and then, while there are devices: calls that no thread of their driver has
//! taken for a while. A call fails if a server waits for it in a way that only time shows: it sleeps
//! in wait(2) for the child that calls, or in a read of the child's output, or until another thread is
//! done that calls.

use kernel::{prelude::*, static_lock_class, sync::Arc};

use super::servers::Server;
use super::{report, search, GRAPH};
use crate::connection::Connection;
use crate::request::Request;
use crate::sys::{Sleeper, Ticker, Worker};
use crate::{limits, registry};

// SAFETY: `init` calls `Ticker::init` in the module's init, before there is a device.
static TICKER: Ticker = unsafe { Ticker::new(tick) };

/// Looks so many times in the time that a call is given.
const LOOKS: u32 = 4;

/// Gets ready.
pub(super) fn init() {
    let keys = [static_lock_class!(), static_lock_class!()];
    // SAFETY: the module's init calls this, once.
    unsafe { TICKER.init(c"fusd_deadlock", keys) };
}

/// Ends: nobody looks any more.
pub(super) fn stop() {
    TICKER.stop();
}

/// There is a device.
pub(crate) fn start() {
    if let Some(millis) = limits::deadlock_ms() {
        TICKER.start(millis / LOOKS);
    }
}

/// Looks at everything, so many milliseconds later than it should. Returns when to do so again.
fn tick(late: u32) -> u32 {
    let Some(patience) = limits::deadlock_ms() else {
        return 0;
    };
    let mut there = false;
    let mut suspects = KVec::new();
    // Without memory, there is a next time.
    let _ = registry::for_each(|device, _| {
        there = true;
        let connection = device.connection();
        let is_new = suspects
            .last()
            .is_none_or(|last| !Arc::ptr_eq(last, connection));
        if is_new && connection.longest_unseen().is_some() {
            suspects.push(connection.clone(), GFP_KERNEL)?;
        }
        Ok(())
    });
    // A machine that stood still, as a guest does that is stopped for a while, has given nobody the time to
    // take a call. They get it until the next look.
    if late < patience / 2 {
        for connection in &suspects {
            look(connection, patience);
        }
    }
    // Who registers a device starts it again.
    match there {
        true => patience / LOOKS,
        false => 0,
    }
}

/// Looks at the servers of a connection, and at the calls they have not taken.
fn look(connection: &Arc<Connection>, patience: u32) {
    let mut graph = GRAPH.lock();
    let list = connection.servers.list.as_mut(&mut graph);
    list.servers.iter_mut().for_each(Server::look);
    drop(graph);
    let mut next = 0;
    while let Some((id, request, client)) = connection.unseen_from(next) {
        next = id.wrapping_add(1);
        if request.since.millis_ago() < patience {
            // Those behind it are not older.
            return;
        }
        let waiter = client.worker();
        if is_hopeless(connection, &waiter, patience) {
            break_off(connection, &request, &client);
        }
    }
}

fn is_hopeless(connection: &Arc<Connection>, waiter: &Worker, patience: u32) -> bool {
    let graph = GRAPH.lock();
    search::closes_circle(&graph, connection, waiter.place(), Some(patience))
        || search::waits_for_relative(&graph, connection, waiter, patience)
}

fn break_off(connection: &Arc<Connection>, request: &Arc<Request>, client: &Sleeper) {
    let pid = client.worker().pid();
    if connection.break_off(request) {
        // First: who sees the call fail sees it counted.
        report(request.handle.device(), pid);
        client.wake();
    }
}
