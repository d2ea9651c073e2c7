//! The bodies of the tests, shared by all backends.

pub(crate) mod bad;
pub(crate) mod examples;
pub(crate) mod modern;
pub(crate) mod old;
pub(crate) mod python;
