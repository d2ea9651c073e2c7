//! What comes from a stream to a fifo: messages that all nodes share, each for one of them.
//!
//! A node takes messages while it has readers, as far as there is room, and gives back what nobody
//! has read when the last of them goes. It acknowledges a message when a reader has it, and does so
//! until the server confirms. The server gives to another node what was not acknowledged in time:
//! so it does if this one was killed, or cut off for longer than that.

use std::time::Duration;

use async_nats::Subject;
use async_nats::jetstream::Message;
use async_nats::jetstream::consumer::pull::{Batch, Config};
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer};
use fusd_tool::ToolError;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::acks::{Acks, Word};
use super::connection::{Connection, PATIENCE};
use super::follow::BATCH_IS_FULL;
use super::held::Held;
use super::local::Local;
use super::seen::Seen;
use super::stream::{OVERHEAD, Stream};

/// Messages that a node takes and has not acknowledged, at most.
const WINDOW: usize = 64;

/// When the server gives a message to another node that was not acknowledged.
const ACK_WAIT: Duration = Duration::from_secs(30);

/// How long the server keeps a question that it has no answer to.
const QUESTION: Duration = Duration::from_secs(60);

/// The pause before another attempt where the server is there but does not answer as it should.
const PAUSE: Duration = Duration::from_millis(500);

/// One who takes messages for the readers of this node.
pub(super) struct Worker {
    connection: Connection,
    local: Local,
    stream: Stream,
    consumer: PullConsumer,
    /// By where the server is told about them.
    held: Held<Subject>,
    /// What readers have got.
    seen: Seen,
    acks: Acks,
}

impl Worker {
    /// Joins those who share the stream's messages.
    ///
    /// # Errors
    /// The server does not let us, or not with this subject.
    pub(super) async fn begin(
        connection: Connection,
        local: Local,
        stream: Stream,
    ) -> Result<Self, ToolError> {
        let consumer = consumer(&stream).await.map_err(|why| {
            let name = &stream.name;
            ToolError::failed(format!(
                "cannot share the messages of the stream {name}: {why}; see its consumers with \
                 nats(1), or use another stream"
            ))
        })?;
        Ok(Self {
            acks: Acks::new(connection.clone()),
            connection,
            local,
            stream,
            consumer,
            held: Held::default(),
            seen: Seen::default(),
        })
    }

    /// Takes messages until it is `stopped`, then gives back what nobody has read.
    pub(super) async fn run(mut self, mut stopped: watch::Receiver<bool>) {
        let mut batch: Option<Batch> = None;
        let mut contact = self.connection.contact();
        let mut beat = interval(ACK_WAIT / 3);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut told = false;
        loop {
            self.local.look_from_now();
            let reads = self.settle();
            if self.connection.contact() != contact {
                contact = self.connection.contact();
                batch = None;
                beat.reset_immediately();
            }
            if !reads {
                self.let_go(batch.take());
            } else if batch.is_none() && contact.up {
                match self.ask().await {
                    Ok(asked) => batch = asked,
                    Err(why) => self.start_again(&why, &mut told).await,
                }
            }
            tokio::select! {
                // An error: the other side is gone, and so is the device.
                _ = stopped.changed() => break,
                _ = self.connection.lost_since(contact) => {}
                message = next(&mut batch) => match message {
                    None => batch = None,
                    Some(Ok(message)) => {
                        told = false;
                        self.take(message);
                    }
                    Some(Err(error)) => {
                        batch = None;
                        let why = error.to_string();
                        if !why.contains(BATCH_IS_FULL) && self.connection.contact() == contact {
                            self.start_again(&why, &mut told).await;
                        }
                    }
                },
                () = self.local.changed() => {}
                () = self.acks.fewer() => {}
                _ = beat.tick() => self.acks.say(Word::Waits, self.held.iter().cloned().collect()),
            }
        }
        self.let_go(batch.take());
        self.acks.end(self.held.iter().cloned()).await;
    }

