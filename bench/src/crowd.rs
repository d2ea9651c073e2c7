//! Many clients of one device, each with an open file of its own, who all read at the same time.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use anyhow::Context;
use nix::sched::{CloneFlags, unshare};

/// Reads of all of them together in one turn: so many that to wake them all for it is little.
pub(crate) const OPERATIONS: u32 = 4096;

/// The clients, who wait for their turn. They run where they are made from.
pub(crate) struct Crowd {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    /// Where all meet before a turn, and after it.
    gate: Barrier,
    over: AtomicBool,
    failure: Mutex<Option<anyhow::Error>>,
}

impl Crowd {
    /// `clients` of them, as many as divide [`OPERATIONS`], who read `size` bytes from the start of the
    /// file at `path`.
    pub(crate) fn gather(path: &Path, clients: usize, size: usize) -> anyhow::Result<Self> {
        let mut crowd = Self {
            shared: Arc::new(Shared {
                gate: Barrier::new(clients + 1),
                over: AtomicBool::new(false),
                failure: Mutex::new(None),
            }),
            threads: Vec::new(),
        };
        let files = (0..clients)
            .map(|_| File::open(path).with_context(|| format!("cannot open {}", path.display())))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let reads = OPERATIONS as usize / clients;
        for file in files {
            let shared = Arc::clone(&crowd.shared);
            crowd
                .threads
                .push(thread::spawn(move || shared.visit(&file, size, reads)));
        }
        Ok(crowd)
    }

    /// Has all of them read, [`OPERATIONS`] times together.
    pub(crate) fn turn(&self) -> anyhow::Result<()> {
        self.shared.gate.wait();
        self.shared.gate.wait();
        self.shared.failure().take().map_or(Ok(()), Err)
    }
}

impl Shared {
    fn failure(&self) -> MutexGuard<'_, Option<anyhow::Error>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn visit(&self, file: &File, size: usize, reads: usize) {
        // A process of its own has its own table of files as well: to find one in a table that is
        // shared takes longer.
        let mut result = unshare(CloneFlags::CLONE_FILES).map_err(anyhow::Error::from);
        let mut buffer = vec![0; size];
        loop {
            self.gate.wait();
            if self.over.load(Ordering::Relaxed) {
                return;
            }
            for _ in 0..reads {
                result = result.and_then(|()| Ok(file.read_exact_at(&mut buffer, 0)?));
            }
            if let Err(error) = std::mem::replace(&mut result, Ok(())) {
                self.failure().get_or_insert(error);
            }
            self.gate.wait();
        }
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        if self.threads.is_empty() {
            return;
        }
        self.shared.over.store(true, Ordering::Relaxed);
        self.shared.gate.wait();
        for thread in self.threads.drain(..) {
            // It does not panic.
            let _ = thread.join();
        }
    }
}
