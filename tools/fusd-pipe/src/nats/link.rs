//! The link as the device has it: where writes go, and opens that wait for a subscription.

use std::sync::Arc;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use fusd::request::{OpenRequest, WriteRequest};
use fusd::{Delivery, Errno, Error, ErrorKind};
use fusd_tool::ToolError;
use tokio::sync::mpsc::UnboundedSender;

use super::Options;
use super::local::Local;
use super::outgoing::{Job, Room};
use super::thread::{Order, run};
use crate::device::PipeDevice;
use crate::settings::{Mode, Records};

/// A link to the server. Dropped, it gives back what no reader has got, and ends.
pub(crate) struct Link {
    orders: UnboundedSender<Order>,
    thread: Option<JoinHandle<()>>,
    room: Arc<Room>,
    records: Records,
    limit: usize,
    /// Readers are let in by the thread.
    opens: bool,
}

impl Link {
    /// Connects `device` to the server. When this returns, what others write comes here, and what a
    /// ring or a backlog has from before is there.
    ///
    /// # Errors
    /// The server cannot be reached, refuses us, or has no such stream as is needed.
    pub(crate) fn start(device: &PipeDevice, options: Options) -> Result<Self, ToolError> {
        let (orders, received) = tokio::sync::mpsc::unbounded_channel();
        let (started, starting) = mpsc::channel();
        let room = Arc::new(Room::new(options.size.bytes));
        let records = options.settings.records;
        let opens = options.settings.mode == Mode::Fifo && options.stream.is_none();
        let (local, thread_room) = (Local::new(device), Arc::clone(&room));
        let thread = thread::Builder::new()
            .name("nats".into())
            .spawn(move || run(options, local, thread_room, received, &started))
            .map_err(|error| {
                Error::system(ErrorKind::Runtime, Errno::from(&error), "start a thread")
            })?;
        let Ok(result) = starting.recv() else {
            return Err(ToolError::failed(
                "the thread for the NATS server has ended at once; its panic is above",
            ));
        };
        let limit = result?;
        Ok(Self {
            orders,
            thread: Some(thread),
            room,
            records,
            limit,
            opens,
        })
    }

    /// The room for writes that do not wait.
    pub(crate) fn room(&self) -> Arc<Room> {
        Arc::clone(&self.room)
    }

    /// Lets a reader in; in a fifo without a stream, when what is written from then on may come to
    /// it.
    pub(crate) fn open(&self, device: &PipeDevice, request: OpenRequest<()>) {
        match self.opens {
            true => self.order(Order::Open(request)),
            false => device.enter(request),
        }
    }

    /// Writes for a client.
    pub(crate) fn write(&self, writer: u64, request: WriteRequest, label: Vec<u8>) {
        if !request.nonblocking() {
            self.order(Order::Job(writer, Job::Call { request, label }));
            return;
        }
        if !self.fits(request.data(), &label) {
            request.fail(Errno::EMSGSIZE);
            return;
        }
        if !self.room.is_left() {
            request.fail(Errno::EAGAIN);
            return;
        }
        let data = request.data().to_vec();
        if request.accept() == Delivery::Delivered {
            self.room.take(data.len());
            self.order(Order::Job(writer, Job::Data { data, label }));
        }
    }

    /// Whether all records in `data` are small enough, lines apart that it only goes on with.
    fn fits(&self, data: &[u8], label: &[u8]) -> bool {
        let fits = |record: &[u8]| label.len() + record.len() <= self.limit;
        match self.records {
            Records::None => true,
            Records::Write => fits(data),
            Records::Line => data.split_inclusive(|byte| *byte == b'\n').all(fits),
        }
    }

    /// Writes for a thread of this program, and waits until the server has it.
    ///
    /// # Errors
    /// The server does not take it.
    pub(crate) fn write_all(&self, writer: u64, data: &[u8], label: Vec<u8>) -> Result<(), Errno> {
        let (done, result) = mpsc::channel();
        let data = data.to_vec();
        self.order(Order::Job(writer, Job::Own { data, label, done }));
        // The link ends with the program only.
        result.recv().unwrap_or(Err(Errno::EPIPE))
    }

    /// The writer has gone.
    pub(crate) fn leave(&self, writer: u64) {
        self.order(Order::Leave(writer, None));
    }

    /// The writer has gone; returns when the server has all it wrote.
    pub(crate) fn finish(&self, writer: u64) {
        let (done, finished) = mpsc::channel();
        self.order(Order::Leave(writer, Some(done)));
        // An error: it has written nothing.
        let _ = finished.recv();
    }

    fn order(&self, order: Order) {
        // The thread ends with the program only, or has panicked, which is in the log; what the
        // order holds fails then.
        let _ = self.orders.send(order);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.order(Order::Stop);
        let Some(thread) = self.thread.take() else {
            return;
        };
        // It may have been the last to have the device.
        if thread.thread().id() != thread::current().id() && thread.join().is_err() {
            tracing::error!("the thread for the NATS server has panicked");
        }
    }
}
