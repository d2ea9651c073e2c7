// SPDX-License-Identifier: GPL-2.0-only

//! The client's side: what each operation on a device's node asks of the driver, and what it makes
//! of the answer. What a device does not implement never gets to its driver.

use kernel::{
    bindings,
    fs::File,
    ioctl::{_IOC_DIR, _IOC_SIZE},
    iov::{IovIterDest, IovIterSource},
    prelude::*,
    seq_file::SeqFile,
    seq_print,
    sync::{Arc, ArcBorrow},
    uaccess::{UserPtr, UserSlice},
    uapi,
};

use crate::bytes::{Bytes, FEW};
use crate::connection::{at_once, Admission};
use crate::device::Device;
use crate::handle::Handle;
use crate::request::{Ask, Body, Outcome};
use crate::sys::{self, FileOperations, NewArea, Pages, PollTable, Seek, Table};
use crate::wire::{self, operation};
use crate::{content, error, kernel_version, registry};

/// The file operations of devices.
pub(crate) static TABLE: Table = Table::new::<Client>(kernel_version::owner());

struct Client;

/// A request without data to send and to come.
fn ask<const LENGTH: usize>(operation: u16, file: &File, fixed: &[u8; LENGTH]) -> Ask {
    Ask {
        operation,
        flags: 0,
        open_flags: file.flags(),
        body: Body::new(fixed),
        data: Bytes::Empty,
        capacity: 0,
        landing: Bytes::Empty,
        notice: false,
    }
}

/// Asks the driver, and waits.
fn call(handle: ArcBorrow<'_, Handle>, admission: &mut Admission<'_>, ask: Ask) -> Result<Outcome> {
    let request = admission.request(ask)?;
    let slot = admission.slot()?;
    let connection = handle.device().connection();
    connection.queue(&request, slot, admission.start())?;
    admission.wait(request)
}

