//! placeholder
mod errno;
mod error;
pub use errno::Errno;
pub use error::{Error, ErrorKind, Result};
