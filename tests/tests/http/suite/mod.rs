//! The bodies of the tests.

pub(crate) mod closing;
pub(crate) mod encodings;
pub(crate) mod faults;
pub(crate) mod jumping;
pub(crate) mod keeping;
pub(crate) mod live;
pub(crate) mod memory;
pub(crate) mod pausing;
pub(crate) mod proxies;
pub(crate) mod reading;
pub(crate) mod real;
pub(crate) mod versions;
pub(crate) mod who;
pub(crate) mod writing;
