//! A page that comes from its beginning to its end, as the server gives no parts of it: what one open
//! file has of it.
//!
//! A reader who reads on has a window of it in memory. One who goes back farther, or leaps ahead, has
//! all of it in a file of its own, which has no name.

mod pump;
mod store;

use std::io::IoSlice;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fusd::request::ReadRequest;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::AbortHandle;

use self::pump::Pump;
use crate::exchange::{Answer, Exchange};
use crate::failure::Failure;
use crate::page::Rules;
use crate::serve::{self, Gone};
use crate::who::Who;

/// A reader of such a page. Dropped, it cancels the request at the server.
#[derive(Debug)]
pub(crate) struct Flow {
    reads: UnboundedSender<Read>,
    length: Arc<AtomicU64>,
    task: AbortHandle,
}

/// A read that is to be served.
struct Read {
    request: ReadRequest,
    gone: Gone,
}

impl Flow {
    /// A reader of `answer`.
    pub(crate) fn new(
        runtime: &Handle,
        exchange: Exchange,
        rules: Rules,
        who: &Arc<Who>,
        answer: Answer,
    ) -> Self {
        let (sender, mut reads) = unbounded_channel::<Read>();
        let length = Arc::new(AtomicU64::new(0));
        let mut pump = Pump::new(
            exchange,
            rules,
            Arc::clone(who),
            answer,
            Arc::clone(&length),
        );
        let task = runtime.spawn(async move {
            loop {
                tokio::select! {
                    biased;
                    read = reads.recv() => match read {
                        Some(read) => serve_one(&mut pump, read).await,
                        None => return,
                    },
                    () = pump.prepare(), if pump.has_room() => {}
                }
            }
        });
        Self {
            reads: sender,
            length,
            task: task.abort_handle(),
        }
    }

    /// The length in bytes; 0 while it is not known.
    pub(crate) fn length(&self) -> u64 {
        self.length.load(Ordering::Relaxed)
    }

    /// Has a read served in its turn.
    pub(crate) fn read(&self, request: ReadRequest) {
        if let Some(gone) = serve::watch(&request) {
            // The task ends with this.
            let _ = self.reads.send(Read { request, gone });
        }
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve_one(pump: &mut Pump, read: Read) {
    let Read { request, gone } = read;
    let (offset, length) = (request.offset(), request.len());
    let bytes = tokio::select! {
        biased;
        _ = gone => return,
        bytes = pump.read(offset, length) => bytes,
    };
    match bytes {
        Ok(parts) => {
            let parts = parts.parts().map(IoSlice::new);
            request.reply_parts(&parts);
        }
        Err(Failure { errno, .. }) => {
            request.fail(errno);
        }
    }
}
