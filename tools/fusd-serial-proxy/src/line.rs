//! The thread that takes what comes from a port, and opens the port again where it was lost.

use std::io;
use std::thread;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::hub::{Hub, WeakHub};
use crate::port::{Opened, Source};
use crate::state::Interest;

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
    loop {
        let hub = weak.upgrade()?;
        let Interest { input, output } = hub.queue().look(|state| state.interest());
        let mut events = PollFlags::empty();
        events.set(PollFlags::POLLIN, input);
        events.set(PollFlags::POLLOUT, output);
        let bell = hub.port_bell();
        let mut ready = [
            PollFd::new(source.descriptor(), events),
            PollFd::new(bell.descriptor(), PollFlags::POLLIN),
        ];
        match poll(&mut ready, PollTimeout::NONE) {
            Err(nix::errno::Errno::EINTR) => continue,
            Err(errno) => return Some(lose(&hub, Some(errno.into()))),
            Ok(_) => {}
        }
        let found = ready[0].revents().unwrap_or(PollFlags::empty());
        let woken = ready[1].any().unwrap_or(false);
        if woken {
            bell.quiet();
        }
        if found.contains(PollFlags::POLLIN) {
            match source.read() {
                Ok(Some(units)) => hub.change(|state, _| {
                    for unit in units {
                        state.receive(unit);
                    }
                }),
                Ok(None) => return Some(lose(&hub, None)),
                Err(error) => return Some(lose(&hub, Some(error))),
            }
        } else if found.intersects(PollFlags::POLLHUP | PollFlags::POLLERR | PollFlags::POLLNVAL) {
            return Some(lose(&hub, None));
        } else if found.contains(PollFlags::POLLOUT) {
            hub.change(|_, _| ());
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
