//! The kfusd backend: a character device of the project's own kernel module.
//!
//! The messages are those of [`wire`](crate::wire), described in kfusd(4). One connection serves
//! one device. The module keeps what CUSE and FUSE leave to the driver: the poll state, as the
//! session pushes it, and the calls of clients that are killed.

mod carrier;
mod connection;
mod files;
mod handshake;
mod incoming;
mod ioctls;
mod requests;
mod rings;
mod succession;

use std::fs;
use std::io::{self, IoSlice};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use self::connection::Connection;
use self::files::Files;
use self::ioctls::{Ioctls, Step};
use self::requests::{Seeks, is_made_up};
use super::buffer::Buffer;
use super::place::{CREATE, Place};
use super::{
    Answer, Backend, BackendKind, Call, Content, FileId, Incoming, Inherited, Offer, Placement,
    PollKey, RequestId, Rings,
};
use crate::sync::lock;
use crate::wire::{self, Reply};
use crate::{Errno, Error, ErrorKind, PollEvents, Position, Properties, Result};

const DEVICE: &str = "/dev/fusd/control";

/// How often it is looked whether a name is free that belongs to a device without a driver.
const LOOKS: u32 = 50;
const LOOK: Duration = Duration::from_millis(10);

/// A device as a kfusd device.
pub(crate) struct KfusdDevice {
    path: PathBuf,
    connection: Connection,
    /// The module has the device: nobody has taken it away yet.
    registered: AtomicBool,
    /// The files of the driver before, until the session has them.
    inherited: Mutex<Vec<Inherited>>,
    files: Files,
    seeks: Seeks,
    /// Ioctls for which memory of the caller is being fetched or filled.
    ioctls: Mutex<Ioctls>,
    /// The device takes ioctls of any number.
    any_ioctl: bool,
    /// Its files have positions, and the module can serve their reads.
    publishes: bool,
}

impl KfusdDevice {
    /// Makes the node. Clients find it when this returns.
    ///
    /// # Errors
    /// Of the kind [`ErrorKind::Backend`], or about the module's control node: kfusd is not to be
    /// had here. Others: the node is not.
    pub(crate) fn create(placement: &Placement, properties: &Properties) -> Result<Self> {
        let device = handshake::open_device()?;
        let restart = placement.restart.as_ref();
        let place = Place::check_unless(placement, restart.is_some())?;
        let connection = handshake::agree(device, properties, restart)?;
        for _ in 0..LOOKS {
            let registered = handshake::register(&connection, &place, placement, properties);
            let Err(error) = registered else {
                return Self::made(placement, properties, connection);
            };
            let restart = restart.filter(|_| connection.keeps());
            let Some(restart) = restart.filter(|_| error.errno() == Errno::EEXIST) else {
                return Err(error);
            };
            let control = connection.control();
            if let Some(taken) = succession::take_over(control, &place, properties, restart)? {
                let charge = &taken.charge;
                let connection =
                    Connection::new(taken.control, charge.max_transfer, charge.features);
                return Ok(Self::new(placement, properties, connection, taken.files));
            }
            // Something else is there; or the limit of its driver's absence was just over, and the name is
            // free in a moment.
            thread::sleep(LOOK);
        }
        handshake::register(&connection, &place, placement, properties)?;
        Self::made(placement, properties, connection)
    }

    /// One that the module has just made.
    fn made(
        placement: &Placement,
        properties: &Properties,
        connection: Connection,
    ) -> Result<Self> {
        let device = Self::new(placement, properties, connection, Vec::new());
        device.dress(placement)?;
        Ok(device)
    }

    fn new(
        placement: &Placement,
        properties: &Properties,
        connection: Connection,
        inherited: Vec<Inherited>,
    ) -> Self {
        let publishes = connection.publishes() && properties.position == Position::Seekable;
        Self {
            path: placement.path.clone(),
            connection,
            registered: AtomicBool::new(true),
            files: Files::of(inherited.iter().map(|it| it.file)),
            inherited: Mutex::new(inherited),
            seeks: Seeks::default(),
            ioctls: Mutex::default(),
            any_ioctl: handshake::is_any_ioctl(properties),
            publishes,
        }
    }

