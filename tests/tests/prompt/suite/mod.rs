//! The bodies of the tests.

pub(crate) mod deciding;
pub(crate) mod jobs;
pub(crate) mod kinds;
pub(crate) mod many;
pub(crate) mod others;
pub(crate) mod terminal;
pub(crate) mod tmux;
