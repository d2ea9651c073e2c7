//! Gets a message to the server, and says what became of it.
//!
//! With a stream, a message is done when the server says that the stream has it. It has an id of its
//! own: where the answer was lost with the connection it is sent again, and the stream takes it for
//! the one it is, within the stream's time for that (two minutes in one that is made here). Without
//! a stream it is done when it has been handed to the connection, and is never sent twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_nats::PublishErrorKind as CoreError;
use async_nats::jetstream;
use async_nats::jetstream::context::PublishError;
use async_nats::jetstream::context::PublishErrorKind as StreamError;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::publish::PublishAck;
use fusd::Errno;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::connection::{Connection, Contact, PATIENCE};
use super::counting::Counting;
use super::local::{Local, count};
use super::{Away, Options};

/// Pauses before a full stream is asked again: the first, and the longest.
const FULL: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// Where all messages of this node go.
pub(crate) struct Publisher {
    connection: Connection,
    local: Local,
    subject: String,
    away: Away,
    keeps: bool,
    /// What is to be checked before something is sent.
    counting: Option<Arc<Counting>>,
    /// What the ids of this node's messages begin with, as no other's do.
    node: String,
    next: AtomicU64,
    /// The user knows that something is wrong.
    complained: AtomicBool,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Published {
    /// The server has it, or it is dropped and counted, as was asked for.
    Done,
    /// It is not there, or, after `ETIMEDOUT`, perhaps.
    Failed(Errno),
    /// Its writer has stopped waiting. It may be there if it was on its way.
    Gone,
}

/// What the server said of a message.
enum Verdict {
    Kept,
    /// There is no room in the stream.
    Full,
    TooLarge,
    /// Nothing: it may be there or not.
    Unknown,
    /// It is not there, and may be another time.
    Later(String),
    Refused(String),
}

impl Publisher {
    pub(super) fn new(
        connection: Connection,
        local: Local,
        options: &Options,
        counting: Option<Arc<Counting>>,
    ) -> Self {
        let inbox = connection.client.new_inbox();
        Self {
            connection,
            local,
            subject: options.subject.clone(),
            away: options.away,
            keeps: options.stream.is_some(),
            counting,
            node: inbox.trim_start_matches("_INBOX.").to_owned(),
            next: AtomicU64::new(0),
            complained: AtomicBool::new(false),
        }
    }

    /// Sends `data`, which is no larger than a message may be, until that is `gone`.
    pub(crate) async fn publish(&self, data: Vec<u8>, gone: &Notify) -> Published {
        tokio::select! {
            biased;
            () = gone.notified() => Published::Gone,
            published = self.send(data) => published,
        }
    }

    async fn send(&self, data: Vec<u8>) -> Published {
        match self.keeps {
            true => self.store(data).await,
            false => self.pass_on(data).await,
        }
    }

    /// The connection, once the server can be reached; or what a write comes to meanwhile.
    async fn reach(&self, data: &[u8]) -> Result<Contact, Published> {
        let contact = self.connection.contact();
        match (contact.up, self.away) {
            (true, _) => Ok(contact),
            (false, Away::Wait) => Ok(self.connection.up().await),
            (false, Away::Refuse | Away::Drop) => Err(self.give_up(data, Errno::EAGAIN)),
        }
    }

    /// What a write comes to that does not wait.
    fn give_up(&self, data: &[u8], errno: Errno) -> Published {
        if self.away != Away::Drop {
            return Published::Failed(errno);
        }
        self.local.lose(count(data));
        Published::Done
    }

    async fn pass_on(&self, data: Vec<u8>) -> Published {
        if let Err(published) = self.reach(&data).await {
            return published;
        }
        let (client, message) = (&self.connection.client, data.clone().into());
        if let Err(error) = client.publish(self.subject.clone(), message).await {
            return match error.kind() {
                CoreError::MaxPayloadExceeded => Published::Failed(Errno::EMSGSIZE),
                CoreError::InvalidSubject | CoreError::Send => self.refused(&error.to_string()),
            };
        }
        // If the connection goes meanwhile, the client sends it when there is another.
        let flushed = match self.away {
            Away::Wait => Ok(client.flush().await),
            Away::Refuse | Away::Drop => timeout(PATIENCE, client.flush()).await,
        };
        match flushed {
            Ok(Ok(())) => Published::Done,
            Ok(Err(error)) => self.refused(&error.to_string()),
            Err(_late) => self.give_up(&data, Errno::ETIMEDOUT),
        }
    }

