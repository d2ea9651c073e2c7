//! A client in the driver's own process: for tests of a driver, without a node and without rights.
//!
//! [`DeviceBuilder::loopback`](crate::DeviceBuilder::loopback) makes one. Its calls take the way
//! of any client's calls through the session; only the kernel is missing.
//!
//! ```
//! use fusd::{Device, DeviceBuilder, OpenFile, OpenRequest, ReadRequest};
//!
//! struct Letters;
//!
//! impl Device for Letters {
//!     type File = ();
//!
//!     fn open(&self, request: OpenRequest<()>) {
//!         request.accept(());
//!     }
//!
//!     fn read(&self, _file: &OpenFile<()>, request: ReadRequest) {
//!         request.reply_from(b"abc");
//!     }
//! }
//!
//! let (client, _serving) = DeviceBuilder::new("letters").loopback(Letters)?;
//! let file = client.open(libc::O_RDONLY)?;
//! assert_eq!(file.read(2)?, b"ab");
//! assert_eq!(file.read(2)?, b"c");
//! # Ok::<(), std::io::Error>(())
//! ```

use std::io;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::backend::loopback::{Loopback, Reply, TRANSFER_MAX};
use crate::backend::{FileId, Operation, PollKey, Reach, RequestId};
use crate::{Errno, IoctlCommand, OpenFlags, PollEvents, Position};

/// Opens files of a device that is served on loopback.
#[derive(Clone)]
pub struct Client(Arc<Loopback>);

impl Client {
    pub(crate) fn new(backend: Arc<Loopback>) -> Self {
        Self(backend)
    }

    /// Opens the device with the `O_` flags of open(2).
    ///
    /// # Errors
    /// What the driver answers; `ENODEV` once it is gone.
    pub fn open(&self, flags: i32) -> io::Result<File> {
        let operation = Operation::Open {
            flags: OpenFlags::from_raw(flags),
        };
        match self.0.wait(self.0.send(operation, Vec::new())?)? {
            Reply::Opened(id) => Ok(File {
                backend: Arc::clone(&self.0),
                id,
                flags: AtomicI32::new(flags),
                offset: AtomicU64::new(0),
            }),
            other => Err(unexpected(&other)),
        }
    }
}

/// An open file of a device on loopback. Dropped, it is closed.
pub struct File {
    backend: Arc<Loopback>,
    id: FileId,
    flags: AtomicI32,
    offset: AtomicU64,
}

impl File {
    /// Reads at most `length` bytes (up to 1 MiB) at the file's position.
    ///
    /// # Errors
    /// What the driver answers; `ENODEV` or `ECONNABORTED` once it is gone.
    pub fn read(&self, length: usize) -> io::Result<Vec<u8>> {
        let data = self.start_read(length).wait()?;
        self.advance(data.len());
        Ok(data)
    }

    /// Begins a read at the file's position, without moving it, and lets it wait on its own.
    pub fn start_read(&self, length: usize) -> Call<Vec<u8>> {
        self.start_read_at(length, self.offset.load(Ordering::Relaxed))
    }

