//! Keeps the library's descriptors away from the numbers of standard input, output and error.

use std::os::fd::{AsRawFd, OwnedFd};

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;

/// Runs `code` while 0, 1 and 2 are taken, also in a driver that has closed them, as daemons do: what
/// `code` opens gets other numbers, and nobody who prints writes into it.
pub(crate) fn spared<T>(code: impl FnOnce() -> T) -> T {
    let _fillers = fillers();
    code()
}

/// Descriptors for those of the three that are free.
fn fillers() -> Vec<OwnedFd> {
    let mut fillers = Vec::new();
    let flags = OFlag::O_RDWR | OFlag::O_CLOEXEC;
    // Where it cannot be opened, nothing can be done, and little else will work.
    while let Ok(filler) = open("/dev/null", flags, Mode::empty()) {
        if filler.as_raw_fd() > 2 {
            break;
        }
        fillers.push(filler);
    }
    fillers
}
