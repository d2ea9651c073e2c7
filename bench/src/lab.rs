//! `fusd-bench lab`: counts instructions in guests and prints them side by side.
//!
//! The guests are those of `cargo xtask lab`: this builds their kernel if need be, boots two with
//! one processor, which have to agree, and one with two, and has [`count`](crate::count) run there.

use std::env;
use std::ffi::OsString;
use std::io::{Write, stderr};
use std::os::fd::AsFd;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

use crate::contender::{RAW_CUSE_PROGRAM, RAW_KFUSD_PROGRAM};
use crate::count::{LOOP_PROGRAM, MODULE};
use crate::figures::Boot;
use crate::server::beside;
use crate::table::Table;

/// What is written in C, for it is to be nothing but system calls: the name of the program and its
/// source. The programs go into this one's folder, which the guest sees.
const PROGRAMS: [(&str, &str); 3] = [
    (RAW_CUSE_PROGRAM, include_str!("../c/cuse.c")),
    (RAW_KFUSD_PROGRAM, include_str!("../c/kfusd.c")),
    (LOOP_PROGRAM, include_str!("../c/loop.c")),
];

/// Seconds that a guest may take: a slow machine needs some minutes.
const TIMEOUT: u32 = 1800;

const NOTES: &str = "
/raw CUSE, /pipe: the figure divided by that of the raw C server on CUSE, and of the pipe.
spread: from the lowest to the highest round. boots: how far the medians of two boots are apart.
2 vCPUs: client and server on a processor each; the instructions of both, so work and not time.
4 and 64 KiB: bytes are moved by `rep movs`, each step of which counts as an instruction, where a
processor moves many at a time. Compare contenders that copy equally often, not speeds.
clients: so many read at the same time; behind the contender, the number of vCPUs. most: the largest
figure of the line divided by that of one client.";

pub(crate) fn run(rounds: usize) -> anyhow::Result<()> {
    compile()?;
    build_kernel()?;
    let module = &build_module("x86")?;
    let table = Table {
        alone: [
            boot(module, 1, "first", rounds)?,
            boot(module, 1, "second", rounds)?,
        ],
        pair: boot(module, 2, "only", rounds)?,
    };
    println!("instructions per read, median of {rounds} rounds a boot, in QEMU (TCG, -icount)");
    print!("{table}");
    println!("{NOTES}");
    print!("\n{}", workers(module, rounds)?);
    table.check()
}

/// Compiles what is in C, beside this program.
pub(crate) fn compile() -> anyhow::Result<()> {
    for (name, source) in PROGRAMS {
        let mut compiler = Command::new("cc")
            .args([
                "-O2", "-Wall", "-Wextra", "-Werror", "-pthread", "-x", "c", "-", "-o",
            ])
            .arg(beside(name)?)
            .stdin(Stdio::piped())
            .spawn()
            .context("cannot run the C compiler cc (package gcc)")?;
        let written = compiler
            .stdin
            .take()
            .map(|mut input| input.write_all(source.as_bytes()));
        ensure!(compiler.wait()?.success(), "cannot compile {name}");
        written.transpose()?;
    }
    Ok(())
}

/// Builds the kernel x86, if need be.
pub(crate) fn build_kernel() -> anyhow::Result<()> {
    // It may ask for leave to install packages, so it must be heard, but not in the table.
    let heard = stderr().as_fd().try_clone_to_owned()?;
    let status = lab().args(["build", "x86"]).stdout(heard).status();
    ensure!(
        status.context("cannot run cargo")?.success(),
        "there is no kernel to count in"
    );
    Ok(())
}

/// Builds kfusd for a kernel of the lab, and returns where it is.
pub(crate) fn build_module(kernel: &str) -> anyhow::Result<String> {
    let output = lab()
        .args(["module", kernel])
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo")?;
    ensure!(output.status.success(), "there is no module to count with");
    Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
}

/// What a guest with `cpus` processors counts, with the module at hand.
fn boot(module: &str, cpus: u32, which: &str, rounds: usize) -> anyhow::Result<Boot> {
    let plural = if cpus == 1 { "" } else { "s" };
    eprintln!("counting with {cpus} vCPU{plural}, {which} boot");
    let options = ["--icount", &format!("--cpus={cpus}")];
    let rounds = rounds.to_string();
    guest(module, &options, &["count", "--rounds", &rounds])?.parse()
}

/// What a guest with two processors says of drivers with several threads.
fn workers(module: &str, rounds: usize) -> anyhow::Result<String> {
    eprintln!("counting and timing workers with 2 vCPUs");
    let rounds = rounds.to_string();
    let counted = ["workers", "--counted", "--rounds", &rounds];
    let counted = guest(module, &["--icount", "--cpus=2"], &counted)?;
    let timed = guest(module, &["--cpus=2"], &["workers", "--rounds", &rounds])?;
    Ok(counted + &timed)
}

/// Has this program run in a guest, and returns what it says.
fn guest(module: &str, options: &[&str], arguments: &[&str]) -> anyhow::Result<String> {
    let output = lab()
        .args(["run", "x86"])
        .args(options)
        .arg(format!("--timeout={TIMEOUT}"))
        .arg("--")
        .arg(env::current_exe()?)
        .args(arguments)
        .env(MODULE, module)
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo")?;
    ensure!(output.status.success(), "the guest failed at {arguments:?}");
    Ok(String::from_utf8(output.stdout)?)
}

/// `cargo xtask lab`.
pub(crate) fn lab() -> Command {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command.args(["--quiet", "xtask", "lab"]);
    command
}
