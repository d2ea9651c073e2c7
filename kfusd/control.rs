// SPDX-License-Identifier: GPL-2.0-only

//! The control node, /dev/fusd/control: a driver writes and reads messages there, or does both by
//! one ioctl.

use kernel::{
    fs::file::flags::{O_ACCMODE, O_NONBLOCK, O_RDWR},
    fs::File,
    iov::{IovIterDest, IovIterSource},
    prelude::*,
    seq_file::SeqFile,
    seq_print,
    sync::{Arc, ArcBorrow},
    uaccess::{UserPtr, UserSlice},
};

use crate::bytes::Bytes;
use crate::connection::{Connection, Input, Output};
use crate::device::Device;
use crate::request::Job;
use crate::seat::Seat;
use crate::sys::{
    with_destination, with_source, FileOperations, Memory, Pages, PollTable, Rewindable, Table,
    Viewer,
};
use crate::wire::{self, Answer, Command};
use crate::{content, kernel_version};

mod adopt;
mod rings;

/// `POLLIN | POLLRDNORM`.
const READABLE: u32 = 0x0041;
/// `POLLOUT | POLLWRNORM`: a message can always be written.
const WRITABLE: u32 = 0x0104;

/// The file operations of the control node.
pub(crate) static TABLE: Table = Table::new::<Control>(kernel_version::owner());

struct Control;

#[vtable]
impl FileOperations for Control {
    type Data = Seat;

    fn open(file: &File, _minor: u32) -> Result<Arc<Seat>> {
        Seat::first(Viewer::new(file))
    }

    fn release(seat: ArcBorrow<'_, Seat>) {
        seat.connection().leave(&seat);
    }

    fn read(
        seat: ArcBorrow<'_, Seat>,
        file: &File,
        _position: &mut i64,
        to: &mut IovIterDest<'_>,
    ) -> Result<usize> {
        let connection = seat.connection();
        let mut output = IterOutput(Rewindable::new(to));
        connection.receive(&seat, &mut output, is_nonblocking(file))
    }

    fn write(
        seat: ArcBorrow<'_, Seat>,
        _file: &File,
        _position: &mut i64,
        from: &mut IovIterSource<'_>,
    ) -> Result<usize> {
        let total = from.len();
        take(&seat, total, &mut IterInput(from))?;
        Ok(total)
    }

    fn poll(seat: ArcBorrow<'_, Seat>, file: &File, table: &PollTable<'_>) -> u32 {
        let connection = seat.connection();
        connection.serve();
        connection.arrivals.register_poll(file, table);
        match connection.has_message(&seat) {
            true => READABLE | WRITABLE,
            false => WRITABLE,
        }
    }

    fn ioctl(
        seat: ArcBorrow<'_, Seat>,
        file: &File,
        command: u32,
        argument: usize,
        _compat: bool,
    ) -> Result<isize> {
        match command {
            wire::IOCTL_EXCHANGE => exchange(&seat, file, argument),
            wire::IOCTL_ADOPT => adopt::adopt(seat.connection(), argument),
            wire::IOCTL_FILES => seat.connection().list_files(argument),
            wire::IOCTL_DEVICES => seat.connection().list_devices(argument),
            wire::IOCTL_RING => rings::set(&seat, argument),
            wire::IOCTL_FEED => rings::feed(&seat, argument),
            wire::IOCTL_TAKE => rings::take(&seat, argument),
            _ => Err(ENOTTY),
        }
    }

    fn show(seat: ArcBorrow<'_, Seat>, to: &SeqFile) {
        let (devices, queued, sent) = seat.connection().counts();
        seq_print!(to, "fusd-devices:\t{}\n", devices);
        seq_print!(to, "fusd-queued:\t{}\n", queued);
        seq_print!(to, "fusd-unanswered:\t{}\n", sent);
    }
}

fn is_nonblocking(file: &File) -> bool {
    file.flags() & O_NONBLOCK != 0
}

