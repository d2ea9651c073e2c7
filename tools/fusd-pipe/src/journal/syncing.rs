//! A thread that forces a journal to disk every so often.

use std::io;
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::inner::Inner;

/// The thread ends when the last of these is gone.
#[derive(Clone, Debug)]
pub(super) struct Ticker {
    _alive: SyncSender<()>,
}

impl Ticker {
    /// Starts a thread that forces the journal to disk every `interval`, if anything has changed.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub(super) fn start(journal: &Arc<Mutex<Inner>>, interval: Duration) -> io::Result<Self> {
        let (alive, ended) = mpsc::sync_channel(0);
        let journal = Arc::downgrade(journal);
        let tick = move || {
            while ended.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                let Some(journal) = journal.upgrade() else {
                    return;
                };
                let lock = || journal.lock().unwrap_or_else(PoisonError::into_inner);
                let file = lock().unsynced();
                // Without the lock: whoever writes does not wait for the disk.
                if let Some(file) = file {
                    let result = file.sync_data();
                    lock().synced(result);
                }
            }
        };
        thread::Builder::new().name("sync".into()).spawn(tick)?;
        Ok(Self { _alive: alive })
    }
}
