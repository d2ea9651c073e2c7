//! A question to the server for messages of a consumer, and what comes in answer.
//!
//! A question is short, and is never ended before the server says that it is over: that is the only
//! way to know that nothing is on its way any more. What comes to a subscription that has ended the
//! server takes for given out, and gives it to nobody else before the time for its acknowledgement is
//! over.

use std::time::Duration;

use async_nats::jetstream::Message;
use async_nats::{StatusCode, Subscriber};
use futures_util::{FutureExt, StreamExt};
use tokio::time::{Instant, timeout_at};

use super::connection::Connection;

/// How long the server keeps a question that it has no answer to. For so long a node may get messages
/// that has no readers any more.
const QUESTION: Duration = Duration::from_secs(1);

/// How much later the server may say that it is over. Where something is given back in the moment in
/// which it ends, nats-server 2.9 does not say so (seen).
const LATE: Duration = Duration::from_secs(4);

/// Messages that have been asked for and have not come.
pub(super) struct Pull {
    connection: Connection,
    answers: Subscriber,
    /// How many may come still.
    left: usize,
    /// When the server must have said that it is over.
    end: Instant,
}

impl Pull {
    /// Asks for up to `count` messages, of up to `bytes` together as the server counts them.
    pub(super) async fn ask(
        connection: &Connection,
        stream: &str,
        consumer: &str,
        (count, bytes): (usize, usize),
    ) -> Result<Self, String> {
        let client = &connection.client;
        let inbox = client.new_inbox();
        let answers = client.subscribe(inbox.clone()).await;
        let answers = answers.map_err(|error| error.to_string())?;
        let expires = QUESTION.as_nanos();
        let question = format!(r#"{{"batch":{count},"max_bytes":{bytes},"expires":{expires}}}"#);
        let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}");
        let asked = client.publish_with_reply(subject, inbox, question.into());
        asked.await.map_err(|error| error.to_string())?;
        Ok(Self {
            connection: connection.clone(),
            answers,
            left: count,
            end: Instant::now() + QUESTION + LATE,
        })
    }

    /// The next message; `None`: no more will come. May be given up at any time.
    ///
    /// # Errors
    /// The server answers with something else. No more will come.
    pub(super) async fn next(&mut self) -> Option<Result<Message, String>> {
        if self.left == 0 {
            return None;
        }
        let Ok(message) = timeout_at(self.end, self.answers.next()).await else {
            tracing::debug!("the server does not end a question");
            self.left = 0;
            return None;
        };
        let message = message?;
        match message.status {
            None | Some(StatusCode::OK) => {
                self.left -= 1;
                let context = self.connection.jetstream.clone();
                return Some(Ok(Message { message, context }));
            }
            Some(StatusCode::TIMEOUT | StatusCode::NOT_FOUND) => {}
            Some(status) => {
                let why = message.description.unwrap_or_default();
                // The next one is too large for what is left of the bytes.
                if !why.contains("MaxBytes") {
                    self.left = 0;
                    return Some(Err(format!("{status} {why}")));
                }
            }
        }
        self.left = 0;
        None
    }

    /// The next message, if it is here already.
    pub(super) fn come(&mut self) -> Option<Message> {
        self.next().now_or_never()??.ok()
    }
}
