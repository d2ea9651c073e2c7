//! A client of a node: system calls with their errno, and processes that make them.

use std::fs::File;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::Pid;

use crate::Case;
use crate::wait::{self, Started, wait_until};

pub use nix::unistd::Whence;

/// The result of a system call.
pub type Outcome<T> = Result<T, Errno>;

/// An open file of a node.
#[derive(Debug)]
pub struct Handle(File);

/// open(2) for reading and writing.
///
/// # Errors
/// The call's errno.
pub fn open(node: &Path) -> Outcome<Handle> {
    open_with(node, OFlag::O_RDWR)
}

/// open(2).
///
/// # Errors
/// The call's errno.
pub fn open_with(node: &Path, flags: OFlag) -> Outcome<Handle> {
    // Close-on-exec: other tests of this process start programs.
    let fd: OwnedFd = nix::fcntl::open(node, flags | OFlag::O_CLOEXEC, Mode::empty())?;
    Ok(Handle(fd.into()))
}

fn errno(error: &std::io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(0))
}

impl AsFd for Handle {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<OwnedFd> for Handle {
    fn from(descriptor: OwnedFd) -> Self {
        Self(descriptor.into())
    }
}

impl Handle {
    /// The descriptor itself.
    pub fn into_fd(self) -> OwnedFd {
        self.0.into()
    }

    /// read(2) of up to `length` bytes.
    ///
    /// # Errors
    /// The call's errno.
    pub fn read(&self, length: usize) -> Outcome<Vec<u8>> {
        let mut buffer = vec![0; length];
        let count = nix::unistd::read(self, &mut buffer)?;
        buffer.truncate(count);
        Ok(buffer)
    }

    /// read(2) of `length` bytes at a time, until the end of the file.
    ///
    /// # Errors
    /// The first call's errno that failed.
    pub fn read_all(&self, length: usize) -> Outcome<Vec<u8>> {
        let mut all = Vec::new();
        let mut buffer = vec![0; length];
        loop {
            match nix::unistd::read(self, &mut buffer)? {
                0 => return Ok(all),
                count => all.extend_from_slice(&buffer[..count]),
            }
        }
    }

    /// pread(2).
    ///
    /// # Errors
    /// The call's errno.
    pub fn read_at(&self, offset: u64, length: usize) -> Outcome<Vec<u8>> {
        let mut buffer = vec![0; length];
        let count = self
            .0
            .read_at(&mut buffer, offset)
            .map_err(|error| errno(&error))?;
        buffer.truncate(count);
        Ok(buffer)
    }

    /// readv(2).
    ///
    /// # Errors
    /// The call's errno.
    pub fn read_parts(&self, parts: &mut [&mut [u8]]) -> Outcome<usize> {
        let mut parts: Vec<_> = parts.iter_mut().map(|part| IoSliceMut::new(part)).collect();
        nix::sys::uio::readv(self, &mut parts)
    }

    /// write(2).
    ///
    /// # Errors
    /// The call's errno.
    pub fn write(&self, data: &[u8]) -> Outcome<usize> {
        nix::unistd::write(self, data)
    }

    /// pwrite(2).
    ///
    /// # Errors
    /// The call's errno.
    pub fn write_at(&self, offset: u64, data: &[u8]) -> Outcome<usize> {
        self.0.write_at(data, offset).map_err(|error| errno(&error))
    }

    /// writev(2).
    ///
    /// # Errors
    /// The call's errno.
    pub fn write_parts(&self, parts: &[&[u8]]) -> Outcome<usize> {
        let parts: Vec<_> = parts.iter().map(|part| IoSlice::new(part)).collect();
        nix::sys::uio::writev(self, &parts)
    }

    /// lseek(2).
    ///
    /// # Errors
    /// The call's errno.
    pub fn seek(&self, offset: i64, whence: Whence) -> Outcome<i64> {
        nix::unistd::lseek(self, offset, whence)
    }

    /// ioctl(2) with a buffer; see [`crate::sys::ioctl`].
    ///
    /// # Errors
    /// The call's errno.
    pub fn ioctl(&self, number: u32, argument: &mut [u8]) -> Outcome<i32> {
        crate::sys::ioctl(self, number, argument)
    }

    /// Sets or clears `O_NONBLOCK` by fcntl(2).
    ///
    /// # Errors
    /// The call's errno.
    pub fn set_nonblocking(&self, on: bool) -> Outcome<()> {
        let now = OFlag::from_bits_retain(fcntl(self, FcntlArg::F_GETFL)?);
        let mut flags = now;
        flags.set(OFlag::O_NONBLOCK, on);
        fcntl(self, FcntlArg::F_SETFL(flags)).map(drop)
    }

