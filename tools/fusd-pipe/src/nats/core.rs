//! What comes without a stream: the server passes messages on, to those who are there, and keeps
//! none.

use async_nats::Subscriber;
use fusd::request::OpenRequest;
use fusd_tool::ToolError;
use futures_util::StreamExt;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::timeout;

use super::connection::{Connection, PATIENCE, cause};
use super::local::Local;

/// Those of whom one gets a message.
const GROUP: &str = "fusd-pipe";

/// Subscribes to all that is written from now on.
///
/// # Errors
/// The server does not answer.
pub(super) async fn subscribe(
    connection: &Connection,
    subject: String,
) -> Result<Subscriber, ToolError> {
    let subscribed = connection.client.subscribe(subject.clone()).await;
    let failed = |why: String| {
        ToolError::failed(format!(
            "cannot subscribe to {subject}: {why}; try again, or look into the server's log"
        ))
    };
    let messages = subscribed.map_err(|error| failed(error.to_string()))?;
    connection.round_trip().await.map_err(|error| {
        let errno = cause(&error).map(|errno| errno.to_string());
        failed(errno.unwrap_or_else(|| error.to_string()))
    })?;
    Ok(messages)
}

/// Puts what comes into the pipe of a broadcast or a ring.
pub(super) async fn listen(mut messages: Subscriber, local: Local) {
    let mut full = Full::default();
    while let Some(message) = messages.next().await {
        full.seen(local.arrive_or_drop(&message.payload));
    }
}

/// Takes messages for a fifo, as one of a group, while it has readers: those that nobody reads here
/// are for others. What has come by then stays for the next reader.
pub(super) async fn take_turns(
    connection: Connection,
    subject: String,
    mut local: Local,
    mut opens: UnboundedReceiver<OpenRequest<()>>,
) {
    let mut full = Full::default();
    let mut waiting: Option<OpenRequest<()>> = None;
    loop {
        if waiting.is_none() && !has_readers(&local) {
            tokio::select! {
                request = opens.recv() => waiting = request,
                () = local.changed() => {}
            }
            continue;
        }
        let client = &connection.client;
        let group = GROUP.to_owned();
        let mut messages = match client.queue_subscribe(subject.clone(), group).await {
            Ok(messages) => messages,
            Err(error) => {
                tracing::error!(%subject, %error, "cannot subscribe: nothing comes any more");
                return;
            }
        };
        // While the server is away, nothing is written that could come here.
        if connection.contact().up
            && let Err(error) = connection.round_trip().await
        {
            tracing::debug!(%error, "the subscription is not confirmed");
        }
        loop {
            if let (Some(request), Some(device)) = (waiting.take(), local.device()) {
                device.enter(request);
            }
            local.look_from_now();
            if !has_readers(&local) {
                break;
            }
            tokio::select! {
                biased;
                request = opens.recv() => waiting = request,
                message = messages.next() => match message {
                    Some(message) => full.seen(local.arrive_or_drop(&message.payload)),
                    None => break,
                },
                () = local.changed() => {}
            }
        }
        // What has come is still taken. What is on its way is lost: async-nats 0.50 ends a
        // subscription before the server can have heard of it.
        let rest = async {
            messages.drain().await.ok()?;
            while let Some(message) = messages.next().await {
                full.seen(local.arrive_or_drop(&message.payload));
            }
            Some(())
        };
        if timeout(PATIENCE, rest).await.is_err() {
            tracing::debug!("the end of the subscription is not confirmed");
        }
    }
}

fn has_readers(local: &Local) -> bool {
    local
        .device()
        .is_some_and(|device| device.look(|pipe| pipe.has(true)))
}

/// Whether the user knows that the pipe is full.
#[derive(Default)]
struct Full {
    told: bool,
}

impl Full {
    /// A message was taken, or dropped. Tells the user when that begins.
    fn seen(&mut self, taken: bool) {
        if !taken && !self.told {
            tracing::warn!(
                "the pipe is full: what comes is dropped until readers have made room, as no \
                 writer on another machine can be held up"
            );
        }
        self.told = !taken;
    }
}
