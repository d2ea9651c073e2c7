//! A device that nobody can open.

use fusd::{Device, Errno, OpenRequest};

/// Every open fails with this errno.
pub(crate) struct Refusing(Errno);

impl Refusing {
    pub(crate) fn new(errno: i32) -> Result<Self, String> {
        let errno = Errno::from_raw(errno).ok_or(format!("{errno} is no errno"))?;
        Ok(Self(errno))
    }
}

impl Device for Refusing {
    type File = ();

    fn open(&self, request: OpenRequest<()>) {
        request.fail(self.0);
    }
}
