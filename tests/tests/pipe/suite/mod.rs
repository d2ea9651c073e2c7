//! The bodies of the tests, shared by all backends.

pub(crate) mod accounting;
pub(crate) mod fifo;
pub(crate) mod kinds;
pub(crate) mod nats;
pub(crate) mod persist;
pub(crate) mod policy;
pub(crate) mod streams;