/// The place of a request that moves `bytes` bytes, before any memory is taken for them. `None`: it
/// takes none, and has its place by [`call_small`].
fn admission_of(handle: ArcBorrow<'_, Handle>, bytes: u64) -> Result<Option<Admission<'_>>> {
    // CAST: a small number.
    let needs_memory = bytes > FEW as u64;
    needs_memory
        .then(|| Admission::new(handle, bytes))
        .transpose()
}

/// Asks the driver, with the place that there is.
fn call_with(
    handle: ArcBorrow<'_, Handle>,
    admission: &mut Option<Admission<'_>>,
    ask: Ask,
) -> Result<Outcome> {
    match admission {
        Some(admission) => call(handle, admission, ask),
        None => call_small(handle, ask),
    }
}

/// Asks the driver something small ([`Ask::is_small`]).
#[inline(always)]
fn call_small(handle: ArcBorrow<'_, Handle>, mut ask: Ask) -> Result<Outcome> {
    match at_once(handle, &mut ask) {
        Some(outcome) => outcome,
        None => {
            let mut admission = Admission::new(handle, ask.bytes())?;
            call(handle, &mut admission, ask)
        }
    }
}

#[vtable]
impl FileOperations for Client {
    type Data = Handle;

    fn open(file: &File, minor: u32) -> Result<Arc<Handle>> {
        let device = registry::find(minor).ok_or(ENOENT)?;
        let handle = Handle::new(&device, file.flags())?;
        if let Err(error) = open(handle.as_arc_borrow(), file) {
            handle.discard();
            return Err(error);
        }
        if device.has_flag(wire::REGISTER_STREAM) {
            Seek::never(file);
        }
        registry::changed();
        Ok(handle)
    }

    fn release(handle: ArcBorrow<'_, Handle>) {
        handle.release();
        registry::changed();
    }

    fn read(
        handle: ArcBorrow<'_, Handle>,
        file: &File,
        position: &mut i64,
        to: &mut IovIterDest<'_>,
    ) -> Result<usize> {
        if let Some(ring) = handle.reads() {
            return ring.read(&handle, file, to);
        }
        if let Some(content) = handle.content()? {
            return content::read(&handle, content, position, to);
        }
        if !handle.device().implements(wire::IMPLEMENTS_READ) {
            return Err(EINVAL);
        }
        let stream = handle.device().has_flag(wire::REGISTER_STREAM);
        let mut done = 0_usize;
        while !to.is_empty() {
            let result = read_part(handle, file, if stream { 0 } else { *position }, to);
            let part = match result {
                Ok(part) => part,
                Err(_) if done != 0 => break,
                Err(error) => return Err(error),
            };
            advance(&mut done, position, part.copied, stream);
            // A stream gives what it has. A file is read on, unless it gave less than was asked.
            if stream || part.short {
                break;
            }
        }
        Ok(done)
    }

    fn write(
        handle: ArcBorrow<'_, Handle>,
        file: &File,
        position: &mut i64,
        from: &mut IovIterSource<'_>,
    ) -> Result<usize> {
        if let Some(ring) = handle.writes() {
            return ring.write(&handle, file, from);
        }
        if !handle.device().implements(wire::IMPLEMENTS_WRITE) {
            return Err(EINVAL);
        }
        let stream = handle.device().has_flag(wire::REGISTER_STREAM);
        let mut done = 0_usize;
        while !from.is_empty() {
            let result = write_part(handle, file, if stream { 0 } else { *position }, from);
            let part = match result {
                Ok(part) => part,
                Err(_) if done != 0 => break,
                Err(error) => return Err(error),
            };
            advance(&mut done, position, part.copied, stream);
            if part.short {
                break;
            }
        }
        Ok(done)
    }

    fn seek(handle: ArcBorrow<'_, Handle>, file: &File, offset: i64, whence: c_int) -> Result<i64> {
        let whence = whence.unsigned_abs();
        let drivers = matches!(
            whence,
            bindings::SEEK_END | bindings::SEEK_DATA | bindings::SEEK_HOLE
        );
        if drivers {
            if let Some(content) = handle.content()? {
                return content::seek(&content, file, offset, whence);
            }
        }
        if !drivers || !handle.device().implements(wire::IMPLEMENTS_SEEK) {
            // CAST: back to where it came from.
            return Seek::plain(file, offset, whence as c_int);
        }
        let fixed = wire::Seek {
            offset,
            whence,
            reserved: 0,
        };
        let outcome = call_small(handle, ask(operation::SEEK, file, &fixed.to_bytes()))?;
        Seek::to(file, i64::try_from(outcome.value).map_err(|_| EOVERFLOW)?)
    }

    fn poll(handle: ArcBorrow<'_, Handle>, file: &File, table: &PollTable<'_>) -> u32 {
        handle.poll(file, table)
    }

    fn ioctl(
        handle: ArcBorrow<'_, Handle>,
        file: &File,
        command: u32,
        argument: usize,
        compat: bool,
    ) -> Result<isize> {
        if !handle.device().implements(wire::IMPLEMENTS_IOCTL) {
            return Err(ENOTTY);
        }
        ioctl(handle, file, command, argument, compat)
    }

    /// Answered here, from what the driver offered before: a caller that waited for the driver would
    /// hold the lock of its memory, and whoever looks at the process would wait for that, as ps(1).
    fn map(handle: ArcBorrow<'_, Handle>, area: &NewArea<'_>) -> Result {
        if !handle.device().is_live() {
            return Err(EPIPE);
        }
        handle.memory().ok_or(ENODEV)?.map(area)
    }

    fn flush(handle: ArcBorrow<'_, Handle>, file: &File) -> Result {
        let device = handle.device();
        if !device.implements(wire::IMPLEMENTS_FLUSH) || !device.is_live() {
            return Ok(());
        }
        if sys::exiting() || sys::executing() {
            return Handle::flush_without_answer(handle, file.flags());
        }
        flush(handle, file)
    }

    fn sync(handle: ArcBorrow<'_, Handle>, file: &File, data_only: bool) -> Result {
        if !handle.device().implements(wire::IMPLEMENTS_SYNC) {
            return Err(EINVAL);
        }
        let fixed = wire::Sync {
            data_only: data_only.into(),
            reserved: 0,
        };
        call_small(handle, ask(operation::SYNC, file, &fixed.to_bytes())).map(drop)
    }

    fn fasync(handle: ArcBorrow<'_, Handle>, fd: c_int, file: &File, on: c_int) -> Result<c_int> {
        handle.listen(fd, file, on)
    }

    fn show(handle: ArcBorrow<'_, Handle>, to: &SeqFile) {
        let device = handle.device();
        seq_print!(to, "fusd-device:\t{}\n", device.name_text());
        seq_print!(to, "fusd-file:\t{}\n", handle.id());
        seq_print!(to, "fusd-driver:\t{}\n", device.connection().driver());
        seq_print!(to, "fusd-live:\t{}\n", u32::from(device.is_live()));
        seq_print!(to, "fusd-events:\t{:#x}\n", handle.events());
        if let Ok(Some(content)) = handle.content() {
            seq_print!(to, "fusd-published:\t{}\n", content.length());
        }
        for (way, ring) in [("reads", handle.reads()), ("writes", handle.writes())] {
            if let Some(ring) = ring {
                let (filled, size) = (ring.filled(), ring.size());
                seq_print!(to, "fusd-ring-{}:\t{} of {}\n", way, filled, size);
            }
        }
    }
}

/// Asks the driver to open the file.
fn open(handle: ArcBorrow<'_, Handle>, file: &File) -> Result {
    // A device that has gone before the call began is no device any more.
    let mut admission =
        Admission::new(handle, 0).map_err(|error| if error == EPIPE { ENOENT } else { error })?;
    let request = admission.request(ask(operation::OPEN, file, &[]))?;
    let slot = admission.slot()?;
    let connection = handle.device().connection();
    connection.queue_open(&request, slot, admission.start())?;
    admission.wait(request).map(drop)
}

/// Asks the driver to flush. A driver that would wait for itself is only told: a close that fails, or
/// never returns, is of no use to it.
fn flush(handle: ArcBorrow<'_, Handle>, file: &File) -> Result {
    let mut admission = match Admission::new(handle, 0) {
        Err(error) if error == error::edeadlk() => {
            return Handle::flush_without_answer(handle, file.flags());
        }
        admission => admission?,
    };
    let request = admission.request(ask(operation::FLUSH, file, &[]))?;
    let slot = admission.slot()?;
    let connection = handle.device().connection();
    connection.queue(&request, slot, admission.start())?;
    match admission.wait(request.clone()) {
        Err(_) if connection.was_broken_off(&request) => {
            Handle::flush_without_answer(handle, file.flags())
        }
        outcome => outcome.map(drop),
    }
}

/// What one request moved.
struct Part {
    /// Bytes.
    copied: usize,
    /// It was less than could have been.
    short: bool,
}

/// Counts bytes.
fn advance(done: &mut usize, position: &mut i64, bytes: usize, stream: bool) {
    *done = done.saturating_add(bytes);
    if !stream {
        // The VFS has checked that position and size do not overflow together (rw_verify_area).
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        *position = position.saturating_add(bytes);
    }
}

/// The fixed part of a read or a write.
fn transfer(position: i64, size: u32) -> wire::Transfer {
    wire::Transfer {
        // The VFS lets no negative position through.
        offset: position.unsigned_abs(),
        size,
        reserved: 0,
    }
}

/// How much of `wanted` bytes goes into one request.
fn one_request(device: &Device, wanted: usize) -> u32 {
    u32::try_from(wanted).map_or(device.max_transfer(), |wanted| {
        wanted.min(device.max_transfer())
    })
}

/// From so many bytes on, data is not kept in between, but moved from and to the client's own memory:
/// to pin that takes as long as to copy some pages.
const LARGE: u32 = 16 << 10;

/// Reads with one request.
fn read_part(
    handle: ArcBorrow<'_, Handle>,
    file: &File,
    position: i64,
    to: &mut IovIterDest<'_>,
) -> Result<Part> {
    let mut size = one_request(handle.device(), to.len());
    let mut admission = admission_of(handle, size.into())?;
    let mut landing = Bytes::Empty;
    // CAST: widens.
    let lent = (size >= LARGE).then(|| Pages::of_destination(to, size as usize));
    // Until this call has ended, which this sees to.
    let lent = lent.flatten();
    if let Some(lent) = &lent {
        landing = Bytes::of(lent);
        // CAST: at most as before.
        size = lent.pages().room() as u32;
    }
    let fixed = transfer(position, size).to_bytes();
    let ask = Ask {
        capacity: size,
        landing,
        ..ask(operation::READ, file, &fixed)
    };
    let outcome = call_with(handle, &mut admission, ask)?;
    if let Some(lent) = lent {
        let copied = lent.pages().len();
        return Ok(Part {
            copied,
            // CAST: widens.
            short: copied < size as usize,
        });
    }
    let copied = to.copy_to_iter(outcome.data.as_slice());
    if copied == 0 && !outcome.data.is_empty() {
        return Err(EFAULT);
    }
    Ok(Part {
        copied,
        // CAST: widens.
        short: copied < size as usize,
    })
}

/// Writes with one request.
fn write_part(
    handle: ArcBorrow<'_, Handle>,
    file: &File,
    position: i64,
    from: &mut IovIterSource<'_>,
) -> Result<Part> {
    let wanted = one_request(handle.device(), from.len());
    let mut admission = admission_of(handle, wanted.into())?;
    // CAST: widens, here and below.
    let lent = (wanted >= LARGE).then(|| Pages::of_source(from, wanted as usize));
    // Until this call has ended, which this sees to.
    let lent = lent.flatten();
    let (data, copied) = match &lent {
        Some(lent) => (Bytes::of(lent), lent.pages().len()),
        None => {
            let mut data = Bytes::with_capacity(wanted as usize, GFP_KERNEL_ACCOUNT)?;
            let copied = data.fill(from, wanted as usize);
            (data, copied)
        }
    };
    if copied == 0 {
        return Err(EFAULT);
    }
    let size = u32::try_from(copied).map_err(|_| EFAULT)?;
    let fixed = transfer(position, size).to_bytes();
    let ask = Ask {
        data,
        ..ask(operation::WRITE, file, &fixed)
    };
    let outcome = call_with(handle, &mut admission, ask)?;
    // An answer of more than was written has been refused.
    let taken = usize::try_from(outcome.value).map_err(|_| EIO)?;
    Ok(Part {
        copied: taken,
        // CAST: widens.
        short: taken < wanted as usize,
    })
}

/// Makes an ioctl: with the argument's bytes as its number tells, or, on a device of raw ioctls,
/// with the bare argument.
fn ioctl(
    handle: ArcBorrow<'_, Handle>,
    file: &File,
    command: u32,
    argument: usize,
    compat: bool,
) -> Result<isize> {
    let raw = handle.device().has_flag(wire::REGISTER_RAW_IOCTL);
    let size_if = |direction| {
        if raw || _IOC_DIR(command) & direction == 0 {
            return 0;
        }
        // CAST: 14 bits.
        _IOC_SIZE(command) as u32
    };
    let (in_size, out_size) = (size_if(uapi::_IOC_WRITE), size_if(uapi::_IOC_READ));
    if in_size.max(out_size) > handle.device().max_transfer() {
        return Err(EINVAL);
    }
    let mut admission = admission_of(handle, u64::from(in_size) + u64::from(out_size))?;
    // CAST: widens, here and below.
    let memory = |size: u32| UserSlice::new(UserPtr::from_addr(argument), size as usize);
    let mut data = Bytes::with_capacity(in_size as usize, GFP_KERNEL_ACCOUNT)?;
    data.read(memory(in_size), in_size as usize)?;
    let fixed = wire::Ioctl {
        argument: argument as u64,
        command,
        in_size,
        out_size,
        reserved: 0,
    };
    let ask = Ask {
        flags: if compat { wire::REQUEST_COMPAT } else { 0 },
        data,
        capacity: out_size,
        ..ask(operation::IOCTL, file, &fixed.to_bytes())
    };
    let outcome = call_with(handle, &mut admission, ask)?;
    memory(out_size)
        .writer()
        .write_slice(outcome.data.as_slice())?;
    isize::try_from(outcome.value).map_err(|_| EIO)
}
