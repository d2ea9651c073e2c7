//! A request, and its answer as it comes: for as long as it lasts, and longer if it is followed.

use std::sync::Arc;
use std::time::Duration;

use fusd::Errno;
use reqwest::header::{ACCEPT, HeaderValue};
use reqwest::{Method, StatusCode};
use tokio::time::{sleep, timeout};

use super::sse::{Events, Sse, TooLong};
use super::{Reply, Server, WeakTalk};
use crate::ask::{Ask, Payload};
use crate::body::Body;
use crate::exchange::Exchange;
use crate::failure::{Again, Failure};

/// The pause before a stream that has ended is followed, unless the server says another.
const PAUSE: Duration = Duration::from_secs(1);

/// The shortest one.
const SHORTEST: Duration = Duration::from_millis(100);

/// How long the rest of an answer is awaited that nobody hears.
const SETTLE: Duration = Duration::from_secs(5);

/// How answers are heard.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Live {
    /// Answers may be silent for any time.
    pub(crate) is_live: bool,
    pub(crate) sse: Option<Sse>,
    /// A page that has ended is asked for again.
    pub(crate) follow: bool,
    /// The longest pause before that.
    pub(crate) longest: Duration,
}

/// Sends the request `number` of an open file, and gives the file what comes.
pub(super) async fn run(
    talk: WeakTalk,
    server: Arc<Server>,
    mut ask: Ask,
    number: u64,
    reply: Reply,
) {
    let live = server.live;
    let mut listener = Listener {
        talk,
        number,
        reply,
        events: live.sse.map(Events::new),
    };
    let follows = live.follow && ask.method == Method::GET;
    if live.sse.is_some() && ask.method == Method::GET {
        let kind = HeaderValue::from_static("text/event-stream");
        ask.headers.insert(ACCEPT, kind);
    }
    let mut pause = PAUSE;
    loop {
        let heard = listener.hear(&server.exchange, &ask).await;
        // A stream that began is followed after the pause that it asks for.
        let base = base(listener.events.as_ref().and_then(Events::retry));
        let mut later = Duration::ZERO;
        let (more, result) = match heard {
            Heard::Gone => return,
            Heard::Refused(failure) => {
                if let Again::Later(Some(asked)) = failure.again {
                    later = asked;
                }
                pause = pause.max(base);
                (is_passing(&failure), Err(failure.errno))
            }
            Heard::Nothing => (false, Ok(())),
            Heard::Ended => {
                pause = base;
                (true, Ok(()))
            }
            Heard::Broken(failure) => {
                pause = base;
                (true, Err(failure.errno))
            }
        };
        let begun = listener.reply.opened.is_none();
        if !more || !follows || !begun {
            listener.end(result);
            return;
        }
        sleep(pause.min(live.longest).max(later)).await;
        pause = (pause * 2).min(live.longest);
        if let Some(events) = &mut listener.events {
            events.reconnect();
            let id = events.last_id().map(HeaderValue::from_bytes);
            if let Some(Ok(id)) = id {
                ask.headers.insert("last-event-id", id);
            }
        }
    }
}

/// Has a request whose file is gone reach its end: the server may have answered before it has heard
/// all, and takes no more once its answer is not wanted.
pub(super) async fn settle(payload: &Payload, mut body: Body) {
    let answer = async { while let Ok(Some(_)) = body.chunk().await {} };
    match payload {
        Payload::Stream(upload) => {
            let both = async {
                answer.await;
                upload.taken().await;
            };
            let late = async {
                upload.taken().await;
                sleep(SETTLE).await;
            };
            tokio::select! {
                () = both => {}
                () = late => {}
            }
        }
        // The answer is there, and all of it can be sent at once.
        Payload::Bytes(_) => drop(timeout(SETTLE, answer).await),
        Payload::None => {}
    }
}

/// The first pause, where the server has `asked` for one: not so short that it would be a storm.
fn base(asked: Option<Duration>) -> Duration {
    asked.unwrap_or(PAUSE).max(SHORTEST)
}

