//! The short way to a server that is reached by http, and by nobody in between: hyper's connections, without
//! what reqwest lays around them for redirects, proxies and TLS, and without a task for each of them.
//! It is for requests that nothing goes along with: an upload may last longer than its answer.

mod connector;
mod line;
mod pool;
mod rest;

use std::sync::Arc;

use fusd::Errno;
use http::header::{Entry, HOST};
use http::{Request, Response, Uri};
use hyper_util::client::proxy::matcher::Matcher;
use reqwest::header::{ACCEPT, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use reqwest::{Method, Url};
use tokio::runtime::Handle;
use url::Position;

use self::connector::Connector;
use self::line::{Line, Nothing};
use self::pool::Pool;
pub(crate) use self::rest::{Rest, poll_data};
use crate::client::AGENT;
use crate::failure::Failure;
use crate::network::{HttpVersion, NetworkArgs};

/// The short way to one server.
#[derive(Debug)]
pub(crate) struct Direct {
    connector: Connector,
    /// The URL that is asked for mostly, and what of it a request has.
    home: (Url, Uri),
    /// What each request has, unless it says something else.
    common: [(HeaderName, HeaderValue); 3],
    pool: Arc<Pool>,
}

impl Direct {
    /// The way to the server of `url`, if it is that short.
    pub(crate) fn to(url: &Url, network: &NetworkArgs, runtime: &Handle) -> Option<Self> {
        match is_short(url, network, &Matcher::from_env()) {
            true => Self::new(url, network, runtime),
            false => None,
        }
    }

    fn new(url: &Url, network: &NetworkArgs, runtime: &Handle) -> Option<Self> {
        let host = &url[Position::BeforeHost..Position::AfterPort];
        let common = [
            (ACCEPT, HeaderValue::from_static("*/*")),
            (USER_AGENT, HeaderValue::from_static(AGENT)),
            (HOST, HeaderValue::from_str(host).ok()?),
        ];
        Some(Self {
            connector: Connector::to(url, network)?,
            home: (url.clone(), place(url).ok()?),
            common,
            pool: Pool::new(runtime.clone()),
        })
    }

    /// Asks the server for `url`, which is one of its own; gives whatever it answers.
    ///
    /// # Errors
    /// It cannot be reached, or does not answer.
    pub(crate) async fn send(
        &self,
        method: Method,
        url: &Url,
        mut headers: HeaderMap,
    ) -> Result<Response<Rest>, Failure> {
        for (name, value) in &self.common {
            if let Entry::Vacant(place) = headers.entry(name) {
                place.insert(value.clone());
            }
        }
        let mut request = Request::new(Nothing::new());
        *request.method_mut() = method;
        *request.uri_mut() = match *url == self.home.0 {
            true => self.home.1.clone(),
            false => place(url)?,
        };
        *request.headers_mut() = headers;
        while let Some(line) = self.pool.take() {
            match self.ask(line, request).await {
                // It was closed while nobody used it.
                Err((_, Some(unsent))) => request = unsent,
                answer => return answer.map_err(|error| error.0),
            }
        }
        let line = Line::new(self.connector.connect().await?).await?;
        let answer = self.ask(Box::new(line), request).await;
        answer.map_err(|error| error.0)
    }

    /// Asks by this connection. Where it fails before anything is sent, there is the request as well.
    async fn ask(
        &self,
        mut line: Box<Line>,
        request: Request<Nothing>,
    ) -> Result<Response<Rest>, (Failure, Option<Request<Nothing>>)> {
        match line.ask(request).await {
            Ok(answer) => Ok(answer.map(|body| Rest::new(line, body, &self.pool))),
            Err(mut error) => {
                let unsent = error.take_message();
                Err((Failure::of(&error.into_error()), unsent))
            }
        }
    }
}

/// What a request says of `url`, beside the server.
fn place(url: &Url) -> Result<Uri, Failure> {
    let place = url[Position::BeforePath..Position::AfterQuery].parse();
    place.map_err(|error| Failure::new(Errno::EIO, format!("the URL cannot be asked for: {error}")))
}

/// Whether nothing is between here and the server of `url`, where the environment says `proxies`.
fn is_short(url: &Url, network: &NetworkArgs, proxies: &Matcher) -> bool {
    let is_led = network.unix_socket.is_some() || network.proxy.is_some();
    let is_plain = url.scheme() == "http" && network.http != HttpVersion::Two;
    let uri: Result<Uri, _> = url.as_str().parse();
    is_plain && !is_led && uri.is_ok_and(|uri| proxies.intercept(&uri).is_none())
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::io::{Read, Write};
    use std::net::{Ipv4Addr, TcpListener};
    use std::thread;

    use clap::Parser;
    use tokio::sync::mpsc::unbounded_channel;
    use tokio::task::yield_now;

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

    #[tokio::test]
    async fn connections_are_used_again_unless_they_were_closed() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let url = Url::parse(&url).unwrap();
        let (close, closed) = std::sync::mpsc::channel();
        let (tell, mut told) = unbounded_channel();
        let server = thread::spawn(move || {
            for connection in 0..2 {
                let mut stream = listener.accept().unwrap().0;
                for _ in 0..2 {
                    assert!(stream.read(&mut [0; 1024]).unwrap() > 0);
                    let head = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n";
                    stream
                        .write_all(format!("{head}{connection}").as_bytes())
                        .unwrap();
                }
                closed.recv().unwrap();
                drop(stream);
                tell.send(()).unwrap();
            }
        });
        let options = Options::parse_from(["x"]);
        let direct = Direct::new(&url, &options.network, &Handle::current()).unwrap();
        for connection in ["0", "1"] {
            for _ in 0..2 {
                let answer = direct.send(Method::GET, &url, HeaderMap::new()).await;
                let mut rest = answer.unwrap().into_body();
                let bytes = poll_fn(|context| rest.poll_data(context)).await;
                assert_eq!(bytes.unwrap().unwrap(), connection);
            }
            close.send(()).unwrap();
            told.recv().await.unwrap();
            // The runtime looks at what has come to its connections.
            yield_now().await;
        }
        server.join().unwrap();
    }

    #[test]
    fn a_request_says_where_on_the_server() {
        for (url, said) in [
            ("http://host", "/"),
            ("http://host:81/a/b?c=d#e", "/a/b?c=d"),
            ("http://host//a", "//a"),
            ("http://[::1]:81?x", "/?x"),
        ] {
            assert_eq!(place(&Url::parse(url).unwrap()).unwrap(), said, "{url}");
        }
    }
}
