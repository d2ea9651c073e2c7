//! What one writer writes, in its order: each message is sent when the one before has arrived.
//!
//! Writers do not wait for each other, so there is no order between them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::time::Duration;

use fusd::{Delivery, Errno, WriteRequest};
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::sleep;

use super::cutter::Cutter;
use super::local::{Local, count};
use super::publisher::{Published, Publisher};

/// The pause before standard input is tried again, which has no other choice than to wait.
const PAUSE: Duration = Duration::from_millis(100);

/// What a writer wants.
pub(crate) enum Job {
    /// A client writes, and waits.
    Call {
        request: WriteRequest,
        label: Vec<u8>,
    },
    /// A client has written without waiting.
    Data { data: Vec<u8>, label: Vec<u8> },
    /// A thread of this program writes, and waits.
    Own {
        data: Vec<u8>,
        label: Vec<u8>,
        done: Sender<Result<(), Errno>>,
    },
    /// The writer has gone. Told when nothing of its is left.
    End { done: Option<Sender<()>> },
}

/// Room for what clients write that do not wait, in bytes: one write more than that is taken.
pub(crate) struct Room {
    size: usize,
    used: AtomicUsize,
    /// Nothing is taken: writes fail while the server is away.
    closed: AtomicBool,
}

impl Room {
    pub(crate) fn new(size: usize) -> Self {
        Self {
            size,
            used: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
        }
    }

    /// Whether a write that does not wait is taken.
    pub(crate) fn is_left(&self) -> bool {
        self.used() < self.size && !self.closed.load(Ordering::Acquire)
    }

    /// Takes nothing, or as much as there is room for.
    pub(super) fn close(&self, closed: bool) {
        self.closed.store(closed, Ordering::Release);
    }

    /// Bytes that are on their way.
    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Acquire)
    }

    pub(super) fn take(&self, count: usize) {
        self.used.fetch_add(count, Ordering::AcqRel);
    }

    fn give_back(&self, count: usize) {
        self.used.fetch_sub(count, Ordering::AcqRel);
    }
}

/// One writer.
pub(crate) struct Writer {
    pub(crate) publisher: Arc<Publisher>,
    pub(crate) local: Local,
    pub(crate) room: Arc<Room>,
    pub(crate) cutter: Cutter,
}

impl Writer {
    /// Does all that the writer wants, until it goes.
    pub(crate) async fn run(mut self, mut jobs: UnboundedReceiver<Job>) {
        while let Some(job) = jobs.recv().await {
            match job {
                Job::Call { request, label } => self.serve(request, &label).await,
                Job::Data { data, label } => {
                    if let Err(errno) = self.write(&data, &label, false).await {
                        self.local.lose(count(&data));
                        tracing::error!(error = %errno, bytes = data.len(), "what was written is lost");
                    }
                    let was_left = self.room.is_left();
                    self.room.give_back(data.len());
                    if was_left != self.room.is_left() {
                        self.local.touch();
                    }
                }
                Job::Own { data, label, done } => {
                    let result = self.write(&data, &label, true).await;
                    // The thread may have gone with the program.
                    let _ = done.send(result);
                }
                Job::End { done } => {
                    self.end().await;
                    if let Some(done) = done {
                        let _ = done.send(());
                    }
                    return;
                }
            }
        }
    }

    /// A line without an end is a record as well.
    async fn end(self) {
        let Some(rest) = self.cutter.rest() else {
            return;
        };
        let lost = count(&rest);
        if let Published::Failed(errno) = self.publisher.publish(rest, &Notify::new()).await {
            self.local.lose(lost);
            tracing::error!(error = %errno, bytes = lost.bytes, "what was written is lost");
        }
    }

    /// Writes all of `data`; `patient`: also where a client is told to try again.
    async fn write(&mut self, mut data: &[u8], label: &[u8], patient: bool) -> Result<(), Errno> {
        let nobody = Notify::new();
        while !data.is_empty() {
            let mut piece = self.cutter.next(data, label)?;
            if let Some(message) = piece.message.as_mut().map(std::mem::take) {
                match self.publisher.publish(message, &nobody).await {
                    Published::Done | Published::Gone => {}
                    Published::Failed(Errno::EAGAIN) if patient => {
                        sleep(PAUSE).await;
                        continue;
                    }
                    Published::Failed(errno) => return Err(errno),
                }
            }
            self.cutter.take(&piece, data, label);
            data = &data[piece.count..];
        }
        Ok(())
    }

    async fn serve(&mut self, mut request: WriteRequest, label: &[u8]) {
        let gone = Arc::new(Notify::new());
        let notice = Arc::clone(&gone);
        if !request.on_abandoned(move || notice.notify_one()) {
            return;
        }
        while !request.data().is_empty() {
            let mut piece = match self.cutter.next(request.data(), label) {
                Ok(piece) => piece,
                Err(errno) => {
                    request.fail(errno);
                    return;
                }
            };
            if let Some(message) = piece.message.as_mut().map(std::mem::take) {
                match self.publisher.publish(message, &gone).await {
                    Published::Done => self.cutter.take(&piece, request.data(), label),
                    Published::Gone => return,
                    Published::Failed(errno) => {
                        request.fail(errno);
                        return;
                    }
                }
                if request.take(piece.count) == Delivery::Unwanted {
                    return;
                }
            } else {
                let begun = request.data().to_vec();
                if request.take(piece.count) == Delivery::Unwanted {
                    return;
                }
                self.cutter.take(&piece, &begun, label);
            }
        }
        request.accept();
    }
}