/// Hands in a message, if there is one, and waits for the next.
fn exchange(seat: &Seat, file: &File, argument: usize) -> Result<isize> {
    let connection = seat.connection();
    if file.flags() & O_ACCMODE != O_RDWR {
        return Err(EBADF);
    }
    if !connection.has(wire::FEATURE_EXCHANGE) {
        return Err(crate::error::eopnotsupp());
    }
    let memory = UserPtr::from_addr(argument);
    let mut bytes = [0; wire::Exchange::SIZE];
    UserSlice::new(memory, bytes.len())
        .reader()
        .read_slice(&mut bytes)?;
    let exchange = wire::Exchange::from_bytes(&bytes);
    if exchange.reserved != 0 {
        return Err(EINVAL);
    }
    // CAST: widens, here and below.
    let total = exchange.command_length as usize;
    if total != 0 {
        let mut input = UserInput {
            memory: address(exchange.command)?,
            left: total,
        };
        take(seat, total, &mut input)?;
    }
    let buffer = address(exchange.buffer)?;
    let room = exchange.buffer_length as usize;
    let mut output = UserOutput {
        begin: (buffer, room),
        memory: buffer,
        left: room,
    };
    let received = connection.receive(seat, &mut output, is_nonblocking(file));
    if received.is_err() && total != 0 {
        // Where a signal has ended the wait, the call is made again with what now stands here: the
        // message must not go twice. If that memory is not there, it is not made again.
        let done = memory.wrapping_byte_add(core::mem::offset_of!(wire::Exchange, command_length));
        UserSlice::new(done, 4).writer().write(&0_u32)?;
    }
    isize::try_from(received?).map_err(|_| EMSGSIZE)
}

fn address(address: u64) -> Result<UserPtr> {
    let address = usize::try_from(address).map_err(|_| EFAULT)?;
    Ok(UserPtr::from_addr(address))
}

/// Takes a message of `total` bytes from a driver.
fn take(seat: &Seat, total: usize, input: &mut impl Source) -> Result {
    let mut head = [0; wire::HEAD_MAX];
    let length = total.min(head.len());
    let head = head.get_mut(..length).ok_or(EINVAL)?;
    input.fill(head)?;
    match Answer::parse(head, total) {
        Some(answer) => {
            let early = head.get(Answer::HEAD..).unwrap_or_default();
            take_answer(seat, &answer?, &mut Rest { early, input })
        }
        None => take_other(seat, head, total, input),
    }
}

/// Takes the answer to a request.
#[inline(always)]
fn take_answer(seat: &Seat, answer: &Answer, rest: &mut Rest<'_, impl Source>) -> Result {
    let connection = seat.connection();
    connection.ensure_agreed()?;
    connection.answer(seat.number(), answer, rest)
}

/// Takes a message of `total` bytes that begins with `head`, and goes on with `input`.
#[inline(never)]
fn take_other(seat: &Seat, head: &[u8], total: usize, input: &mut impl Source) -> Result {
    let connection = seat.connection();
    let (command, used) = Command::parse(head, total)?;
    // What was read beyond the fixed part is data.
    let early = head.get(used..).unwrap_or_default();
    let mut rest = Rest { early, input };
    if let Command::Hello(hello) = command {
        return connection.agree(hello);
    }
    connection.ensure_agreed()?;
    match command {
        Command::Hello(_) => Ok(()),
        Command::Register(register) => {
            connection.ensure_seated(seat)?;
            if register.keep != 0 && !connection.has(wire::FEATURE_KEEP) {
                return Err(crate::error::eopnotsupp());
            }
            // CAST: widens. A name that is too long is not read at all.
            let length = register.name_length as usize;
            if length > wire::NAME_MAX {
                return Err(crate::error::enametoolong());
            }
            let mut name = Bytes::with_capacity(length, GFP_KERNEL)?;
            rest.append(&mut name, length)?;
            Device::register(connection, &register, name.as_slice())
        }
        Command::Unregister(unregister) => {
            connection.ensure_seated(seat)?;
            let device = connection.remove_device(unregister.device).ok_or(ENOENT)?;
            device.end();
            Ok(())
        }
        // That is for `take_answer`.
        Command::Reply(_) => Err(EINVAL),
        Command::Notify(notify) => {
            connection.ensure_seated(seat)?;
            let handle = connection.file(notify.file).ok_or(ENOENT)?;
            let before = handle.events();
            let risen = handle.store_events(notify.events);
            // Where the state is the same the driver says that there is news: whoever waits for
            // an edge gets one.
            handle.announce(if before == notify.events {
                notify.events
            } else {
                risen
            });
            Ok(())
        }
        Command::Memory(memory) => {
            connection.ensure_seated(seat)?;
            offer(connection, &memory)
        }
        Command::Publish(publish) => {
            connection.ensure_seated(seat)?;
            content::publish(connection, &publish)
        }
        Command::Attach(attach) => {
            connection.ensure_seated(seat)?;
            connection.attach(&attach)
        }
        Command::Workers { id, workers } => serve(connection, id, &workers),
        Command::Nudge => {
            seat.nudge();
            Ok(())
        }
        Command::Cookie(_) | Command::Resume | Command::Back { .. } => succession(seat, command),
        Command::CopyIn { id, copy } => connection.copy(
            seat.number(),
            id,
            Job {
                address: copy.address,
                data: Bytes::Empty,
                length: copy.length,
                out: false,
            },
        ),
        Command::CopyOut { id, copy } => {
            // First: what a device does not take is no reason for memory.
            connection.ensure_copyable(seat.number(), id, copy.length)?;
            // CAST: widens.
            let length = copy.length as usize;
            let mut data = Bytes::with_capacity(length, GFP_KERNEL_ACCOUNT)?;
            rest.append(&mut data, length)?;
            connection.copy(
                seat.number(),
                id,
                Job {
                    address: copy.address,
                    data,
                    length: copy.length,
                    out: true,
                },
            )
        }
    }
}

