//! `cargo xtask install`, and programs that are built with what it installs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use fusd_tests::Case;
use fusd_tests::client::open_with;
use nix::fcntl::OFlag;

use crate::helper::{EXAMPLES, node, start_by};
use crate::tools::begin;

/// Runs a command to its end, which has to be a good one; gives its output.
fn run(command: &mut Command) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("the command can be run");
    let errors = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{command:?}: {status}\n{errors}");
    String::from_utf8(stdout).expect("text")
}

/// What pkg-config says of the library that is below `root`.
fn flags(root: &Path, options: &[&str]) -> Vec<String> {
    let text = run(Command::new("pkg-config")
        .env("PKG_CONFIG_PATH", root.join("opt/fusd/lib/pkgconfig"))
        .env("PKG_CONFIG_SYSROOT_DIR", root)
        .args(options)
        .arg("fusd"));
    text.split_whitespace().map(str::to_owned).collect()
}

/// The example, compiled with these flags before and behind it.
fn compile(case: &Case, name: &str, before: &[String], behind: &[String]) -> PathBuf {
    let program = case.directory().join(name);
    run(Command::new("gcc")
        .args(before)
        .arg(format!("{EXAMPLES}/hello.c"))
        .args(behind)
        .arg("-o")
        .arg(&program));
    program
}

fn says_hello(case: &Case, command: Command) {
    let driver = start_by(case, command);
    let file = open_with(&node(case), OFlag::O_RDONLY).expect("open");
    assert_eq!(file.read(100), Ok(b"Hello, world!\n".to_vec()));
    drop(driver);
}

#[test]
fn what_is_installed_builds_drivers() {
    let Some(case) = begin("what_is_installed_builds_drivers", "pkg-config") else {
        return;
    };
    let root = case.directory().join("root");
    run(case
        .program("xtask")
        .args(["install", "--debug", "--only", "library"])
        .args(["--prefix", "/opt/fusd", "--destdir"])
        .arg(&root));
    let installed = root.join("opt/fusd");
    for file in [
        "include/fusd.h",
        "include/fusd_device.h",
        "lib/libfusd.a",
        "share/man/man3/libfusd.3",
        "share/man/man3/fusd_register.3",
    ] {
        assert!(installed.join(file).is_file(), "{file} is not installed");
    }
    let link = |name: &str| fs::read_link(installed.join("lib").join(name)).expect("a link");
    assert_eq!(link("libfusd.so"), Path::new("libfusd.so.0"));
    let library = installed.join("lib").join(link("libfusd.so.0"));
    crate::abi::is_as_recorded(&library);
    let include = format!("-I{}", installed.join("include").display());
    assert_eq!(flags(&root, &["--cflags"]), [include]);

    let shared = compile(
        &case,
        "shared",
        &flags(&root, &["--cflags"]),
        &flags(&root, &["--libs"]),
    );
    let mut command = case.command(shared.to_str().expect("UTF-8"));
    command.env("LD_LIBRARY_PATH", installed.join("lib"));
    says_hello(&case, command);
    let symbols = run(Command::new("nm").arg("--undefined-only").arg(&shared));
    assert!(symbols.contains("fusd_register@FUSD_0.1"), "{symbols}");

    let mut libraries = flags(&root, &["--libs", "--static"]);
    let archive = libraries.iter().position(|flag| flag == "-lfusd");
    libraries[archive.expect("the library")] = "-l:libfusd.a".into();
    let own = compile(&case, "static", &flags(&root, &["--cflags"]), &libraries);
    says_hello(&case, case.command(own.to_str().expect("UTF-8")));
}
