//! The numbers of a queue's messages, which the server may begin to use twice.
//!
//! When the last message of a queue is removed, nats-server 2.9.10 first empties the stream's file and
//! then writes down what its number was. Killed between the two and started again, it gives numbers to
//! new messages that old ones had, and its consumer, which has given out those numbers, never gives the
//! new messages out (seen). So before anything is written to a server that was started again, the
//! stream is told to go on behind what was given out.

use tokio::sync::Mutex;

use super::connection::Connection;
use super::consumer::Consumer;
use super::stream::Stream;

/// Sees to it that new messages have new numbers.
pub(super) struct Counting {
    connection: Connection,
    stream: Stream,
    consumer: Consumer,
    /// The server where that is so.
    right: Mutex<Option<String>>,
}

impl Counting {
    pub(super) fn new(connection: Connection, stream: Stream, consumer: Consumer) -> Self {
        Self {
            connection,
            stream,
            consumer,
            right: Mutex::default(),
        }
    }

    /// Looks, once for each start of the server, and mends it if need be.
    ///
    /// # Errors
    /// The server does not answer, or does not let us.
    pub(super) async fn check(&self) -> Result<(), String> {
        let mut right = self.right.lock().await;
        let server = self.connection.server();
        if server.is_some() && *right == server {
            return Ok(());
        }
        if self.stream.is_queue && self.stream.exclusive {
            self.mend().await?;
        }
        *right = server;
        Ok(())
    }

    async fn mend(&self) -> Result<(), String> {
        let newest = self.consumer.newest().await?;
        let stream = &self.stream.stream;
        let info = stream.get_info().await.map_err(|error| error.to_string())?;
        // With a message in it, its file was not empty. Those who do the same at the same time do not
        // harm: only what is older than `newest` would be removed.
        if info.state.last_sequence >= newest || info.state.messages > 0 {
            return Ok(());
        }
        let mended = stream.purge().sequence(newest + 1).await;
        mended.map_err(|error| error.to_string())?;
        let (stream, last) = (&self.stream.name, info.state.last_sequence);
        tracing::info!(%stream, last, newest, "the server had lost count of its messages; mended");
        Ok(())
    }
}
