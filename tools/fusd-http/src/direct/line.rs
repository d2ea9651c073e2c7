//! A connection, whose work is done by whoever uses it: no task of its own has to be woken for what comes.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{Connection, SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::failure::Failure;

/// What goes along with a request.
pub(super) type Nothing = Empty<Bytes>;

/// A connection.
#[derive(Debug)]
pub(super) struct Line {
    sender: SendRequest<Nothing>,
    /// None once it is closed.
    connection: Option<Connection<TokioIo<TcpStream>, Nothing>>,
}

impl Line {
    pub(super) async fn new(stream: TokioIo<TcpStream>) -> Result<Self, Failure> {
        let (sender, connection) = handshake(stream)
            .await
            .map_err(|error| Failure::of(&error))?;
        Ok(Self {
            sender,
            connection: Some(connection),
        })
    }

    /// Sends a request; gives the answer, as soon as its head is there.
    ///
    /// # Errors
    /// There is none. If nothing has been sent, the error has the request.
    pub(super) async fn ask(
        &mut self,
        request: Request<Nothing>,
    ) -> Result<Response<Incoming>, TrySendError<Request<Nothing>>> {
        let mut answer = pin!(self.sender.try_send_request(request));
        let connection = &mut self.connection;
        poll_fn(|context| {
            work(connection, context);
            answer.as_mut().poll(context)
        })
        .await
    }

    /// Does what is to be done now: sends, receives, and tells those who wait for what has come.
    pub(super) fn work(&mut self, context: &mut Context<'_>) {
        work(&mut self.connection, context);
    }

    /// Whether it can take another request, as far as is known.
    pub(super) fn is_free(&self) -> bool {
        self.connection.is_some() && self.sender.is_ready()
    }
}

fn work<C: Future + Unpin>(connection: &mut Option<C>, context: &mut Context<'_>) {
    let result = connection.as_mut().map(|it| Pin::new(it).poll(context));
    if let Some(Poll::Ready(_)) = result {
        // Who waits has been told why, or is told now that it is gone.
        *connection = None;
    }
}
