//! The session's inner loop: takes messages from the backend, keeps the files and the order of
//! their calls, and runs the handlers.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicI32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::thread;

use super::pool::{Next, Pool, Turn};
use super::{Serve, Shared, no_thread};
use crate::backend::buffer::{Buffer, BufferPool};
use crate::backend::{Answer, FileId, Incoming, Message, Operation};
use crate::file::{Adopter, Slot};
use crate::poll::{Readiness, Wake};
use crate::properties::Operations;
use crate::request::{
    Context, FlushRequest, IoctlRequest, Link, OpenRequest, Pending, ReadRequest, SyncRequest,
    WriteData, WriteRequest,
};
use crate::sync::lock;
use crate::{Device, Errno, Error, ErrorKind, OpenFile, OpenFlags, PollEvents, Properties, Result};

/// The bounds a session keeps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Handlers that run at a time.
    pub(crate) workers: usize,
    /// Files that may be open at a time.
    pub(crate) open_files: usize,
}

/// A device being served.
pub(crate) struct Engine<D: Device> {
    device: D,
    properties: Properties,
    limits: Limits,
    link: Arc<Link>,
    buffers: Arc<BufferPool>,
    pool: Pool<Job>,
    files: Mutex<HashMap<FileId, Arc<Entry<D>>>>,
    next_file: AtomicU64,
    open_files: Arc<AtomicUsize>,
    this: Weak<Self>,
}

/// An open file and the calls of it that wait for their turn.
struct Entry<D: Device> {
    file: OpenFile<D::File>,
    /// The flags as last seen: not every call brings them along.
    flags: AtomicI32,
    turn: Mutex<FileTurn>,
}

impl<D: Device> Entry<D> {
    fn context(&self, pending: Pending, flags: Option<OpenFlags>) -> Context {
        let flags = match flags {
            Some(flags) => {
                self.flags.store(flags.raw(), Ordering::Relaxed);
                flags
            }
            None => OpenFlags::from_raw(self.flags.load(Ordering::Relaxed)),
        };
        Context::new(pending, flags)
    }
}

/// Handlers of one file run one after the other: who finds the file busy leaves its call here.
#[derive(Default)]
struct FileTurn {
    busy: bool,
    waiting: VecDeque<Job>,
}

/// One call, ready for its handler.
enum Job {
    Call {
        pending: Pending,
        operation: Operation,
        data: WriteData,
    },
    /// A file that was accepted but never reached its client.
    Abandoned(FileId),
}

