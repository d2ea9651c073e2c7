//! The kernel module kfusd, for machines that have none loaded and may have one: guests.

use std::env;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Once;

use nix::errno::Errno;

use crate::sys;

/// Says where kfusd.ko is.
pub const VARIABLE: &str = "FUSD_KFUSD_MODULE";

/// The module's control node.
pub const CONTROL: &str = "/dev/fusd/control";

static INSERTED: Once = Once::new();

/// The module that may be inserted here.
pub fn file() -> Option<PathBuf> {
    env::var_os(VARIABLE)
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
}

/// Inserts the module.
///
/// # Errors
/// The kernel does not take it.
///
/// # Panics
/// No variable says where it is, or it is not there.
pub fn insert(parameters: &str) -> Result<(), Errno> {
    let path = file().expect("a variable says where the module is");
    let file = File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    sys::insert_module(&file, parameters)
}

/// Inserts the module once, where it may be and is not there.
///
/// # Panics
/// The kernel does not take it.
pub fn provide() {
    INSERTED.call_once(|| {
        if file().is_none() || Path::new(CONTROL).exists() {
            return;
        }
        match insert("") {
            // Another test program was faster.
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(errno) => panic!("the module cannot be inserted: {errno}"),
        }
    });
}