    /// Reads at `offset`; `ESPIPE` on a stream.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_at(&self, length: usize, offset: u64) -> io::Result<Vec<u8>> {
        self.seekable()?;
        self.start_read_at(length, offset).wait()
    }

    fn start_read_at(&self, length: usize, offset: u64) -> Call<Vec<u8>> {
        // Lossless: TRANSFER_MAX is below 4 GiB.
        let length = length.min(TRANSFER_MAX) as u32;
        self.call(
            Operation::Read {
                file: self.id,
                flags: self.flags(),
                offset,
                length,
            },
            Vec::new(),
        )
    }

    /// Writes at most 1 MiB of `data` at the file's position; returns how much was taken.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn write(&self, data: &[u8]) -> io::Result<usize> {
        let count = self.start_write(data).wait()?;
        self.advance(count);
        Ok(count)
    }

    /// Begins a write at the file's position, without moving it, and lets it wait on its own.
    pub fn start_write(&self, data: &[u8]) -> Call<usize> {
        let data = &data[..data.len().min(TRANSFER_MAX)];
        let operation = Operation::Write {
            file: self.id,
            flags: self.flags(),
            offset: self.offset.load(Ordering::Relaxed),
            data: 0..data.len(),
        };
        self.call(operation, data.to_vec())
    }

    /// Makes an ioctl; `input` is the argument's content where the command hands one in.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn ioctl(
        &self,
        command: IoctlCommand,
        argument: u64,
        input: &[u8],
    ) -> io::Result<(i32, Vec<u8>)> {
        let operation = Operation::Ioctl {
            file: self.id,
            command,
            argument,
            input: 0..input.len(),
            // Lossless: at most 16383.
            output: if command.reads() {
                command.size() as u32
            } else {
                0
            },
            reach: Reach::Number,
            caller_32_bit: false,
        };
        match self.finish(operation, input.to_vec())? {
            Reply::Ioctl(result, output) => Ok((result, output)),
            other => Err(unexpected(&other)),
        }
    }

    /// fsync(2).
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn sync(&self) -> io::Result<()> {
        self.finish(
            Operation::Sync {
                file: self.id,
                data_only: false,
            },
            Vec::new(),
        )
        .map(drop)
    }

    /// The readiness now.
    ///
    /// # Errors
    /// `ENOSYS` where the device does not implement poll.
    pub fn poll(&self) -> io::Result<PollEvents> {
        let key = Some(PollKey(self.id.0));
        match self.finish(Operation::Poll { file: self.id, key }, Vec::new())? {
            Reply::Ready(events) => Ok(events),
            other => Err(unexpected(&other)),
        }
    }

    /// Waits until one of `events` is there; returns the readiness, empty at the time-out.
    ///
    /// # Errors
    /// As [`poll`](Self::poll).
    pub fn wait_ready(&self, events: PollEvents, timeout: Duration) -> io::Result<PollEvents> {
        let deadline = Instant::now() + timeout;
        loop {
            let seen = self.backend.wakes();
            let ready = self.poll()?;
            if ready.intersects(events | PollEvents::ERROR | PollEvents::HANG_UP) {
                return Ok(ready);
            }
            if !self.backend.wait_wake(seen, deadline) {
                return Ok(PollEvents::empty());
            }
        }
    }

    /// The size that stat(2) would tell.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn size(&self) -> io::Result<u64> {
        match self.finish(
            Operation::Size {
                file: Some(self.id),
            },
            Vec::new(),
        )? {
            Reply::Size(size) => Ok(size),
            other => Err(unexpected(&other)),
        }
    }

    /// Moves the file's position, as lseek(2) with `SEEK_SET`; `ESPIPE` on a stream.
    ///
    /// # Errors
    /// The device is a stream.
    pub fn seek(&self, offset: u64) -> io::Result<()> {
        self.seekable()?;
        self.offset.store(offset, Ordering::Relaxed);
        Ok(())
    }

    /// Replaces the file's flags, as fcntl(2) with `F_SETFL`.
    pub fn set_flags(&self, flags: i32) {
        self.flags.store(flags, Ordering::Relaxed);
    }

    fn flags(&self) -> OpenFlags {
        OpenFlags::from_raw(self.flags.load(Ordering::Relaxed))
    }

    fn seekable(&self) -> io::Result<()> {
        match self.backend.position {
            Position::Seekable => Ok(()),
            Position::Stream => Err(Errno::ESPIPE.into()),
        }
    }

    fn advance(&self, count: usize) {
        if self.backend.position == Position::Seekable {
            self.offset.fetch_add(count as u64, Ordering::Relaxed);
        }
    }

    fn call<T>(&self, operation: Operation, data: Vec<u8>) -> Call<T> {
        let id = self.backend.send(operation, data);
        Call {
            backend: Arc::clone(&self.backend),
            id,
            result: PhantomData,
        }
    }

    fn finish(&self, operation: Operation, data: Vec<u8>) -> io::Result<Reply> {
        Ok(self.backend.wait(self.backend.send(operation, data)?)?)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        // As the kernel does at the last close: flush, then release, whatever flush says.
        for operation in [
            Operation::Flush { file: self.id },
            Operation::Release { file: self.id },
        ] {
            if let Ok(id) = self.backend.send(operation, Vec::new()) {
                drop(self.backend.wait(id));
            }
        }
    }
}

/// A call that may wait for the driver.
#[must_use]
pub struct Call<T> {
    backend: Arc<Loopback>,
    id: Result<RequestId, Errno>,
    result: PhantomData<T>,
}

impl<T> Call<T> {
    /// A signal interrupts the caller: the call ends with `EINTR` unless it is answered first.
    pub fn interrupt(&self) {
        if let Ok(id) = self.id {
            self.backend.interrupt(id);
        }
    }

    fn reply(self) -> io::Result<Reply> {
        Ok(self.backend.wait(self.id?)?)
    }
}

impl Call<Vec<u8>> {
    /// Waits for the bytes that are read.
    ///
    /// # Errors
    /// As [`File::read`].
    pub fn wait(self) -> io::Result<Vec<u8>> {
        match self.reply()? {
            Reply::Data(data) => Ok(data),
            other => Err(unexpected(&other)),
        }
    }
}

impl Call<usize> {
    /// Waits for the number of bytes that were taken.
    ///
    /// # Errors
    /// As [`File::write`].
    pub fn wait(self) -> io::Result<usize> {
        match self.reply()? {
            Reply::Count(count) => Ok(count as usize),
            other => Err(unexpected(&other)),
        }
    }
}

fn unexpected(reply: &Reply) -> io::Error {
    io::Error::other(format!("the session answered {reply:?}"))
}