/// Takes what the driver says of who serves.
///
/// # Errors
/// `EOPNOTSUPP`: not agreed on. `ENOENT`: no such request.
fn serve(connection: &Connection, id: u64, workers: &wire::Workers) -> Result {
    if !connection.has(wire::FEATURE_WORKERS) {
        return Err(crate::error::eopnotsupp());
    }
    if id != 0 && !connection.has_sent(id) {
        return Err(ENOENT);
    }
    if workers.limit != 0 {
        connection.servers.limit(workers.limit);
    }
    if workers.flags & wire::WORKERS_JOIN != 0 {
        connection.serve();
        connection.servers.say_work_on(id);
    }
    Ok(())
}

/// Takes a message that has to do with a successor.
fn succession(seat: &Seat, command: Command) -> Result {
    let connection = seat.connection();
    if !connection.has(wire::FEATURE_KEEP) {
        return Err(crate::error::eopnotsupp());
    }
    connection.ensure_seated(seat)?;
    match command {
        Command::Cookie(cookie) => {
            let file = connection.file(cookie.file).ok_or(ENOENT)?;
            file.set_cookie(cookie.cookie);
            Ok(())
        }
        Command::Back { id } => connection.give_back(seat.number(), id),
        _ => {
            connection.resume(seat);
            Ok(())
        }
    }
}

/// Offers memory of the calling process to clients of a device, or of one file.
///
/// # Errors
/// `EOPNOTSUPP`: not agreed on. `ENOENT`: no such device or file. For memory that cannot be offered,
/// as [`Memory::of_caller`].
fn offer(connection: &Connection, message: &wire::Memory) -> Result {
    if !connection.has(wire::FEATURE_MEMORY) {
        return Err(crate::error::eopnotsupp());
    }
    let device = connection.device(message.device).ok_or(ENOENT)?;
    let file = match message.file {
        0 => None,
        id => Some(connection.file(id).ok_or(ENOENT)?),
    };
    if file.as_ref().is_some_and(|file| !file.is_of(&device)) {
        return Err(ENOENT);
    }
    let memory = match message.length {
        0 => None,
        length => Some(Memory::of_caller(
            message.address,
            length,
            message.flags & wire::MEMORY_READ_ONLY != 0,
        )?),
    };
    match file {
        Some(file) => file.offer(memory),
        None => device.offer(memory),
    }
    Ok(())
}

/// A driver's memory, to be read from.
trait Source {
    /// Fills `out`.
    ///
    /// # Errors
    /// `EFAULT`.
    fn fill(&mut self, out: &mut [u8]) -> Result;

