//! A device whose handlers block their thread, as those of a careless driver do.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use fusd::{Device, IoctlRequest, OpenFile, OpenRequest, Operations, Properties, ReadRequest};

use crate::Control;

#[derive(Default)]
struct State {
    open: bool,
    /// Handlers that are running.
    inside: usize,
}

/// A read, or, made with "open", an open, blocks until the driver is told `let`. A read gives the
/// number of its file's reads so far; an ioctl does not block. Told as well: `inside` (handlers
/// that block), `most` (the most that ever ran at a time for one file).
pub(crate) struct Blocking {
    at_open: bool,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    most: AtomicUsize,
}

#[derive(Default)]
pub(crate) struct File {
    inside: AtomicUsize,
    served: AtomicUsize,
}

impl Blocking {
    pub(crate) fn new(at: &str) -> (Self, Control) {
        let shared = Arc::new(Shared::default());
        let told = Arc::clone(&shared);
        let control = move |words: &[&str]| match words {
            ["let"] => {
                told.state().open = true;
                told.changed.notify_all();
                Some("open".into())
            }
            ["inside"] => Some(told.state().inside.to_string()),
            ["most"] => Some(told.most.load(Ordering::SeqCst).to_string()),
            _ => None,
        };
        let at_open = at == "open";
        (Self { at_open, shared }, Box::new(control))
    }
}

impl Shared {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pass(&self) {
        let mut state = self.state();
        state.inside += 1;
        while !state.open {
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.inside -= 1;
    }
}

impl Device for Blocking {
    type File = File;

    fn properties(&self) -> Properties {
        // No FLUSH: a close would wait for the handler that blocks.
        Properties::default().operations(Operations::READ | Operations::IOCTL)
    }

    fn open(&self, request: OpenRequest<File>) {
        if self.at_open {
            self.shared.pass();
        }
        request.accept(File::default());
    }

    fn read(&self, file: &OpenFile<File>, request: ReadRequest) {
        let now = file.inside.fetch_add(1, Ordering::SeqCst) + 1;
        self.shared.most.fetch_max(now, Ordering::SeqCst);
        if !self.at_open {
            self.shared.pass();
        }
        // Gives a second handler of the same file, if there were one, a chance to be seen.
        std::thread::yield_now();
        let served = file.served.fetch_add(1, Ordering::SeqCst);
        file.inside.fetch_sub(1, Ordering::SeqCst);
        let text = served.to_string();
        request.reply(&text.as_bytes()[..text.len().min(64)]);
    }

    fn ioctl(&self, _: &OpenFile<File>, request: IoctlRequest) {
        request.reply(1, &[]);
    }
}
