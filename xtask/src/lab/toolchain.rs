//! What compiles a kernel: a C compiler of the machine's, this Rust toolchain, and a bindgen.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::cache::{self, Writer};
use super::source;
use super::step::Log;
use crate::check::cargo;
use crate::host;

/// The bindgen that the kernels are built with.
const BINDGEN: &str = "0.72.1";

/// Where the library is that bindgen reads C with.
const LIBCLANG: &str = "/usr/lib/llvm-19/lib";

/// What compiles a kernel's C, and links it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compiler {
    Gcc,
    /// Clang and the other tools of LLVM, in the version that [`LIBCLANG`] is of.
    Clang,
}

/// The compilers, told apart by what they say of themselves.
pub(crate) struct Toolchain {
    compiler: Compiler,
    rustc: String,
    cc: String,
}

/// What is beside the compilers, once it is there.
pub(crate) struct Tools {
    compiler: Compiler,
    bindgen: PathBuf,
    /// The source of Rust's library; `None` if the toolchain has it.
    rust_library: Option<PathBuf>,
}

impl Compiler {
    const fn program(self) -> &'static str {
        match self {
            Self::Gcc => "gcc",
            Self::Clang => "clang-19",
        }
    }

    /// What tells make to use it.
    const fn make_variable(self) -> Option<&'static str> {
        match self {
            Self::Gcc => None,
            Self::Clang => Some("LLVM=-19"),
        }
    }

    /// Has `make` use it, and not see what of the environment is for cargo.
    pub(crate) fn apply(self, make: &mut Command) {
        make.args(self.make_variable());
        for (name, _) in env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("CARGO") || ["RUSTFLAGS", "MAKEFLAGS"].contains(&&*text) {
                make.env_remove(&name);
            }
        }
    }

    /// Whether it is there.
    pub(crate) fn is_installed(self) -> bool {
        host::find_program(self.program()).is_some()
    }
}

impl Toolchain {
    pub(crate) fn look(compiler: Compiler) -> Result<Self> {
        Ok(Self {
            compiler,
            rustc: output(&mut rustc(&["--version", "--verbose"]))?,
            cc: output(Command::new(compiler.program()).arg("--version"))?,
        })
    }

    /// The digest of the compilers and of `others`: the same means the same build.
    pub(crate) fn digest(&self, others: &[&str]) -> String {
        let own = [self.rustc.as_str(), self.cc.as_str(), BINDGEN];
        digest(&[&own[..], others].concat())
    }

    /// Finds or fetches the tools.
    pub(crate) fn tools(&self, writer: &Writer<'_>) -> Result<Tools> {
        Ok(Tools {
            compiler: self.compiler,
            rust_library: self.rust_library(writer)?,
            bindgen: bindgen(writer)?,
        })
    }

    fn rust_library(&self, writer: &Writer<'_>) -> Result<Option<PathBuf>> {
        if let Some(given) = env::var_os("RUST_LIB_SRC").filter(|path| !path.is_empty()) {
            return Ok(Some(given.into()));
        }
        let root = output(&mut rustc(&["--print", "sysroot"]))?;
        if Path::new(root.trim())
            .join("lib/rustlib/src/rust/library/core")
            .is_dir()
        {
            return Ok(None);
        }
        let release = self
            .rustc
            .lines()
            .find_map(|line| line.strip_prefix("release: "))
            .context("rustc does not tell its release")?;
        source::fetch_rust_library(writer, release).map(Some)
    }
}

impl Tools {
    /// Lets `make` find the tools.
    pub(crate) fn apply(&self, make: &mut Command) -> Result<()> {
        self.compiler.apply(make);
        let mut path = vec![self.bindgen.join("bin")];
        path.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
        make.env("PATH", env::join_paths(path)?)
            .env("LIBCLANG_PATH", LIBCLANG);
        if let Some(library) = &self.rust_library {
            make.env("RUST_LIB_SRC", library);
        }
        Ok(())
    }
}

/// The folder of a bindgen of the version that the lab uses.
fn bindgen(writer: &Writer<'_>) -> Result<PathBuf> {
    writer.provide(&format!("bindgen-{BINDGEN}"), |partial, log| {
        Log::new(log).run(
            "building bindgen",
            cargo(&["install", "bindgen-cli", "--locked", "--version", BINDGEN])
                // An interruption may leave a program that cargo would not replace.
                .arg("--force")
                .arg("--root")
                .arg(partial)
                .arg("--target-dir")
                .arg(partial.join("target")),
        )?;
        cache::remove(&partial.join("target"))
    })
}

/// The compiler of the toolchain that runs this program.
fn rustc(arguments: &[&str]) -> Command {
    let mut command = Command::new("rustc");
    command.args(arguments).current_dir(host::workspace());
    command
}

fn output(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .output()
        .with_context(|| format!("cannot run {program}"))?;
    if !output.status.success() {
        bail!("{program} failed: {}", output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A short name for some texts (64-bit FNV-1a; no defence against malice).
pub(crate) fn digest(texts: &[&str]) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for text in texts {
        // 0xff occurs in no UTF-8: it keeps "ab" "c" apart from "a" "bc".
        for byte in text.bytes().chain([0xff]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_is_known_by_all_that_goes_into_it() {
        let toolchain = |rustc: &str| Toolchain {
            compiler: Compiler::Gcc,
            rustc: rustc.to_owned(),
            cc: "gcc 12".to_owned(),
        };
        let digest = toolchain("1.95").digest(&["config"]);
        assert_eq!(digest, toolchain("1.95").digest(&["config"]));
        assert_ne!(digest, toolchain("1.96").digest(&["config"]));
        assert_ne!(digest, toolchain("1.95").digest(&["other"]));
        assert_eq!(digest.len(), 16);
    }

    #[test]
    fn the_digest_keeps_its_value_and_the_borders_of_the_texts() {
        assert_eq!(digest(&[]), "cbf29ce484222325");
        assert_ne!(digest(&["ab", "c"]), digest(&["a", "bc"]));
    }
}
