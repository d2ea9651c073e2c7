//! The backend that needs no module of its own: a FUSE file system whose root is one file.

pub(crate) mod mount;
