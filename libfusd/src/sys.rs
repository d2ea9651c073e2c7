//! The system calls that `nix` does not have, each behind a safe function.
//!
//! This is the only module of the crate's own code in which `unsafe` may be written. Nothing here
//! knows what a device is.
#![allow(unsafe_code, reason = "raw system calls live here and nowhere else")]

mod control;
pub(crate) mod descriptor;
pub(crate) mod mapped;
pub(crate) mod mount;
pub(crate) mod process;
pub(crate) mod ring;
pub(crate) mod sealed;
pub(crate) mod socket;
pub(crate) mod successor;
