//! fusd-serial-proxy: see the library part of this crate.

use std::process::ExitCode;

fn main() -> ExitCode {
    fusd_serial_proxy::main()
}
