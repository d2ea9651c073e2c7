//! The bodies of the tests, shared by all backends.

pub(crate) mod command;
pub(crate) mod content;
pub(crate) mod ending;
pub(crate) mod exec;
pub(crate) mod log;
pub(crate) mod policy;
pub(crate) mod reading;
pub(crate) mod reload;
pub(crate) mod user;
