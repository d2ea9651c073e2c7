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

use crate::kernel_version;
use crate::seat::Seat;
use crate::sys::{FileOperations, PollTable, Table, Viewer};
use crate::wire;

mod adopt;
mod memory;
mod message;
mod rings;

use memory::{IterInput, IterOutput, UserInput, UserOutput};

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
        let mut output = IterOutput::new(to);
        connection.receive(&seat, &mut output, is_nonblocking(file))
    }

    fn write(
        seat: ArcBorrow<'_, Seat>,
        _file: &File,
        _position: &mut i64,
        from: &mut IovIterSource<'_>,
    ) -> Result<usize> {
        let total = from.len();
        message::take(&seat, total, &mut IterInput::new(from))?;
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
        let mut input = UserInput::new(address(exchange.command)?, total);
        message::take(seat, total, &mut input)?;
    }
    let buffer = address(exchange.buffer)?;
    let room = exchange.buffer_length as usize;
    let mut output = UserOutput::new(buffer, room);
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
