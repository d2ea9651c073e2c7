//! Gives the shared library its soname: the name that programs linked with it ask for.
//!
//! It holds the number of the binary interface, which changes only when that breaks. What is exported
//! is for rustc to say: it gives the linker a version script with the functions that are marked so, and
//! nothing else. That script has no name for a version, and linkers refuse a second one beside it: so the
//! symbols have no versions.

fn main() {
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libfusd.so.0");
    println!("cargo:rerun-if-changed=build.rs");
}
