//! The one thread on which all of the link runs.

use std::collections::HashMap;
use std::sync::{Arc, mpsc};

use fusd::request::OpenRequest;
use fusd::{Errno, Error, ErrorKind};
use fusd_tool::ToolError;
use tokio::runtime::Builder;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::connection::{Connection, PATIENCE};
use super::core;
use super::counting::Counting;
use super::cutter::Cutter;
use super::follow::Follower;
use super::local::Local;
use super::outgoing::{Job, Room, Writer};
use super::publisher::Publisher;
use super::work::Worker;
use super::{Away, Options, stream};
use crate::settings::Mode;

/// What the device asks for.
pub(crate) enum Order {
    /// Let a reader in.
    Open(OpenRequest<()>),
    /// Something is written by this writer.
    Job(u64, Job),
    /// A writer has gone, if it was one. Told when nothing of its is left.
    Leave(u64, Option<mpsc::Sender<()>>),
    /// The device is gone.
    Stop,
}

/// Runs the link until it is to stop. Says first whether it has come about, and how many bytes a
/// message may have.
pub(super) fn run(
    options: Options,
    local: Local,
    room: Arc<Room>,
    orders: UnboundedReceiver<Order>,
    started: &mpsc::Sender<Result<usize, ToolError>>,
) {
    let say = |result| {
        // The other side waits for it, unless it has panicked.
        let _ = started.send(result);
    };
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let errno = Errno::from(&error);
            let error = Error::system(ErrorKind::Runtime, errno, "wait for the network");
            say(Err(error.into()));
            return;
        }
    };
    runtime.block_on(async move {
        let (opens, readers) = unbounded_channel();
        let (stop, stopped) = watch::channel(false);
        let begun = begin(&options, &local, readers, stopped).await;
        let begun = match begun {
            Ok(begun) => begun,
            Err(error) => return say(Err(error)),
        };
        let Begun {
            connection,
            limit,
            incoming,
            counting,
        } = begun;
        if options.away == Away::Refuse {
            tokio::spawn(close_while_away(
                connection.clone(),
                local.clone(),
                Arc::clone(&room),
            ));
        }
        say(Ok(limit));
        let writers = Writers {
            publisher: Arc::new(Publisher::new(
                connection.clone(),
                local.clone(),
                &options,
                counting,
            )),
            local,
            room: Arc::clone(&room),
            cutter: Box::new(move || Cutter::new(options.settings.records, limit)),
            running: HashMap::new(),
        };
        obey(orders, writers, &opens).await;
        stop.send_replace(true);
        end(&connection, &room, incoming).await;
    });
}

/// What there is to work with.
struct Begun {
    connection: Connection,
    /// Bytes that a message may have.
    limit: usize,
    /// What brings content here, if that has something to give back in the end.
    incoming: Option<JoinHandle<()>>,
    /// What is to be checked before something is written.
    counting: Option<Arc<Counting>>,
}

/// Connects, and starts what brings content here.
async fn begin(
    options: &Options,
    local: &Local,
    readers: UnboundedReceiver<OpenRequest<()>>,
    stopped: watch::Receiver<bool>,
) -> Result<Begun, ToolError> {
    let connection = Connection::open(options).await?;
    let (local, fifo) = (local.clone(), options.settings.mode == Mode::Fifo);
    let payload = connection.client.max_payload();
    let begun = |limit| Begun {
        connection: connection.clone(),
        limit,
        incoming: None,
        counting: None,
    };
    let Some(name) = &options.stream else {
        let subject = options.subject.clone();
        if fifo {
            let turns = core::take_turns(connection.clone(), subject, local, readers);
            tokio::spawn(turns);
        } else {
            let messages = core::subscribe(&connection, subject).await?;
            tokio::spawn(core::listen(messages, local));
        }
        return Ok(begun(payload));
    };
    let stream = stream::open(&connection, options, name).await?;
    let limit = stream.limit.min(payload.saturating_sub(stream::OVERHEAD));
    if fifo {
        let worker = Worker::begin(connection.clone(), local, stream).await?;
        let counting = Some(worker.counting());
        let incoming = Some(tokio::spawn(worker.run(stopped)));
        return Ok(Begun {
            incoming,
            counting,
            ..begun(limit)
        });
    }
    let follower = Follower::begin(connection.clone(), local, stream, options).await?;
    tokio::spawn(follower.run());
    Ok(begun(limit))
}

/// Has poll(2) tell writers that the server is away, whose writes would fail.
async fn close_while_away(connection: Connection, local: Local, room: Arc<Room>) {
    let mut contact = connection.contact();
    loop {
        room.close(!contact.up);
        local.touch();
        contact = connection.lost_since(contact).await;
    }
}

/// Those who write, each with a task of its own.
struct Writers {
    publisher: Arc<Publisher>,
    local: Local,
    room: Arc<Room>,
    cutter: Box<dyn Fn() -> Cutter + Send>,
    running: HashMap<u64, UnboundedSender<Job>>,
}

impl Writers {
    fn give(&mut self, writer: u64, job: Job) {
        let jobs = self.running.entry(writer).or_insert_with(|| {
            let (sender, jobs) = unbounded_channel();
            let writer = Writer {
                publisher: Arc::clone(&self.publisher),
                local: self.local.clone(),
                room: Arc::clone(&self.room),
                cutter: (self.cutter)(),
            };
            tokio::spawn(writer.run(jobs));
            sender
        });
        // A task ends with its writer only.
        let _ = jobs.send(job);
    }

    fn leave(&mut self, writer: u64, done: Option<mpsc::Sender<()>>) {
        if let Some(jobs) = self.running.remove(&writer) {
            let _ = jobs.send(Job::End { done });
        }
    }
}

/// Does what the device asks for, until it is gone.
async fn obey(
    mut orders: UnboundedReceiver<Order>,
    mut writers: Writers,
    opens: &UnboundedSender<OpenRequest<()>>,
) {
    while let Some(order) = orders.recv().await {
        match order {
            Order::Open(request) => {
                // Only a fifo without a stream asks, and that listens until the end.
                let _ = opens.send(request);
            }
            Order::Job(writer, job) => writers.give(writer, job),
            Order::Leave(writer, done) => writers.leave(writer, done),
            Order::Stop => break,
        }
    }
    let left: Vec<_> = writers.running.keys().copied().collect();
    for writer in left {
        writers.leave(writer, None);
    }
}

/// Gives the server what is on its way, and back what no reader has got, as far as it is there.
async fn end(connection: &Connection, room: &Room, incoming: Option<JoinHandle<()>>) {
    let all = async {
        if !connection.contact().up {
            return;
        }
        while room.used() > 0 {
            tokio::task::yield_now().await;
            if connection.round_trip().await.is_err() {
                return;
            }
        }
        if let Some(incoming) = incoming {
            // It has panicked, which is in the log, or nothing is left to be done for it.
            let _ = incoming.await;
            if let Err(error) = connection.round_trip().await {
                tracing::debug!(%error, "what was given back is not confirmed");
            }
        }
    };
    let late = timeout(PATIENCE, all).await.is_err();
    if late || room.used() > 0 {
        let bytes = room.used();
        tracing::error!(
            bytes,
            "what was written last is lost: the NATS server has not taken it"
        );
    }
}
