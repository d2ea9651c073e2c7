//! fusd-echo as a user meets it: the real program, real nodes, and the programs people read with.

mod command;
mod content;
mod ending;
mod exec;
mod helper;
mod log;
mod policy;
mod reading;
mod reload;
mod user;
