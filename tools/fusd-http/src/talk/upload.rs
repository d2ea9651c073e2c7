//! `--send close`: one request for all that is written, which is sent while it is written.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use fusd::request::{FlushRequest, WriteRequest};
use fusd::{Attempt, Delivery, Errno};
use futures_util::stream;
use tokio::sync::mpsc::{self, Sender, WeakSender};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::feed::Feed;
use super::state::{State, Task};
use super::writers::{Writer, is_killed};
use super::{Shared, WeakTalk};
use crate::ask::{Payload, Upload};

/// How many writes wait to be sent. The kernel makes them of at most 1 MiB.
const WRITES: usize = 4;

/// What has become of the body.
#[derive(Debug, Default)]
pub(super) enum Outgoing {
    /// Nothing has been written.
    #[default]
    None,
    Open {
        body: Sender<Bytes>,
        complete: Arc<AtomicBool>,
    },
    /// It has been written to its end, or broken off.
    Ended,
}

impl Outgoing {
    /// Whether more may be written.
    pub(super) fn is_open(&self) -> bool {
        matches!(self, Self::Open { .. })
    }

    /// Whether a write would not wait.
    pub(super) fn has_room(&self) -> bool {
        match self {
            Self::Open { body, .. } => body.capacity() > 0 || body.is_closed(),
            Self::None | Self::Ended => true,
        }
    }

    /// All has been written.
    pub(super) fn end(&mut self) {
        if self.is_open()
            && let Self::Open { complete, .. } = std::mem::replace(self, Self::Ended)
        {
            // The sender is dropped after that: whoever sees the end sees it complete.
            complete.store(true, Ordering::Release);
        }
    }
}

pub(super) fn write(shared: &Arc<Shared>, request: WriteRequest) {
    let talk = Arc::downgrade(shared);
    let writer = Writer::of(request.caller());
    let attempt =
        move |state: &mut State, request: WriteRequest| attempt(&talk, state, request, writer);
    shared.queue.serve(request, attempt);
}

fn attempt(
    talk: &WeakTalk,
    state: &mut State,
    request: WriteRequest,
    writer: Writer,
) -> Attempt<WriteRequest> {
    let fail = |request: WriteRequest, errno| {
        request.fail(errno);
        Attempt::Served
    };
    if request.data().is_empty() {
        request.accept();
        return Attempt::Served;
    }
    let Some(shared) = talk.upgrade() else {
        return fail(request, Errno::EIO);
    };
    if matches!(state.outgoing, Outgoing::None) {
        begin(&shared, state);
    }
    if let Some(Err(errno)) = state.result {
        return fail(request, errno);
    }
    let Outgoing::Open { body, .. } = &state.outgoing else {
        tracing::info!("a file takes no more once it has been closed somewhere, or read");
        return fail(request, Errno::EPIPE);
    };
    match body.clone().try_reserve_owned() {
        Ok(place) => {
            let bytes = Bytes::copy_from_slice(request.data());
            if request.accept() == Delivery::Delivered {
                place.send(bytes);
                state.writers.add(writer);
            }
            Attempt::Served
        }
        Err(mpsc::error::TrySendError::Full(_)) => Attempt::Wait(request),
        // The server has answered before it has heard all; or it is about to be known why not.
        Err(mpsc::error::TrySendError::Closed(_)) => match state.result {
            Some(_) => fail(request, Errno::EPIPE),
            None => Attempt::Wait(request),
        },
    }
}

fn begin(shared: &Arc<Shared>, state: &mut State) {
    let Some(writing) = &shared.server.writing else {
        return;
    };
    let (body, bytes) = mpsc::channel(WRITES);
    let (pulled, pulls) = watch::channel(Instant::now());
    let complete = Arc::new(AtomicBool::new(false));
    let feed = Feed {
        bytes,
        talk: Arc::downgrade(shared),
        runtime: shared.server.runtime.clone(),
        complete: Arc::clone(&complete),
        is_whole: false,
        pulled,
    };
    let stream = reqwest::Body::wrap_stream(stream::unfold(feed, Feed::next));
    let weak = body.downgrade();
    state.outgoing = Outgoing::Open { body, complete };
    state.is_sending = true;
    let payload = Payload::Stream(Upload::new(stream, pulls.clone()));
    let number = shared.begin(state, writing.ask(&shared.opener, payload), None);
    let request = state.task.as_ref().and_then(|task| task.0.clone());
    let (talk, limits) = (Arc::downgrade(shared), shared.server.exchange.limits());
    shared.server.runtime.spawn(async move {
        if !stalled(weak, pulls, limits.before_first, limits.stall).await {
            return;
        }
        tracing::warn!(errno = %Errno::ETIMEDOUT, "the server takes nothing of what is written");
        if let Some(shared) = talk.upgrade() {
            let update = |state: &mut State| state.answer(number, Err(Errno::ETIMEDOUT));
            shared.queue.update(update);
        }
        if let Some(request) = request {
            request.abort();
        }
    });
}

