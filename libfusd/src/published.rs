//! Content that clients read without waking the driver.

use std::fmt;
use std::sync::Arc;

use crate::backend::Content;
use crate::sys::sealed::Sealed;
use crate::{Errno, Error, ErrorKind, Result};

/// All that clients read from a file: bytes that depend neither on who reads nor on when
/// ([`OpenRequest::publish`](crate::OpenRequest::publish)). Copies are the same memory, so a thousand
/// open files of one content hold it once.
///
/// ```
/// use fusd::{Device, OpenRequest, Published};
///
/// struct Hello(Published);
///
/// impl Device for Hello {
///     type File = ();
///
///     fn open(&self, request: OpenRequest<()>) {
///         request.publish(&self.0);
///         request.accept(());
///     }
/// }
///
/// let hello = Hello(Published::new(b"Hello, world!\n")?);
/// # let (client, _serving) = fusd::DeviceBuilder::new("hello").loopback(hello)?;
/// # let file = client.open(libc::O_RDONLY)?;
/// # assert_eq!(file.read(5)?, b"Hello");
/// # assert_eq!(file.read(100)?, b", world!\n");
/// # assert_eq!(file.read(100)?, b"");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Published(Arc<Option<Sealed>>);

impl Published {
    /// Copies `bytes` to memory that nobody can change, this process included.
    ///
    /// # Errors
    /// `ENOMEM`: there is not so much. `EMFILE`, `ENFILE`: too many descriptors are open (it takes one
    /// for a moment).
    pub fn new(bytes: &[u8]) -> Result<Self> {
        let sealed = Sealed::new(bytes).map_err(|error| {
            let errno = Errno::from(&error);
            let what = format!("make {} bytes of memory for clients to read", bytes.len());
            Error::system(ErrorKind::Runtime, errno, what)
        })?;
        Ok(Self(Arc::new(sealed)))
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        Option::as_ref(&self.0).map_or(&[], Sealed::bytes)
    }

    /// As the kernel is told of it.
    pub(crate) fn content(&self) -> Content {
        let address =
            Option::as_ref(&self.0).map_or(0, |sealed| sealed.address().expose_provenance() as u64);
        Content {
            address,
            length: self.bytes().len() as u64,
        }
    }
}

impl fmt::Debug for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Published")
            .field("length", &self.bytes().len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_those_that_were_given() {
        for length in [0, 1, 4095, 4096, 4097, 1 << 20] {
            let bytes: Vec<u8> = (0..length).map(|at| at as u8).collect();
            let published = Published::new(&bytes).unwrap();
            assert_eq!(published.clone().bytes(), bytes);
            assert_eq!(published.content().length, length as u64);
            assert_eq!(published.content().address == 0, length == 0);
        }
    }

    #[test]
    fn copies_are_the_same_memory() {
        let published = Published::new(b"x").unwrap();
        let copy = published.clone();
        assert_eq!(copy.bytes().as_ptr(), published.bytes().as_ptr());
        drop(published);
        assert_eq!(copy.bytes(), b"x");
    }
}
