//! The packages that building a kernel and running it need.

use super::kernel::Kernel;
use super::qemu;
use crate::install::{Needs, Package, Proof};

const fn program(name: &'static str, program: &'static str, why: &'static str) -> Package {
    Package {
        name,
        proof: Proof::Program(program),
        why,
    }
}

const fn file(name: &'static str, path: &'static str, why: &'static str) -> Package {
    Package {
        name,
        proof: Proof::File(path),
        why,
    }
}

/// What a build of any kernel needs, and more.
macro_rules! build_needs {
    ($($more:expr),* $(,)?) => {
        Needs {
            who: "The kernel's build",
            packages: &[
                program("gcc", "gcc", "the compiler"),
                program("make", "make", "it runs the build"),
                program("flex", "flex", "for the configuration's parser"),
                program("bison", "bison", "for the configuration's parser"),
                program("bc", "bc", "for the kernel's constants"),
                program("xz-utils", "xz", "the source is packed with it"),
                program(
                    "util-linux",
                    "setpriv",
                    "it ends a guest with the program that started it",
                ),
                file(
                    "libc6-dev",
                    "/usr/include/stdio.h",
                    "the C library's headers",
                ),
                file(
                    "libelf-dev",
                    "/usr/include/libelf.h",
                    "for the build's own tools",
                ),
                file(
                    "libssl-dev",
                    "/usr/include/openssl/ssl.h",
                    "for the build's own tools",
                ),
                file(
                    "libclang-19-dev",
                    "/usr/lib/llvm-19/lib/libclang.so",
                    "bindgen reads C headers with it",
                ),
                $($more),*
            ],
            without: None,
        }
    };
}

/// What runs the kernels that are for x86.
const QEMU: Package = program(qemu::PACKAGE, qemu::PROGRAM, "it runs the kernel");

static UM: Needs = build_needs![];

static X86: Needs = build_needs![QEMU];

static KASAN: Needs = build_needs![
    QEMU,
    program("clang-19", "clang-19", "the compiler"),
    program("lld-19", "ld.lld-19", "the linker"),
    program("llvm-19", "llvm-ar-19", "the other tools of that compiler"),
];

/// What building and running this kernel needs.
pub(crate) fn needs(kernel: Kernel) -> &'static Needs {
    match kernel {
        Kernel::Um => &UM,
        Kernel::X86 => &X86,
        Kernel::Kasan => &KASAN,
    }
}