    /// Makes sure that the node is there, and gives it what of its mode the module does not.
    fn dress(&self, placement: &Placement) -> Result<()> {
        let failed = |error: io::Error| {
            let gone = error.kind() == io::ErrorKind::NotFound;
            let kind = if gone {
                ErrorKind::Backend
            } else {
                ErrorKind::Node
            };
            let error = Error::system(kind, error, CREATE).on(&self.path);
            match gone {
                true => error
                    .because("the kernel has made the device, but /dev is not the kernel's own (devtmpfs), so the node is not in it")
                    .hint("choose the backend fuse"),
                false => error,
            }
        };
        fs::symlink_metadata(&self.path).map_err(failed)?;
        // The kernel takes a mode of 0 for none, and makes it 0600 (devtmpfs_create_node).
        if placement.mode & !handshake::MODE_MASK == 0 && placement.mode != 0 {
            return Ok(());
        }
        let mode = fs::Permissions::from_mode(placement.mode);
        fs::set_permissions(&self.path, mode).map_err(failed)
    }

    /// Sends an answer that the module takes as it is.
    fn reply(
        &self,
        id: RequestId,
        reply: &Reply,
        flags: u16,
        data: &[IoSlice<'_>],
    ) -> io::Result<()> {
        self.connection.reply(id, reply, flags, data)
    }

    fn fail(&self, id: RequestId, errno: Errno) -> io::Result<()> {
        self.reply(id, &requests::failure(errno), 0, &[])
    }
}

impl Backend for KfusdDevice {
    fn kind(&self) -> BackendKind {
        BackendKind::Kfusd
    }

    fn path(&self) -> &Path {
        &self.path
    }

    fn places_appends(&self) -> bool {
        false
    }

    fn names_files(&self) -> bool {
        true
    }

    fn file_of(&self, open: RequestId) -> Option<FileId> {
        self.files.of_opening(open.0)
    }

    fn keeps(&self) -> bool {
        self.connection.keeps()
    }

    fn inherited(&self) -> Vec<Inherited> {
        std::mem::take(&mut *lock(&self.inherited))
    }

    fn keep_token(&self, file: FileId, token: u64) -> io::Result<()> {
        if !self.connection.keeps() {
            return Err(Errno::EOPNOTSUPP.into());
        }
        // That of a file which is being opened goes along with the answer.
        match self.files.keep(file, token) {
            true => Ok(()),
            false => self.connection.keep_token(file.0, token),
        }
    }

    fn give_back(&self, id: RequestId, call: Call) -> io::Result<()> {
        if is_made_up(id) {
            return Ok(());
        }
        self.forget(id, call);
        self.connection.give_back(id)
    }

    fn takes_readiness(&self) -> bool {
        true
    }

    fn buffer_size(&self) -> usize {
        self.connection.buffer_size()
    }

    fn receive(&self, buffer: &mut Buffer) -> io::Result<Incoming> {
        let length = self.connection.receive(buffer)?;
        Ok(self.sort(length, buffer))
    }

    fn carries(&self) -> bool {
        self.connection.exchanges()
    }

    fn pack(&self, id: RequestId, call: Call, answer: &Answer<'_>, message: &mut Vec<u8>) -> bool {
        self.pack_answer(id, call, answer, message)
    }

    fn exchange(&self, message: &[u8], buffer: &mut Buffer) -> io::Result<Incoming> {
        self.exchange_answer(message, buffer)
    }

    fn hand_in(&self, message: &[u8]) {
        self.hand_in_answer(message);
    }

