//! fusd-prompt: see the library part of this crate.

use std::process::ExitCode;

fn main() -> ExitCode {
    fusd_tool::main::<fusd_prompt::Args>()
}
