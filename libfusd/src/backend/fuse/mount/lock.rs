//! The lock under which a node is made and removed: `flock(2)` on the directory that holds it.
//!
//! The lock belongs to the open file, which the driver and its watcher share. A driver killed
//! with the lock held therefore leaves it to the watcher, and nobody gets in between.
//! Everything here may run in the watcher: nothing allocates.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollTimeout, poll};

use crate::sys::process::try_flock;

/// The lock, held until dropped.
pub(super) struct DirLock(OwnedFd);

impl DirLock {
    /// Takes the lock of the directory `dir`, or fails with `EWOULDBLOCK` after `patience`.
    pub(super) fn acquire(dir: &OwnedFd, patience: Duration) -> Result<Self, Errno> {
        let own = nix::unistd::dup(dir.as_fd())?;
        let start = Instant::now();
        loop {
            match try_flock(own.as_fd(), true) {
                Ok(()) => return Ok(Self(own)),
                Err(Errno::EWOULDBLOCK) if start.elapsed() < patience => {
                    // Holders need a millisecond or so; there is no lock with a timeout.
                    let _ = poll(&mut [], PollTimeout::from(2u8));
                }
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno),
            }
        }
    }
}

impl Drop for DirLock {
    fn drop(&mut self) {
        // Closing is not enough: the lock lives as long as any copy of the descriptor.
        let _ = try_flock(self.0.as_fd(), false);
    }
}
