//! A last line that has no newline: it is sent when the file is closed, after the lines before it.

use std::sync::Arc;

use bytes::Bytes;
use fusd::request::FlushRequest;
use fusd::{Attempt, Errno};

use super::live::settle;
use super::state::State;
use super::writers::{Writer, is_killed};
use super::{Outcome, Shared};
use crate::ask::Payload;

impl Shared {
    /// Sends the last line of a file that is gone, once the request `before` has been answered.
    fn send_last(&self, line: Vec<u8>, before: Option<Outcome>) {
        let server = Arc::clone(&self.server);
        let Some(writing) = &server.writing else {
            return;
        };
        let ask = writing.ask(&self.opener, Payload::Bytes(Bytes::from(line)));
        let exchange = server.exchange.clone();
        let work = async move {
            if let Some(before) = before {
                tracing::debug!("the last line waits for the request before it");
                match before.await {
                    Ok(Ok(())) => {}
                    Ok(Err(failure)) => return drop_line(failure.errno),
                    // It was given up.
                    Err(_) => return drop_line(Errno::ECANCELED),
                }
            }
            // A failure is in the log.
            if let Ok(answer) = exchange.send(&ask).await {
                settle(&ask.payload, answer.body).await;
            }
        };
        server.tasks.spawn_on(work, &server.runtime);
    }
}

/// Sends the line that is begun, if the file's opener closes it, and waits for what becomes of it.
pub(super) fn flush(shared: &Arc<Shared>, request: FlushRequest) {
    if is_killed(&request) {
        let who = Writer::of(request.caller());
        shared.queue.update(|state| {
            // Nobody knows how the line was to go on.
            if !state.line.is_empty() && state.writers.has(who) {
                tracing::warn!("the writer was killed: the line that it had begun is dropped");
                state.line.clear();
                state.writers.clear();
            }
        });
    }
    if request.caller().pid() != shared.opener.pid || request.nonblocking() {
        request.done();
        return;
    }
    let talk = Arc::downgrade(shared);
    let mut sent = None;
    shared
        .queue
        .serve(request, move |state, request: FlushRequest| {
            if state.is_asking() {
                return Attempt::Wait(request);
            }
            if let Some(errno) = state.untold.take() {
                state.writers.clear();
                if !std::mem::take(&mut state.line).is_empty() {
                    drop_line(errno);
                }
                request.fail(errno);
                return Attempt::Served;
            }
            if let (false, Some(shared)) = (state.line.is_empty(), talk.upgrade()) {
                let line = std::mem::take(&mut state.line);
                state.writers.clear();
                if !shared.fits(&line) {
                    request.fail(Errno::EINVAL);
                    return Attempt::Served;
                }
                sent = Some(shared.send(state, line));
                return Attempt::Wait(request);
            }
            match state.result.filter(|_| sent == Some(state.number)) {
                Some(Err(errno)) => drop(request.fail(errno)),
                _ => drop(request.done()),
            }
            Attempt::Served
        });
    // It may have sent something, and wait: whoever polls is told.
    shared.queue.update(|_| {});
}

/// Sends the line that is begun. Whoever has not been told by close(2) is told by the log.
pub(super) fn release(shared: &Arc<Shared>, state: &mut State) {
    let is_under_way = state.is_asking();
    if state.line.is_empty() {
        if state.nobody_waits && is_under_way {
            state.detach();
        }
        return;
    }
    let before = state.outcome.take().filter(|_| is_under_way);
    // What was written before goes on without the file, and then this. Nobody hears what was only read.
    if before.is_some() {
        state.detach();
    }
    let line = std::mem::take(&mut state.line);
    if let Some(errno) = state.untold {
        drop_line(errno);
    } else if shared.fits(&line) {
        shared.send_last(line, before);
    }
}

fn drop_line(errno: Errno) {
    tracing::error!(
        %errno,
        "the last line is dropped: what was before it has failed"
    );
}
