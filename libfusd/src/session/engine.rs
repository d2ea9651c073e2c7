//! The threads of a session: they take messages from the backend and run the handlers.

use std::io;
use std::sync::{Arc, Weak};
use std::thread;

use super::crew::{Crew, Done, Duty, Handed};
use super::files::{Files, Recent};
use super::job::{Job, Read, Task};
use super::{Serve, Shared, no_thread};
use crate::backend::buffer::{Buffer, BufferPool};
use crate::backend::{Incoming, Message, Operation};
use crate::request::{Link, Pending, What, WriteData, carry};
use crate::{Device, Errno, Error, ErrorKind, Properties, Result, trace};

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
    pub(super) device: D,
    pub(super) properties: Properties,
    pub(super) link: Arc<Link>,
    /// What the backend says of these: it is asked for each call.
    pub(super) tells_offsets: bool,
    pub(super) places_appends: bool,
    pub(super) files: Files<D::File>,
    pub(super) crew: Crew<Task<D::File>>,
    buffers: Arc<BufferPool>,
    pub(super) this: Weak<Self>,
}

/// Numbers for files that the kernel has none for any more are from here on, where it has them for all
/// others: it counts from 1.
const UNNAMED: u64 = 1 << 63;

/// The thread is to end.
struct Ended;

impl<D: Device> Engine<D> {
    pub(crate) fn new(
        device: D,
        properties: Properties,
        limits: Limits,
        link: Arc<Link>,
        buffers: Arc<BufferPool>,
    ) -> Arc<Self> {
        let first = match link.backend.names_files() {
            true => UNNAMED,
            false => 1,
        };
        Arc::new_cyclic(|this| Self {
            device,
            properties,
            tells_offsets: link.backend.tells_offsets(),
            places_appends: link.backend.places_appends(),
            link,
            files: Files::new(limits.open_files, first),
            crew: Crew::new(limits.workers),
            buffers,
            this: Weak::clone(this),
        })
    }

    /// Starts a thread that has been counted in already.
    fn spawn(self: &Arc<Self>, shared: &Arc<Shared>) -> io::Result<()> {
        let engine = Arc::clone(self);
        let worker = Arc::clone(shared);
        shared.worker_begins();
        let started = thread::Builder::new()
            .name("fusd-worker".into())
            .spawn(move || {
                engine.work(&worker);
                drop(engine);
                worker.worker_ended();
            });
        if started.is_err() {
            shared.worker_ended();
        }
        started.map(drop)
    }

    /// Starts a thread that has been counted in; without it, the others have to do.
    fn try_spawn(self: &Arc<Self>, shared: &Arc<Shared>) -> bool {
        let started = self.spawn(shared);
        if let Err(error) = &started {
            self.crew.dismiss();
            tracing::warn!(error = %Errno::from(error), "no further thread can be started");
        }
        started.is_ok()
    }

    /// A thread's life; it counts itself out before it returns.
    fn work(self: &Arc<Self>, shared: &Arc<Shared>) {
        let start = || {
            self.try_spawn(shared);
        };
        loop {
            let mut task = match self.crew.next(&start) {
                Duty::Lead => match self.lead(shared) {
                    Ok(next) => next,
                    Err(Ended) => return self.crew.dismiss(),
                },
                Duty::Help(task) => Some(task),
                Duty::Leave => return,
            };
            while let Some(next) = task {
                self.take_on(next.job());
                self.run(next);
                task = self.crew.helped();
            }
        }
    }