    fn answer(&self, id: RequestId, call: Call, answer: Answer<'_>) -> io::Result<()> {
        if is_made_up(id) {
            // Nobody waits for it: a release, or the flush of a process that ends.
            return Ok(());
        }
        match answer {
            Answer::Opened(file, events) => {
                let reply = Reply {
                    events: events.bits(),
                    value: self.files.opened(id.0),
                    error: 0,
                };
                let sent = self.reply(id, &reply, wire::REPLY_EVENTS, &[]);
                if sent.is_err() {
                    // Nobody has the file, and so nobody will close it.
                    self.files.released(file);
                }
                sent
            }
            Answer::Again { input, output } => {
                let step = {
                    let mut ioctls = lock(&self.ioctls);
                    let step = ioctls.again(id, input, output);
                    if ioctls.is_ready() {
                        self.nudge();
                    }
                    step
                };
                self.step(id, step).map(drop)
            }
            Answer::Ioctl { result, output } => {
                let step = lock(&self.ioctls).answered(id, result, output);
                match step {
                    // The usual case: what is filled is the argument, and goes with the answer.
                    Step::Nothing => {
                        let value = requests::value(result);
                        self.reply(id, &value, 0, &[IoSlice::new(output)])
                    }
                    // Else the client fills its memory by itself, at once, and is answered when it
                    // has. If it is gone already, this says so.
                    step => self.step(id, step).map(drop),
                }
            }
            Answer::Error(errno) => {
                self.forget(id, call);
                self.fail(id, errno)
            }
            Answer::Unimplemented => self.fail(id, Errno::ENOSYS),
            Answer::Done => self.reply(id, &Reply::default(), 0, &[]),
            Answer::Data(parts) => self.reply(id, &Reply::default(), 0, parts),
            Answer::Count(count) => self.reply(id, &requests::value(i64::from(count)), 0, &[]),
            Answer::Size(size) => match self.seeks.position(id, size) {
                Ok(position) => self.reply(id, &requests::value(position), 0, &[]),
                Err(errno) => self.fail(id, errno),
            },
            // The module answers polls by itself.
            Answer::Ready(_) => self.fail(id, Errno::ENOSYS),
        }
    }

    fn wake_poll(&self, _key: PollKey) {}

    fn push_readiness(&self, file: FileId, events: PollEvents) {
        // A file that the module does not know yet is told of when it is opened.
        if self.files.is_open(file) {
            let sent = self.connection.notify(file.0, events);
            self.connection.report(&self.path, sent);
        }
    }

    fn offer(&self, open: RequestId, offer: &Offer) -> io::Result<()> {
        let file = self.files.of_opening(open.0).ok_or(Errno::ENOENT)?;
        self.connection.offer(file.0, offer)
    }

    fn limit_workers(&self, limit: usize) {
        let sent = self.connection.limit_workers(limit);
        self.connection.report(&self.path, sent);
    }

    fn works_on(&self, id: RequestId) {
        let id = if is_made_up(id) { RequestId(0) } else { id };
        let sent = self.connection.works_on(id);
        self.connection.report(&self.path, sent);
    }

    fn publish(&self, open: RequestId, content: &Content) -> io::Result<()> {
        if !self.publishes {
            return Err(Errno::EOPNOTSUPP.into());
        }
        let file = self.files.of_opening(open.0).ok_or(Errno::ENOENT)?;
        self.connection.publish(file.0, content)
    }

    fn rings(&self) -> Option<&dyn Rings> {
        self.connection.has_rings().then_some(self)
    }

    fn nudge(&self) {
        self.connection.report(&self.path, self.connection.nudge());
    }

    fn detach(&self) -> Result<()> {
        if !self.registered.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        match self.connection.unregister() {
            Ok(()) => Ok(()),
            Err(error) => {
                Err(Error::system(ErrorKind::Node, error, "remove the node").on(&self.path))
            }
        }
    }

    fn close(&self) {
        self.connection.report(&self.path, self.connection.sever());
    }
}

impl KfusdDevice {
    /// Forgets what was kept for the answer to a request that has failed.
    fn forget(&self, id: RequestId, call: Call) {
        match call {
            Call::Open => self.files.refused(id.0),
            Call::Size => self.seeks.forget(id),
            Call::Ioctl => lock(&self.ioctls).forget(id),
            _ => {}
        }
    }
}
