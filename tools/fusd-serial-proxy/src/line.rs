//! The thread that takes what comes from a port, and opens the port again where it was lost.

use std::io;
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};

use crate::hub::{Hub, WeakHub};
use crate::port::{Opened, Source};

/// The pause between two looks for a port that was lost.
const RETRY: Duration = Duration::from_millis(100);

/// The longest pause between two attempts to open one that is there, which take more.
const LONGEST: Duration = Duration::from_secs(1);

/// Opens the port.
pub(crate) type Opener = Box<dyn Fn() -> io::Result<Opened> + Send>;

/// Serves `hub` with the port that `first` is and, once that is lost, `opener` opens. `name` is for
/// the log.
///
/// # Errors
/// There is no thread to be had.
pub(crate) fn start(hub: &Hub, name: String, first: Opened, opener: Opener) -> io::Result<()> {
    let Opened {
        port,
        source,
        settings,
        early,
    } = first;
    hub.change(|state, _| {
        state.connect(port, Some(settings));
        for unit in early {
            state.receive(unit);
        }
    });
    let weak = hub.downgrade();
    let serve = move || {
        let mut source = source;
        loop {
            match follow(&weak, source.as_mut()) {
                None => return,
                Some(error) => {
                    let why = error.map_or("it has hung up".to_owned(), |error| error.to_string());
                    tracing::warn!("{name} is lost: {why}; waiting for it to come back");
                }
            }
            drop(source);
            let Some(again) = reopen(&weak, &opener) else {
                return;
            };
            tracing::warn!("{name} is back");
            source = again;
        }
    };
    thread::Builder::new().name("port".into()).spawn(serve)?;
    Ok(())
}

/// Until the port is lost: why. `None` if there is nobody any more to serve.
fn follow(weak: &WeakHub, source: &mut dyn Source) -> Option<Option<io::Error>> {
    let interest = |hub: &Hub| hub.queue().look(|state| state.interest());
    let mut waits_for = interest(&weak.upgrade()?);
    let mut units = Vec::new();
    loop {
        let hub = weak.upgrade()?;
        let mut events = PollFlags::empty();
        events.set(PollFlags::IN, waits_for.input);
        events.set(PollFlags::OUT, waits_for.output);
        let bell = hub.port_bell();
        let mut ready = [
            PollFd::from_borrowed_fd(source.descriptor(), events),
            PollFd::from_borrowed_fd(bell.descriptor(), PollFlags::IN),
        ];
        match poll(&mut ready, None) {
            Err(rustix::io::Errno::INTR) => continue,
            Err(errno) => return Some(lose(&hub, Some(errno.into()))),
            Ok(_) => {}
        }
        let [found, woken] = ready.map(|ready| ready.revents());
        // It is rung at every change of what is waited for.
        if !woken.is_empty() {
            bell.quiet();
            waits_for = interest(&hub);
        }
        if found.contains(PollFlags::IN) {
            match source.read(&mut units) {
                Ok(true) => waits_for = hub.receive(&mut units),
                Ok(false) => return Some(lose(&hub, None)),
                Err(error) => return Some(lose(&hub, Some(error))),
            }
        } else if found.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) {
            return Some(lose(&hub, None));
        } else if found.contains(PollFlags::OUT) {
            hub.change(|_, _| ());
            waits_for = interest(&hub);
        }
    }
}

fn lose(hub: &Hub, why: Option<io::Error>) -> Option<io::Error> {
    hub.change(|state, _| state.disconnect());
    why
}

/// Opens the port again, for as long as that takes. `None` if there is nobody any more to serve.
fn reopen(weak: &WeakHub, opener: &Opener) -> Option<Box<dyn Source>> {
    let mut pause = RETRY;
    loop {
        thread::sleep(pause);
        let hub = weak.upgrade()?;
        match opener() {
            Ok(opened) => {
                hub.change(|state, _| {
                    state.connect(opened.port, None);
                    for unit in opened.early {
                        state.receive(unit);
                    }
                });
                return Some(opened.source);
            }
            Err(error) => {
                tracing::debug!(%error, "the port is not back yet");
                pause = match error.kind() {
                    io::ErrorKind::NotFound => RETRY,
                    _ => (2 * pause).min(LONGEST),
                };
            }
        }
    }
}
