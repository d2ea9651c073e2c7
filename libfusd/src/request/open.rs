//! open(2).

use std::io;
use std::mem;
use std::sync::{Mutex, Weak};

use super::{Context, request};
use crate::backend::{Answer, FileId, RingUse};
use crate::file::{Adopter, Known, OpenFile, Opening, Slot, Sources};
use crate::sync::lock;
use crate::{Access, Delivery, Errno, Error, ErrorKind, Memory, Published, Result, Ring};

/// A client opens the node. Accepted, it becomes an [`OpenFile`] with the state `T`.
pub struct OpenRequest<T: Send + Sync + 'static> {
    context: Context,
    /// The session, which this must not keep alive: its device may be what holds it.
    adopter: Weak<dyn Adopter<T>>,
    slot: Slot,
    sources: Mutex<Sources>,
}

request!(OpenRequest<T>);

impl<T: Send + Sync + 'static> OpenRequest<T> {
    pub(crate) fn new(context: Context, adopter: Weak<dyn Adopter<T>>, slot: Slot) -> Self {
        Self {
            context,
            adopter,
            slot,
            sources: Mutex::default(),
        }
    }

    /// Lets the client map `memory`, once it is let in. A later offer takes the place of an earlier
    /// one; [`Memory`] says what becomes of what is mapped.
    ///
    /// No call comes to the driver when it is mapped. Beyond the memory's end mmap(2) fails with
    /// `ENXIO`, without an offer with `ENODEV`.
    ///
    /// # Errors
    /// `EOPNOTSUPP`: files of this backend cannot be mapped; only those of kfusd can. `ENOENT`: the
    /// client has stopped waiting, or the device has gone. `ENOMEM`.
    pub fn offer(&self, memory: &Memory, access: Access) -> Result<()> {
        let ticket = self.context.pending.ticket();
        ticket.offer(&memory.offer(access)).map_err(|error| {
            let backend = ticket.backend();
            let error = Error::system(ErrorKind::Runtime, error, "let clients map memory of");
            let error = error.on(backend.path());
            match error.errno() {
                Errno::EOPNOTSUPP => error
                    .because(format!("the backend {} cannot", backend.kind()))
                    .hint("use the backend kfusd"),
                _ => error,
            }
        })
    }

    /// Has reads of the file give what `content` has at their place, once the client is let in, without
    /// a call of [`Device::read`](crate::Device::read); the end of `content` is the end of the file. A
    /// later call takes the place of an earlier one.
    ///
    /// On kfusd the kernel serves them, and the driver does not even wake; on other backends, for
    /// streams, where each reader has a place of its own, and while an access log is kept, in which
    /// they are to be found, the session does. The device need not have
    /// [`Operations::READ`](crate::Operations::READ).
    pub fn publish(&self, content: &Published) {
        lock(&self.sources).published = Some(content.clone());
    }

    /// Has reads of the file served from `ring`, once the client is let in, without a call of
    /// [`Device::read`](crate::Device::read). The device is a stream ([`Position::Stream`](crate::Position::Stream))
    /// with [`Operations::READ`](crate::Operations::READ). What polls find of reading is what the ring says,
    /// whatever [`OpenFile::set_ready`] says of that.
    ///
    /// On kfusd the ring is the kernel's from its first file on, for good; on other backends the session serves
    /// it. So it does on kfusd while an access log is kept or, at that moment, somebody traces, where each
    /// read is to be found; of a device that is kept for another driver
    /// ([`Session::is_kept`](crate::Session::is_kept)); and where the module has no room for the ring.
    ///
    /// # Errors
    /// `EINVAL`: the device is no stream, or does not implement the operation. `EBUSY`: the ring belongs to
    /// another session, or the file's reads to another ring. `EPIPE`: the session of the ring has ended.
    /// `ENOENT`: the client has stopped waiting, or the device has gone.
    pub fn attach_reads(&self, ring: &Ring) -> Result<()> {
        self.attach(ring, RingUse::Reads)
    }

    /// Has writes to the file go to `ring`, as [`attach_reads`](Self::attach_reads) does with reads: without
    /// a call of [`Device::write`](crate::Device::write).
    ///
    /// # Errors
    /// As of [`attach_reads`](Self::attach_reads).
    pub fn attach_writes(&self, ring: &Ring) -> Result<()> {
        self.attach(ring, RingUse::Writes)
    }

    fn attach(&self, ring: &Ring, wanted: RingUse) -> Result<()> {
        let ticket = self.context.pending.ticket();
        let attached = match self.adopter.upgrade() {
            Some(adopter) => {
                let opens = Opening {
                    id: ticket.id(),
                    traced: ticket.is_traced(),
                };
                let attach = || adopter.attach(Some(opens), ring.shared(), wanted);
                lock(&self.sources).rings.add(ring.shared(), wanted, attach)
            }
            None => Err(Errno::ENOENT.into()),
        };
        attached.map_err(|error| cannot_attach(&error).on(ticket.backend().path()))
    }

    /// Lets the client in. Every accepted file is released exactly once, also where the client
    /// had stopped waiting for it. After the end of its device, there is no file to be had.
    pub fn accept(self, state: T) -> Delivery {
        self.accept_with(state, |_| {})
    }

    /// Lets the client in, after `setup` has seen the file: the client's first call, its first
    /// poll and the release come later. The file starts ready for reading and writing unless
    /// `setup` says otherwise.
    pub fn accept_with(self, state: T, setup: impl FnOnce(&OpenFile<T>)) -> Delivery {
        let Some(adopter) = self.adopter.upgrade() else {
            return Delivery::Unwanted;
        };
        let sources = mem::take(&mut *lock(&self.sources));
        let ticket = self.context.pending.ticket();
        if let Some(published) = &sources.published {
            ticket.publish(&published.content());
        }
        let known = Known::new(ticket.file());
        let file = adopter.adopt(state, self.context.flags(), self.slot, known, sources);
        // Also where `setup` panics.
        let unless_delivered = Abandon(&*adopter, file.id());
        setup(&file);
        let events = file.ready();
        let delivery = self.context.finish(Answer::Opened(file.id(), events));
        if delivery.is_delivered() {
            mem::forget(unless_delivered);
            file.readiness().opened(events);
        }
        delivery
    }
}

/// Why a ring is not a file's.
pub(super) fn cannot_attach(error: &io::Error) -> Error {
    let error = Error::system(ErrorKind::Runtime, error, "attach a ring to a file of");
    match error.errno() {
        Errno::EINVAL => error.because("the device is no stream, or lacks the operation"),
        Errno::EBUSY => error.because("the ring belongs to another device, or the file has one"),
        Errno::EPIPE => error.because("the device of the ring has ended"),
        _ => error,
    }
}

/// Has a file released that reached no client, when dropped.
struct Abandon<'a, T>(&'a dyn Adopter<T>, FileId);

impl<T> Drop for Abandon<'_, T> {
    fn drop(&mut self) {
        self.0.abandon(self.1);
    }
}