    async fn store(&self, data: Vec<u8>) -> Published {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let id = format!("{}-{number}", self.node);
        let mut pause = FULL.0;
        loop {
            let contact = match self.reach(&data).await {
                Ok(contact) => contact,
                Err(published) => return published,
            };
            let waits = self.away == Away::Wait;
            match self.ask(&id, data.clone(), contact).await {
                Verdict::Kept => {
                    self.complained.store(false, Ordering::Relaxed);
                    return Published::Done;
                }
                Verdict::TooLarge => return Published::Failed(Errno::EMSGSIZE),
                Verdict::Refused(why) => return self.refused(&why),
                Verdict::Unknown if waits => {}
                Verdict::Unknown => return self.give_up(&data, Errno::ETIMEDOUT),
                Verdict::Full if !waits => return self.give_up(&data, Errno::EAGAIN),
                Verdict::Later(why) if !waits => {
                    self.complain(&why);
                    return self.give_up(&data, Errno::EAGAIN);
                }
                Verdict::Full => sleep(pause).await,
                Verdict::Later(why) => {
                    self.complain(&why);
                    sleep(pause).await;
                }
            }
            pause = (pause * 2).min(FULL.1);
        }
    }

    /// Sends a message to the stream, and waits for what the server says.
    async fn ask(&self, id: &str, data: Vec<u8>, contact: Contact) -> Verdict {
        let message = PublishMessage::build().payload(data.into()).message_id(id);
        let jetstream = &self.connection.jetstream;
        let acknowledged = async {
            if let Some(counting) = &self.counting
                && let Err(why) = counting.check().await
            {
                return Verdict::Later(why);
            }
            let sent = jetstream.send_publish(self.subject.clone(), message);
            match sent.await {
                Ok(sent) => verdict(sent.await),
                Err(error) => verdict(Err(error)),
            }
        };
        tokio::select! {
            verdict = acknowledged => verdict,
            // No answer will come on the next connection.
            _ = self.connection.lost_since(contact) => Verdict::Unknown,
        }
    }

    fn refused(&self, why: &str) -> Published {
        self.complain(why);
        Published::Failed(Errno::EIO)
    }

    fn complain(&self, why: &str) {
        if !self.complained.swap(true, Ordering::Relaxed) {
            let subject = &self.subject;
            tracing::error!(%subject, error = %why, "the NATS server does not take what is written");
        }
    }
}

fn verdict(answer: Result<PublishAck, PublishError>) -> Verdict {
    let Err(error) = answer else {
        return Verdict::Kept;
    };
    match error.kind() {
        StreamError::TimedOut | StreamError::BrokenPipe => Verdict::Unknown,
        StreamError::MaxPayloadExceeded => Verdict::TooLarge,
        StreamError::StreamNotFound | StreamError::MaxAckPending => {
            Verdict::Later(error.to_string())
        }
        StreamError::WrongLastMessageId | StreamError::WrongLastSequence | StreamError::Other => {
            let source = std::error::Error::source(&error);
            match source.and_then(|it| it.downcast_ref::<jetstream::Error>()) {
                Some(error) => judge(error),
                None => Verdict::Refused(error.to_string()),
            }
        }
    }
}

/// What the stream's own error means.
fn judge(error: &jetstream::Error) -> Verdict {
    let code = error.error_code();
    if code == jetstream::ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM {
        Verdict::TooLarge
    } else if code == jetstream::ErrorCode::STREAM_STORE_FAILED
        && error.to_string().contains("maximum")
    {
        // "maximum messages exceeded", "maximum bytes exceeded": there is no code for it.
        Verdict::Full
    } else if error.code() == 503 {
        Verdict::Later(error.to_string())
    } else {
        Verdict::Refused(error.to_string())
    }
}
