//! Something of a tool that has the terminal for itself for a while, so that nothing else is to be
//! written there: what the tool says meanwhile is kept, and said afterwards.
//!
//! Where standard error is no terminal, messages go there as ever.

use std::fmt;
use std::io::{self, IsTerminal};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::kept::Kept;
use crate::status;

/// What has the terminal for itself.
pub trait Screen: Send + Sync {
    /// Shows whole lines that were said, where it has a place for them. They are said all the same once
    /// the terminal is given back.
    fn show(&self, lines: &[u8]) {
        let _nowhere = lines;
    }

    /// The process ends at once: the terminal is to be as it was. It must not wait for long.
    fn leave(&self);
}

/// What has it now.
static TAKEN: Mutex<Option<Now>> = Mutex::new(None);

struct Now {
    screen: Arc<dyn Screen>,
    /// What was said meanwhile, unless that goes elsewhere.
    kept: Option<Kept>,
}

/// Tells that `screen` has the terminal, until the result is dropped. Of several at a time, the latest
/// counts.
#[must_use]
pub fn take_screen(screen: Arc<dyn Screen>) -> Taken {
    let mut taken = lock();
    let before = taken.take().and_then(|now| now.kept);
    let kept = io::stderr()
        .is_terminal()
        .then(|| before.unwrap_or_default());
    *taken = Some(Now { screen, kept });
    Taken(())
}

/// The terminal is a screen's for as long as this lives. Dropped, what was said meanwhile is said.
pub struct Taken(());

impl fmt::Debug for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Taken")
    }
}

impl Taken {
    /// Drops what was said meanwhile as well: the terminal takes nothing, and whoever writes there waits,
    /// perhaps for ever.
    pub fn forget(self) {
        lock().take();
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        status::say_first(|| {
            let kept = lock().take().and_then(|now| now.kept);
            kept.map_or_else(Vec::new, Kept::into_lines)
        });
    }
}

/// Keeps lines for later, if they must not be written now.
pub(crate) fn keep(lines: &[u8]) -> bool {
    let screen = {
        let mut taken = lock();
        let Some(Now {
            screen,
            kept: Some(kept),
        }) = &mut *taken
        else {
            return false;
        };
        kept.keep(lines);
        Arc::clone(screen)
    };
    screen.show(lines);
    true
}

/// The process ends at once: gives the terminal back, and gives what is to be said there.
pub(crate) fn leave() -> Vec<u8> {
    // Not while it is locked: to leave may take a moment.
    let taken = lock().take();
    let Some(Now { screen, kept }) = taken else {
        return Vec::new();
    };
    screen.leave();
    kept.map_or_else(Vec::new, Kept::into_lines)
}

fn lock() -> MutexGuard<'static, Option<Now>> {
    TAKEN.lock().unwrap_or_else(PoisonError::into_inner)
}
