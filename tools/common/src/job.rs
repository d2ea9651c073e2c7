//! The program as a shell's job.

use std::os::fd::AsFd;

use nix::unistd::getpgrp;
use rustix::termios::tcgetpgrp;

/// Whether the terminal is this process group's, or that of another session, which has no jobs here.
pub fn is_in_foreground(terminal: impl AsFd) -> bool {
    tcgetpgrp(terminal).map_or(true, |group| {
        group.as_raw_nonzero().get() == getpgrp().as_raw()
    })
}
