//! The threads of a session: they take messages from the backend and run the handlers.

use std::sync::{Arc, Weak};
use std::thread;

use super::files::Files;
use super::job::Job;
use super::pool::{Next, Pool, Turn};
use super::{Serve, Shared, no_thread};
use crate::backend::buffer::{Buffer, BufferPool};
use crate::backend::{Incoming, Message, Operation};
use crate::request::{Link, WriteData};
use crate::{Device, Errno, Error, ErrorKind, Properties, Result};

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
    pub(super) files: Files<D::File>,
    pub(super) pool: Pool<Job>,
    buffers: Arc<BufferPool>,
    this: Weak<Self>,
}

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
        Arc::new_cyclic(|this| Self {
            device,
            properties,
            link,
            files: Files::new(limits.open_files),
            pool: Pool::new(limits.workers),
            buffers,
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
        while let Some(mut job) = self.next_job(shared, &mut buffer) {
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
            let Ok(received) = self.receive(shared, buffer) else {
                self.pool.leave();
                return None;
            };
            let Some(job) = received.or_else(|| self.pool.pick_up()) else {
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
        let lost = |error: Error| {
            shared.stop(Some(error.on(shared.path())));
            Ended
        };
        match self.link.backend.receive(buffer) {
            Ok(Incoming::Request(message)) => Ok(self.admit(message, buffer)),
            Ok(Incoming::Interrupt { id, token }) => {
                if !self.link.interrupt(id) {
                    self.link.backend.interrupt_again(token);
                }
                Ok(None)
            }
            Ok(Incoming::Nothing) => Ok(None),
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
        self.release_idle();
    }
}
