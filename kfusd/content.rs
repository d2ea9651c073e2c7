// SPDX-License-Identifier: GPL-2.0-only

//! Published content: bytes that do not depend on who reads them, from which this module serves reads
//! while the driver sleeps.
//!
//! A file keeps what it was opened with, until its driver publishes something for that very file. All
//! of it ends with the device: reads fail then as they do on any other.

use kernel::{bindings, fs::File, iov::IovIterDest, prelude::*, sync::Arc};

use crate::connection::Connection;
use crate::handle::Handle;
use crate::sys::{Content, Seek};
use crate::wire::{self, Publish};

/// Publishes memory of the calling process to readers of a device, or of one file.
///
/// # Errors
/// `EOPNOTSUPP`: not agreed on. `ENOENT`: no such device or file. `EINVAL`: the device is a stream.
/// For memory that cannot be published, as [`Content::of_caller`].
pub(crate) fn publish(connection: &Connection, message: &Publish) -> Result {
    if !connection.has(wire::FEATURE_PUBLISH) {
        return Err(crate::error::eopnotsupp());
    }
    let (device, file) = connection.addressed(message.device, message.file)?;
    // A reader's place is its file's position.
    if device.has_flag(wire::REGISTER_STREAM) {
        return Err(EINVAL);
    }
    let content = match message.flags & wire::PUBLISH_NOTHING {
        0 => Some(Content::of_caller(message.address, message.length)?),
        _ => None,
    };
    let mut inner = connection.lock();
    // Else nobody would take it away again.
    if !inner.serves(&device) {
        return Err(ENOENT);
    }
    let before = match &file {
        Some(file) => file.publish(&mut inner, content),
        None => {
            let published = &mut device.state.access_mut(&mut inner).content;
            core::mem::replace(published, content)
        }
    };
    drop(inner);
    drop(before);
    Ok(())
}

/// read(2) of a file with content, at `position`, which it moves.
pub(crate) fn read(
    handle: &Handle,
    content: Arc<Content>,
    position: &mut i64,
    to: &mut IovIterDest<'_>,
) -> Result<usize> {
    if to.is_empty() {
        return Ok(0);
    }
    let count = content.read(*position, to)?;
    // CAST: widens, and a count is at most `isize::MAX`.
    *position = position.saturating_add(count as i64);
    handle.device().count(count as u64);
    Ok(count)
}

/// lseek(2) of a file with content, relative to what only its length tells.
///
/// # Errors
/// `EINVAL`: before the beginning. `ENXIO`: there is no such data or hole.
pub(crate) fn seek(content: &Content, file: &File, offset: i64, whence: u32) -> Result<i64> {
    let length = content.length();
    let position = match whence {
        bindings::SEEK_END => length.checked_add(offset).ok_or(EINVAL)?,
        // It is data all over, with a hole behind (lseek(2)).
        _ if !(0..length).contains(&offset) => return Err(ENXIO),
        bindings::SEEK_HOLE => length,
        _ => offset,
    };
    Seek::to(file, position)
}
