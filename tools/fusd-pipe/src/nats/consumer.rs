//! The consumer that all nodes of a fifo share: found, or made.

use std::time::Duration;

use async_nats::jetstream::consumer::pull::Config;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer};
use async_nats::jetstream::context::ConsumerInfoErrorKind;

use super::stream::Stream;

/// When the server gives a message to another node that was not acknowledged, if it is made here.
const ACK_WAIT: Duration = Duration::from_secs(30);

/// The consumer. Clones are the same one.
#[derive(Clone)]
pub(super) struct Consumer {
    consumer: PullConsumer,
    /// When the server gives a message to another node that was not acknowledged.
    pub(super) patience: Duration,
}

/// What the server says of the messages that it has given out.
pub(super) struct GivenOut {
    /// How many are not acknowledged. They may be on their way back already.
    pub(super) open: usize,
    /// The number of the newest that it has ever given out.
    pub(super) newest: u64,
}

impl Consumer {
    /// Finds the stream's consumer, or makes it.
    pub(super) async fn open(stream: &Stream) -> Result<Self, String> {
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
        let consumer: PullConsumer = found.map_err(|error| error.to_string())?;
        let config = &consumer.cached_info().config;
        if config.filter_subject != stream.subject {
            let filter = &config.filter_subject;
            return Err(format!("its consumer {name} is for {filter}"));
        }
        Ok(Self {
            patience: config.ack_wait,
            consumer,
        })
    }

    /// Its name.
    pub(super) fn name(&self) -> &str {
        &self.consumer.cached_info().name
    }

    /// Whether it gives up on messages that are never acknowledged, and leaves them in the stream.
    pub(super) fn gives_up(&self) -> bool {
        self.consumer.cached_info().config.max_deliver > 0
    }

    /// Asks for what is given out.
    pub(super) async fn given_out(&self) -> Result<GivenOut, String> {
        let info = self.consumer.get_info().await;
        let info = info.map_err(|error| error.to_string())?;
        Ok(GivenOut {
            open: info.num_ack_pending,
            newest: info.delivered.stream_sequence,
        })
    }

    /// Asks for the number of the newest message that was ever given out; 0 if none was.
    pub(super) async fn newest(&self) -> Result<u64, String> {
        match self.consumer.get_info().await {
            Ok(info) => Ok(info.delivered.stream_sequence),
            // There is no consumer any more.
            Err(error) if matches!(error.kind(), ConsumerInfoErrorKind::JetStream(_)) => Ok(0),
            Err(error) => Err(error.to_string()),
        }
    }
}
