// SPDX-License-Identifier: GPL-2.0-only

//! Bytes into a ring and out of it, on behalf of clients, who may wait, and of the driver, who never does.

use kernel::{
    fs::file::flags::O_NONBLOCK,
    fs::File,
    iov::{IovIterDest, IovIterSource},
    prelude::*,
    sync::atomic::{Acquire, Atomic, Relaxed, Release},
};

use super::{Ring, DROPPED, ENDED, READABLE, SHUT, WRITABLE};
use crate::handle::Handle;
use crate::sys::{bring_in_destination, bring_in_source, Mode, TRIES};
use crate::wire;

/// On whose behalf bytes are moved.
#[derive(Clone, Copy)]
enum Side<'a> {
    /// A client's, by this file.
    Client(&'a Handle),
    /// The driver's, which knows what it does.
    Driver,
}

impl Ring {
    /// read(2) of a file that is attached.
    ///
    /// # Errors
    /// `EAGAIN`. `EFAULT`. `EPIPE`: nothing is left, and the device is gone. `ERESTARTSYS`: a signal.
    pub(crate) fn read(
        &self,
        handle: &Handle,
        file: &File,
        to: &mut IovIterDest<'_>,
    ) -> Result<usize> {
        while !to.is_empty() {
            let taken = self.take(to, Side::Client(handle))?;
            if taken != 0 {
                // CAST: widens.
                handle.device().count(taken as u64);
                return Ok(taken);
            }
            let next = || {
                // First: what was there before is seen by who sees it.
                let state = self.state.load(Acquire);
                if self.filled() != 0 {
                    Some(Ok(true))
                } else if state & ENDED != 0 {
                    Some(Ok(false))
                } else if !handle.device().is_live() {
                    // Also where the ring has gone with the driver.
                    Some(Err(EPIPE))
                } else if state & DROPPED != 0 {
                    Some(Ok(false))
                } else {
                    None
                }
            };
            let there = match next() {
                Some(there) => there?,
                None if is_nonblocking(file) => return Err(EAGAIN),
                None => {
                    let waited = self.readers.wait_in_line(Mode::Interruptible, next);
                    waited.map_err(|_| ERESTARTSYS)??
                }
            };
            if !there {
                break;
            }
        }
        Ok(0)
    }

    /// write(2) to a file that is attached.
    ///
    /// # Errors
    /// `EAGAIN`. `EFAULT`. `EPIPE`: nobody takes it. `ERESTARTSYS`: a signal. Of all of them: before a byte was
    /// put in.
    pub(crate) fn write(
        &self,
        handle: &Handle,
        file: &File,
        from: &mut IovIterSource<'_>,
    ) -> Result<usize> {
        let mut done = 0_usize;
        // CAST: widens, here and below.
        let whole = from.len() <= wire::RING_WHOLE.min(self.size) as usize;
        while !from.is_empty() {
            match self.write_part(handle, file, from, whole) {
                Ok(part) => done = done.saturating_add(part),
                Err(_) if done != 0 => break,
                Err(error) => return Err(error),
            }
        }
        handle.device().count(done as u64);
        Ok(done)
    }

    /// Puts in what there is room for; waits for that.
    fn write_part(
        &self,
        handle: &Handle,
        file: &File,
        from: &mut IovIterSource<'_>,
        whole: bool,
    ) -> Result<usize> {
        let needed = if whole { from.len() } else { 1 };
        let next = || {
            if !self.is_taken_from(handle) {
                return Some(Err(EPIPE));
            }
            // CAST: widens.
            (self.room() as usize >= needed).then_some(Ok(()))
        };
        loop {
            match next() {
                Some(there) => there?,
                None => {
                    // The driver might go on waiting for its mark.
                    self.signal();
                    if is_nonblocking(file) {
                        return Err(EAGAIN);
                    }
                    let waited = self.writers.wait_in_line(Mode::Interruptible, next);
                    waited.map_err(|_| ERESTARTSYS)??;
                }
            }
            let put = self.put(from, whole, Side::Client(handle))?;
            if put != 0 {
                return Ok(put);
            }
        }
    }

    /// Whether somebody takes what a file's clients write.
    fn is_taken_from(&self, handle: &Handle) -> bool {
        self.state.load(Acquire) & (SHUT | DROPPED) == 0 && handle.device().is_live()
    }

