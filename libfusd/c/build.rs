//! Gives the shared library its soname: the name that programs linked with it ask for.
//!
//! It holds the number of the binary interface, which changes only when that breaks.

fn main() {
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libfusd.so.0");
    println!("cargo:rerun-if-changed=build.rs");
}
