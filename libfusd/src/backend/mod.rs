//! The ways in which a device can be given to the system.

pub(crate) mod fuse;
