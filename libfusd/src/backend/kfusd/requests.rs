//! From a message of the module to what the session knows of it, and the fixed part of answers.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::connection::Message;
use crate::backend::{FileId, Incoming, Message as Call, Operation, RequestId};
use crate::idmap::IdMap;
use crate::sync::lock;
use crate::wire::{self, Reply, RequestHeader, Seek, Sync, Transfer, operation};
use crate::{Caller, Errno, OpenFlags};

/// Numbers from here on are made up, for notices: the module counts from 1.
const MADE_UP: u64 = 1 << 63;

/// The next of them.
static NEXT: AtomicU64 = AtomicU64::new(MADE_UP);

/// Whether the number is one of a notice, to which there is no answer.
pub(super) fn is_made_up(RequestId(id): RequestId) -> bool {
    id & MADE_UP != 0
}

/// Bytes before the data of a read or a write.
const HEAD: usize = RequestHeader::SIZE + Transfer::SIZE;

/// The read or the write that the message is; `None`: something else. It is what calls of a device mostly
/// are, and taken from where it is.
#[inline]
pub(super) fn transfer(message: &[u8]) -> Option<Incoming> {
    // Of a length that is known: then no field's place need be checked.
    let head: &[u8; HEAD] = message.first_chunk()?;
    let (header, fixed) = head.split_at(RequestHeader::SIZE);
    let (header, transfer) = (
        RequestHeader::from_bytes(header),
        Transfer::from_bytes(fixed),
    );
    let (file, flags, offset) = (FileId(header.file), flags(&header), transfer.offset);
    let operation = match header.operation {
        operation::READ => Operation::Read {
            file,
            flags,
            offset,
            length: transfer.size,
        },
        operation::WRITE => Operation::Write {
            file,
            flags,
            offset,
            data: HEAD..message.len(),
        },
        _ => return None,
    };
    Some(request(&header, operation))
}

/// What a message is that moves no data. The module sends nothing else; what it should ever send is
/// passed over.
pub(super) fn sort(message: &Message, seeks: &Seeks) -> Incoming {
    let header = &message.header;
    let file = FileId(header.file);
    let flags = flags(header);
    let operation = match header.operation {
        operation::OPEN => Operation::Open { flags },
        operation::RELEASE => Operation::Release { file },
        operation::FLUSH => Operation::Flush { file },
        operation::SYNC => Operation::Sync {
            file,
            data_only: Sync::from_bytes(&message.fixed).data_only != 0,
        },
        operation::SEEK => {
            seeks.begin(header.id, Seek::from_bytes(&message.fixed));
            Operation::Size { file: Some(file) }
        }
        _ => return Incoming::Nothing,
    };
    request(header, operation)
}

/// The call of a client that `header` tells of.
#[inline]
pub(super) fn request(header: &RequestHeader, operation: Operation) -> Incoming {
    let id = match header.id {
        0 => NEXT.fetch_add(1, Ordering::Relaxed) | MADE_UP,
        id => id,
    };
    Incoming::Request(Call {
        id: RequestId(id),
        caller: Caller {
            thread: header.tid,
            uid: header.uid,
            gid: header.gid,
        },
        operation,
    })
}

/// The flags of the file that the message is about.
fn flags(header: &RequestHeader) -> OpenFlags {
    OpenFlags::from_raw(header.open_flags.cast_signed())
}

/// That a call failed. A number that the module keeps for itself becomes `EIO`.
pub(super) fn failure(errno: Errno) -> Reply {
    let raw = u32::try_from(errno.raw()).unwrap_or(0);
    let error = match (1..=wire::ERRNO_MAX).contains(&raw) {
        true => raw,
        false => Errno::EIO.raw().unsigned_abs(),
    };
    Reply {
        error,
        ..Reply::default()
    }
}

/// That a call succeeded with a number, which is not negative.
pub(super) fn value(number: impl Into<i64>) -> Reply {
    Reply {
        value: number.into().unsigned_abs(),
        ..Reply::default()
    }
}

/// The seeks that wait for the device's size.
#[derive(Default)]
pub(super) struct Seeks(Mutex<IdMap<u64, Seek>>);

impl Seeks {
    fn begin(&self, id: u64, seek: Seek) {
        lock(&self.0).insert(id, seek);
    }

    /// The seek has failed.
    pub(super) fn forget(&self, RequestId(id): RequestId) {
        lock(&self.0).remove(&id);
    }

    /// Where the seek `id` leads, in a file of `size` bytes.
    ///
    /// # Errors
    /// `EINVAL`: before the beginning. `ENXIO`: there is no such data or hole.
    pub(super) fn position(&self, RequestId(id): RequestId, size: u64) -> Result<i64, Errno> {
        let Seek { offset, whence, .. } = lock(&self.0).remove(&id).ok_or(Errno::EINVAL)?;
        let size = i64::try_from(size).unwrap_or(i64::MAX);
        let whence = whence.cast_signed();
        if whence == libc::SEEK_END {
            let position = size.checked_add(offset).filter(|position| *position >= 0);
            return position.ok_or(Errno::EINVAL);
        }
        // A device is data all over, with a hole behind (lseek(2)).
        match (0..size).contains(&offset) {
            true if whence == libc::SEEK_HOLE => Ok(size),
            true => Ok(offset),
            false => Err(Errno::ENXIO),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seek(whence: i32, offset: i64) -> Result<i64, Errno> {
        let seeks = Seeks::default();
        let whence = whence.unsigned_abs();
        let seek = Seek {
            offset,
            whence,
            reserved: 0,
        };
        seeks.begin(7, seek);
        let position = seeks.position(RequestId(7), 100);
        assert_eq!(
            seeks.position(RequestId(7), 100),
            Err(Errno::EINVAL),
            "once"
        );
        position
    }

    #[test]
    fn a_seek_leads_where_lseek_says() {
        assert_eq!(seek(libc::SEEK_END, 0), Ok(100));
        assert_eq!(seek(libc::SEEK_END, -100), Ok(0));
        assert_eq!(seek(libc::SEEK_END, -101), Err(Errno::EINVAL));
        assert_eq!(seek(libc::SEEK_END, i64::MAX), Err(Errno::EINVAL));
        assert_eq!(seek(libc::SEEK_DATA, 99), Ok(99));
        assert_eq!(seek(libc::SEEK_DATA, 100), Err(Errno::ENXIO));
        assert_eq!(seek(libc::SEEK_DATA, -1), Err(Errno::ENXIO));
        assert_eq!(seek(libc::SEEK_HOLE, 0), Ok(100));
        assert_eq!(seek(libc::SEEK_HOLE, 100), Err(Errno::ENXIO));
    }

    #[test]
    fn errors_stay_in_the_range_that_the_module_takes() {
        let error = |raw| failure(Errno::from_raw(raw).unwrap()).error;
        assert_eq!(error(libc::EPERM), 1);
        assert_eq!(error(511), 511);
        assert_eq!(error(512), libc::EIO.unsigned_abs());
    }

    #[test]
    fn notices_have_numbers_of_their_own() {
        let ids: Vec<_> = [0, 0, 5]
            .map(|id| {
                let header = RequestHeader {
                    id,
                    ..RequestHeader::default()
                };
                match request(&header, Operation::Size { file: None }) {
                    Incoming::Request(call) => call.id,
                    other => panic!("{other:?}"),
                }
            })
            .into();
        assert!(is_made_up(ids[0]) && is_made_up(ids[1]) && ids[0] != ids[1]);
        assert_eq!(ids[2], RequestId(5));
        assert!(!is_made_up(ids[2]));
    }
}
