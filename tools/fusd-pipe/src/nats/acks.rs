//! What the server is told of a fifo's messages.

use std::collections::VecDeque;
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

/// Acknowledgements that are said again to a server that was killed: many times what it may forget.
const RECENT: usize = 4096;

const ACK: &str = "+ACK";
const BACK: &str = "-NAK";

/// A message that was given to this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Given {
    /// Its number in the stream.
    pub(super) number: u64,
    /// Where the server is told about it.
    pub(super) reply: Subject,
}

/// A word on a message that needs no answer.
#[derive(Clone, Copy, Debug)]
pub(super) enum Word {
    /// It is still waiting for a reader here.
    Waits,
    /// A reader has it, as was said already.
    Read,
}

impl Word {
    fn text(self) -> &'static str {
        match self {
            Self::Waits => "+WPI",
            Self::Read => ACK,
        }
    }
}

/// Tells the server, by the subjects that messages are to be answered at.
pub(super) struct Acks {
    connection: Connection,
    unconfirmed: Arc<Unconfirmed>,
    /// Likewise, what is given back.
    returns: Arc<Unconfirmed>,
    /// The newest that have been acknowledged.
    recent: VecDeque<Given>,
}

/// What is on its way.
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
            returns: Arc::default(),
            recent: VecDeque::new(),
        }
    }

    /// How many are not confirmed yet.
    pub(super) fn unconfirmed(&self) -> usize {
        self.unconfirmed.count.load(Ordering::Acquire)
    }

    /// Waits until there are fewer of these, or what was given back has arrived.
    pub(super) async fn fewer(&self) {
        tokio::select! {
            () = self.unconfirmed.fewer.notified() => {}
            () = self.returns.fewer.notified() => {}
        }
    }

    /// Acknowledges a message: until the server confirms it, also on a later connection.
    pub(super) fn acknowledge(&mut self, given: Given) {
        let reply = given.reply.clone();
        self.recent.push_back(given);
        if self.recent.len() > RECENT {
            self.recent.pop_front();
        }
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

    /// Acknowledges the newest messages once more, up to the number `last`: a server that was killed
    /// may not have written down that they were.
    pub(super) fn repeat(&self, last: u64) {
        let known = self.recent.iter().filter(|it| it.number <= last);
        self.say(Word::Read, known.map(|it| it.reply.clone()).collect());
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

    /// Gives messages back, in their order, unless the server is away.
    pub(super) fn give_back(&self, replies: Vec<Subject>) {
        let count = replies.len();
        let mut replies = replies.into_iter();
        let (Some(last), true) = (replies.next_back(), self.connection.contact().up) else {
            return;
        };
        let (connection, returns) = (self.connection.clone(), Arc::clone(&self.returns));
        returns.count.fetch_add(1, Ordering::AcqRel);
        tokio::spawn(async move {
            let contact = connection.contact();
            let all = async {
                for reply in replies {
                    connection.client.publish(reply, BACK.into()).await?;
                }
                // The server takes them one after the other, and says so of the last.
                let done = connection.client.request(last, BACK.into()).await;
                Ok::<_, async_nats::PublishError>(done.is_ok())
            };
            tokio::select! {
                done = timeout(PATIENCE, all) => match done {
                    Ok(Ok(true)) => tracing::debug!(count, "records are given back"),
                    done => tracing::debug!(?done, "what was given back is not confirmed"),
                },
                _ = connection.lost_since(contact) => {}
            }
            returns.count.fetch_sub(1, Ordering::AcqRel);
            returns.fewer.notify_one();
        });
    }

    /// Whether what was given back may not have arrived there.
    pub(super) fn gives_back(&self) -> bool {
        self.returns.count.load(Ordering::Acquire) > 0
    }

    /// Waits until all that was read, and all that was given back, is confirmed.
    pub(super) async fn end(&self) {
        while self.unconfirmed() > 0 || self.gives_back() {
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
