//! The connection to the server: made once, kept for ever, and whether it is there now.

use std::error::Error as StdError;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::{self, Context};
use async_nats::{Client, ConnectError, ConnectErrorKind, ConnectOptions, Event};
use fusd::Errno;
use fusd_tool::ToolError;
use futures_util::StreamExt;
use tokio::sync::watch;
use tokio::time::timeout;

use super::Options;

/// How long the server may take for an answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// Pauses between attempts to reach the server again: the first, and the longest.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Whether the server can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Contact {
    pub(crate) up: bool,
    /// How often it has come back.
    pub(crate) returns: u64,
}

/// A connection. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Connection {
    pub(crate) client: Client,
    pub(crate) jetstream: Context,
    contact: watch::Receiver<Contact>,
}

impl Connection {
    /// Connects, and from then on again after each loss, until the program ends.
    ///
    /// # Errors
    /// The server cannot be reached now, or refuses us.
    pub(crate) async fn open(options: &Options) -> Result<Self, ToolError> {
        let address = &options.address;
        let (contact, seen) = watch::channel(Contact {
            up: true,
            returns: 0,
        });
        let contact = Arc::new(contact);
        let shown = address.to_string();
        let mut connect = ConnectOptions::new()
            .name("fusd-pipe")
            .connection_timeout(PATIENCE)
            .reconnect_delay_callback(backoff)
            .event_callback(move |event| {
                hear(&contact, &shown, &event);
                async {}
            });
        if let Some(path) = &options.credentials {
            connect = with_credentials(connect, path)?;
        }
        let connected = address.introduce(connect).connect(address.server()).await;
        let client = connected.map_err(|error| cannot_connect(options, &error))?;
        let mut jetstream = jetstream::new(client.clone());
        jetstream.set_timeout(PATIENCE);
        Ok(Self {
            client,
            jetstream,
            contact: seen,
        })
    }

    /// Whether the server can be reached now.
    pub(crate) fn contact(&self) -> Contact {
        *self.contact.borrow()
    }

    /// The server's name for itself, which is another one after each start.
    pub(crate) fn server(&self) -> Option<String> {
        self.client.try_server_info().map(|info| info.server_id)
    }

    /// Waits until the server can be reached.
    pub(crate) async fn up(&self) -> Contact {
        self.until(|contact| contact.up).await
    }

    /// Waits until the connection is another one than it was at `then`.
    pub(crate) async fn lost_since(&self, then: Contact) -> Contact {
        self.until(|contact| *contact != then).await
    }

    async fn until(&self, condition: impl FnMut(&Contact) -> bool) -> Contact {
        let mut contact = self.contact.clone();
        let found = contact.wait_for(condition).await.map(|contact| *contact);
        match found {
            Ok(contact) => contact,
            // The client is gone, and this task about to go.
            Err(_) => std::future::pending().await,
        }
    }

    /// Waits until the server has done all that it was told on this connection.
    ///
    /// # Errors
    /// It does not say so in time.
    pub(crate) async fn round_trip(&self) -> Result<(), io::Error> {
        let all = async {
            let inbox = self.client.new_inbox();
            let answer = self.client.subscribe(inbox.clone()).await;
            let mut answer = answer.map_err(io::Error::other)?;
            let sent = self.client.publish(inbox, "".into()).await;
            sent.map_err(io::Error::other)?;
            match answer.next().await {
                Some(_) => Ok(()),
                None => Err(io::ErrorKind::NotConnected.into()),
            }
        };
        match timeout(PATIENCE, all).await {
            Ok(result) => result,
            Err(late) => Err(io::Error::new(io::ErrorKind::TimedOut, late)),
        }
    }
}

/// The pause before an attempt, of which the first is number 1.
fn backoff(attempt: usize) -> Duration {
    let (first, longest) = BACKOFF;
    match attempt {
        0 | 1 => Duration::ZERO,
        _ => {
            let doublings = u32::try_from(attempt - 2).unwrap_or(u32::MAX);
            let factor = 2_u32.saturating_pow(doublings);
            first.saturating_mul(factor).min(longest)
        }
    }
}

