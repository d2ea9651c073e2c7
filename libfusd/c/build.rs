//! Gives the shared library its soname, the name that programs linked with it ask for, and keeps it in
//! memory once it is loaded.
//!
//! The soname holds the number of the binary interface, which changes only when that breaks. The library
//! is never unloaded (`-z nodelete`): after dlclose(3), its threads may still have some code to run.
//!
//! What is exported is for rustc to say: it gives the linker a version script with the functions that are
//! marked so, and nothing else. That script has no name for a version, and some linkers refuse a second
//! one beside it. So symbols have no versions here: the library that `cargo xtask install` installs has
//! them, as it is linked anew, from the archive and by `fusd.map` (`xtask/src/library/link.rs`).

fn main() {
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libfusd.so.0");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    println!("cargo:rerun-if-changed=build.rs");
}
