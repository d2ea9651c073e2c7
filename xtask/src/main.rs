//! The project's own commands: `cargo xtask COMMAND`. Each command is a module of its own.
//!
//! To read `test`, begin with `test`: it has `check` check the sources, `programs` build and run the
//! test programs on the host, and `in_guest` run them in the kernels of `lab`. `libtest` reads what a
//! test program prints; `results` and `count` keep what became of the tests. `conformance` makes the
//! README's table of that.
//!
//! `deploy` is `install`, and says what there is to install; `deb` makes packages of the same.

mod bench;
mod check;
mod conformance;
mod count;
mod deb;
mod deploy;
mod fuzz;
mod host;
mod in_guest;
mod install;
mod lab;
mod libtest;
mod man;
mod programs;
mod results;
mod soak;
mod test;
mod tools;
mod unpacked;

use std::process::ExitCode;

use clap::Parser;

#[derive(Parser)]
#[command(bin_name = "cargo xtask", about = "The project's own commands")]
enum Command {
    Test(test::Args),
    Conformance(conformance::Args),
    Man(man::Args),
    Install(deploy::Args),
    Deb(deb::Args),
    Bench(bench::Args),
    Fuzz(fuzz::Args),
    Soak(soak::Args),
    Lab(lab::Args),
}

fn main() -> ExitCode {
    let result = match Command::parse() {
        Command::Test(args) => test::run(&args),
        Command::Conformance(args) => conformance::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Fuzz(args) => fuzz::run(&args),
        Command::Soak(args) => soak::run(&args),
        Command::Lab(args) => lab::run(&args),
        Command::Install(args) => deploy::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Deb(args) => deb::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Man(args) => man::run(&args).map(|()| ExitCode::SUCCESS),
    };
    result.unwrap_or_else(|error| {
        eprintln!("xtask: {error:#}");
        ExitCode::FAILURE
    })
}
