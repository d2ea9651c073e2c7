//! The packages that a kernel of the lab needs: to build it, and to use it once it is built.

use super::kernel::Kernel;
use super::qemu;
use crate::install::{Package, Proof};

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

/// What any kernel needs, also once it is built: modules are built for it.
const USE: &[Package] = &[
    program("gcc", "gcc", "the compiler"),
    program("make", "make", "it runs the build"),
    program(
        "util-linux",
        "setpriv",
        "it ends a guest with the program that started it",
    ),
];

/// What runs the kernels that are for x86.
const QEMU: &[Package] = &[program(qemu::PACKAGE, qemu::PROGRAM, "it runs the kernel")];

/// What compiles the kernel that gcc cannot compile.
const LLVM: &[Package] = &[
    program("clang-19", "clang-19", "the compiler"),
    program("lld-19", "ld.lld-19", "the linker"),
    program("llvm-19", "llvm-ar-19", "the other tools of that compiler"),
];

/// What else the build of any kernel needs.
const BUILD: &[Package] = &[
    program("flex", "flex", "for the configuration's parser"),
    program("bison", "bison", "for the configuration's parser"),
    program("bc", "bc", "for the kernel's constants"),
    program("xz-utils", "xz", "the source is packed with it"),
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
];

/// What using this kernel needs and, unless it is built, building it.
pub(crate) fn packages(kernel: Kernel, is_built: bool) -> &'static [&'static [Package]] {
    match (kernel, is_built) {
        (Kernel::Um, true) => &[USE],
        (Kernel::Um, false) => &[USE, BUILD],
        (Kernel::X86, true) => &[USE, QEMU],
        (Kernel::X86, false) => &[USE, QEMU, BUILD],
        (Kernel::Kasan, true) => &[USE, QEMU, LLVM],
        (Kernel::Kasan, false) => &[USE, QEMU, LLVM, BUILD],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_that_is_built_still_needs_what_runs_it() {
        let names = |kernel, is_built| -> Vec<_> {
            let packages = packages(kernel, is_built).iter().copied().flatten();
            packages.map(|package| package.name).collect()
        };
        for kernel in [Kernel::X86, Kernel::Kasan] {
            assert!(names(kernel, true).contains(&qemu::PACKAGE));
        }
        for kernel in [Kernel::Um, Kernel::X86, Kernel::Kasan] {
            assert!(names(kernel, false).contains(&"flex"));
            assert!(!names(kernel, true).contains(&"flex"));
            let all = names(kernel, false);
            assert!(names(kernel, true).iter().all(|name| all.contains(name)));
        }
    }
}
