//! Requests of clients that wait for the network: a client that stops waiting takes its task along.

use std::convert::Infallible;
use std::future::Future;

use fusd::request::Request;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// Resolves when the client has stopped waiting.
pub(crate) type Gone = oneshot::Receiver<Infallible>;

/// Tells when the client of `request` stops waiting; `None` where it has already.
pub(crate) fn watch<R: Request>(request: &R) -> Option<Gone> {
    let (here, gone) = oneshot::channel();
    // It is dropped unused where there is an answer first; nobody looks at it then.
    let notice = move || drop(here);
    request.context().on_abandoned(notice).then_some(gone)
}

/// Does `work` for `request`, then has it answered. Where the client stops waiting, `work` is dropped
/// in the middle, and `given_up` called.
pub(crate) fn serve<R: Request, T: Send>(
    runtime: &Handle,
    request: R,
    work: impl Future<Output = T> + Send + 'static,
    answer: impl FnOnce(R, T) + Send + 'static,
    given_up: impl FnOnce() + Send + 'static,
) {
    let Some(gone) = watch(&request) else {
        given_up();
        return;
    };
    runtime.spawn(async move {
        tokio::select! {
            biased;
            result = work => answer(request, result),
            _ = gone => given_up(),
        }
    });
}
