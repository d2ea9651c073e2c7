//! What the server is told of a fifo's messages.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_nats::Subject;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::connection::{Connection, PATIENCE};

/// The pause before another attempt where the server is there but does not confirm.
const PAUSE: Duration = Duration::from_millis(500);

/// How often an acknowledgement is sent that the server does not confirm though it is there.
const ATTEMPTS: usize = 5;

const ACK: &str = "+ACK";

/// A word on a message that is not the last one.
#[derive(Clone, Copy, Debug)]
pub(super) enum Word {
    /// It is for another node.
    Back,
    /// It is still waiting for a reader here.
    Waits,
}

impl Word {
    fn text(self) -> &'static str {
        match self {
            Self::Back => "-NAK",
            Self::Waits => "+WPI",
        }
    }
}

/// Tells the server, by the subjects that messages are to be answered at.
pub(super) struct Acks {
    connection: Connection,
    unconfirmed: Arc<Unconfirmed>,
}

/// Acknowledgements that are on their way.
#[derive(Default)]
struct Unconfirmed {
    count: AtomicUsize,
    fewer: Notify,
}

impl Acks {
    pub(super) fn new(connection: Connection) -> Self {
        Self {
            connection,
            unconfirmed: Arc::default(),
        }
    }

    /// How many are not confirmed yet.
    pub(super) fn unconfirmed(&self) -> usize {
        self.unconfirmed.count.load(Ordering::Acquire)
    }

    /// Waits until there are fewer of these.
    pub(super) async fn fewer(&self) {
        self.unconfirmed.fewer.notified().await;
    }

    /// Acknowledges a message: until the server confirms it, also on a later connection.
    pub(super) fn acknowledge(&self, reply: Subject) {
        let (connection, unconfirmed) = (self.connection.clone(), Arc::clone(&self.unconfirmed));
        unconfirmed.count.fetch_add(1, Ordering::AcqRel);
        tokio::spawn(async move {
            if !confirm(&connection, reply).await {
                tracing::warn!(
                    "a record that was read may come again: the server does not confirm it"
                );
            }
            unconfirmed.count.fetch_sub(1, Ordering::AcqRel);
            unconfirmed.fewer.notify_one();
        });
    }

    /// Says a word on messages, in their order, unless the server is away.
    pub(super) fn say(&self, word: Word, replies: Vec<Subject>) {
        if replies.is_empty() || !self.connection.contact().up {
            return;
        }
        let client = self.connection.client.clone();
        tokio::spawn(async move {
            for reply in replies {
                if let Err(error) = client.publish(reply, word.text().into()).await {
                    tracing::debug!(%error, ?word, "not told");
                }
            }
        });
    }

    /// Gives messages back, and waits until all that was read is confirmed.
    pub(super) async fn end(&self, back: impl Iterator<Item = Subject>) {
        for reply in back {
            let sent = self
                .connection
                .client
                .publish(reply, Word::Back.text().into());
            if let Err(error) = sent.await {
                tracing::debug!(%error, "not given back");
            }
        }
        while self.unconfirmed() > 0 {
            self.fewer().await;
        }
    }
}

/// Acknowledges a message; whether the server has confirmed it.
async fn confirm(connection: &Connection, reply: Subject) -> bool {
    let mut attempts = 0;
    while attempts < ATTEMPTS {
        let contact = connection.up().await;
        let request = connection.client.request(reply.clone(), ACK.into());
        tokio::select! {
            answer = timeout(PATIENCE, request) => if matches!(answer, Ok(Ok(_))) {
                return true;
            },
            _ = connection.lost_since(contact) => continue,
        }
        attempts += 1;
        sleep(PAUSE).await;
    }
    false
}
