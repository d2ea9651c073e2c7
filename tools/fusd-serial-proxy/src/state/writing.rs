//! What a write comes to.

use fusd::Errno;

use super::State;
use crate::options::{OnLost, WriteLock};

/// Bytes that wait to be sent at most, but for what `OPOST` makes of the last ones, and echoes.
const ROOM: usize = 4096;

/// What a write comes to now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writing {
    /// Nothing yet.
    Wait,
    /// It fails.
    Fail(Errno),
    /// So many bytes can be taken.
    Take(usize),
}

impl State {
    /// What a write of `length` bytes by the file `id` comes to.
    pub(crate) fn writing(&self, id: u64, length: usize) -> Writing {
        let may_write = self.clients.get(&id).is_some_and(|client| client.may_write);
        if !may_write {
            return Writing::Fail(Errno::EPERM);
        }
        if self.exclusive.is_some_and(|owner| owner != id) {
            return Writing::Fail(Errno::EBUSY);
        }
        if self.is_lost() && self.options.on_lost != OnLost::Wait {
            return Writing::Fail(Errno::EIO);
        }
        if self.writer.is_some_and(|owner| owner != id) {
            return Writing::Wait;
        }
        let count = length.min(ROOM.saturating_sub(self.output.len()));
        match count {
            0 if length > 0 => Writing::Wait,
            count => Writing::Take(count),
        }
    }

    /// The bytes are taken; `more` of the same write follow.
    pub(crate) fn write(&mut self, id: u64, bytes: &[u8], more: bool) {
        if self.settings().o(libc::OPOST) {
            let mut out = Vec::with_capacity(bytes.len());
            self.discipline.write(bytes, &mut out);
            self.output.extend(out);
        } else {
            self.output.extend(bytes);
        }
        self.stats.written += bytes.len() as u64;
        let ended = matches!(bytes.last(), None | Some(b'\n' | b'\r'));
        let keeps = match self.options.write_lock {
            WriteLock::None => false,
            WriteLock::Write => more,
            WriteLock::Line => more || !ended,
            WriteLock::Open => true,
        };
        self.writer = keeps.then_some(id);
    }

    /// Nothing more comes of a write of which a part was taken.
    pub(crate) fn cut(&mut self, id: u64) {
        if self.options.write_lock == WriteLock::Write {
            self.unlock(id);
        }
    }

    /// Others may write.
    pub(super) fn unlock(&mut self, id: u64) {
        self.writer.take_if(|owner| *owner == id);
    }

    /// Takes the right to write for a client alone, or gives it up (`TIOCEXCL`, `TIOCNXCL`).
    ///
    /// # Errors
    /// Another one has it, or is in the midst of what it writes (`EBUSY`), or this one may not write at all (`EPERM`).
    pub(crate) fn claim(&mut self, id: u64, alone: bool) -> Result<(), Errno> {
        if self.exclusive.is_some_and(|owner| owner != id) {
            return Err(Errno::EBUSY);
        }
        if !self.clients.get(&id).is_some_and(|client| client.may_write) {
            return Err(Errno::EPERM);
        }
        // One who waits for a line's end would wait for another who may not write it any more.
        if alone && self.writer.is_some_and(|owner| owner != id) {
            return Err(Errno::EBUSY);
        }
        self.exclusive = alone.then_some(id);
        Ok(())
    }

    /// Whether a client writes alone because it has asked to.
    pub(crate) fn is_claimed(&self) -> bool {
        self.exclusive.is_some()
    }
}
