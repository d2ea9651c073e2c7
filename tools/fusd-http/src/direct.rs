//! The short way to a server that is reached by http, and by nobody in between: hyper's client, without what
//! reqwest lays around it for redirects, proxies and TLS. Of a small request, that is a third of the work.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use reqwest::header::{ACCEPT, HeaderValue, USER_AGENT};
use reqwest::{Body, Request, Response, ResponseBuilderExt, Url};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower_service::Service;

use crate::client::{AGENT, Addresses, IDLE, look_up};
use crate::failure::Failure;
use crate::network::{HttpVersion, NetworkArgs};

/// How long the other side may be silent before it is asked whether it is there, and how often, as reqwest
/// has it.
const SILENCE: Duration = Duration::from_secs(15);
const QUESTIONS: u32 = 3;

/// How long the other side may leave unconfirmed what was sent, as reqwest has it.
const UNCONFIRMED: Duration = Duration::from_secs(30);

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Pending<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

/// The short way to one server.
#[derive(Clone, Debug)]
pub(crate) struct Direct(Client<Connector, Body>);

impl Direct {
    /// The way to the server of `url`, if it is that short.
    pub(crate) fn to(url: &Url, network: &NetworkArgs) -> Option<Self> {
        if !is_short(url, network, &Matcher::from_env()) {
            return None;
        }
        let mut connector = HttpConnector::new_with_resolver(Lookup);
        connector.set_nodelay(true);
        connector.set_keepalive(Some(SILENCE));
        connector.set_keepalive_interval(Some(SILENCE));
        connector.set_keepalive_retries(Some(QUESTIONS));
        connector.set_tcp_user_timeout(Some(UNCONFIRMED));
        let connector = Connector {
            connector,
            limit: network.connect_timeout,
        };
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(connector);
        Some(Self(client))
    }

    /// Sends a request to the server; gives whatever it answers.
    ///
    /// # Errors
    /// It cannot be reached, or does not answer.
    pub(crate) async fn send(&self, mut request: Request) -> Result<Response, Failure> {
        let headers = request.headers_mut();
        for (name, value) in [(ACCEPT, "*/*"), (USER_AGENT, AGENT)] {
            let own = HeaderValue::from_static(value);
            headers.entry(name).or_insert(own);
        }
        let url = request.url().clone();
        let request = http::Request::try_from(request).map_err(Failure::network)?;
        let answer = self.0.request(request).await;
        let (head, body) = answer.map_err(|error| Failure::of(&error))?.into_parts();
        // Otherwise it would have one made up.
        let response = http::Response::builder().url(url).status(head.status);
        let response = response.version(head.version).body(Body::wrap(body));
        let mut response = response.expect("a status and a version that have been read");
        *response.headers_mut() = head.headers;
        Ok(response.into())
    }
}

/// Whether nothing is between here and the server of `url`, where the environment says `proxies`.
fn is_short(url: &Url, network: &NetworkArgs, proxies: &Matcher) -> bool {
    let is_led = network.unix_socket.is_some() || network.proxy.is_some();
    let is_plain = url.scheme() == "http" && network.http != HttpVersion::Two;
    let uri: Result<Uri, _> = url.as_str().parse();
    is_plain && !is_led && uri.is_ok_and(|uri| proxies.intercept(&uri).is_none())
}

/// Connects, within the time that there is for it.
#[derive(Clone, Debug)]
struct Connector {
    connector: HttpConnector<Lookup>,
    limit: Duration,
}

impl Service<Uri> for Connector {
    type Response = TokioIo<TcpStream>;
    type Error = BoxError;
    type Future = Pending<Self::Response>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.connector.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, server: Uri) -> Self::Future {
        let (connecting, limit) = (self.connector.call(server), self.limit);
        Box::pin(async move {
            match timeout(limit, connecting).await {
                Ok(connected) => connected.map_err(Into::into),
                Err(_) => Err(Failure::late("there is no connection", limit).into()),
            }
        })
    }
}

/// The system's resolver, as reqwest has it here.
#[derive(Clone, Copy, Debug)]
struct Lookup;

impl Service<Name> for Lookup {
    type Response = Addresses;
    type Error = BoxError;
    type Future = Pending<Addresses>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        Box::pin(async move { look_up(name.as_str()).await.map_err(Into::into) })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Options {
        #[command(flatten)]
        network: NetworkArgs,
    }

    #[test]
    fn what_leads_elsewhere_is_not_passed_by() {
        let short = |url: &str, options: &[&str], proxies: &Matcher| {
            let options = Options::parse_from([&["x"], options].concat());
            is_short(&Url::parse(url).unwrap(), &options.network, proxies)
        };
        let (url, none) = ("http://127.0.0.1/", Matcher::builder().build());
        assert!(short(url, &[], &none));
        assert!(!short("https://127.0.0.1/", &[], &none));
        for option in [
            ["--http", "2"],
            ["--proxy", "http://127.0.0.1:3128"],
            ["--unix-socket", "/nowhere"],
        ] {
            assert!(!short(url, &option, &none), "{option:?}");
        }
        let proxies = Matcher::builder().http("http://127.0.0.1:3128");
        assert!(!short(url, &[], &proxies.no("localhost").build()));
    }
}
