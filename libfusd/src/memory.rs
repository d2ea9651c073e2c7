//! Memory that a driver shares with its clients, by mmap(2).

use std::fmt;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use crate::backend::Offer;
use crate::sys::mapped::Mapped;
use crate::{Errno, Error, ErrorKind, Result};

/// Memory of a driver's that clients can map, once a file of theirs was opened with it
/// ([`OpenRequest::offer`](crate::OpenRequest::offer)). Copies are the same memory.
///
/// What either side writes the other one sees, at once and without a word to anybody. It begins with
/// zeros, and its length never changes. It lives as long as somebody has it: clients that have mapped
/// it keep it when the driver has gone.
///
/// ```
/// use std::sync::atomic::Ordering;
///
/// let memory = fusd::Memory::new(4096)?;
/// memory.words()[0].fetch_add(1, Ordering::SeqCst);
/// assert_eq!(memory.write(8, b"hello"), 5);
/// # let mut text = [0; 5];
/// # assert_eq!(memory.read(8, &mut text), 5);
/// # assert_eq!(&text, b"hello");
/// # Ok::<(), fusd::Error>(())
/// ```
#[derive(Clone)]
pub struct Memory(Arc<Mapped>);

/// What clients may do with memory that they map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read it and, where they have opened the node for writing, write to it.
    ReadWrite,
    /// Read it. To map it shared and writable fails with `EACCES`; copies of their own
    /// (`MAP_PRIVATE`) they may change.
    ReadOnly,
}

impl Memory {
    /// Memory of `length` bytes, rounded up to whole pages.
    ///
    /// # Errors
    /// `EINVAL`: a length of 0. `ENOMEM`: there is not so much. `EMFILE`, `ENFILE`: too many
    /// descriptors are open (it takes one).
    pub fn new(length: usize) -> Result<Self> {
        let failed = |errno: Errno| {
            Error::system(
                ErrorKind::Runtime,
                errno,
                format!("make {length} bytes of memory for clients to map"),
            )
        };
        let page = crate::backend::page_size() as usize;
        let rounded = length.checked_next_multiple_of(page);
        let rounded = rounded.ok_or_else(|| failed(Errno::ENOMEM))?;
        let rounded = NonZeroUsize::new(rounded).ok_or_else(|| failed(Errno::EINVAL))?;
        let mapped = Mapped::new(rounded).map_err(|error| failed(Errno::from(&error)))?;
        Ok(Self(Arc::new(mapped)))
    }

    /// Its bytes: as many as were asked for, up to the end of the page.
    pub fn bytes(&self) -> &[AtomicU8] {
        self.0.bytes()
    }

    /// The same memory as numbers of 64 bits, in the machine's byte order.
    pub fn words(&self) -> &[AtomicU64] {
        self.0.words()
    }

    /// Copies what is at `at` into `out`; returns how many bytes, fewer than `out` has where the memory
    /// ends. Byte by byte: what others write meanwhile may come out half.
    pub fn read(&self, at: usize, out: &mut [u8]) -> usize {
        let from = self.bytes().get(at..).unwrap_or_default();
        let pairs = out.iter_mut().zip(from);
        pairs
            .map(|(to, from)| *to = from.load(Ordering::Relaxed))
            .count()
    }

    /// Copies `data` to `at`; returns how many bytes, fewer where the memory ends. Byte by byte, as
    /// [`read`](Self::read).
    pub fn write(&self, at: usize, data: &[u8]) -> usize {
        let to = self.bytes().get(at..).unwrap_or_default();
        let pairs = data.iter().zip(to);
        pairs
            .map(|(from, to)| to.store(*from, Ordering::Relaxed))
            .count()
    }

    /// As the kernel is told of it.
    pub(crate) fn offer(&self, access: Access) -> Offer {
        Offer {
            address: self.0.address().expose_provenance() as u64,
            length: self.bytes().len() as u64,
            read_only: access == Access::ReadOnly,
        }
    }
}

/// The file, to be handed to other processes: sealed against any change of its length.
impl AsFd for Memory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.file().as_fd()
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory")
            .field("length", &self.bytes().len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_whole_pages_and_ends_where_it_ends() {
        let memory = Memory::new(1).unwrap();
        let length = memory.bytes().len();
        assert_eq!(length, crate::backend::page_size() as usize);
        assert_eq!(memory.write(length - 2, b"abc"), 2);
        let mut out = [b'-'; 4];
        assert_eq!(memory.clone().read(length - 3, &mut out), 3);
        assert_eq!(&out, b"\0ab-");
        assert_eq!(memory.read(length, &mut out), 0);
        assert_eq!(memory.write(usize::MAX, b"x"), 0);
        assert_eq!(memory.words().len(), length / 8);
    }

    #[test]
    fn what_cannot_be_made_is_an_error() {
        assert_eq!(Memory::new(0).unwrap_err().errno(), Errno::EINVAL);
        assert_eq!(Memory::new(usize::MAX).unwrap_err().errno(), Errno::ENOMEM);
    }

    #[test]
    fn its_file_cannot_be_cut() {
        let memory = Memory::new(1).unwrap();
        let error = nix::unistd::ftruncate(&memory, 0).unwrap_err();
        assert_eq!(error, nix::errno::Errno::EPERM);
    }
}
