//! The least that a FUSE server must answer so that `stat` works: for the tests of mounting only.

use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::thread::JoinHandle;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

const FORGET: u32 = 2;
const GETATTR: u32 = 3;
const INIT: u32 = 26;
const INTERRUPT: u32 = 36;
const BATCH_FORGET: u32 = 42;

/// A server in a thread. It closes the connection when stopped or dropped.
pub(super) struct Server {
    stop: Option<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(super) fn start(device: OwnedFd) -> Self {
        let (stopped, stop) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
        let thread = std::thread::spawn(move || serve(device, &stopped));
        Self {
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// Ends as a killed driver does: with clients unanswered.
    pub(super) fn stop(mut self) {
        self.end();
    }

    /// Waits until the kernel has closed the connection.
    pub(super) fn join(mut self) {
        self.thread.take().unwrap().join().unwrap();
    }

    fn end(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

fn serve(device: OwnedFd, stopped: &OwnedFd) {
    let mut device = std::fs::File::from(device);
    let mut buffer = vec![0; 1 << 18];
    loop {
        let mut events = [
            PollFd::new(device.as_fd(), PollFlags::POLLIN),
            PollFd::new(stopped.as_fd(), PollFlags::POLLIN),
        ];
        poll(&mut events, PollTimeout::NONE).unwrap();
        if events[1].any().unwrap() {
            return;
        }
        let Ok(length) = device.read(&mut buffer) else {
            return;
        };
        if let Some(reply) = answer(&buffer[..length]) {
            // A client that was killed meanwhile is no failure.
            let _ = device.write(&reply);
        }
    }
}

fn answer(request: &[u8]) -> Option<Vec<u8>> {
    let opcode = u32::from_ne_bytes(request[4..8].try_into().unwrap());
    let (error, body) = match opcode {
        FORGET | BATCH_FORGET | INTERRUPT => return None,
        INIT => (0, init()),
        GETATTR => (0, attributes()),
        _ => (-libc::ENOSYS, Vec::new()),
    };
    let mut reply = Vec::new();
    let length = u32::try_from(16 + body.len()).unwrap();
    reply.extend(length.to_ne_bytes());
    reply.extend(error.to_ne_bytes());
    reply.extend(&request[8..16]);
    reply.extend(body);
    Some(reply)
}

/// `struct fuse_init_out`: version 7.31 and nothing optional.
fn init() -> Vec<u8> {
    let mut body = vec![0; 64];
    body[0..4].copy_from_slice(&7u32.to_ne_bytes());
    body[4..8].copy_from_slice(&31u32.to_ne_bytes());
    body[20..24].copy_from_slice(&4096u32.to_ne_bytes());
    body
}

/// `struct fuse_attr_out` of a regular file 0640 with the inode number 1, valid for ever.
fn attributes() -> Vec<u8> {
    let mut body = vec![0; 104];
    body[0..8].copy_from_slice(&u64::from(u32::MAX).to_ne_bytes());
    body[16..24].copy_from_slice(&1u64.to_ne_bytes());
    body[76..80].copy_from_slice(&(libc::S_IFREG | 0o640).to_ne_bytes());
    body[80..84].copy_from_slice(&1u32.to_ne_bytes());
    body
}