/// Whether it may be over in a while.
fn is_passing(failure: &Failure) -> bool {
    let waits = [Errno::ETIMEDOUT, Errno::ECONNREFUSED, Errno::EHOSTUNREACH];
    failure.again != Again::Never || waits.contains(&failure.errno)
}

/// What a request came to.
enum Heard {
    Refused(Failure),
    /// There is nothing to hear, now and later.
    Nothing,
    Ended,
    Broken(Failure),
    /// Nobody listens any more.
    Gone,
}

/// Who is given what comes.
struct Listener {
    talk: WeakTalk,
    number: u64,
    reply: Reply,
    events: Option<Events>,
}

impl Listener {
    async fn hear(&mut self, exchange: &Exchange, ask: &Ask) -> Heard {
        let result = exchange.send(ask).await;
        if let Some(told) = self.reply.told.take() {
            // Mostly nobody listens.
            let _ = told.send(result.as_ref().map(drop).map_err(Clone::clone));
        }
        let answer = match result {
            Ok(answer) => answer,
            Err(failure) => {
                let Some(opened) = self.reply.opened.take() else {
                    return Heard::Refused(failure);
                };
                // Who does not wait for it reads it.
                return match opened.send(Err(failure.clone())) {
                    Ok(()) => Heard::Gone,
                    Err(_) => Heard::Refused(failure),
                };
            }
        };
        if let Some(opened) = self.reply.opened.take() {
            let _ = opened.send(Ok(()));
        }
        let number = self.number;
        let Some(talk) = self.talk.upgrade() else {
            settle(&ask.payload, answer.body).await;
            return Heard::Gone;
        };
        talk.queue.update(|state| state.answer(number, Ok(())));
        drop(talk);
        if answer.status == StatusCode::NO_CONTENT {
            return Heard::Nothing;
        }
        let mut body = answer.body;
        let heard = self.listen(&mut body).await;
        if matches!(heard, Heard::Gone) {
            settle(&ask.payload, body).await;
        }
        heard
    }

    async fn listen(&mut self, body: &mut Body) -> Heard {
        loop {
            let chunk = match body.chunk().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => return Heard::Ended,
                Err(failure) => {
                    tracing::info!(errno = %failure.errno, "{failure}");
                    return Heard::Broken(failure);
                }
            };
            let (said, is_too_long) = match &mut self.events {
                None => (chunk.to_vec(), false),
                Some(events) => {
                    let mut said = Vec::new();
                    let result = events.feed(&chunk, &mut said);
                    (said, result == Err(TooLong))
                }
            };
            let Some(talk) = self.talk.upgrade() else {
                return Heard::Gone;
            };
            if !said.is_empty() {
                talk.queue.update(|state| state.inbox.push(&said));
            }
            if is_too_long {
                let text = "an event has no end";
                tracing::warn!(errno = %Errno::EIO, "{text}");
                return Heard::Broken(Failure::new(Errno::EIO, text));
            }
            let room = Arc::clone(&talk.room);
            let mut is_full = talk.queue.look(|state| state.inbox.is_full());
            drop(talk);
            while is_full {
                // Not with the file in hand, whose end tells of itself.
                room.notified().await;
                let Some(talk) = self.talk.upgrade() else {
                    return Heard::Gone;
                };
                is_full = talk.queue.look(|state| state.inbox.is_full());
            }
        }
    }

    fn end(&self, result: Result<(), Errno>) {
        if let Some(talk) = self.talk.upgrade() {
            talk.queue.update(|state| {
                if state.result.is_none() {
                    state.answer(self.number, result);
                }
                if state.number == self.number {
                    state.inbox.end(result);
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_asks_for_no_pause_gets_one() {
        assert_eq!(base(Some(Duration::ZERO)), SHORTEST);
        assert_eq!(base(None), PAUSE);
        assert_eq!(base(Some(5 * PAUSE)), 5 * PAUSE);
    }
}
