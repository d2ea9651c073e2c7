//! The FUSE protocol as bytes: requests into types, answers into bytes, and the INIT negotiation.
//!
//! Shared by the backends that speak it, FUSE over one file and CUSE. Nothing here reads, writes,
//! allocates or keeps state, and no input makes it panic. The layouts are those of
//! `include/uapi/linux/fuse.h`, protocol 7.40; a kernel must speak at least 7.31 ([`negotiate`]).
//!
//! What differs by kernel and matters to a backend is told where it shows: [`Body`] for what is to
//! be answered, [`encode`] for what an answer may hold, [`init`] for what was agreed.

mod decode;
pub(crate) mod encode;
mod flags;
mod frame;
#[cfg(fuzzing)]
pub mod fuzzing;
pub(crate) mod init;

pub(crate) use decode::decode;
pub(crate) use encode::NodeAttr;
pub(crate) use flags::{InitFlags, IoctlFlags, OpenFlags};
pub(crate) use frame::{Body, Frame, SetAttr, SetTime, Timestamp};
pub(crate) use init::{Limits, Negotiated, Offer, Outcome, negotiate};
