//! placeholder
mod errno;
mod error;
#[allow(
    dead_code,
    unused_imports,
    reason = "the FUSE and CUSE backends are its users"
)]
mod fuse_wire;
pub use errno::Errno;
pub use error::{Error, ErrorKind, Result};
