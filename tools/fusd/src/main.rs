//! fusd: see the library part of this crate.

use std::process::ExitCode;

fn main() -> ExitCode {
    fusd_tool::main_of("fusd", fusd_cli::run)
}
