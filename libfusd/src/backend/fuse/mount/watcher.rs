//! The process that removes a node when its driver is killed.
//!
//! It is forked before anything is made, is nobody's child, and holds nothing of the driver's but
//! the directory (with its lock), one end of a socket and a pidfd. While it sleeps in `poll`, the
//! driver tells it what was made ([`Watcher::report`]) and, in the end, that nothing is left to do
//! ([`Watcher::dismiss`]). If the driver ends without that, the watcher removes what was made.
//!
//! The report is sent before the lock is released. A watcher that has none when the driver dies
//! therefore still holds the lock, and nobody else can have made what it finds.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, MsgFlags, Shutdown, SockFlag, SockType, recv, send, shutdown, socketpair,
};

use super::site::{InodeId, Made, MountId, Site};
use super::title::Title;
use crate::sys::process::{above_stdio, pidfd_open, spawn_detached};

/// How long the watcher waits for the lock of a driver that happens to work in the directory.
const LOCK_PATIENCE: Duration = Duration::from_secs(8);
/// After so many seconds of cleaning up, it gives up rather than stay for ever.
const LAST_RESORT_SECONDS: u32 = 10;
/// How often the watcher tries, and how long it waits in between. Together that is longer than the
/// driver waits for a watcher that it has left the removal to.
const ATTEMPTS: u32 = 50;
const PAUSE: Duration = Duration::from_millis(100);
/// How long the start of a watcher is waited for, in milliseconds: one that has died is noticed at once.
const START_MS: u16 = 10_000;
/// How long its end is.
const END_MS: u16 = 2000;

/// The driver's hold on its watcher.
pub(super) struct Watcher {
    pub(super) socket: OwnedFd,
}

impl Watcher {
    /// Starts the watcher of the node `path` at `site`. Needs the lock.
    pub(super) fn start(site: &Site, path: &Path) -> Result<Self, Errno> {
        let flags = SockFlag::SOCK_CLOEXEC;
        let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags)?;
        let theirs = above_stdio(&theirs)?;
        // Taken before the fork, so that it cannot be that of another process. Before Linux 5.3
        // the socket has to do alone.
        let driver = pidfd_open(std::process::id())
            .and_then(|fd| above_stdio(&fd))
            .ok();
        let title = Title::prepare(&format!("fusd-watch: {}", path.display()));

        let mut keep = vec![site.dir().as_raw_fd(), theirs.as_raw_fd()];
        keep.extend(driver.as_ref().map(AsRawFd::as_raw_fd));
        spawn_detached(c"fusd-watch", &mut keep, || {
            if let Some(title) = &title {
                title.set();
            }
            say_done(&theirs);
            watch(site, &theirs, driver.as_ref());
        })?;
        drop(theirs);
        let watcher = Self { socket: ours };
        // From now on it has its own name and title: what is aimed at the driver misses it.
        watcher.wait_for_word(START_MS)?;
        Ok(watcher)
    }

    /// Tells the watcher what it will have to remove.
    pub(super) fn report(&self, made: &Made) -> Result<(), Errno> {
        let words = [
            made.mount.id,
            u64::from(made.mount.unique),
            made.placeholder.dev,
            made.placeholder.ino,
        ];
        let mut message = [0; REPORT_SIZE];
        for (bytes, word) in message.chunks_exact_mut(8).zip(words) {
            bytes.copy_from_slice(&word.to_ne_bytes());
        }
        self.send(&message)
    }

    /// Sends the watcher away: nothing is left to remove.
    pub(super) fn dismiss(self) {
        let _ = self.send(b"q");
        self.wait(END_MS);
    }

    /// Leaves the removal to the watcher, which may be allowed what the driver no longer is.
    pub(super) fn delegate(self) -> Result<(), Errno> {
        // The end of the socket means the end of the driver.
        shutdown(self.socket.as_raw_fd(), Shutdown::Write)?;
        self.wait_for_word(END_MS)
    }

    fn send(&self, message: &[u8]) -> Result<(), Errno> {
        send(self.socket.as_raw_fd(), message, MsgFlags::MSG_NOSIGNAL).map(drop)
    }

    /// Waits until the watcher says that it has done what it was asked to do, for as many milliseconds.
    fn wait_for_word(&self, limit: u16) -> Result<(), Errno> {
        self.wait(limit);
        let mut byte = [0];
        match recv(self.socket.as_raw_fd(), &mut byte, MsgFlags::MSG_DONTWAIT) {
            Ok(1) => Ok(()),
            Ok(_) => Err(Errno::ECHILD),
            Err(Errno::EAGAIN) => Err(Errno::ETIMEDOUT),
            Err(errno) => Err(errno),
        }
    }

    /// Waits until the watcher has said something, or closed its end by exiting.
    fn wait(&self, limit: u16) {
        let mut events = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
        while poll(&mut events, PollTimeout::from(limit)) == Err(Errno::EINTR) {}
    }
}

const REPORT_SIZE: usize = 32;

enum Word {
    Report(Made),
    Dismissed,
    Ended,
    Nothing,
}

/// The life of the watcher. Runs after the fork: it makes system calls and nothing else.
fn watch(site: &Site, socket: &OwnedFd, driver: Option<&OwnedFd>) {
    let mut made = None;
    loop {
        // Where there is no pidfd, the socket is simply watched twice.
        let driver = driver.unwrap_or(socket);
        let mut events = [
            PollFd::new(socket.as_fd(), PollFlags::POLLIN),
            PollFd::new(driver.as_fd(), PollFlags::POLLIN),
        ];
        let _ = poll(&mut events, PollTimeout::NONE);
        let died = !std::ptr::eq(driver, socket) && events[1].any().unwrap_or(false);
        // What the driver said last still counts when it is dead.
        match next_word(socket) {
            Word::Report(report) => made = Some(report),
            Word::Dismissed => return,
            Word::Ended => break,
            Word::Nothing if died => break,
            Word::Nothing => {}
        }
    }
    nix::unistd::alarm::set(LAST_RESORT_SECONDS);
    let Ok(_lock) = site.lock(LOCK_PATIENCE) else {
        return;
    };
    for _ in 0..ATTEMPTS {
        if site.sweep(made.as_ref(), true).is_ok() {
            say_done(socket);
            return;
        }
        // What failed may be fusermount3, for want of a process (RLIMIT_NPROC): the driver's end
        // makes room for it.
        std::thread::sleep(PAUSE);
    }
}

/// Answers the driver, if it is still there.
fn say_done(socket: &OwnedFd) {
    let _ = send(socket.as_raw_fd(), b"d", MsgFlags::MSG_NOSIGNAL);
}

fn next_word(socket: &OwnedFd) -> Word {
    let mut message = [0; REPORT_SIZE];
    match recv(socket.as_raw_fd(), &mut message, MsgFlags::MSG_DONTWAIT) {
        Ok(REPORT_SIZE) => Word::Report(parse(&message)),
        Ok(1) => Word::Dismissed,
        Ok(_) => Word::Ended,
        Err(Errno::EAGAIN | Errno::EINTR) => Word::Nothing,
        Err(_) => Word::Ended,
    }
}

fn parse(message: &[u8; REPORT_SIZE]) -> Made {
    let mut words = [0; REPORT_SIZE / 8];
    for (word, bytes) in words.iter_mut().zip(message.chunks_exact(8)) {
        let mut whole = [0; 8];
        whole.copy_from_slice(bytes);
        *word = u64::from_ne_bytes(whole);
    }
    let [id, unique, dev, ino] = words;
    Made {
        mount: MountId {
            id,
            unique: unique != 0,
        },
        placeholder: InodeId { dev, ino },
    }
}
