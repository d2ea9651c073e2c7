//! The CUSE backend: a character device that the kernel makes and removes with the connection.
//!
//! The protocol is that of FUSE. What CUSE does not have: a node outside of /dev or with a mode of
//! its own, offsets (the kernel says 0 of each read and write: the session keeps positions),
//! lseek(2), fsync(2), mmap(2), a word on each close(2).

mod handshake;
mod node;

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use nix::errno::Errno as Raw;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;

use self::node::Node;
use super::buffer::Buffer;
use super::channel::Channel;
use super::place::Place;
use super::{Answer, Backend, BackendKind, Call, Incoming, Placement, PollKey, RequestId};
use crate::fuse_wire::{Body, Frame, OpenFlags as FileFlags};
use crate::sync::lock;
use crate::{Errno, Error, ErrorKind, Operations, Position, Properties, Result};

const DEVICE: &str = "/dev/cuse";

/// A device as a CUSE device.
pub(crate) struct CuseDevice {
    channel: Channel,
    node: Mutex<Node>,
    path: PathBuf,
    /// A thread is about to open the node, so that a message comes ([`Backend::nudge`]).
    nudging: Arc<AtomicBool>,
}

impl CuseDevice {
    /// Makes the node. Clients find it when this returns.
    ///
    /// # Errors
    /// Of the kind [`ErrorKind::Backend`]: CUSE is not to be had here. Others: the node is not.
    pub(crate) fn create(placement: &Placement, properties: &Properties) -> Result<Self> {
        let device = open_device()?;
        let place = Place::check(placement)?;
        let any_memory = properties
            .operations
            .contains(Operations::IOCTL | Operations::ANY_IOCTL);
        let transfer_max = handshake::agree(&device, place.name(), any_memory)?;
        // Where anything fails from here on, closing the descriptor takes the device away.
        if properties.position == Position::Seekable {
            tracing::info!(
                node = %placement.path.display(),
                "through CUSE a program that seeks is not told that it cannot: lseek(2) does nothing",
            );
        }
        let node = Node::find(&place, handshake::is_connected(&device), placement)?;
        Ok(Self {
            channel: Channel::new(device, transfer_max, properties.position, &placement.path),
            node: Mutex::new(node),
            path: placement.path.clone(),
            nudging: Arc::default(),
        })
    }

    #[inline(always)]
    fn sort(&self, frame: &Frame) -> Incoming {
        if matches!(frame.body, Body::Open { .. }) && self.nudging.load(Ordering::Acquire) {
            // It is this one's own, or comes too late: the node is gone.
            return self.channel.refuse(frame, Errno::ENODEV);
        }
        let incoming = self.channel.sort(frame);
        if matches!(frame.body, Body::Release { .. }) {
            // close(2) waits for this answer, out of reach of any signal (fs/fuse/cuse.c,
            // cuse_release), and has no use for it: it need not wait for the device.
            self.channel.settle(frame, &[]);
        }
        incoming
    }
}

impl Backend for CuseDevice {
    fn kind(&self) -> BackendKind {
        BackendKind::Cuse
    }

    fn path(&self) -> &Path {
        &self.path
    }

    fn tells_offsets(&self) -> bool {
        false
    }

    fn buffer_size(&self) -> usize {
        self.channel.buffer_size()
    }

    fn receive(&self, buffer: &mut Buffer) -> io::Result<Incoming> {
        self.channel.receive(buffer, |frame| self.sort(frame))
    }

    fn answer(&self, id: RequestId, call: Call, answer: Answer<'_>) -> io::Result<()> {
        match call {
            // It has been, by `sort`.
            Call::Release => Ok(()),
            call => self.channel.answer(id, call, answer, FileFlags::empty()),
        }
    }

    fn interrupt_again(&self, token: RequestId) {
        self.channel.interrupt_again(token);
    }

    fn wake_poll(&self, key: PollKey) {
        self.channel.wake_poll(key);
    }

    fn nudge(&self) {
        if !self.nudging.swap(true, Ordering::AcqRel) {
            lock(&self.node).open_apart(&self.nudging);
        }
    }

    fn detach(&self) -> Result<()> {
        lock(&self.node).remove()
    }

    fn close(&self) {
        // With the device goes its number, which the next device may get: whoever is about to open this
        // one by that number has to have done so.
        let has_ended = || !self.nudging.load(Ordering::Acquire);
        if !has_ended() {
            let attended = self.channel.attend(has_ended, |frame| self.sort(frame));
            self.channel.report(attended);
        }
        self.channel.report(self.channel.sever());
    }
}

fn open_device() -> Result<OwnedFd> {
    open(DEVICE, OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty()).map_err(|errno| {
        let error = Error::system(ErrorKind::Backend, errno, "open").on(DEVICE);
        match errno {
            Raw::ENOENT | Raw::ENODEV | Raw::ENXIO => error.hint(
                "load the module with `modprobe cuse`; a container needs the option --device /dev/cuse",
            ),
            Raw::EACCES | Raw::EPERM => error.hint("run as root: character devices are for root to make"),
            _ => error,
        }
    })
}
