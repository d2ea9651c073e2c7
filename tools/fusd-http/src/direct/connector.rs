//! Connections to one server, which come about within the time that there is for it.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::TokioIo;
use reqwest::Url;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower_service::Service;

use crate::client::{Addresses, look_up};
use crate::failure::{Failure, NoSuchHost};
use crate::network::NetworkArgs;

/// How long the other side may be silent before it is asked whether it is there, and how often, as reqwest
/// has it.
const SILENCE: Duration = Duration::from_secs(15);
const QUESTIONS: u32 = 3;

/// How long the other side may leave unconfirmed what was sent, as reqwest has it.
const UNCONFIRMED: Duration = Duration::from_secs(30);

/// Connects to one server.
#[derive(Debug)]
pub(super) struct Connector {
    connector: HttpConnector<Lookup>,
    server: Uri,
    limit: Duration,
}

impl Connector {
    /// Connects to the server of `url`; `None` where that names none.
    pub(super) fn to(url: &Url, network: &NetworkArgs) -> Option<Self> {
        let mut connector = HttpConnector::new_with_resolver(Lookup);
        connector.set_nodelay(true);
        connector.set_keepalive(Some(SILENCE));
        connector.set_keepalive_interval(Some(SILENCE));
        connector.set_keepalive_retries(Some(QUESTIONS));
        connector.set_tcp_user_timeout(Some(UNCONFIRMED));
        Some(Self {
            connector,
            server: url.as_str().parse().ok()?,
            limit: network.connect_timeout,
        })
    }

    /// A new connection.
    ///
    /// # Errors
    /// There is none, in time.
    pub(super) async fn connect(&self) -> Result<TokioIo<TcpStream>, Failure> {
        let mut connector = self.connector.clone();
        let connecting = async {
            poll_fn(|context| connector.poll_ready(context)).await?;
            connector.call(self.server.clone()).await
        };
        match timeout(self.limit, connecting).await {
            Ok(connected) => connected.map_err(|error| Failure::of(&error)),
            Err(_) => Err(Failure::late("there is no connection", self.limit)),
        }
    }
}

/// The system's resolver, as reqwest has it here.
#[derive(Clone, Copy, Debug)]
struct Lookup;

impl Service<Name> for Lookup {
    type Response = Addresses;
    type Error = NoSuchHost;
    type Future = Pin<Box<dyn Future<Output = Result<Addresses, NoSuchHost>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), NoSuchHost>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        Box::pin(async move { look_up(name.as_str()).await })
    }
}
