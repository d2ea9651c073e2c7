// SPDX-License-Identifier: GPL-2.0-only

//! Bytes of data on their way between a client and its driver: a few of them in place, more in
//! memory of their own, many in the client's memory itself. They do not grow beyond the room that was
//! made for them at first.

use kernel::{alloc::Flags, iov::IovIterSource, prelude::*, sync::Arc, uaccess::UserSlice};

use crate::sys::{fill_from_iter, Lent, Pages};

/// So many bytes need no memory of their own: what makes [`Bytes`] four words long, for it is moved
/// a few times in each call. Answers of so many bytes come whole with what is read of each message
/// at first (`wire::HEAD_MAX`).
pub(crate) const FEW: usize = 30;

const _: () = assert!(core::mem::size_of::<Bytes>() == 32);

/// Bytes, with room for more.
#[derive(Default)]
pub(crate) enum Bytes {
    /// None, and no room.
    #[default]
    Empty,
    /// The first `length` of these, at most [`FEW`].
    Few { length: u8, bytes: [u8; FEW] },
    /// In memory of their own.
    Many(KVVec<u8>),
    /// Where the client has them, or wants them.
    There(Arc<Pages>),
}

impl Bytes {
    /// None, with room for `capacity`.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub(crate) fn with_capacity(capacity: usize, flags: Flags) -> Result<Self> {
        Ok(match capacity {
            0..=FEW => Self::in_place(capacity),
            _ => Self::Many(KVVec::with_capacity(capacity, flags)?),
        })
    }

    /// None, with room for `capacity` in place, if that is no more than [`FEW`].
    pub(crate) fn in_place(capacity: usize) -> Self {
        match capacity {
            0 => Self::Empty,
            _ => Self::Few {
                bytes: [0; FEW],
                length: 0,
            },
        }
    }

    /// Makes it none, with room for `capacity` in place, if that is no more than [`FEW`]. It has no memory
    /// of its own.
    pub(crate) fn make_room(&mut self, capacity: usize) {
        match self {
            Self::Few { length, .. } if capacity != 0 => *length = 0,
            other => *other = Self::in_place(capacity),
        }
    }

    /// A copy of those in place; of others, none.
    #[inline(always)]
    pub(crate) fn copy_small(&self) -> Self {
        match self {
            Self::Few { length, bytes } => Self::Few {
                length: *length,
                bytes: *bytes,
            },
            _ => Self::Empty,
        }
    }

    /// In the memory of a client whose call lasts.
    pub(crate) fn of(lent: &Lent) -> Self {
        Self::There(lent.pages().clone())
    }

    /// All of them; none of those that are in the client's memory.
    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Empty | Self::There(_) => &[],
            Self::Few { bytes, length } => bytes.get(..usize::from(*length)).unwrap_or_default(),
            Self::Many(bytes) => bytes,
        }
    }

    /// Those that are in the client's memory.
    pub(crate) fn as_pages(&self) -> Option<&Pages> {
        match self {
            Self::There(pages) => Some(pages),
            _ => None,
        }
    }

    /// How many.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::There(pages) => pages.len(),
            own => own.as_slice().len(),
        }
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Removes all, and keeps the room.
    pub(crate) fn clear(&mut self) {
        match self {
            Self::Empty => {}
            Self::Few { length, .. } => *length = 0,
            Self::Many(bytes) => bytes.clear(),
            Self::There(pages) => pages.clear(),
        }
    }

    /// Appends `more`.
    ///
    /// # Errors
    /// `EINVAL`: there is too little room. `ENOENT`: the client's call has ended.
    pub(crate) fn extend(&mut self, more: &[u8]) -> Result {
        match self {
            Self::Many(bytes) => {
                if bytes.spare_capacity_mut().len() < more.len() {
                    return Err(EINVAL);
                }
                Ok(bytes.extend_from_slice(more, GFP_NOWAIT)?)
            }
            Self::There(pages) => pages.extend(more),
            few => few.add(more.len(), |room| {
                room.copy_from_slice(more);
                Ok(())
            }),
        }
    }

    /// Appends the next `length` bytes of `memory`, to what is no client's memory.
    ///
    /// # Errors
    /// `EFAULT`. `EINVAL`: there is too little room.
    pub(crate) fn read(&mut self, memory: UserSlice, length: usize) -> Result {
        match self {
            Self::Many(bytes) => {
                if bytes.spare_capacity_mut().len() < length {
                    return Err(EINVAL);
                }
                memory.read_all(bytes, GFP_KERNEL_ACCOUNT)
            }
            few => few.add(length, |room| memory.reader().read_slice(room)),
        }
    }

    /// Appends the next bytes of `iter`, at most `max`, as far as there is room, to what is no client's
    /// memory. Returns how many: fewer where memory of the caller is not there.
    pub(crate) fn fill(&mut self, iter: &mut IovIterSource<'_>, max: usize) -> usize {
        match self {
            Self::Empty | Self::There(_) => 0,
            Self::Many(bytes) => fill_from_iter(iter, bytes, max),
            Self::Few { bytes, length } => {
                let start = usize::from(*length);
                let end = start.saturating_add(max).min(FEW);
                let room = bytes.get_mut(start..end).unwrap_or_default();
                let copied = iter.copy_from_iter(room);
                // CAST: no more than FEW.
                *length = start.saturating_add(copied) as u8;
                copied
            }
        }
    }

    /// Appends `count` bytes in place, which `put` writes.
    fn add(&mut self, count: usize, put: impl FnOnce(&mut [u8]) -> Result) -> Result {
        match self {
            _ if count == 0 => Ok(()),
            Self::Few { bytes, length } => {
                let start = usize::from(*length);
                let end = start.checked_add(count).ok_or(EINVAL)?;
                put(bytes.get_mut(start..end).ok_or(EINVAL)?)?;
                // CAST: no more than FEW.
                *length = end as u8;
                Ok(())
            }
            Self::Empty | Self::Many(_) | Self::There(_) => Err(EINVAL),
        }
    }
}
