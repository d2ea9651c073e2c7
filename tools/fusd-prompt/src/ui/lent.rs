//! The terminal while a helper has it: given back by that as it was, or made so.

use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use super::tty::{Tty, raw};

/// How long nothing must have been typed before the next one gets what is typed, in milliseconds.
const GUARD: u16 = 400;

/// The person's terminal, lent to a program, which may use it or not. Dropped, it is as it was, and what
/// was typed and not read is for nobody.
pub(crate) struct Lent {
    tty: Tty,
    settings: Termios,
    /// A command beside the device may read there as well: then only what is typed while the settings are
    /// a helper's is surely not for it.
    is_shared: bool,
}

impl Lent {
    /// The terminal, if there is one and it is this job's.
    pub(crate) fn begin(is_shared: bool) -> Option<Self> {
        let tty = Tty::find().filter(Tty::is_ours)?;
        let settings = tcgetattr(tty.as_fd()).ok()?;
        Some(Self {
            tty,
            settings,
            is_shared,
        })
    }

    /// Whether there is anything to be put right.
    fn is_concerned(&self) -> bool {
        let as_before = |now: Termios| format!("{now:?}") == format!("{:?}", self.settings);
        // One that is another job's by now is left alone.
        self.tty.is_ours() && !(self.is_shared && tcgetattr(self.tty.as_fd()).is_ok_and(as_before))
    }

    /// After a program that was ended while the person might still have been typing for it: drops what is
    /// typed until nothing has been for a moment, or `goes_on` says no. Ctrl-C counts all the while.
    pub(crate) fn settle(&self, goes_on: impl Fn() -> bool) {
        if !self.is_concerned() {
            return;
        }
        // Nothing of it is to be seen, as it might be a secret.
        let mut silent = raw(self.settings.clone());
        silent.local_modes |= LocalModes::ISIG;
        let _gone = tcsetattr(self.tty.as_fd(), OptionalActions::Now, &silent);
        loop {
            self.tty.drop_input();
            let mut fds = [PollFd::new(self.tty.as_fd(), PollFlags::POLLIN)];
            let is_quiet = !matches!(poll(&mut fds, PollTimeout::from(GUARD)), Ok(1..));
            let has_gone = fds[0]
                .revents()
                .is_some_and(|it| it.intersects(PollFlags::POLLHUP | PollFlags::POLLERR));
            if is_quiet || has_gone || !goes_on() {
                return;
            }
        }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if self.is_concerned() {
            self.tty.drop_input();
            let _gone = tcsetattr(self.tty.as_fd(), OptionalActions::Now, &self.settings);
            self.tty.drop_input();
        }
    }
}