/// Keeps the contact what the client says it is, and tells the user once of each change.
fn hear(contact: &watch::Sender<Contact>, server: &str, event: &Event) {
    match event {
        Event::Disconnected | Event::Closed => {
            if contact.borrow().up {
                contact.send_modify(|contact| contact.up = false);
                tracing::warn!(%server, "the NATS server is gone; trying again until it is back");
            }
        }
        Event::Connected => {
            if !contact.borrow().up {
                contact.send_modify(|contact| {
                    contact.up = true;
                    contact.returns += 1;
                });
                tracing::warn!(%server, "the NATS server is back");
            }
        }
        Event::SlowConsumer(_) => {
            tracing::warn!(%server, "records are lost: they came faster than this node took them");
        }
        Event::ServerError(error) => {
            tracing::error!(%server, %error, "the NATS server refuses something");
        }
        // One of each failed attempt.
        Event::ClientError(error) => tracing::debug!(%server, %error, "no NATS server"),
        Event::LameDuckMode | Event::Draining => {}
    }
}

/// Adds what a file says of who we are.
fn with_credentials(connect: ConnectOptions, path: &Path) -> Result<ConnectOptions, ToolError> {
    let failed = |error: &io::Error, next: &str| {
        let path = path.display();
        let why = cause(error).map_or(error.to_string(), |errno| errno.to_string());
        ToolError::failed(format!(
            "cannot read the credentials in {path}: {why}; {next}"
        ))
    };
    let text = fs::read_to_string(path)
        .map_err(|error| failed(&error, "give --nats-creds a file that this user may read"))?;
    connect.credentials(&text).map_err(|error| {
        failed(
            &error,
            "give --nats-creds a file of the form that nsc(1) makes",
        )
    })
}

fn cannot_connect(options: &Options, error: &ConnectError) -> ToolError {
    let address = &options.address;
    let errno = cause(error);
    let why = errno.map_or_else(|| innermost(error), |errno| errno.to_string());
    let next = match (error.kind(), errno) {
        (ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication, _) => {
            "give the user and the password in the URL, or --nats-creds"
        }
        (ConnectErrorKind::Dns, _) => "look at the name in --nats",
        (ConnectErrorKind::Io | ConnectErrorKind::Tls, None) => {
            "give nats:// or tls://, whichever the server speaks, and see that this machine trusts \
             its certificate"
        }
        _ => "start nats-server there, or give --nats another one",
    };
    ToolError::failed(format!(
        "cannot connect to the NATS server {address}: {why}; {next}"
    ))
}

/// What the first cause of an error says.
fn innermost(error: &(dyn StdError + 'static)) -> String {
    let mut error = error;
    loop {
        // An error of the system's kind may have the one that tells more inside.
        let inner = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        let next: Option<&(dyn StdError + 'static)> = match inner {
            Some(inner) => Some(inner),
            None => error.source(),
        };
        match next {
            Some(next) => error = next,
            None => return error.to_string(),
        }
    }
}

/// The error number behind an error.
pub(crate) fn cause(error: &(dyn StdError + 'static)) -> Option<Errno> {
    let mut error = Some(error);
    while let Some(it) = error {
        if let Some(raw) = it.downcast_ref::<io::Error>() {
            if raw.raw_os_error().is_some() {
                return Some(Errno::from(raw));
            }
            if raw.kind() == io::ErrorKind::TimedOut {
                return Some(Errno::ETIMEDOUT);
            }
        }
        error = it.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_come_at_once_and_then_ever_more_slowly() {
        let pauses: Vec<_> = (1..10).map(|n| backoff(n).as_millis()).collect();
        assert_eq!(pauses, [0, 100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(backoff(usize::MAX).as_millis(), 5000);
    }

    #[test]
    fn a_loss_and_a_return_are_one_change_each() {
        let (contact, _seen) = watch::channel(Contact {
            up: true,
            returns: 0,
        });
        let after = |event| {
            hear(&contact, "nats://x:1", &event);
            let contact = *contact.borrow();
            (contact.up, contact.returns)
        };
        assert_eq!(after(Event::Connected), (true, 0));
        assert_eq!(after(Event::Disconnected), (false, 0));
        assert_eq!(after(Event::Disconnected), (false, 0));
        assert_eq!(after(Event::Connected), (true, 1));
        assert_eq!(after(Event::Connected), (true, 1));
    }
}
