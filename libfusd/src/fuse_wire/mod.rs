//! The FUSE protocol as bytes: requests into types.
//!
//! Shared by the backends that speak it, FUSE over one file and CUSE. Nothing here reads, writes,
//! allocates or keeps state, and no input makes it panic. The layouts are those of
//! `include/uapi/linux/fuse.h`, protocol 7.40.

mod decode;
mod flags;
mod frame;

pub(crate) use decode::{DecodeError, Flaw, HEADER_SIZE, decode};
pub(crate) use flags::{InitFlags, IoctlFlags, OpenFlags};
pub(crate) use frame::{Body, Frame, SetAttr, SetTime, Span, Timestamp};
