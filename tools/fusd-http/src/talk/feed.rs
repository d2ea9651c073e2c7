//! The body of an upload: what is written, on its way to the server.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::mpsc::Receiver;
use tokio::sync::watch;
use tokio::time::Instant;

use super::WeakTalk;

/// What is written, on its way to the server.
pub(super) struct Feed {
    pub(super) bytes: Receiver<Bytes>,
    pub(super) talk: WeakTalk,
    pub(super) runtime: Handle,
    pub(super) complete: Arc<AtomicBool>,
    /// All of it has been taken.
    pub(super) is_whole: bool,
    /// When something was taken last. Dropped with this, it tells that no more is.
    pub(super) pulled: watch::Sender<Instant>,
}

impl Feed {
    /// What is to be sent next; an error where it has no end, nothing at the end.
    pub(super) async fn next(mut self) -> Option<(io::Result<Bytes>, Self)> {
        let Some(next) = self.bytes.recv().await else {
            // Else the server would take what there is for the whole.
            let broken = io::Error::other("the writer was killed");
            let told = std::mem::replace(&mut self.is_whole, true);
            let whole = self.complete.load(Ordering::Acquire) || told;
            return (!whole).then_some((Err(broken), self));
        };
        self.pulled.send_replace(Instant::now());
        // Whoever waits for room has it.
        if let Some(shared) = self.talk.upgrade() {
            shared.queue.update(|_| {});
        }
        Some((Ok(next), self))
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        let (talk, is_whole) = (std::mem::take(&mut self.talk), self.is_whole);
        // Not here: whoever drops this may have the queue's lock.
        self.runtime.spawn(async move {
            if let Some(shared) = talk.upgrade() {
                shared.queue.update(|state| {
                    state.is_sending = false;
                    state.is_cut = !is_whole;
                });
            }
        });
    }
}
