//! A request, and its answer as it comes: for as long as it lasts, and longer if it is followed.

use std::sync::Arc;
use std::time::Duration;

use fusd::Errno;
use reqwest::header::{ACCEPT, HeaderValue};
use reqwest::{Method, StatusCode};
use tokio::time::sleep;

use super::sse::{Events, Sse, TooLong};
use super::{Opening, Server, WeakTalk};
use crate::body::Body;
use crate::exchange::{Ask, Exchange};
use crate::failure::{Again, Failure};

/// The pause before a stream that has ended is followed, unless the server says another.
const PAUSE: Duration = Duration::from_secs(1);

/// How answers are heard.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Live {
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
    opened: Option<Opening>,
) {
    let live = server.live;
    let mut listener = Listener {
        talk,
        number,
        opened,
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
        let (more, result) = match heard {
            Heard::Gone => return,
            Heard::Refused(failure) => (is_passing(&failure), Err(failure.errno)),
            Heard::Nothing => (false, Ok(())),
            Heard::Ended => {
                pause = PAUSE;
                (true, Ok(()))
            }
            Heard::Broken(failure) => (true, Err(failure.errno)),
        };
        let begun = listener.opened.is_none();
        if !more || !follows || !begun {
            listener.end(result);
            return;
        }
        let asked = listener.events.as_ref().and_then(Events::retry);
        sleep(asked.unwrap_or(pause).min(live.longest)).await;
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
    opened: Option<Opening>,
    events: Option<Events>,
}

impl Listener {
    async fn hear(&mut self, exchange: &Exchange, ask: &Ask) -> Heard {
        let answer = match exchange.send(ask).await {
            Ok(answer) => answer,
            Err(failure) => {
                let Some(opened) = self.opened.take() else {
                    return Heard::Refused(failure);
                };
                // Who does not wait for it reads it.
                return match opened.send(Err(failure.clone())) {
                    Ok(()) => Heard::Gone,
                    Err(_) => Heard::Refused(failure),
                };
            }
        };
        if let Some(opened) = self.opened.take() {
            let _ = opened.send(Ok(()));
        }
        let number = self.number;
        let Some(talk) = self.talk.upgrade() else {
            return Heard::Gone;
        };
        talk.queue.update(|state| state.answer(number, Ok(())));
        drop(talk);
        match answer.status {
            StatusCode::NO_CONTENT => Heard::Nothing,
            _ => self.listen(answer.body).await,
        }
    }

    async fn listen(&mut self, mut body: Body) -> Heard {
        loop {
            let chunk = match body.chunk().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => return Heard::Ended,
                Err(failure) => {
                    tracing::info!(errno = %failure.errno, "{failure}");
                    return Heard::Broken(failure);
                }
            };
            let said = match &mut self.events {
                None => Ok(chunk.to_vec()),
                Some(events) => events.feed(&chunk),
            };
            let said = match said {
                Ok(said) => said,
                Err(TooLong) => {
                    let text = "an event has no end";
                    tracing::warn!(errno = %Errno::EIO, "{text}");
                    return Heard::Broken(Failure::new(Errno::EIO, text));
                }
            };
            let Some(talk) = self.talk.upgrade() else {
                return Heard::Gone;
            };
            if !said.is_empty() {
                talk.queue.update(|state| state.inbox.push(&said));
            }
            while talk.queue.look(|state| state.inbox.is_full()) {
                // The file's end aborts this.
                talk.room.notified().await;
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