    /// Appends `length` bytes to `out`, which has room for them.
    ///
    /// # Errors
    /// `EFAULT`.
    fn append(&mut self, out: &mut Bytes, length: usize) -> Result;
}

/// What is left of a message: bytes read already, then the others.
struct Rest<'a, S> {
    early: &'a [u8],
    input: &'a mut S,
}

impl<S: Source> Input for Rest<'_, S> {
    fn at_hand(&self, length: usize) -> Option<&[u8]> {
        self.early.get(..length)
    }

    fn append(&mut self, out: &mut Bytes, length: usize) -> Result {
        let early = self.early.len().min(length);
        let (now, later) = self.early.split_at_checked(early).ok_or(EINVAL)?;
        self.early = later;
        out.extend(now)?;
        match length.saturating_sub(early) {
            0 => Ok(()),
            left => self.input.append(out, left),
        }
    }
}

/// What write(2) takes.
struct IterInput<'a, 'b>(&'a mut IovIterSource<'b>);

impl Source for IterInput<'_, '_> {
    fn fill(&mut self, out: &mut [u8]) -> Result {
        if self.0.copy_from_iter(out) == out.len() {
            Ok(())
        } else {
            Err(EFAULT)
        }
    }

    fn append(&mut self, out: &mut Bytes, length: usize) -> Result {
        if let Some(pages) = out.as_pages() {
            return pages.fill(self.0, length);
        }
        if out.fill(self.0, length) == length {
            Ok(())
        } else {
            Err(EFAULT)
        }
    }
}

/// What read(2) fills.
struct IterOutput<'a, 'b>(Rewindable<'a, 'b>);

impl Output for IterOutput<'_, '_> {
    fn room(&self) -> usize {
        self.0.len()
    }

    fn put(&mut self, bytes: &[u8]) -> Result {
        if self.0.copy_to_iter(bytes) == bytes.len() {
            Ok(())
        } else {
            Err(EFAULT)
        }
    }

    fn put_pages(&mut self, pages: &Pages) -> Result {
        pages.copy_to(&mut self.0)
    }

    fn rewind(&mut self) {
        self.0.rewind();
    }
}

/// Memory that an ioctl takes a message from.
struct UserInput {
    memory: UserPtr,
    left: usize,
}

impl UserInput {
    /// Where the next `length` bytes are.
    fn next(&mut self, length: usize) -> Result<UserPtr> {
        let left = self.left.checked_sub(length).ok_or(EFAULT)?;
        let memory = self.memory;
        self.memory = memory.wrapping_byte_add(length);
        self.left = left;
        Ok(memory)
    }
}

impl Source for UserInput {
    fn fill(&mut self, out: &mut [u8]) -> Result {
        let memory = self.next(out.len())?;
        UserSlice::new(memory, out.len()).reader().read_slice(out)
    }

    fn append(&mut self, out: &mut Bytes, length: usize) -> Result {
        let memory = self.next(length)?;
        match out.as_pages() {
            Some(pages) => with_source(memory, length, |from| pages.fill(from, length)),
            None => out.read(UserSlice::new(memory, length), length),
        }
    }
}

/// Memory that an ioctl puts a message to.
struct UserOutput {
    begin: (UserPtr, usize),
    memory: UserPtr,
    left: usize,
}

impl Output for UserOutput {
    fn room(&self) -> usize {
        self.left
    }

    fn put(&mut self, bytes: &[u8]) -> Result {
        let left = self.left.checked_sub(bytes.len()).ok_or(EFAULT)?;
        UserSlice::new(self.memory, bytes.len())
            .writer()
            .write_slice(bytes)?;
        self.memory = self.memory.wrapping_byte_add(bytes.len());
        self.left = left;
        Ok(())
    }

    fn put_pages(&mut self, pages: &Pages) -> Result {
        let length = pages.len();
        let left = self.left.checked_sub(length).ok_or(EFAULT)?;
        with_destination(self.memory, length, |to| pages.copy_to(to))?;
        self.memory = self.memory.wrapping_byte_add(length);
        self.left = left;
        Ok(())
    }

    fn rewind(&mut self) {
        (self.memory, self.left) = self.begin;
    }
}