    /// What a driver has for its clients. Returns how many bytes there was room for.
    ///
    /// # Errors
    /// `EAGAIN`: for none. `EFAULT`: none was there.
    pub(crate) fn feed(&self, from: &mut IovIterSource<'_>, last: bool) -> Result<usize> {
        let mut done = 0_usize;
        while !from.is_empty() {
            match self.put(from, false, Side::Driver) {
                Ok(0) if done == 0 => return Err(EAGAIN),
                Ok(0) => break,
                Ok(put) => done = done.saturating_add(put),
                Err(_) if done != 0 => break,
                Err(error) => return Err(error),
            }
        }
        if from.is_empty() {
            self.set(ENDED, last);
        }
        Ok(done)
    }

    /// What clients have for their driver.
    ///
    /// # Errors
    /// `EAGAIN`: nothing. `EFAULT`.
    pub(crate) fn drain(&self, to: &mut IovIterDest<'_>, last: bool) -> Result<usize> {
        self.set(SHUT, last);
        if to.is_empty() {
            return Ok(0);
        }
        match self.take(to, Side::Driver)? {
            0 => Err(EAGAIN),
            taken => Ok(taken),
        }
    }

    /// Takes out what there is, at most as much as there is room for in `to`.
    fn take(&self, to: &mut IovIterDest<'_>, side: Side<'_>) -> Result<usize> {
        let mut tries = 0;
        let mut there = to.len();
        loop {
            let mut buffer = self.buffer.lock();
            let before = buffer.room();
            let wanted = buffer.filled().min(to.len());
            let taken = buffer.take(to, there);
            let after = buffer.room();
            // CAST: less than the size.
            self.filled.store(buffer.filled() as u32, Release);
            drop(buffer);
            if taken != 0 {
                self.taken(before, after, side);
            }
            if taken != 0 || wanted == 0 {
                return Ok(taken);
            }
            // May wait, and may fail: if a wake-up has brought us here, it is for the next in line.
            self.readers.wake_one();
            tries += 1;
            if tries > TRIES {
                return Err(EFAULT);
            }
            there = bring_in_destination(to, wanted)?;
        }
    }

    /// Puts in what there is room for; all of it, if it is to go in `whole`, or nothing.
    ///
    /// # Errors
    /// `EFAULT`. `EPIPE`: a client's, and nobody takes it.
    fn put(&self, from: &mut IovIterSource<'_>, whole: bool, side: Side<'_>) -> Result<usize> {
        let mut tries = 0;
        let mut there = from.len();
        loop {
            let mut buffer = self.buffer.lock();
            // Under the lock: a driver that has shut the ring takes the last byte out once, and has all.
            if let Side::Client(handle) = side {
                if !self.is_taken_from(handle) {
                    return Err(EPIPE);
                }
            }
            let before = buffer.filled();
            let mut wanted = there.min(buffer.room());
            if whole && wanted < from.len() {
                wanted = 0;
            }
            let put = buffer.put(from, wanted, whole);
            let after = buffer.filled();
            // CAST: at most the size.
            self.filled.store(after as u32, Release);
            drop(buffer);
            if put != 0 {
                self.put_in(before, after, side);
            }
            if put != 0 || wanted == 0 {
                return Ok(put);
            }
            // As in `take`.
            self.writers.wake_one();
            tries += 1;
            if tries > TRIES {
                return Err(EFAULT);
            }
            there = bring_in_source(from, wanted)?;
            if whole && there < wanted {
                return Err(EFAULT);
            }
        }
    }

    /// There is more room than before, in bytes.
    fn taken(&self, before: usize, after: usize, side: Side<'_>) {
        self.writers.wake_one();
        // CAST: less than the size.
        if after < self.size as usize {
            // One wake-up takes one reader out of the line, and it may have left something.
            self.readers.wake_one();
        }
        self.polls.wake_polls(WRITABLE);
        self.listeners.notify(WRITABLE);
        if matches!(side, Side::Client(_)) && passes(&self.marks.room, before, after) {
            self.signal();
        }
    }

    /// There are more bytes than before.
    fn put_in(&self, before: usize, after: usize, side: Side<'_>) {
        self.readers.wake_one();
        // CAST: widens.
        if after < self.size as usize {
            self.writers.wake_one();
        }
        self.polls.wake_polls(READABLE);
        self.listeners.notify(READABLE);
        if matches!(side, Side::Client(_)) && passes(&self.marks.fill, before, after) {
            self.signal();
        }
    }
}

fn is_nonblocking(file: &File) -> bool {
    file.flags() & O_NONBLOCK != 0
}

/// Whether a number has come up to `mark` that was below it.
fn passes(mark: &Atomic<u32>, before: usize, after: usize) -> bool {
    // CAST: widens.
    let mark = mark.load(Relaxed) as usize;
    before < mark && mark <= after
}