/// Waits until nothing of what is written has been taken for so long, or (false) until all is taken, or
/// not wanted; `first` is the time for that to begin.
async fn stalled(
    body: WeakSender<Bytes>,
    mut pulls: watch::Receiver<Instant>,
    first: Duration,
    stall: Duration,
) -> bool {
    let mut end = Instant::now() + first + stall;
    loop {
        tokio::select! {
            biased;
            pulled = pulls.changed() => match pulled {
                Ok(()) => end = *pulls.borrow_and_update() + stall,
                Err(_) => return false,
            },
            () = sleep_until(end) => {
                // Whoever writes may take any time for it.
                let idle = |body: Sender<Bytes>| body.capacity() == body.max_capacity();
                if !body.upgrade().is_some_and(idle) {
                    return true;
                }
                end = Instant::now() + stall;
            }
        }
    }
}

pub(super) fn flush(shared: &Arc<Shared>, request: FlushRequest) {
    if is_killed(&request) {
        let who = Writer::of(request.caller());
        let is_opener = request.caller().pid() == shared.opener.pid;
        let task = shared.queue.update(|state| {
            // Others may write on, whoever dies.
            let wrote = is_opener || state.writers.has(who);
            wrote.then(|| break_off(state))
        });
        drop(task);
        request.done();
        return;
    }
    // Others have inherited the file: it is not closed before the opener closes it, or all have.
    if request.caller().pid() != shared.opener.pid {
        request.done();
        return;
    }
    if request.nonblocking() {
        shared.queue.update(|state| state.outgoing.end());
        request.done();
        return;
    }
    shared.queue.serve(request, |state, request: FlushRequest| {
        if matches!(state.outgoing, Outgoing::None) {
            request.done();
            return Attempt::Served;
        }
        state.outgoing.end();
        match state.result {
            None if state.task.is_some() => return Attempt::Wait(request),
            Some(Err(errno)) => drop(request.fail(errno)),
            // It has answered before it has heard all.
            _ if state.is_sending => return Attempt::Wait(request),
            _ if state.is_cut => {
                tracing::warn!(
                    "the server has answered, and taken only a part of what was written"
                );
                request.fail(Errno::EPIPE);
            }
            _ => drop(request.done()),
        }
        Attempt::Served
    });
    // Whoever polls is told of the end.
    shared.queue.update(|_| {});
}

/// The server is not to take what there is for the whole.
fn break_off(state: &mut State) -> Option<Task> {
    if !state.outgoing.is_open() {
        return None;
    }
    tracing::warn!("the writer was killed: its request is broken off");
    state.outgoing = Outgoing::Ended;
    state.answer(state.number, Err(Errno::ECANCELED));
    state.task.take()
}

/// The last descriptor is closed. Whoever has not been told by close(2) is told by the log. `flushes`:
/// the opener's close would have been told before.
pub(super) fn release(state: &mut State, flushes: bool) {
    if flushes && state.outgoing.is_open() {
        // It was killed, and the kernel has not waited for its flush.
        drop(break_off(state));
    }
    let is_under_way = state.is_asking() || state.is_sending;
    if state.outgoing.is_open() || matches!(state.outgoing, Outgoing::Ended) && is_under_way {
        state.outgoing.end();
        state.detach();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_broken_off_has_failed() {
        let (body, _bytes) = mpsc::channel(WRITES);
        let complete = Arc::new(AtomicBool::new(false));
        let mut state = State {
            number: 1,
            // The head of an answer has come already.
            result: Some(Ok(())),
            outgoing: Outgoing::Open { body, complete },
            ..State::default()
        };
        drop(break_off(&mut state));
        assert_eq!(state.result, Some(Err(Errno::ECANCELED)));
        assert!(state.inbox.is_ready(), "a read does not wait for ever");
    }

    #[test]
    fn a_server_that_takes_nothing_is_not_waited_for() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let short = Duration::from_millis(5);
        let (body, _bytes) = mpsc::channel(WRITES);
        let (pulled, pulls) = watch::channel(Instant::now());
        let wait = |limit| {
            let stalled = stalled(body.downgrade(), pulls.clone(), short, short);
            runtime.block_on(async { tokio::time::timeout(limit, stalled).await })
        };
        assert!(wait(20 * short).is_err(), "the writer is idle");
        body.try_send(Bytes::new()).unwrap();
        assert_eq!(wait(Duration::from_secs(60)), Ok(true));
        drop(pulled);
        assert_eq!(wait(Duration::from_secs(60)), Ok(false), "not wanted");
    }
}
