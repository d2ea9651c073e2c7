//! What comes from a stream to a broadcast or a ring: all of it, by number, from one number on.
//!
//! The node remembers the number that is next, and no consumer of the server's has to: after an
//! outage a new one begins there. So nothing comes twice, and what the stream itself has dropped
//! meanwhile shows as a gap.

use std::time::Duration;

use async_nats::jetstream::consumer::pull::Config;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer};
use fusd_tool::ToolError;
use futures_util::StreamExt;
use tokio::time::sleep;

use super::Options;
use super::connection::{Connection, Contact};
use super::local::Local;
use super::stream::{OVERHEAD, Stream};
use crate::settings::{Amount, Mode};
use crate::stats::Count;

/// Messages that are asked for at once.
const BATCH: usize = 256;

/// How long the server keeps a question that it has no answer to.
const QUESTION: Duration = Duration::from_secs(60);

/// The pause before another attempt where the server is there but does not answer as it should.
const PAUSE: Duration = Duration::from_millis(500);

/// How a batch ends that the next message is too large for.
const BATCH_IS_FULL: &str = "MaxBytes";

/// One who reads on in a stream.
pub(super) struct Follower {
    connection: Connection,
    local: Local,
    stream: Stream,
    /// The number of the message that is next.
    next: u64,
}

impl Follower {
    /// Begins with what a ring, or a broadcast's backlog, has from before, and puts that into the
    /// pipe before it returns.
    ///
    /// # Errors
    /// The server does not answer as it should.
    pub(super) async fn begin(
        connection: Connection,
        local: Local,
        stream: Stream,
        options: &Options,
    ) -> Result<Self, ToolError> {
        let state = &stream.stream.cached_info().state;
        let wanted = match local.mode() {
            Mode::Ring => options.size,
            Mode::Broadcast | Mode::Fifo => options.backlog,
        };
        let after = state.last_sequence + 1;
        let first = match wanted {
            Amount { bytes: 0, .. } => after,
            // Only there a number stands for a record of ours.
            Amount { records, .. } if stream.exclusive => after.saturating_sub(records as u64),
            Amount { .. } => 1,
        };
        let mut follower = Self {
            connection,
            local,
            next: first.max(state.first_sequence).max(1),
            stream,
        };
        let failed =
            |why: String| ToolError::failed(format!("cannot read the stream: {why}; try again"));
        let contact = follower.connection.contact();
        let consumer = follower.consumer().await.map_err(failed)?;
        if consumer.cached_info().num_pending > 0 {
            let caught_up = follower.pull(&consumer, contact, true).await;
            caught_up.map_err(failed)?;
        }
        Ok(follower)
    }

    /// Follows the stream for ever.
    pub(super) async fn run(mut self) {
        let mut told = false;
        loop {
            let contact = self.connection.up().await;
            let stopped = match self.consumer().await {
                Ok(consumer) => {
                    told = false;
                    self.pull(&consumer, contact, false).await
                }
                Err(why) => Err(why),
            };
            if self.connection.contact() != contact {
                continue;
            }
            if let Err(why) = stopped
                && !told
            {
                told = true;
                let stream = &self.stream.name;
                tracing::warn!(%stream, error = %why, "cannot read the stream; trying again");
            }
            sleep(PAUSE).await;
        }
    }

    /// A consumer that begins with the message that is next.
    async fn consumer(&mut self) -> Result<PullConsumer, String> {
        let stream = &self.stream.stream;
        let info = stream.get_info().await.map_err(|error| error.to_string())?;
        if info.state.last_sequence + 1 < self.next {
            tracing::warn!(
                stream = %self.stream.name,
                "the stream has lost what it had last, or is another one; going on with it"
            );
            self.next = info.state.last_sequence + 1;
        }
        let config = Config {
            deliver_policy: DeliverPolicy::ByStartSequence {
                start_sequence: self.next,
            },
            ack_policy: AckPolicy::None,
            filter_subject: self.stream.subject.clone(),
            inactive_threshold: QUESTION * 2,
            memory_storage: true,
            num_replicas: 1,
            ..Config::default()
        };
        let consumer = stream.create_consumer(config).await;
        consumer.map_err(|error| error.to_string())
    }

    /// Takes messages until the connection is another one, or, with `catching_up`, until there are no
    /// more.
    async fn pull(
        &mut self,
        consumer: &PullConsumer,
        contact: Contact,
        catching_up: bool,
    ) -> Result<(), String> {
        let largest = self.largest();
        loop {
            let room = self.local.room().await;
            let batch = consumer
                .batch()
                .max_messages(room.records.min(BATCH))
                .max_bytes(room.bytes.max(largest))
                .expires(QUESTION)
                .messages();
            let mut batch = batch.await.map_err(|error| error.to_string())?;
            loop {
                let message = tokio::select! {
                    message = batch.next() => message,
                    _ = self.connection.lost_since(contact) => return Ok(()),
                };
                let message = match message {
                    None => break,
                    Some(Ok(message)) => message,
                    Some(Err(error)) => match error.to_string() {
                        why if why.contains(BATCH_IS_FULL) => break,
                        why => return Err(why),
                    },
                };
                let info = message.info().map_err(|error| error.to_string())?;
                let (number, pending) = (info.stream_sequence, info.pending);
                self.take(number, &message.payload).await;
                if catching_up && pending == 0 {
                    return Ok(());
                }
            }
        }
    }

    /// The bytes of the largest message, as the server counts them.
    fn largest(&self) -> usize {
        let payload = self.connection.client.max_payload();
        self.stream.limit.min(payload).saturating_add(OVERHEAD)
    }

    /// Puts the message `number` into the pipe, when there is room.
    async fn take(&mut self, number: u64, data: &[u8]) {
        if number < self.next {
            return;
        }
        let records = number - self.next;
        if self.stream.exclusive && records > 0 {
            let stream = &self.stream.name;
            tracing::warn!(%stream, records, "the stream has dropped what had not come here yet");
            self.local.lose(Count { bytes: 0, records });
        }
        loop {
            self.local.look_from_now();
            if self.local.arrive(data) {
                break;
            }
            self.local.changed().await;
        }
        self.next = number + 1;
    }
}