    /// Reads and runs handlers until somebody else does; returns the task to go on with, if any.
    fn lead(self: &Arc<Self>, shared: &Arc<Shared>) -> Result<Option<Task<D::File>>, Ended> {
        let mut buffer = self.buffers.take();
        let mut carrying = carry(&self.link.backend);
        let mut recent = Recent::default();
        let start = || {
            self.try_spawn(shared);
        };
        loop {
            if shared.stopping() {
                return Err(Ended);
            }
            let received = match &mut carrying {
                Some(carrying) => carrying.receive(&mut buffer),
                None => self.link.backend.receive(&mut buffer),
            };
            let Ok(Incoming::Request(message)) = &received else {
                self.attend(shared, received)?;
                continue;
            };
            let Some(pending) = self.admit(message, &buffer) else {
                continue;
            };
            // A read needs little. Where its file is that of the call before, and idle, as it mostly is,
            // it is served from here, and nothing is moved to be queued or handed over.
            let read = Read::of(&message.operation);
            let done = match read.and_then(|read| Some((read, recent.take_turn(read.file)?))) {
                Some((read, entry)) => match self.crew.enter(false, &start) {
                    Some(phase) => {
                        self.serve_read(entry, pending, read);
                        if !entry.rest() {
                            self.run_waiting(entry);
                        }
                        self.crew.done(&phase)
                    }
                    None => {
                        let job = self.job(message, pending, &mut buffer);
                        let task = Task::Ordered(Arc::clone(entry), job);
                        self.hand_over(task, shared);
                        continue;
                    }
                },
                None => {
                    let job = self.job(message, pending, &mut buffer);
                    let switched = recent.switches_to(&job);
                    let Some(task) = self.queue(job, &mut recent) else {
                        continue;
                    };
                    match self.crew.enter(switched, &start) {
                        Some(phase) => {
                            self.run(task);
                            self.crew.done(&phase)
                        }
                        None => {
                            self.hand_over(task, shared);
                            continue;
                        }
                    }
                }
            };
            if let Done::Helps(next) = done {
                recent.forget();
                return Ok(next);
            }
        }
    }

    /// Hands a task of the leader's to the other threads.
    fn hand_over(self: &Arc<Self>, task: Task<D::File>, shared: &Arc<Shared>) {
        match self.crew.hand_over(task) {
            Handed::Over => {}
            Handed::Alone(task) => self.run(task),
            Handed::Recruit => {
                // Better late than never, and better slow than not at all.
                if !self.try_spawn(shared)
                    && let Some(task) = self.crew.take_back()
                {
                    self.run(task);
                }
            }
        }
    }

    /// Sees to what is no call.
    #[inline(never)]
    fn attend(&self, shared: &Shared, received: io::Result<Incoming>) -> Result<(), Ended> {
        let lost = |error: Error| {
            shared.stop(Some(error.on(shared.path())));
            Ended
        };
        match received {
            Ok(Incoming::Interrupt { id, token }) => {
                if !self.link.interrupt(id) {
                    self.link.backend.interrupt_again(token);
                }
                Ok(())
            }
            Ok(Incoming::Request(_) | Incoming::Nothing) => Ok(()),
            Ok(Incoming::Succeeded) => {
                shared.stop(None);
                Err(Ended)
            }
            Ok(Incoming::Ended) => Err(lost(
                Error::new(ErrorKind::Runtime, Errno::ENODEV, "go on serving")
                    .because("the node was taken away from outside"),
            )),
            Err(error) => Err(lost(Error::system(
                ErrorKind::Runtime,
                error,
                "receive requests for",
            ))),
        }
    }

    /// Takes a call in. `None`: it has been answered, as the session ends.
    #[inline]
    fn admit(&self, message: &Message, buffer: &Buffer) -> Option<Pending> {
        let Message {
            id,
            caller,
            operation,
        } = message;
        let call = What {
            id: *id,
            caller: *caller,
            call: operation.call(),
        };
        let arguments = || trace::arguments(operation, buffer);
        self.link.admit(call, arguments)
    }

    /// A call with all that belongs to it.
    #[inline(never)]
    fn job(&self, message: &Message, pending: Pending, buffer: &mut Buffer) -> Job {
        let operation = message.operation.clone();
        let data = match &operation {
            Operation::Write { data, .. } | Operation::Ioctl { input: data, .. } => {
                WriteData::take(buffer, data.clone(), || self.buffers.take())
            }
            _ => WriteData::none(),
        };
        Job::Call {
            pending,
            operation,
            data,
        }
    }
}

impl<D: Device> Serve for Engine<D> {
    fn start(&self, shared: &Arc<Shared>) -> Result<()> {
        // Upgrading succeeds: `self` is reached through an `Arc`, see `new`.
        let Some(this) = self.this.upgrade() else {
            return Ok(());
        };
        self.crew.recruit();
        this.spawn(shared).map_err(|error| {
            self.crew.dismiss();
            no_thread(&error)
        })
    }

    fn shut(&self) {
        self.link.shut();
        self.crew.stop();
    }

    fn rest(&self) {
        self.crew.stop();
    }

    fn is_busy(&self) -> bool {
        self.link.is_busy()
    }

    fn give_back(&self) {
        self.give_back_unseen();
    }

    fn give_way(&self) {
        self.link.give_way();
    }

    fn release_all(&self) {
        // Upgrading succeeds, as in `start`.
        if let Some(this) = self.this.upgrade() {
            for task in self.crew.disband() {
                this.run(task);
            }
            this.release_open();
        }
    }
}
