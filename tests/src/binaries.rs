//! Where the programs under test are: beside the test programs, where cargo puts them.

use std::env;
use std::path::PathBuf;

/// The built program `name`.
///
/// # Panics
/// It has not been built.
#[track_caller]
pub fn find(name: &str) -> PathBuf {
    let path = directory().join(name);
    assert!(
        path.is_file(),
        "{} is not built: run `cargo build --workspace --bins` first",
        path.display()
    );
    path
}

/// The directory of the built programs.
///
/// # Panics
/// This program's own place is unknown.
pub fn directory() -> PathBuf {
    let own = env::current_exe().expect("the test program has a path");
    let near = own.parent().expect("a program is in a directory");
    // Test programs are in `deps`, one below the others.
    match near.ends_with("deps") {
        true => near.parent().expect("deps is in a directory").to_owned(),
        false => near.to_owned(),
    }
}
