//! What comes from a stream to a fifo: messages that all nodes share, each for one of them.
//!
//! A node takes messages while it has readers, as far as there is room, and gives back what nobody
//! has read when the last of them goes. It acknowledges a message when a reader has it, and does so
//! until the server confirms. The server gives to another node what was not acknowledged in time:
//! so it does if this one was killed, or cut off for longer than that.

mod outage;

use std::sync::Arc;

use async_nats::jetstream::Message;
use fusd_tool::ToolError;
use tokio::sync::watch;
use tokio::time::{Duration, MissedTickBehavior, interval, sleep, timeout};

use super::acks::{Acks, Given, Word};
use super::connection::{Connection, Contact, PATIENCE};
use super::consumer::Consumer;
use super::counting::Counting;
use super::held::Held;
use super::local::Local;
use super::pull::Pull;
use super::recovery::Recovery;
use super::seen::Seen;
use super::stream::{OVERHEAD, Stream};

/// Messages that a node takes and has not acknowledged, at most.
const WINDOW: usize = 64;

/// The pause before another attempt where the server is there but does not answer as it should.
const PAUSE: Duration = Duration::from_millis(500);

/// One who takes messages for the readers of this node.
pub(super) struct Worker {
    connection: Connection,
    local: Local,
    stream: Stream,
    consumer: Consumer,
    /// What comes.
    pull: Option<Pull>,
    /// The connection that it comes by, and the server's name.
    contact: Contact,
    server: Option<String>,
    /// What is to be looked after since there is another one.
    recovery: Option<Recovery>,
    /// Messages that no reader has.
    held: Held<Given>,
    /// What readers have got.
    seen: Seen,
    acks: Acks,
    counting: Arc<Counting>,
    /// The user knows that something is wrong.
    told: bool,
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
        let consumer = Consumer::open(&stream).await.map_err(|why| {
            let name = &stream.name;
            ToolError::failed(format!(
                "cannot share the messages of the stream {name}: {why}; see its consumers with \
                 nats(1), or use another stream"
            ))
        })?;
        let counting = Counting::new(connection.clone(), stream.clone(), consumer.clone());
        Ok(Self {
            acks: Acks::new(connection.clone()),
            counting: Arc::new(counting),
            contact: connection.contact(),
            server: connection.server(),
            // The server may have been killed before.
            recovery: Some(Recovery::begin(consumer.patience, false, false)),
            connection,
            local,
            stream,
            consumer,
            pull: None,
            held: Held::default(),
            seen: Seen::default(),
            told: false,
        })
    }

    /// What is to be checked before something is written.
    pub(super) fn counting(&self) -> Arc<Counting> {
        Arc::clone(&self.counting)
    }

    /// Takes messages until it is `stopped`, then gives back what nobody has read.
    pub(super) async fn run(mut self, mut stopped: watch::Receiver<bool>) {
        let mut beat = interval(self.consumer.patience / 3);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.local.look_from_now();
            if self.connection.contact() != self.contact {
                self.change_connection();
                beat.reset_immediately();
            }
            let reads = self.settle();
            self.look_after().await;
            match reads {
                true => self.ask_if_due().await,
                false => self.give_back().await,
            }
            tokio::select! {
                // An error: the other side is gone, and so is the device.
                _ = stopped.changed() => break,
                _ = self.connection.lost_since(self.contact) => {}
                message = next(&mut self.pull) => self.hear(message).await,
                () = due(&self.recovery), if self.contact.up => {}
                () = self.local.changed() => {}
                () = self.acks.fewer() => {}
                _ = beat.tick() => {
                    let waiting = self.held.iter().map(|it| it.reply.clone());
                    self.acks.say(Word::Waits, waiting.collect());
                }
            }
        }
        self.end().await;
    }

    /// Asks for messages, unless that has to wait.
    async fn ask_if_due(&mut self) {
        let waits = self.recovery.as_ref().is_some_and(|it| it.waits);
        if self.pull.is_some() || !self.contact.up || waits || self.acks.gives_back() {
            return;
        }
        match self.ask().await {
            Ok(asked) => self.pull = asked,
            Err(why) => self.start_again(&why).await,
        }
    }

    /// Asks for as many messages as there is room for, if for any.
    async fn ask(&self) -> Result<Option<Pull>, String> {
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
        let limits = (room.records.min(window), room.bytes.max(largest));
        tracing::debug!(count = limits.0, "records are asked for");
        let (stream, consumer) = (&self.stream.name, self.consumer.name());
        match timeout(
            PATIENCE,
            Pull::ask(&self.connection, stream, consumer, limits),
        )
        .await
        {
            Ok(pull) => pull.map(Some),
            Err(late) => Err(late.to_string()),
        }
    }

    /// Takes what has come.
    async fn hear(&mut self, message: Option<Result<Message, String>>) {
        match message {
            None => self.pull = None,
            Some(Ok(message)) => self.take(message),
            Some(Err(why)) => {
                self.pull = None;
                if self.connection.contact() == self.contact {
                    self.start_again(&why).await;
                }
            }
        }
    }

    /// The consumer may be gone: finds it, or makes it again.
    async fn start_again(&mut self, why: &str) {
        if !self.told {
            self.told = true;
            let stream = &self.stream.name;
            tracing::warn!(%stream, error = %why, "cannot take from the stream; trying again");
        }
        sleep(PAUSE).await;
        if let Ok(found) = Consumer::open(&self.stream).await {
            self.consumer = found;
        }
    }

    /// Puts a message into the pipe that is for this node.
    fn take(&mut self, message: Message) {
        self.told = false;
        let (Some(reply), Ok(info)) = (message.reply.clone(), message.info()) else {
            return;
        };
        let number = info.stream_sequence;
        let id = message.headers.as_ref();
        let id = id.and_then(|headers| headers.get(async_nats::header::NATS_MESSAGE_ID));
        let key = id.map_or_else(|| number.to_string(), |id| id.as_str().to_owned());
        // It comes again where the server has not heard of it for long.
        let Some(given) = self.held.replace(&key, Given { number, reply }) else {
            return;
        };
        if self.seen.contains(&key) || message.payload.is_empty() {
            self.acks.acknowledge(given);
            return;
        }
        self.local.arrive_beyond(&message.payload);
        self.held.push(key, message.payload.len(), given);
    }

    /// Acknowledges what has been read; whether there are readers.
    fn settle(&mut self) -> bool {
        let Some(device) = self.local.device() else {
            return false;
        };
        let (kept, reads) = device.look(|pipe| (pipe.stats().kept, pipe.has(true)));
        for (key, given) in self.held.read(kept) {
            self.seen.insert(&key);
            self.acks.acknowledge(given);
        }
        reads
    }

    /// Gives back what nobody has read. Until the question is over, and while the server is away, it is
    /// for the next reader here.
    async fn give_back(&mut self) {
        if self.held.len() == 0 || self.pull.is_some() || !self.contact.up {
            return;
        }
        if !self.forget_old_questions().await {
            sleep(PAUSE).await;
            return;
        }
        self.settle();
        let held = &mut self.held;
        let back = self.local.change(|pipe, _| {
            // One may have come by now.
            if pipe.has(true) {
                return Vec::new();
            }
            let (bytes, back) = held.withdraw(pipe.stats().kept);
            pipe.withdraw(bytes);
            back
        });
        let back = back.unwrap_or_default().into_iter();
        self.acks.give_back(back.map(|it| it.reply).collect());
    }

    /// Has the server forget questions that are over or whose node is gone, which it does when it is
    /// asked for what is given out; whether it has. With one of these, nats-server 2.9 would take the
    /// first of what is given back for the answer, find that it is over, and give that out to nobody
    /// before its time is over (seen; 2.10.29 puts it back).
    async fn forget_old_questions(&self) -> bool {
        matches!(
            timeout(PATIENCE, self.consumer.given_out()).await,
            Ok(Ok(_))
        )
    }

    /// Gives back all that nobody has read.
    async fn end(mut self) {
        let mut back: Vec<_> = self.held.iter().map(|it| it.reply.clone()).collect();
        if let Some(mut pull) = self.pull.take() {
            while let Some(message) = pull.come() {
                back.extend(message.message.reply);
            }
            drop(pull);
            if !self.forget_old_questions().await {
                tracing::debug!("the end of the last question is not confirmed");
            }
        }
        self.acks.give_back(back);
        self.acks.end().await;
    }
}

/// The next message; waits for ever where none is asked for.
async fn next(pull: &mut Option<Pull>) -> Option<Result<Message, String>> {
    match pull {
        Some(pull) => pull.next().await,
        None => std::future::pending().await,
    }
}

/// Waits until there is something to look after.
async fn due(recovery: &Option<Recovery>) {
    match recovery {
        Some(recovery) => recovery.due().await,
        None => std::future::pending().await,
    }
}
