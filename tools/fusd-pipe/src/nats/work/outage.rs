//! What a node does when the connection is another one.

use tokio::time::timeout;

use super::Worker;
use crate::nats::connection::PATIENCE;
use crate::nats::leftovers;
use crate::nats::recovery::Recovery;

impl Worker {
    /// The connection is not the one it was.
    pub(super) fn change_connection(&mut self) {
        self.contact = self.connection.contact();
        // What has come by the old one is here, and would come again much later.
        let asked = self.pull.is_some();
        if let Some(mut pull) = self.pull.take() {
            while let Some(message) = pull.come() {
                self.take(message);
            }
        }
        let server = self.connection.server();
        let restarted = self.server != server;
        self.server = server;
        let before = self.recovery.as_ref();
        self.recovery = Some(Recovery::begin(
            self.consumer.patience,
            asked || restarted || before.is_some_and(|it| it.waits),
            restarted || before.is_some_and(|it| it.repeats),
        ));
    }

    /// Looks after what was given out before the connection broke, when it is time to.
    pub(super) async fn look_after(&mut self) {
        let up = self.contact.up;
        let Some(recovery) = self.recovery.as_mut().filter(|it| up && it.is_due()) else {
            return;
        };
        recovery.put_off();
        let unconfirmed = self.acks.unconfirmed();
        if !matches!(timeout(PATIENCE, self.counting.check()).await, Ok(Ok(()))) {
            return;
        }
        let Ok(Ok(given_out)) = timeout(PATIENCE, self.consumer.given_out()).await else {
            return;
        };
        if recovery.repeats {
            recovery.repeats = false;
            self.acks.repeat(given_out.newest);
        }
        if !Recovery::is_over(&given_out, unconfirmed) {
            return;
        }
        self.recovery = None;
        if self.stream.is_queue && !self.consumer.gives_up() {
            let stream = self.stream.clone();
            tokio::spawn(async move {
                if let Err(error) = leftovers::remove(&stream, given_out.newest).await {
                    tracing::debug!(%error, "cannot look for what was read and came back");
                }
            });
        }
    }
}
