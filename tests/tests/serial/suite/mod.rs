//! The bodies of the tests.

pub(crate) mod boards;
pub(crate) mod elsewhere;
pub(crate) mod hardware;
pub(crate) mod kills;
pub(crate) mod lines;
pub(crate) mod megabyte;
pub(crate) mod monitor;
pub(crate) mod people;
pub(crate) mod pseudo;
pub(crate) mod pyserial;
pub(crate) mod sharing;
pub(crate) mod terminal;
pub(crate) mod usb;
