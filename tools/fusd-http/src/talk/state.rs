//! What an open file of a stream is in the middle of: its last request, and what is to follow that.

use fusd::{Errno, PollEvents};
use tokio::task::AbortHandle;

use super::Outcome;
use super::inbox::Inbox;
use super::upload::Outgoing;
use super::writers::Writers;

/// What the queue guards.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) inbox: Inbox,
    /// The number of the last request; 0 before the first.
    pub(super) number: u64,
    /// What it has come to, once the head of its answer is there.
    pub(super) result: Option<Result<(), Errno>>,
    /// It, and then the rest of its answer. Dropped, it is cancelled.
    pub(super) task: Option<Task>,
    /// Tells the same to what is to follow it without the file, if it is of a write.
    pub(super) outcome: Option<Outcome>,
    /// A failure that the next write or close tells of.
    pub(super) untold: Option<Errno>,
    /// A request was given up in the middle: nobody knows whether the server has done it.
    pub(super) doubtful: bool,
    /// The last request is of a write that has been answered already.
    pub(super) nobody_waits: bool,
    /// The last request of a write that has not been told what it came to.
    pub(super) unsettled: Option<u64>,
    /// The beginning of a line.
    pub(super) line: Vec<u8>,
    pub(super) outgoing: Outgoing,
    /// The server has not taken all of it yet.
    pub(super) is_sending: bool,
    /// It does not take the rest.
    pub(super) is_cut: bool,
    /// Of what goes out, or of the line.
    pub(super) writers: Writers,
}

/// A task that is aborted when this is dropped.
#[derive(Debug)]
pub(super) struct Task(pub(super) Option<AbortHandle>);

impl Drop for Task {
    fn drop(&mut self) {
        if let Some(task) = self.0.take() {
            task.abort();
        }
    }
}

impl State {
    /// Whether the last request has no answer yet.
    pub(super) fn is_asking(&self) -> bool {
        self.number > 0 && self.result.is_none()
    }

    /// The request `number` has come to this, unless it is not the last any more.
    pub(super) fn answer(&mut self, number: u64, result: Result<(), Errno>) {
        if self.number == number {
            self.result = Some(result);
            if let Err(errno) = result {
                self.inbox.end(Err(errno));
                self.untold = Some(errno).filter(|_| self.nobody_waits);
            }
        }
    }

    /// The last request goes on, whatever becomes of the file.
    pub(super) fn detach(&mut self) {
        if let Some(task) = &mut self.task {
            task.0 = None;
        }
    }

    /// What poll(2) tells.
    pub(super) fn readiness(&self) -> PollEvents {
        let mut events = PollEvents::empty();
        let reads = !self.is_asking() && self.inbox.is_ready() && !self.outgoing.is_open();
        events.set(PollEvents::READ, reads);
        let writes = match self.outgoing.is_open() {
            true => self.outgoing.has_room() || self.result.is_some(),
            false => !self.is_asking() && self.unsettled.is_none(),
        };
        events.set(PollEvents::WRITE, writes || self.untold.is_some());
        events
    }
}
