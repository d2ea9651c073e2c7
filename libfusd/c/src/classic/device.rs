//! A device as the session sees it: whatever clients do goes into its queue.

use std::os::fd::RawFd;
use std::sync::{Arc, Mutex, OnceLock};

use fusd_rust::request::Request;
use fusd_rust::{
    BackendKind, Device, Errno, IoctlRequest, OpenFile, OpenRequest, Operations, Properties,
    ReadRequest, Session, StopHandle, WriteRequest,
};

use super::callbacks::FileOperations;
use super::file::State;
use super::queue::{Event, Queue};
use crate::sync::lock;

/// What all parts of a device share.
pub(crate) struct Shared {
    pub(crate) operations: FileOperations,
    /// The driver's own pointer, as an address.
    pub(crate) device_info: usize,
    /// The driver's descriptor. It may have closed it.
    pub(crate) fd: RawFd,
    queue: Mutex<Queue>,
    /// Files whose driver has no request for their poll state, as it did not keep the last one.
    unasked: Mutex<Vec<State>>,
    session: OnceLock<(StopHandle, BackendKind)>,
}

impl Shared {
    pub(crate) fn new(
        operations: FileOperations,
        device_info: usize,
        queue: Queue,
        fd: RawFd,
    ) -> Arc<Self> {
        Arc::new(Self {
            operations,
            device_info,
            fd,
            queue: Mutex::new(queue),
            unasked: Mutex::default(),
            session: OnceLock::new(),
        })
    }

    /// What serves the device, and how to end that.
    pub(crate) fn set_session(&self, session: &Session) {
        // Set once, by `registry::register`.
        let _ = self.session.set((session.stop_handle(), session.backend()));
    }

    pub(crate) fn stop(&self) {
        if let Some((stop, _)) = self.session.get() {
            stop.stop();
        }
    }

    /// Whether clients can map memory that the driver has.
    pub(crate) fn maps(&self) -> bool {
        let backend = self.session.get().map(|(_, backend)| *backend);
        self.operations.mmap.is_some() && backend == Some(BackendKind::Kfusd)
    }

    /// Whether the driver tells poll states.
    pub(crate) fn polls(&self) -> bool {
        self.operations.poll_diff.is_some()
    }

    pub(crate) fn push(&self, event: Event) {
        let pushed = lock(&self.queue).push(event);
        if pushed.is_err() {
            // The driver has closed the descriptor: that is how old ones end a device.
            self.stop();
        }
    }

    /// The driver has a file, or is about to.
    pub(crate) fn opened(&self) {
        lock(&self.queue).opened();
    }

    pub(crate) fn pop(&self) -> Option<Event> {
        lock(&self.queue).pop(self.fd)
    }

    /// How many events wait.
    pub(crate) fn waiting(&self) -> usize {
        lock(&self.queue).len()
    }

    pub(crate) fn has_ended(&self) -> bool {
        lock(&self.queue).has_ended()
    }

    /// Whether the device has ended, and the driver has been told of all.
    pub(crate) fn is_over(&self) -> bool {
        lock(&self.queue).is_over()
    }

    /// The session has ended, for whatever reason.
    pub(crate) fn end(&self) {
        let left = lock(&self.queue).end();
        drop(left);
        self.ask_nobody();
    }

    /// The driver has unregistered the device: nobody dispatches any more.
    pub(crate) fn discard(&self) {
        let left = lock(&self.queue).discard();
        drop(left);
        self.ask_nobody();
    }

    fn ask_nobody(&self) {
        let files = std::mem::take(&mut *lock(&self.unasked));
        drop(files);
    }

    /// The file's driver is to be asked again when something has happened.
    pub(crate) fn ask_later(&self, file: &State) {
        let mut unasked = lock(&self.unasked);
        if !unasked.iter().any(|other| Arc::ptr_eq(other, file)) {
            unasked.push(Arc::clone(file));
        }
    }

    /// Something has happened.
    pub(crate) fn ask_now(&self) {
        let unasked = std::mem::take(&mut *lock(&self.unasked));
        for file in unasked {
            self.push(Event::Ask(file));
        }
    }

    /// The file is closed: nobody need be asked for it.
    pub(crate) fn forget(&self, file: &State) {
        lock(&self.unasked).retain(|other| !Arc::ptr_eq(other, file));
    }
}

/// See above.
pub(crate) struct Driver(pub(crate) Arc<Shared>);

/// A device without this callback: as the manual has it.
fn missing(request: impl Request) {
    request.fail(Errno::ENOSYS);
}

impl Device for Driver {
    type File = State;

    fn properties(&self) -> Properties {
        let mut operations = Operations::READ | Operations::WRITE | Operations::IOCTL;
        operations.set(Operations::POLL, self.0.polls());
        Properties::default().operations(operations)
    }

    fn open(&self, request: OpenRequest<State>) {
        match self.0.operations.open {
            Some(_) => self.0.push(Event::Open(request)),
            None => missing(request),
        }
    }

    fn release(&self, file: &OpenFile<State>) {
        file.detach();
        self.0.push(Event::Closed(Arc::clone(file)));
    }

    fn read(&self, file: &OpenFile<State>, request: ReadRequest) {
        match self.0.operations.read {
            Some(_) => self.0.push(Event::Read(Arc::clone(file), request)),
            None => missing(request),
        }
    }

    fn write(&self, file: &OpenFile<State>, request: WriteRequest) {
        match self.0.operations.write {
            Some(_) => self.0.push(Event::Write(Arc::clone(file), request)),
            None => missing(request),
        }
    }

    fn ioctl(&self, file: &OpenFile<State>, request: IoctlRequest) {
        match self.0.operations.ioctl {
            Some(_) => self.0.push(Event::Ioctl(Arc::clone(file), request)),
            None => missing(request),
        }
    }
}