    /// Asks for as many messages as there is room for, if for any.
    async fn ask(&self) -> Result<Option<Batch>, String> {
        let room = self
            .local
            .device()
            .and_then(|it| it.look(|pipe| pipe.room()));
        let taken = self.held.len() + self.acks.unconfirmed();
        let (Some(room), window @ 1..) = (room, WINDOW.saturating_sub(taken)) else {
            return Ok(None);
        };
        let payload = self.connection.client.max_payload();
        let largest = self.stream.limit.min(payload).saturating_add(OVERHEAD);
        let batch = self
            .consumer
            .batch()
            .max_messages(room.records.min(window))
            .max_bytes(room.bytes.max(largest))
            .expires(QUESTION)
            .messages();
        match timeout(PATIENCE, batch).await {
            Ok(batch) => batch.map(Some).map_err(|error| error.to_string()),
            Err(late) => Err(late.to_string()),
        }
    }

    /// Asks for no more, and gives back what has come and was not taken. What is still on its way
    /// goes to others after [`ACK_WAIT`].
    fn let_go(&self, batch: Option<Batch>) {
        let Some(mut batch) = batch else { return };
        let mut back = Vec::new();
        while let Some(Some(Ok(message))) = batch.next().now_or_never() {
            back.extend(message.message.reply);
        }
        self.acks.say(Word::Back, back);
    }

    /// The consumer may be gone: finds it, or makes it again.
    async fn start_again(&mut self, why: &str, told: &mut bool) {
        if !*told {
            *told = true;
            let stream = &self.stream.name;
            tracing::warn!(%stream, error = %why, "cannot take from the stream; trying again");
        }
        sleep(PAUSE).await;
        if let Ok(found) = consumer(&self.stream).await {
            self.consumer = found;
        }
    }

    /// Puts a message into the pipe that is for this node.
    fn take(&mut self, message: Message) {
        let Some(reply) = message.reply.clone() else {
            return;
        };
        let id = message.headers.as_ref();
        let id = id.and_then(|headers| headers.get(async_nats::header::NATS_MESSAGE_ID));
        let key = match (id, message.info()) {
            (Some(id), _) => id.as_str().to_owned(),
            (None, Ok(info)) => info.stream_sequence.to_string(),
            (None, Err(_)) => return,
        };
        // It comes again where the server has not heard of it for long.
        let Some(reply) = self.held.replace(&key, reply) else {
            return;
        };
        if self.seen.contains(&key) || message.payload.is_empty() {
            self.acks.acknowledge(reply);
            return;
        }
        self.local.arrive_beyond(&message.payload);
        self.held.push(key, message.payload.len(), reply);
    }

    /// Acknowledges what has been read and, without readers, gives back the rest; whether there are
    /// readers.
    fn settle(&mut self) -> bool {
        let Some(device) = self.local.device() else {
            return false;
        };
        let (kept, reads) = device.look(|pipe| (pipe.stats().kept, pipe.has(true)));
        for (key, reply) in self.held.read(kept) {
            self.seen.insert(&key);
            self.acks.acknowledge(reply);
        }
        if !reads && self.held.len() > 0 {
            let held = &mut self.held;
            let back = device.change(|pipe, _| {
                // One may have come by now.
                if pipe.has(true) {
                    return Vec::new();
                }
                let (bytes, back) = held.withdraw(pipe.stats().kept);
                pipe.withdraw(bytes);
                back
            });
            self.acks.say(Word::Back, back);
        }
        reads
    }
}

/// The next message; waits for ever where none is asked for.
async fn next(batch: &mut Option<Batch>) -> Option<Result<Message, async_nats::Error>> {
    match batch {
        Some(batch) => batch.next().await,
        None => std::future::pending().await,
    }
}

/// The consumer that all nodes of the pipe share.
async fn consumer(stream: &Stream) -> Result<PullConsumer, String> {
    let plain = |c: char| match c.is_ascii_alphanumeric() || c == '-' {
        true => c,
        false => '_',
    };
    let subject: String = stream.subject.chars().map(plain).collect();
    let name = format!("fusd-pipe-{subject}");
    let config = Config {
        durable_name: Some(name.clone()),
        description: Some("the readers of a fusd-pipe".to_owned()),
        deliver_policy: DeliverPolicy::All,
        ack_policy: AckPolicy::Explicit,
        ack_wait: ACK_WAIT,
        filter_subject: stream.subject.clone(),
        // Each node has a limit of its own.
        max_ack_pending: 65536,
        ..Config::default()
    };
    let found = stream.stream.get_or_create_consumer(&name, config).await;
    let found: PullConsumer = found.map_err(|error| error.to_string())?;
    let filter = &found.cached_info().config.filter_subject;
    match *filter == stream.subject {
        true => Ok(found),
        false => Err(format!("its consumer {name} is for {filter}")),
    }
}
