//! From a job to the device's handler: in the order of each file, and only what it implements.

use std::sync::{Arc, Weak};
use std::thread;

use nix::sys::signal::{SigSet, SigmaskHow, pthread_sigmask};

use super::engine::Engine;
use super::files::{Entry, Recent};
use super::job::{Job, Task};
use crate::backend::{Answer, FileId, Operation};
use crate::file::Adopter;
use crate::panics::contain;
use crate::properties::Operations;
use crate::request::{
    Context, FlushRequest, IoctlCall, IoctlRequest, OpenRequest, Pending, ReadRequest,
    RestoreRequest, SyncRequest, WriteData, WriteRequest, send_carried,
};
use crate::{Device, Errno, OpenFlags, Position, Published};

/// What panicked, where it was a handler. The request it held fails as it is dropped.
const HANDLER: &str = "a handler";

impl<D: Device> Engine<D> {
    /// Puts a job into the order of its file. `None`: whoever is busy with the file will run it, or
    /// there is nothing to run. `recent` keeps the file, for the next job is likely to be of it too.
    #[inline]
    pub(super) fn queue(&self, job: Job, recent: &mut Recent<D::File>) -> Option<Task<D::File>> {
        let Some(id) = job.file() else {
            return Some(Task::Free(job));
        };
        let entry = match recent.take().filter(|entry| entry.file.id() == id) {
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
            *recent = Some(Arc::clone(&entry));
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
                contain(HANDLER, || self.handle(&entry, job));
                while let Some(job) = entry.next() {
                    self.take_on(&job);
                    // What the one before has answered does not wait for this one.
                    send_carried();
                    contain(HANDLER, || self.handle(&entry, job));
                }
                if Arc::strong_count(&entry) == 1 {
                    send_carried();
                    // With a released file goes the driver's state for it.
                    contain("the state of a file", move || drop(entry));
                }
            }
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
            Context::new(pending, flags),
            adopter,
            slot,
        ));
    }

    /// The calls of an open file.
    fn handle(&self, entry: &Entry<D::File>, job: Job) {
        match job {
            Job::Abandoned(id) => self.release(id, entry),
            Job::Call {
                pending,
                operation: Operation::Release { file: id },
                ..
            } => {
                self.release(id, entry);
                pending.ticket().finish(Answer::Done);
            }
            Job::Call { pending, .. } if pending.ticket().is_abandoned() => {}
            Job::Call {
                pending,
                operation,
                data,
            } => self.serve(entry, pending, operation, data),
        }
    }

    /// A call of an open file, by whatever serves it.
    fn serve(
        &self,
        entry: &Entry<D::File>,
        pending: Pending,
        operation: Operation,
        data: WriteData,
    ) {
        let sources = &entry.sources;
        let ring = match operation {
            Operation::Read { .. } => sources.rings.reads(),
            Operation::Write { .. } => sources.rings.writes(),
            _ => None,
        };
        match (operation, ring) {
            (Operation::Read { flags, length, .. }, Some(ring)) => {
                let context = entry.context(pending, Some(flags));
                ring.read(ReadRequest::new(context, 0, length));
            }
            (Operation::Write { flags, .. }, Some(ring)) => {
                let context = entry.context(pending, Some(flags));
                ring.write(WriteRequest::new(context, 0, data));
            }
            (operation, _) => match (&sources.published, self.instead(&operation)) {
                (Some(content), _) if matches!(operation, Operation::Read { .. }) => {
                    self.read_published(entry, content, pending, &operation);
                }
                (_, Some(answer)) => {
                    pending.ticket().finish(answer);
                }
                (_, None) => self.call(entry, pending, operation, data),
            },
        }
    }

    fn call(
        &self,
        entry: &Entry<D::File>,
        pending: Pending,
        operation: Operation,
        data: WriteData,
    ) {
        let (device, file) = (&self.device, &entry.file);
        match operation {
            Operation::Read {
                flags,
                offset,
                length,
                ..
            } => {
                let mut context = entry.context(pending, Some(flags));
                let offset = self.place(entry, &mut context, offset, false);
                device.read(file, ReadRequest::new(context, offset, length));
            }
            Operation::Write { flags, offset, .. } => {
                let mut context = entry.context(pending, Some(flags));
                let offset = self.place(entry, &mut context, offset, true);
                device.write(file, WriteRequest::new(context, offset, data));
            }
            Operation::Ioctl {
                command,
                argument,
                output,
                reach,
                caller_32_bit,
                ..
            } => {
                let call = IoctlCall {
                    command,
                    argument,
                    output,
                    reach,
                    caller_32_bit,
                };
                let request =
                    IoctlRequest::new(entry.context(pending, None), call, data.into_vec());
                if let Some(request) = self.complete(request) {
                    device.ioctl(file, request);
                }
            }
            Operation::Flush { .. } => {
                device.flush(file, FlushRequest::new(entry.context(pending, None)));
            }
            Operation::Sync { data_only, .. } => {
                device.sync(
                    file,
                    SyncRequest::new(entry.context(pending, None), data_only),
                );
            }
            Operation::Open { .. }
            | Operation::Release { .. }
            | Operation::Poll { .. }
            | Operation::Size { .. } => {}
        }
    }

    /// Answers a read from what is published.
    fn read_published(
        &self,
        entry: &Entry<D::File>,
        content: &Published,
        pending: Pending,
        operation: &Operation,
    ) {
        let &Operation::Read {
            flags,
            offset,
            length,
            ..
        } = operation
        else {
            return;
        };
        let mut context = entry.context(pending, Some(flags));
        let offset = match self.properties.position {
            Position::Seekable => self.place(entry, &mut context, offset, false),
            // Nobody else keeps where a reader of a stream is.
            Position::Stream => {
                let cursor = entry.cursor(None);
                let start = cursor.start();
                context.at(cursor);
                start
            }
        };
        let request = ReadRequest::new(context, offset, length);
        request.at_return().reply_from(content.bytes());
    }

    /// Where a read or a write begins: where the kernel says, or, if it does not say, where the
    /// last one ended. What is appended begins at the end.
    fn place(
        &self,
        entry: &Entry<D::File>,
        context: &mut Context,
        offset: u64,
        write: bool,
    ) -> u64 {
        let backend = &self.link.backend;
        if self.properties.position == Position::Stream {
            return offset;
        }
        let append = write && context.flags().append() && !backend.places_appends();
        let end = append.then(|| self.device.size(Some(&entry.file)));
        if backend.tells_offsets() {
            return end.unwrap_or(offset);
        }
        let cursor = entry.cursor(end);
        let start = cursor.start();
        context.at(cursor);
        start
    }

    /// An ioctl with the memory that belongs to it. `None`: it comes again with that, or has
    /// failed, because it cannot.
    fn complete(&self, request: IoctlRequest) -> Option<IoctlRequest> {
        if !self.implements(Operations::ANY_IOCTL) {
            return Some(request);
        }
        let argument = self.device.ioctl_argument(request.command());
        request.complete(argument)
    }

    fn release(&self, id: FileId, entry: &Entry<D::File>) {
        let slot = self.files.remove(id);
        entry.sources.rings.unwatch(&entry.file);
        if slot.is_some() {
            self.device.release(&entry.file);
        }
        drop(slot);
    }

    /// What the client gets for an operation that the device does not implement.
    fn instead(&self, operation: &Operation) -> Option<Answer<'static>> {
        let (needed, answer) = match operation {
            Operation::Read { .. } => (Operations::READ, Answer::Error(Errno::EINVAL)),
            Operation::Write { .. } => (Operations::WRITE, Answer::Error(Errno::EINVAL)),
            Operation::Ioctl { .. } => (Operations::IOCTL, Answer::Error(Errno::ENOTTY)),
            Operation::Flush { .. } => (Operations::FLUSH, Answer::Done),
            Operation::Sync { .. } => (Operations::SYNC, Answer::Error(Errno::EINVAL)),
            _ => return None,
        };
        (!self.implements(needed)).then_some(answer)
    }

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
