//! What C code has handles of.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use fusd_rust::request::{Context, Request};
use fusd_rust::{
    IoctlRequest, Memory, OpenFile, OpenRequest, ReadRequest, SyncRequest, WriteRequest,
};

use super::device::Registered;
use crate::sync::lock;

/// Things by their handles.
pub(crate) struct Table<T>(Mutex<BTreeMap<usize, T>>);

/// The devices of this process.
pub(crate) static DEVICES: Table<Registered> = Table::new();
/// The open files of all devices.
pub(crate) static FILES: Table<OpenFile<File>> = Table::new();
/// The calls that are the driver's business.
pub(crate) static CALLS: Table<Call> = Table::new();

/// Memory that clients map.
pub(crate) static MEMORIES: Table<Memory> = Table::new();

/// A handle that nothing has or had. (On a machine with 32 bits they would run out after 4 thousand
/// million calls, and begin anew.)
pub(crate) fn handle() -> usize {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed) as usize
}

impl<T> Table<T> {
    const fn new() -> Self {
        Self(Mutex::new(BTreeMap::new()))
    }

    pub(crate) fn insert(&self, handle: usize, thing: T) {
        lock(&self.0).insert(handle, thing);
    }

    /// Takes a thing out, if it is one for which `fits` holds.
    pub(crate) fn take(&self, handle: usize, fits: impl FnOnce(&T) -> bool) -> Option<T> {
        let mut table = lock(&self.0);
        match table.get(&handle) {
            Some(thing) if fits(thing) => table.remove(&handle),
            _ => None,
        }
    }

    pub(crate) fn look<R>(&self, handle: usize, look: impl FnOnce(&mut T) -> R) -> Option<R> {
        lock(&self.0).get_mut(&handle).map(look)
    }

    /// Takes all things out for which `fits` holds.
    pub(crate) fn take_all(&self, mut fits: impl FnMut(&T) -> bool) -> Vec<T> {
        let mut table = lock(&self.0);
        let fitting = table.iter().filter(|(_, thing)| fits(thing));
        let handles: Vec<_> = fitting.map(|(handle, _)| *handle).collect();
        let taken = handles.iter().filter_map(|handle| table.remove(handle));
        taken.collect()
    }
}

/// What is kept for an open file.
pub(crate) struct File {
    pub(crate) handle: usize,
    /// The driver's own pointer, as an address.
    pub(crate) data: usize,
}

/// A client's call.
pub(crate) struct Call {
    /// Of the process that has it, see [`crate::fork::generation`].
    pub(crate) generation: u32,
    pub(crate) device: usize,
    /// The driver's own pointer for the device, as an address.
    pub(crate) context: usize,
    pub(crate) file: Option<OpenFile<File>>,
    pub(crate) stage: Stage,
    pub(crate) kind: Kind,
}

/// How far a call has come.
#[derive(Clone, Copy)]
pub(crate) enum Stage {
    /// Its callback has not returned.
    Before,
    /// Likewise, and its client has stopped waiting.
    Interrupted,
    /// Its callback has returned.
    After,
}

/// What answers it.
pub(crate) enum Kind {
    Open(OpenRequest<File>),
    Read(ReadRequest),
    Write(WriteRequest),
    Ioctl(IoctlRequest),
    Sync(SyncRequest),
}

impl Call {
    pub(crate) fn context(&self) -> &Context {
        match &self.kind {
            Kind::Open(request) => request.context(),
            Kind::Read(request) => request.context(),
            Kind::Write(request) => request.context(),
            Kind::Ioctl(request) => request.context(),
            Kind::Sync(request) => request.context(),
        }
    }
}
