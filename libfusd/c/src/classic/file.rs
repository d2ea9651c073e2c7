//! An open file, as its driver's callbacks see it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use fusd_rust::{Caller, OpenFile, OpenFlags, PollEvents};

use super::flags;
use super::info::Who;
use super::position::Position;
use crate::sync::lock;

/// What this library keeps for an open file.
pub(crate) type State = Arc<FileState>;

/// See [`State`].
pub(crate) struct FileState {
    /// The address that the driver keeps for the file.
    private_data: AtomicUsize,
    pub(crate) position: Mutex<Position>,
    pub(crate) polling: Mutex<Polling>,
    last: Mutex<Last>,
}

/// The last call: what is told of those for which the kernel names nobody, such as close.
#[derive(Clone, Copy, Default)]
struct Last {
    /// The thread that called. Its process is kept beside it, as it takes a look into /proc.
    thread: u32,
    who: Who,
}

/// How it stands with the file's polls. The lock also orders what clients are told.
pub(crate) struct Polling {
    /// Whether the driver tells the state at all; else the file is always ready.
    pub(crate) supported: bool,
    /// The state that clients see, in FUSD's bits.
    pub(crate) cached: u32,
    /// The requests for the state that the driver has, by the addresses and numbers of their calls.
    /// The last one counts unless it has been answered; those before it are void.
    requests: Vec<(usize, u64)>,
    /// The number of the request that counts.
    pub(crate) outstanding: Option<u64>,
    /// The state that clients see is less than the request that counts was told.
    pub(crate) doubted: bool,
    /// The file is closed: the driver's data for it may be gone.
    pub(crate) closed: bool,
    /// Once a client has it, until it is closed.
    file: Option<OpenFile<State>>,
}

impl FileState {
    pub(crate) fn new(polls: bool) -> State {
        Arc::new(Self {
            private_data: AtomicUsize::new(0),
            position: Mutex::default(),
            polling: Mutex::new(Polling {
                supported: polls,
                cached: 0,
                requests: Vec::new(),
                outstanding: None,
                doubted: false,
                closed: false,
                file: None,
            }),
            last: Mutex::default(),
        })
    }

    pub(crate) fn private_data(&self) -> usize {
        self.private_data.load(Ordering::Acquire)
    }

    pub(crate) fn set_private_data(&self, value: usize) {
        self.private_data.store(value, Ordering::Release);
    }

    /// The file is there.
    pub(crate) fn attach(&self, file: &OpenFile<State>) {
        let mut polling = lock(&self.polling);
        polling.file = Some(file.clone());
        polling.show();
    }

    /// The file is closed. Without this, it and its state would keep each other.
    pub(crate) fn detach(&self) {
        let file = lock(&self.polling).file.take();
        drop(file);
    }

    /// Who makes a call, and with which flags.
    pub(crate) fn called(&self, caller: &Caller, flags: OpenFlags) -> Who {
        let mut last = lock(&self.last);
        if last.thread != caller.thread || caller.thread == 0 {
            last.thread = caller.thread;
            last.who.pid = i32::try_from(caller.pid()).unwrap_or(0);
        }
        last.who.uid = caller.uid;
        last.who.gid = caller.gid;
        last.who.flags = flags.raw().cast_unsigned();
        last.who
    }

    /// Who made the last call.
    pub(crate) fn last(&self) -> Who {
        lock(&self.last).who
    }
}

impl Polling {
    /// Has clients see `state`.
    pub(crate) fn tell(&mut self, state: u32) {
        self.cached = state;
        self.show();
    }

    /// The driver has a new request.
    pub(crate) fn asked(&mut self, address: usize, serial: u64) {
        self.requests.push((address, serial));
        self.outstanding = Some(serial);
        self.doubted = false;
    }

    /// The driver has no longer the request with this number. Whether it was the one that counts.
    pub(crate) fn answered(&mut self, serial: u64) -> bool {
        self.requests.retain(|request| request.1 != serial);
        self.outstanding
            .take_if(|counts| *counts == serial)
            .is_some()
    }

    /// The file is closed: the requests that the driver has forgotten.
    pub(crate) fn close(&mut self) -> Vec<(usize, u64)> {
        self.closed = true;
        self.outstanding = None;
        std::mem::take(&mut self.requests)
    }

    fn show(&self) {
        if let Some(file) = &self.file {
            file.set_ready(match self.supported {
                true => flags::events(self.cached),
                false => PollEvents::READ | PollEvents::WRITE,
            });
        }
    }
}