impl<D: Device> Engine<D> {
    pub(crate) fn new(
        device: D,
        properties: Properties,
        limits: Limits,
        link: Arc<Link>,
        buffers: Arc<BufferPool>,
    ) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            device,
            properties,
            limits,
            link,
            buffers,
            pool: Pool::new(limits.workers),
            files: Mutex::default(),
            next_file: AtomicU64::new(1),
            open_files: Arc::default(),
            this: Weak::clone(this),
        })
    }

    /// Starts a thread that has been counted in already.
    fn spawn(self: &Arc<Self>, shared: &Arc<Shared>) -> std::io::Result<()> {
        let engine = Arc::clone(self);
        let shared = Arc::clone(shared);
        thread::Builder::new()
            .name("fusd-worker".into())
            .spawn(move || {
                engine.work(&shared);
                shared.worker_ended();
            })
            .map(drop)
    }

    /// A worker's life. Counts itself out of the pool before it returns.
    fn work(self: &Arc<Self>, shared: &Arc<Shared>) {
        let mut buffer = self.buffers.take();
        loop {
            let mut job = match self.next_job(shared, &mut buffer) {
                Some(job) => job,
                None => return,
            };
            loop {
                self.run(job);
                match self.pool.end() {
                    Next::Work(next) => job = next,
                    Next::Read => break,
                    Next::Leave => return,
                }
            }
        }
    }

    /// Reads until there is a job for this thread; `None` when it is to end.
    fn next_job(self: &Arc<Self>, shared: &Arc<Shared>, buffer: &mut Buffer) -> Option<Job> {
        loop {
            let job = match self.receive(shared, buffer) {
                Ok(job) => job,
                Err(Ended) => {
                    self.pool.leave();
                    return None;
                }
            };
            let Some(job) = job.or_else(|| self.pool.pick_up()) else {
                continue;
            };
            match self.pool.begin(job) {
                Turn::Work {
                    job,
                    relieve: false,
                } => return Some(job),
                Turn::Work { job, relieve: true } => match self.spawn(shared) {
                    Ok(()) => return Some(job),
                    Err(error) => {
                        tracing::warn!(%error, "no further worker thread can be started");
                        if let Turn::Work { job, .. } = self.pool.not_relieved(job) {
                            return Some(job);
                        }
                    }
                },
                Turn::ReadOn => {}
            }
        }
    }

    /// One message from the backend, made a job.
    fn receive(&self, shared: &Shared, buffer: &mut Buffer) -> Result<Option<Job>, Ended> {
        if shared.stopping() {
            return Err(Ended);
        }
        match self.link.backend.receive(buffer) {
            Ok(Incoming::Request(message)) => Ok(self.admit(message, buffer)),
            Ok(Incoming::Interrupt { id, token }) => {
                if !self.link.interrupt(id) {
                    self.link.backend.interrupt_again(token);
                }
                Ok(None)
            }
            Ok(Incoming::Nothing) => Ok(None),
            Ok(Incoming::Ended) => {
                shared.stop(Some(
                    Error::new(ErrorKind::Runtime, Errno::ENODEV, "go on serving")
                        .on(shared.path.clone())
                        .because("the node was taken away from outside"),
                ));
                Err(Ended)
            }
            Err(error) => {
                shared.stop(Some(
                    Error::system(ErrorKind::Runtime, error, "receive requests for")
                        .on(shared.path.clone()),
                ));
                Err(Ended)
            }
        }
    }

    fn admit(&self, message: Message, buffer: &mut Buffer) -> Option<Job> {
        let Message {
            id,
            caller,
            operation,
        } = message;
        let pending = self.link.admit(id, caller, operation.name())?;
        let data = match &operation {
            Operation::Write { data, .. } | Operation::Ioctl { input: data, .. } => {
                WriteData::take(buffer, data.clone(), || self.buffers.take())
            }
            _ => WriteData::none(),
        };
        Some(Job::Call {
            pending,
            operation,
            data,
        })
    }

    /// Runs one job; a call of a file that is busy is left to the thread that is busy with it.
    fn run(self: &Arc<Self>, job: Job) {
        let file = match &job {
            Job::Abandoned(file) => Some(*file),
            Job::Call { operation, .. } => operation.ordered_file(),
        };
        let Some(file) = file else {
            return self.guard(|| self.handle_unordered(job));
        };
        let entry = lock(&self.files).get(&file).cloned();
        let Some(entry) = entry else {
            tracing::error!(file = file.0, "the kernel names a file that is not open");
            if let Job::Call { pending, .. } = job {
                pending.ticket().finish(Answer::Error(Errno::EBADF));
            }
            return;
        };
        {
            let mut turn = lock(&entry.turn);
            if turn.busy {
                turn.waiting.push_back(job);
                return;
            }
            turn.busy = true;
        }
        let mut job = job;
        loop {
            self.guard(|| self.handle(&entry, job));
            let mut turn = lock(&entry.turn);
            match turn.waiting.pop_front() {
                Some(next) => job = next,
                None => {
                    turn.busy = false;
                    return;
                }
            }
        }
    }

    /// Keeps a handler's panic from the thread; the request it held fails as it is dropped.
    fn guard(&self, handler: impl FnOnce()) {
        if catch_unwind(AssertUnwindSafe(handler)).is_err() {
            tracing::error!("bug in the driver: a handler panicked; the device goes on");
        }
    }

    /// The calls that belong to no file's order: open, stat, poll.
    fn handle_unordered(self: &Arc<Self>, job: Job) {
        let Job::Call {
            pending, operation, ..
        } = job
        else {
            return;
        };
        match operation {
            Operation::Open { flags } => self.open(pending, flags),
            Operation::Size { file } => {
                let entry = file.and_then(|file| lock(&self.files).get(&file).cloned());
                let size = self.device.size(entry.as_ref().map(|entry| &entry.file));
                pending.ticket().finish(Answer::Size(size));
            }
            Operation::Poll { file, key } => {
                let entry = lock(&self.files).get(&file).cloned();
                let answer = match entry {
                    Some(_) if !self.implements(Operations::POLL) => Answer::Error(Errno::ENOSYS),
                    Some(entry) => Answer::Ready(entry.file.readiness().poll(key)),
                    None => Answer::Error(Errno::EBADF),
                };
                pending.ticket().finish(answer);
            }
            _ => {}
        }
    }

    fn open(self: &Arc<Self>, pending: Pending, flags: OpenFlags) {
        let Some(slot) = Slot::take(&self.open_files, self.limits.open_files) else {
            pending.ticket().finish(Answer::Error(Errno::EBUSY));
            return;
        };
        let adopter = Arc::clone(self) as Arc<dyn Adopter<D::File>>;
        self.device.open(OpenRequest::new(
            Context::new(pending, flags),
            adopter,
            slot,
        ));
    }

    /// The calls of an open file.
    fn handle(&self, entry: &Entry<D>, job: Job) {
        let file = &entry.file;
        let (pending, operation, data) = match job {
            Job::Call {
                pending,
                operation,
                data,
            } => (pending, operation, data),
            Job::Abandoned(id) => return self.release(id, file),
        };
        if let Operation::Release { file: id } = operation {
            // Nobody waits for it (close(2) returns after flush): first things first.
            pending.ticket().finish(Answer::Done);
            return self.release(id, file);
        }
        if pending.ticket().is_abandoned() {
            return;
        }
        if let Err(answer) = self.allows(&operation) {
            pending.ticket().finish(answer);
            return;
        }
        let device = &self.device;
        match operation {
            Operation::Read {
                flags,
                offset,
                length,
                ..
            } => {
                let context = entry.context(pending, Some(flags));
                device.read(file, ReadRequest::new(context, offset, length));
            }
            Operation::Write { flags, offset, .. } => {
                let context = entry.context(pending, Some(flags));
                device.write(file, WriteRequest::new(context, offset, data));
            }
            Operation::Ioctl {
                command,
                argument,
                output,
                ..
            } => {
                let context = entry.context(pending, None);
                let input = data.into_vec();
                device.ioctl(
                    file,
                    IoctlRequest::new(context, command, argument, input, output),
                );
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

    fn release(&self, id: FileId, file: &OpenFile<D::File>) {
        let entry = lock(&self.files).remove(&id);
        if entry.is_some() {
            self.device.release(file);
        }
    }

    /// What the client gets for an operation that the device does not implement.
    fn allows(&self, operation: &Operation) -> Result<(), Answer<'static>> {
        let (needed, otherwise) = match operation {
            Operation::Read { .. } => (Operations::READ, Answer::Error(Errno::EINVAL)),
            Operation::Write { .. } => (Operations::WRITE, Answer::Error(Errno::EINVAL)),
            Operation::Ioctl { .. } => (Operations::IOCTL, Answer::Error(Errno::ENOTTY)),
            Operation::Flush { .. } => (Operations::FLUSH, Answer::Done),
            Operation::Sync { .. } => (Operations::SYNC, Answer::Error(Errno::EINVAL)),
            _ => return Ok(()),
        };
        if self.implements(needed) {
            Ok(())
        } else {
            Err(otherwise)
        }
    }

    fn implements(&self, operation: Operations) -> bool {
        self.properties.operations.contains(operation)
    }
}

impl<D: Device> Serve for Engine<D> {
    fn start(&self, shared: &Arc<Shared>) -> Result<()> {
        // Upgrading succeeds: `self` is reached through an `Arc`, see `new`.
        let Some(this) = self.this.upgrade() else {
            return Ok(());
        };
        self.pool.enter();
        this.spawn(shared).map_err(|error| {
            self.pool.leave();
            no_thread(&error)
        })
    }

    fn shut(&self) {
        self.link.shut();
    }

    fn workers(&self) -> usize {
        self.pool.threads()
    }

    fn release_all(&self) {
        let entries = std::mem::take(&mut *lock(&self.files));
        for entry in entries.into_values() {
            let stuck = lock(&entry.turn).busy;
            if !stuck {
                self.guard(|| self.device.release(&entry.file));
            }
        }
    }
}

impl<D: Device> Adopter<D::File> for Engine<D> {
    fn adopt(&self, state: D::File, flags: OpenFlags, slot: Slot) -> OpenFile<D::File> {
        let id = FileId(self.next_file.fetch_add(1, Ordering::Relaxed));
        let backend = Arc::downgrade(&self.link.backend);
        let wake: Wake = Arc::new(move |key| {
            if let Some(backend) = backend.upgrade() {
                backend.wake_poll(key);
            }
        });
        let readiness = Readiness::new(PollEvents::READ | PollEvents::WRITE, wake);
        let file = OpenFile::new(id, readiness, state, slot);
        let entry = Entry {
            file: file.clone(),
            flags: AtomicI32::new(flags.raw()),
            turn: Mutex::default(),
        };
        lock(&self.files).insert(id, Arc::new(entry));
        file
    }

    fn abandon(&self, file: FileId) {
        self.pool.put_aside(Job::Abandoned(file));
        self.link.backend.nudge();
    }
}

/// The thread is to end.
struct Ended;
