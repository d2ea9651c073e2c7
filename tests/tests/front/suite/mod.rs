//! The bodies of the tests, by the command that they are about.

pub(crate) mod doctor;
pub(crate) mod kill;
pub(crate) mod list;
pub(crate) mod run;
pub(crate) mod top;
pub(crate) mod trace;
pub(crate) mod up;
