//! What is particular to ioctl(2): its number, what its argument is, and memory of the client's.

mod argument;
mod command;

pub use argument::{Area, IoctlArgument};
pub use command::IoctlCommand;
