// SPDX-License-Identifier: GPL-2.0-only

//! What a driver says: from the bytes of a message to what it is about.

use kernel::prelude::*;

use super::memory::{Rest, Source};
use crate::bytes::Bytes;
use crate::connection::{Connection, Input};
use crate::device::Device;
use crate::request::Job;
use crate::seat::Seat;
use crate::sys::Memory;
use crate::wire::{self, Answer, Command};
use crate::{content, error};

/// Takes a message of `total` bytes from a driver.
pub(super) fn take(seat: &Seat, total: usize, input: &mut impl Source) -> Result {
    let mut head = [0; wire::HEAD_MAX];
    let length = total.min(head.len());
    let head = head.get_mut(..length).ok_or(EINVAL)?;
    // Of what is longer, first what says whether it is an answer: its data then go where they belong at once.
    let first = match total > length {
        true => Answer::HEAD,
        false => length,
    };
    let (now, later) = head.split_at_mut_checked(first).ok_or(EINVAL)?;
    input.fill(now)?;
    if let Some(answer) = Answer::parse(now, total) {
        let early = now.get(Answer::HEAD..).unwrap_or_default();
        return take_answer(seat, &answer?, &mut Rest::new(early, input));
    }
    input.fill(later)?;
    take_other(seat, head, total, input)
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
    let mut rest = Rest::new(early, input);
    if let Command::Hello(hello) = command {
        return connection.agree(hello);
    }
    connection.ensure_agreed()?;
    match command {
        Command::Hello(_) => Ok(()),
        Command::Register(register) => {
            connection.ensure_seated(seat)?;
            if register.keep != 0 && !connection.has(wire::FEATURE_KEEP) {
                return Err(error::eopnotsupp());
            }
            // CAST: widens. A name that is too long is not read at all.
            let length = register.name_length as usize;
            if length > wire::NAME_MAX {
                return Err(error::enametoolong());
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
        return Err(error::eopnotsupp());
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
        return Err(error::eopnotsupp());
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
        return Err(error::eopnotsupp());
    }
    let (device, file) = connection.addressed(message.device, message.file)?;
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