    /// poll(2): what of `events` is there within `limit`; empty where the time ran out.
    ///
    /// # Errors
    /// The call's errno.
    pub fn poll(&self, events: PollFlags, limit: Duration) -> Outcome<PollFlags> {
        let mut fds = [PollFd::new(self.as_fd(), events)];
        let limit = PollTimeout::try_from(limit).expect("a timeout of less than 24 days");
        nix::poll::poll(&mut fds, limit)?;
        Ok(fds[0].revents().expect("poll answers known flags"))
    }

    /// What of `events` is there now.
    ///
    /// # Panics
    /// poll(2) fails.
    #[track_caller]
    pub fn ready(&self, events: PollFlags) -> PollFlags {
        self.poll(events, Duration::ZERO).expect("poll")
    }

    /// A descriptor of the same open file (dup(2)).
    ///
    /// # Panics
    /// There is none left.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self(self.0.try_clone().expect("a descriptor"))
    }

    /// [`read`](Self::read) on a thread of its own, through the same open file.
    pub fn start_read(&self, length: usize) -> Started<Outcome<Vec<u8>>> {
        let file = self.duplicate();
        wait::start(move || file.read(length))
    }

    /// [`start_read`](Self::start_read) into memory that begins `start` bytes behind the beginning of a
    /// page of 4 KiB.
    ///
    /// # Panics
    /// `start` is beyond the page.
    pub fn start_read_behind_page(&self, start: usize, length: usize) -> Started<Outcome<Vec<u8>>> {
        const PAGE: usize = 4096;
        assert!(start < PAGE, "the place is not in the page");
        let file = self.duplicate();
        wait::start(move || {
            let mut memory = vec![0; length + 2 * PAGE];
            let begin = memory.as_ptr().align_offset(PAGE) + start;
            let buffer = &mut memory[begin..begin + length];
            let count = nix::unistd::read(&file, buffer)?;
            Ok(buffer[..count].to_vec())
        })
    }

    /// [`write`](Self::write) on a thread of its own, through the same open file.
    pub fn start_write(&self, data: &[u8]) -> Started<Outcome<usize>> {
        let file = self.duplicate();
        let data = data.to_vec();
        wait::start(move || file.write(&data))
    }
}

/// A process that makes calls: `client NODE WORD...`, see `src/bin/client.rs`.
pub struct Process(Child);

/// Starts a client process.
///
/// # Panics
/// It cannot be started.
#[track_caller]
pub fn process(case: &Case, node: &Path, words: &[&str]) -> Process {
    let child = case
        .program("client")
        .arg(node)
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the client can be started");
    Process(child)
}

impl Process {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Waits until it has `node` open, or had: an open that a driver has counted may not have been answered
    /// yet, or be begun again after a signal.
    ///
    /// # Panics
    /// It has not opened it within the deadline.
    #[track_caller]
    pub fn await_open(&mut self, node: &Path) {
        let files = format!("/proc/{}/fd", self.pid());
        wait_until("the client has the node open", || {
            let files = std::fs::read_dir(&files).into_iter().flatten().flatten();
            let mut targets = files.flat_map(|file| std::fs::read_link(file.path()));
            targets.any(|target| target == node) || self.ended()
        });
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.0.id()).expect("a pid");
        kill(Pid::from_raw(pid), signal).expect("the client can be signalled");
    }

    /// Waits for its end; gives what it said.
    ///
    /// # Panics
    /// It does not end within the deadline.
    #[track_caller]
    pub fn wait(mut self) -> String {
        wait_until("the client ends", || self.ended());
        let mut text = String::new();
        let pipe = self.0.stdout.as_mut().expect("piped");
        std::io::Read::read_to_string(pipe, &mut text).expect("the client's output");
        text.trim_end().to_owned()
    }

    /// Kills it and waits until it is gone.
    ///
    /// # Panics
    /// It does not end within the deadline.
    #[track_caller]
    pub fn kill(mut self) {
        self.signal(Signal::SIGKILL);
        wait_until("the killed client is gone", || self.ended());
    }

    /// Whether it has ended.
    ///
    /// # Panics
    /// It cannot be waited for.
    pub fn ended(&mut self) -> bool {
        self.0
            .try_wait()
            .expect("the client can be waited for")
            .is_some()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.ended() {
            let _ = self.0.kill();
            // Not waited for without a limit: it may be stuck, which is what the test says then.
            wait::holds_within(wait::deadline(), || self.ended());
        }
    }
}
