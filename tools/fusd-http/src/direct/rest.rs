//! The body of an answer, with the connection by which it comes, which can then be used again.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use hyper::body::{Body, Incoming};

use super::line::Line;
use super::pool::Pool;
use crate::failure::Failure;

/// What has not come yet of an answer.
#[derive(Debug)]
pub(crate) struct Rest {
    /// Both are there until it is dropped.
    coming: Option<(Box<Line>, Incoming)>,
    pool: Arc<Pool>,
}

impl Rest {
    pub(super) fn new(line: Box<Line>, body: Incoming, pool: &Arc<Pool>) -> Self {
        Self {
            coming: Some((line, body)),
            pool: Arc::clone(pool),
        }
    }

    /// The next bytes; nothing at the end.
    pub(crate) fn poll_data(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Failure>>> {
        let Some((line, body)) = &mut self.coming else {
            return Poll::Ready(None);
        };
        let next = poll_data(body, context);
        let next = match next.is_ready() {
            true => next,
            false => {
                line.work(context);
                poll_data(body, context)
            }
        };
        next.map_err(|error| Failure::of(&error))
    }
}

impl Drop for Rest {
    fn drop(&mut self) {
        let Some((mut line, body)) = self.coming.take() else {
            return;
        };
        drop(body);
        if !line.is_free() {
            // A little that is left may be there already; for more, nobody waits.
            line.work(&mut Context::from_waker(Waker::noop()));
        }
        if line.is_free() {
            self.pool.keep(line);
        }
    }
}

/// The next bytes of a body, at whose end there may be more than bytes.
pub(crate) fn poll_data<B: Body<Data = Bytes> + Unpin>(
    body: &mut B,
    context: &mut Context<'_>,
) -> Poll<Option<Result<Bytes, B::Error>>> {
    loop {
        match ready!(Pin::new(&mut *body).poll_frame(context)) {
            Some(Ok(frame)) => {
                if let Ok(bytes) = frame.into_data() {
                    return Poll::Ready(Some(Ok(bytes)));
                }
            }
            Some(Err(error)) => return Poll::Ready(Some(Err(error))),
            None => return Poll::Ready(None),
        }
    }
}
