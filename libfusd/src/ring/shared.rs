//! A ring as the driver, its session and its files share it, and where its bytes are: with the kernel
//! module, or in this process.

use std::io;
use std::os::fd::AsFd;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak};

use super::content::{Begun, Content};
use super::event::Event;
use super::kernel::InKernel;
use crate::backend::{Backend, NewRing, RingUse};
use crate::request::{ReadRequest, WriteRequest};
use crate::{Errno, OpenFile, WaitQueue};

/// A ring.
pub(crate) struct Shared {
    size: usize,
    pub(super) event: Arc<Event>,
    home: RwLock<Home>,
    /// The bytes, unless they are in the kernel.
    queue: WaitQueue<Content>,
}

/// Where the bytes are.
#[derive(Default)]
struct Home {
    /// What carries the calls of the session that it belongs to, once it belongs to one.
    owner: Option<Weak<dyn Backend>>,
    kernel: Option<InKernel>,
    /// Files have been attached to write.
    written: bool,
    /// Its session has ended.
    over: bool,
}

impl Shared {
    pub(super) fn new(size: usize) -> io::Result<Self> {
        let event = Arc::new(Event::new(size)?);
        Ok(Self {
            size,
            home: RwLock::default(),
            queue: WaitQueue::new(Content::new(size, Arc::clone(&event))),
            event,
        })
    }

    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Bytes that are there.
    pub(super) fn filled(&self) -> usize {
        let home = self.home();
        match home.kernel.as_ref().map(InKernel::filled) {
            Some(Ok(filled)) => filled,
            // With the connection, the bytes have gone as well.
            Some(Err(_)) => 0,
            None => self.queue.look(Content::filled),
        }
    }

    /// Puts bytes in, at least one.
    ///
    /// # Errors
    /// `EAGAIN`: there is no room. `EPIPE`: the session has ended.
    pub(super) fn feed(&self, data: &[u8]) -> io::Result<usize> {
        let home = self.home();
        match &home.kernel {
            _ if home.over => Err(Errno::EPIPE.into()),
            Some(kernel) => kernel.feed(data),
            None => self.queue.update(|content| content.feed(data)),
        }
    }

    /// Takes bytes out, at least one; 0: the session has ended, and all are taken.
    ///
    /// # Errors
    /// `EAGAIN`: there are none.
    pub(super) fn take(&self, out: &mut [u8]) -> io::Result<usize> {
        let home = self.home();
        if let Some(kernel) = &home.kernel {
            return kernel.take(out);
        }
        let taken = self.queue.update(|content| content.take(out));
        match taken {
            Err(_) if home.over => Ok(0),
            taken => taken,
        }
    }

    /// Says whether the end is behind the bytes.
    pub(super) fn set_ended(&self, on: bool) {
        let home = self.home();
        match &home.kernel {
            Some(kernel) => kernel.set_ended(on),
            None => self.queue.update(|content| content.ended = on),
        }
    }

    /// Says whether nobody takes what is written.
    pub(super) fn set_shut(&self, on: bool) {
        let home = self.home();
        match &home.kernel {
            Some(kernel) => kernel.set_shut(on),
            None => self.queue.update(|content| content.shut = on),
        }
    }

    /// The marks have changed.
    pub(super) fn tell_marks(&self) {
        if let Some(kernel) = &self.home().kernel {
            kernel.set_marks(self.event.marks());
        }
    }

    /// The driver is done with it: reads come to an end, writes fail.
    pub(super) fn abandon(&self) {
        let mut home = self.home_mut();
        if let Some(kernel) = home.kernel.take() {
            kernel.abandon();
        }
        drop(home);
        self.queue.update(|content| {
            content.ended = true;
            content.shut = true;
        });
    }

    /// Has it belong to the session of `owner`, for files that are to use it in this way. `shared`: if it
    /// is new there, the kernel may have it. Returns its number there, if it has.
    ///
    /// # Errors
    /// `EBUSY`: it belongs to another session. `EPIPE`: its session has ended.
    pub(crate) fn join(
        &self,
        owner: &Arc<dyn Backend>,
        wanted: RingUse,
        shared: bool,
    ) -> io::Result<Option<u64>> {
        let mut home = self.home_mut();
        let known = match &home.owner {
            Some(known) if !Weak::ptr_eq(known, &Arc::downgrade(owner)) => {
                return Err(Errno::EBUSY.into());
            }
            known => known.is_some(),
        };
        if home.over {
            return Err(Errno::EPIPE.into());
        }
        if !known {
            home.owner = Some(Arc::downgrade(owner));
            home.kernel = shared.then(|| self.move_to(owner)).flatten();
        }
        home.written |= wanted == RingUse::Writes;
        Ok(home.kernel.as_ref().map(InKernel::number))
    }

    /// Gives the bytes to the kernel. `None`: it does not have them, and they stay.
    fn move_to(&self, owner: &Arc<dyn Backend>) -> Option<InKernel> {
        let wanted = NewRing {
            size: self.size,
            marks: self.event.marks(),
            event: self.event.as_fd(),
        };
        let kernel = InKernel::new(owner, &wanted)?;
        let moved = self.queue.update(|content| {
            let moved = content.pieces().iter().all(|piece| {
                piece.is_empty() || kernel.feed(piece).is_ok_and(|fed| fed == piece.len())
            });
            if moved {
                kernel.set_ended(content.ended);
                kernel.set_shut(content.shut);
                content.clear();
            }
            moved
        });
        if !moved {
            kernel.abandon();
            return None;
        }
        Some(kernel)
    }

    /// Its session ends: nothing more can be fed. What clients have written can still be taken.
    pub(crate) fn end(&self) {
        let mut home = self.home_mut();
        home.over = true;
        if let Some(kernel) = home.kernel.take() {
            let left = match home.written {
                true => kernel.take_all(),
                false => Vec::new(),
            };
            self.queue.update(|content| content.add(&left));
        }
        drop(home);
        self.event.signal();
    }

    /// Serves a read.
    pub(crate) fn read(&self, request: ReadRequest) {
        self.queue.serve(request, Content::read);
    }

    /// Serves a write.
    pub(crate) fn write(&self, request: WriteRequest) {
        let mut begun = Begun::default();
        let attempt = move |content: &mut Content, request| content.write(request, &mut begun);
        self.queue.serve(request, attempt);
    }

    /// Has polls of `file` find what this ring says of the ways in which the file uses it.
    pub(super) fn watch<T: Send + Sync + 'static>(
        &self,
        file: &OpenFile<T>,
        reads: bool,
        writes: bool,
    ) {
        if self.home().kernel.is_some() {
            return;
        }
        self.queue.watch_with(file, move |content, readiness| {
            readiness.set_of_rings(
                reads.then(|| content.readiness_of_reads()),
                writes.then(|| content.readiness_of_writes()),
            );
        });
    }

    /// Ends [`watch`](Self::watch).
    pub(super) fn unwatch<T>(&self, file: &OpenFile<T>) {
        self.queue.unwatch(file);
    }

    fn home(&self) -> RwLockReadGuard<'_, Home> {
        self.home.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn home_mut(&self) -> RwLockWriteGuard<'_, Home> {
        self.home.write().unwrap_or_else(PoisonError::into_inner)
    }
}
