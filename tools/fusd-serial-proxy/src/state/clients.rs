//! Clients come and go, and each has read so far and no further.

use super::{Access, Client, DRIVEN, State};
use crate::options::Share;

/// Bytes that may come after the port was told to wait.
const COMING: usize = 4096;

impl State {
    /// Whether one more client may open the node.
    pub(crate) fn admits(&self) -> bool {
        self.options.share != Share::Exclusive || self.clients.is_empty()
    }

    /// Whether more than one client has it open.
    pub(crate) fn is_shared(&self) -> bool {
        self.clients.len() > 1
    }

    /// A client opens the node.
    pub(crate) fn enter(&mut self, id: u64, access: Access) {
        if self.clients.is_empty() {
            self.take_line();
        }
        self.attend(id, access);
    }

    /// Somebody uses the line from now on.
    pub(crate) fn take_line(&mut self) {
        self.hangs_up = false;
        if self.settings().output_speed != 0 {
            self.drive(self.lines | DRIVEN);
        }
    }

    /// Nobody uses it any more: it is hung up when all is sent, unless the settings say otherwise.
    pub(crate) fn leave_line(&mut self) {
        self.hangs_up = self.settings().c(libc::HUPCL);
    }

    /// A client is there, which need not mean that anybody uses the line.
    pub(crate) fn attend(&mut self, id: u64, access: Access) {
        if self.clients.is_empty() {
            self.discipline.restart();
            self.halted = false;
            self.common = self.discipline.start();
        }
        let client = Client {
            place: self.discipline.start(),
            readable: access.reads,
            may_change: access.trusted && !self.options.read_only,
            may_write: access.trusted && access.writes && !self.options.read_only,
            lost: 0,
            process: access.process,
        };
        self.clients.insert(id, client);
    }

    /// It has closed it.
    pub(crate) fn leave(&mut self, id: u64) {
        self.clients.remove(&id);
        self.unlock(id);
        self.exclusive.take_if(|owner| *owner == id);
        if self.clients.is_empty() {
            self.leave_line();
        }
    }

    /// Whether a client may do more than read: also one that has opened the node for reading alone, as
    /// stty(1) does.
    pub(crate) fn may_change(&self, id: u64) -> bool {
        self.clients
            .get(&id)
            .is_some_and(|client| client.may_change)
    }

    /// The processes that have opened the node, in the order of their opens.
    pub(crate) fn processes(&self) -> Vec<u32> {
        self.clients.values().map(|client| client.process).collect()
    }

    /// Bytes that a client has lost.
    pub(crate) fn lost_by(&self, id: u64) -> u64 {
        self.clients.get(&id).map_or(0, |client| client.lost)
    }

    /// Keeps for each client what it has not read, up to the limit.
    pub(super) fn drop_what_nobody_reads(&mut self) {
        let (head, start) = (self.discipline.head(), self.discipline.start());
        let base = self.discipline.base();
        self.common = self.common.max(base);
        for client in self.clients.values_mut() {
            // Of what was dropped for all, as by a signal character, nobody is behind.
            client.place = client.place.max(base);
        }
        let limit = self.options.size as u64;
        let oldest = head.saturating_sub(limit).min(start);
        let mut needed = start;
        for client in self.clients.values_mut().filter(|client| client.readable) {
            if self.options.share == Share::First {
                client.place = client.place.max(self.common);
            }
            if client.place < oldest {
                let lost = oldest - client.place;
                client.lost += lost;
                self.stats.dropped += lost;
                client.place = oldest;
            }
            needed = needed.min(client.place);
        }
        self.common = self.common.max(needed);
        self.discipline.forget(needed);
    }

    /// Whether there is so much that no client has read that the port is to wait, if it can: a
    /// client that is slower than another never holds it up.
    pub(super) fn is_full(&self) -> bool {
        // A line without its end cannot be read.
        let start = self.discipline.start();
        let readers = self.clients.values().filter(|client| client.readable);
        let least = readers.map(|client| start - client.place.min(start)).min();
        // What is on its way comes all the same.
        let size = self.options.size;
        let limit = (size / 2).min(size.saturating_sub(COMING)).max(1);
        let limit = match self.throttled {
            true => limit.div_ceil(2),
            false => limit,
        };
        let waits = self.port.as_ref().is_some_and(|port| port.waits());
        (waits || self.settings().holds_input()) && least.is_some_and(|least| least >= limit as u64)
    }
}
