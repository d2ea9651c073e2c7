//! `--send close`: one request for all that is written, which is sent while it is written.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use fusd::request::{FlushRequest, WriteRequest};
use fusd::{Attempt, Delivery, Errno};
use futures_util::stream;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::sync::oneshot;

use super::{Shared, State, Task, WeakTalk};
use crate::exchange::{Payload, Upload};

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
        end: oneshot::Sender<()>,
        complete: Arc<AtomicBool>,
    },
    /// It has been sent to its end, or broken off.
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
            && let Self::Open { end, complete, .. } = std::mem::replace(self, Self::Ended)
        {
            complete.store(true, Ordering::Release);
            // The request may have failed already.
            let _ = end.send(());
        }
    }
}

pub(super) fn write(shared: &Arc<Shared>, request: WriteRequest) {
    let talk = Arc::downgrade(shared);
    let attempt = move |state: &mut State, request: WriteRequest| attempt(&talk, state, request);
    shared.queue.serve(request, attempt);
}

fn attempt(talk: &WeakTalk, state: &mut State, request: WriteRequest) -> Attempt<WriteRequest> {
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
    let Outgoing::Open { body, .. } = &state.outgoing else {
        tracing::info!("a file takes no more once it has been closed somewhere, or read");
        return fail(request, Errno::EPIPE);
    };
    if let Some(Err(errno)) = state.result {
        return fail(request, errno);
    }
    match body.clone().try_reserve_owned() {
        Ok(place) => {
            let bytes = Bytes::copy_from_slice(request.data());
            if request.accept() == Delivery::Delivered {
                place.send(bytes);
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
    let (end, ended) = oneshot::channel();
    let talk = Arc::downgrade(shared);
    let complete = Arc::new(AtomicBool::new(false));
    let body_is_complete = Arc::clone(&complete);
    let next = move |(mut bytes, talk): (Receiver<Bytes>, WeakTalk)| {
        let complete = Arc::clone(&body_is_complete);
        async move {
            let Some(next) = bytes.recv().await else {
                // Else the server would take what there is for the whole.
                let complete = complete.swap(true, Ordering::Acquire);
                let broken = io::Error::other("the writer was killed");
                return (!complete).then_some((Err(broken), (bytes, talk)));
            };
            // Whoever waits for room has it.
            if let Some(shared) = talk.upgrade() {
                shared.queue.update(|_| {});
            }
            Some((Ok(next), (bytes, talk)))
        }
    };
    let stream = reqwest::Body::wrap_stream(stream::unfold((bytes, talk), next));
    state.outgoing = Outgoing::Open {
        body,
        end,
        complete,
    };
    let payload = Payload::Stream(Upload::new(stream, ended));
    shared.begin(state, writing.ask(&shared.opener, payload), None);
}

pub(super) fn flush(shared: &Arc<Shared>, request: FlushRequest) {
    if is_killed(&request) {
        let task = shared.queue.update(break_off);
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
            _ => drop(request.done()),
        }
        Attempt::Served
    });
}

/// The server is not to take what there is for the whole.
fn break_off(state: &mut State) -> Option<Task> {
    if !state.outgoing.is_open() {
        return None;
    }
    tracing::warn!("the writer was killed: its request is broken off");
    state.outgoing = Outgoing::Ended;
    state.task.take()
}

/// The last descriptor is closed. Whoever has not been told by close(2) is told by the log. `flushes`:
/// the opener's close would have been told before.
pub(super) fn release(state: &mut State, flushes: bool) {
    if flushes && state.outgoing.is_open() {
        // It was killed, and the kernel has not waited for its flush.
        drop(break_off(state));
    }
    if state.outgoing.is_open() || matches!(state.outgoing, Outgoing::Ended) && state.is_asking() {
        state.outgoing.end();
        state.detach();
    }
}

/// Whether the one who closes the file is ended by a signal: then the kernel closes its files, and
/// nobody knows whether all was written. /proc/PID/stat has its exit code, which is 0 where this
/// process may not know it.
pub(super) fn is_killed(request: &FlushRequest) -> bool {
    let thread = request.caller().thread;
    // A thread in the middle of execve(2) closes files as well, and holds a lock that reading its stat
    // waits for (fs/proc/array.c, do_task_stat; fs/exec.c, begin_new_exec): it would wait for us, and we
    // for it. Unlike one that ends, it has memory.
    let status = std::fs::read_to_string(format!("/proc/{thread}/status")).unwrap_or_default();
    if status.contains("\nVmSize:") {
        return false;
    }
    match std::fs::read_to_string(format!("/proc/{thread}/stat")) {
        Ok(stat) => {
            // The last field; the lower bits of it are the signal.
            let code = stat.trim_end().rsplit(' ').next();
            let code = code.and_then(|code| code.parse().ok());
            code.is_some_and(|code: u32| code & 0x7f != 0)
        }
        // It has not waited for the answer, as a signal has come; and it has ended since.
        Err(_) => request.is_abandoned(),
    }
}
