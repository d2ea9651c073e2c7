//! The bodies of the tests, shared by all backends.

pub(crate) mod any_ioctl;
pub(crate) mod callers;
pub(crate) mod circles;
pub(crate) mod defaults;
pub(crate) mod ending;
pub(crate) mod ioctl;
pub(crate) mod kills;
pub(crate) mod mapping;
pub(crate) mod node;
pub(crate) mod nonblocking;
pub(crate) mod opening;
pub(crate) mod ordinary;
pub(crate) mod parallel;
pub(crate) mod polling;
pub(crate) mod published;
pub(crate) mod reading;
pub(crate) mod restarting;
pub(crate) mod rings;
pub(crate) mod signals;
