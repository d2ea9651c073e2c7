//! From a job to its handler: in the order of each file, or in none.

use std::sync::{Arc, Weak};
use std::thread;

use nix::sys::signal::{SigSet, SigmaskHow, pthread_sigmask};

use super::engine::Engine;
use super::files::{Entry, Recent};
use super::job::{Job, Task};
use crate::backend::{Answer, Operation};
use crate::file::Adopter;
use crate::panics::contain;
use crate::properties::Operations;
use crate::request::{Context, OpenRequest, Pending, RestoreRequest, send_carried};
use crate::{Device, Errno, OpenFlags};

/// What panicked, where it was a handler. The request it held fails as it is dropped.
pub(super) const HANDLER: &str = "a handler";

impl<D: Device> Engine<D> {
    /// Puts a job into the order of its file. `None`: whoever is busy with the file will run it, or
    /// there is nothing to run. `recent` keeps the file, for the next job is likely to be of it too.
    pub(super) fn queue(&self, job: Job, recent: &mut Recent<D::File>) -> Option<Task<D::File>> {
        let Some(id) = job.file() else {
            return Some(Task::Free(job));
        };
        let entry = match recent.take(id) {
            Some(entry) => entry,
            None => match self.files.get(id) {
                Some(entry) => entry,
                None => {
                    let lost = self.files.lost(id, job.is_last());
                    if let Job::Call { pending, .. } = job {
                        if lost.is_none() {
                            tracing::error!(file = id.0, "a call names a file that is not open");
                        }
                        let errno = lost.unwrap_or(Errno::EBADF);
                        pending.ticket().finish(Answer::Error(errno));
                    }
                    return None;
                }
            },
        };
        if !job.is_last() {
            recent.keep(&entry);
        }
        if entry.take_turn() {
            return Some(Task::Ordered(entry, job));
        }
        let job = entry.begin(job)?;
        Some(Task::Ordered(entry, job))
    }

    /// Runs a task, and what the calls of its file have come to in the meantime.
    pub(super) fn run(self: &Arc<Self>, task: Task<D::File>) {
        match task {
            Task::Free(job) => {
                contain(HANDLER, || self.handle_unordered(job));
            }
            Task::Ordered(entry, job) => {
                self.serve(&entry, job);
                self.run_waiting(&entry);
                entry.let_go();
            }
        }
    }

    /// Runs what the calls of a file have come to while a handler of it ran.
    #[inline]
    pub(super) fn run_waiting(&self, entry: &Entry<D::File>) {
        while let Some(job) = entry.next() {
            self.take_on(&job);
            // What the one before has answered does not wait for this one.
            send_carried();
            self.serve(entry, job);
        }
    }

    /// The calling thread is about to handle a job that another one has received.
    pub(super) fn take_on(&self, job: &Job) {
        if let Job::Call { pending, .. } = job {
            self.link.backend.works_on(pending.ticket().id());
        }
    }

    /// Releases what is still open, once the last handler of each file has returned: where that
    /// takes longer, the thread it runs on sees to it.
    pub(super) fn release_open(self: &Arc<Self>) {
        for entry in self.files.all() {
            if let Some(job) = entry.begin(Job::Abandoned(entry.file.id())) {
                self.run(Task::Ordered(entry, job));
            }
        }
    }

    /// Has the device see the files from the time of another driver. To be called before it is served.
    pub(crate) fn restore(&self) {
        for inherited in self.link.backend.inherited() {
            let adopter = Weak::clone(&self.this) as Weak<dyn Adopter<D::File>>;
            match self.files.reserve() {
                Some(slot) => {
                    contain(HANDLER, || {
                        let request = RestoreRequest::new(inherited, adopter, slot);
                        self.device.restore(request);
                    });
                }
                None => self.lose(inherited.file, Errno::EBUSY),
            }
        }
    }

    /// Gives back the calls that no handler has seen.
    pub(super) fn give_back_unseen(&self) {
        for task in self.crew.disband() {
            let (Task::Free(job) | Task::Ordered(_, job)) = task;
            if let Job::Call { pending, .. } = job {
                pending.ticket().give_back();
            }
        }
    }

    /// The calls that are in no file's order.
    fn handle_unordered(self: &Arc<Self>, job: Job) {
        let Job::Call {
            pending, operation, ..
        } = job
        else {
            return;
        };
        if pending.ticket().is_abandoned() {
            return;
        }
        match operation {
            Operation::Open { flags } => self.open(pending, flags),
            Operation::Size { file } => {
                let entry = file.and_then(|file| self.files.get(file));
                let published = entry
                    .as_ref()
                    .and_then(|entry| entry.sources.published.as_ref());
                let size = match published {
                    Some(content) => content.bytes().len() as u64,
                    None => self.device.size(entry.as_ref().map(|entry| &entry.file)),
                };
                pending.ticket().finish_at_return(Answer::Size(size));
            }
            Operation::Poll { file, key } => {
                let polls = self.implements(Operations::POLL);
                let answer = match self.files.get(file) {
                    Some(entry) if polls || !entry.sources.rings.is_empty() => {
                        Answer::Ready(entry.file.readiness().poll(key))
                    }
                    _ if !polls => Answer::Unimplemented,
                    _ => Answer::Error(Errno::EBADF),
                };
                pending.ticket().finish(answer);
            }
            _ => {}
        }
    }

    /// Runs a task on a thread of its own.
    pub(super) fn run_apart(&self, task: Task<D::File>) {
        let Some(this) = self.this.upgrade() else {
            return;
        };
        let started = without_signals(|| {
            thread::Builder::new()
                .name("fusd-worker".into())
                .spawn(move || this.run(task))
        });
        if let Err(error) = started {
            tracing::error!(%error, "a file is not released");
        }
    }

    fn open(self: &Arc<Self>, pending: Pending, flags: OpenFlags) {
        let Some(slot) = self.files.reserve() else {
            pending.ticket().finish(Answer::Error(Errno::EBUSY));
            return;
        };
        let adopter = Weak::clone(&self.this) as Weak<dyn Adopter<D::File>>;
        self.device.open(OpenRequest::new(
            Context::new(pending, flags, None),
            adopter,
            slot,
        ));
    }

    #[inline]
    pub(super) fn implements(&self, operation: Operations) -> bool {
        self.properties.operations.contains(operation)
    }
}

/// Runs `start` with all signals blocked, which threads that it starts inherit: this may be any thread
/// of the driver's, and its signals are for its own threads.
fn without_signals<T>(start: impl FnOnce() -> T) -> T {
    let mut before = SigSet::empty();
    let all = SigSet::all();
    let blocked = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&all), Some(&mut before));
    let result = start();
    if blocked.is_ok() {
        // Fails for an impossible argument only.
        let _ = before.thread_set_mask();
    }
    result
}
