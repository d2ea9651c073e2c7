//! The kernels of the lab: how each is configured, with what it is compiled, and where its image is.

use super::toolchain::Compiler;

/// A kernel that can be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kernel {
    /// User-Mode Linux: the kernel as a process
    Um,
    /// x86 in QEMU, built for speed: for counts of instructions
    X86,
    /// x86 in QEMU that watches its memory and its locks
    Kasan,
}

impl Kernel {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Um => "um",
            Self::X86 => "x86",
            Self::Kasan => "kasan",
        }
    }

    /// Whether QEMU boots it; else it is a program of its own.
    pub(crate) const fn is_for_qemu(self) -> bool {
        match self {
            Self::Um => false,
            Self::X86 | Self::Kasan => true,
        }
    }

    /// What make calls the architecture.
    pub(crate) const fn arch(self) -> &'static str {
        match self {
            Self::Um => "um",
            Self::X86 | Self::Kasan => "x86_64",
        }
    }

    /// What compiles its C. With gcc, KASAN would drop Rust.
    pub(crate) const fn compiler(self) -> Compiler {
        match self {
            Self::Um | Self::X86 => Compiler::Gcc,
            Self::Kasan => Compiler::Clang,
        }
    }

    /// The target of make that writes the configuration that the fragments are put on top of.
    pub(crate) const fn base(self) -> &'static str {
        match self {
            Self::Um => "defconfig",
            Self::X86 | Self::Kasan => "tinyconfig",
        }
    }

    /// The options that differ from the base: in each text those that it adds to the ones before.
    pub(crate) const fn fragments(self) -> &'static [&'static str] {
        const QEMU: &str = include_str!("config/qemu.config");
        match self {
            Self::Um => &[include_str!("config/um.config")],
            Self::X86 => &[QEMU, include_str!("config/x86.config")],
            Self::Kasan => &[QEMU, include_str!("config/kasan.config")],
        }
    }

    /// What is booted, below the folder of the build.
    pub(crate) const fn image(self) -> &'static str {
        match self {
            Self::Um => "linux",
            Self::X86 | Self::Kasan => "arch/x86/boot/bzImage",
        }
    }

    /// What it is told on its command line, whatever boots it.
    pub(crate) const fn arguments(self) -> &'static str {
        match self {
            Self::Um | Self::X86 => "",
            // Checks of the allocator, which also keep it from holding free objects ready per
            // processor (calculate_sheaf_capacity): in such lists kmemleak would find pointers to
            // what was taken from there and forgotten.
            Self::Kasan => " slab_debug=F",
        }
    }

    /// The options of the fragments that `config` does not have as the fragments say.
    pub(crate) fn unmet(self, config: &str) -> Vec<&'static str> {
        let is_met = |wanted: &str| match option_that_is_off(wanted) {
            // What cannot be chosen at all is not mentioned.
            Some(name) => !config.lines().any(|line| {
                line.strip_prefix(name)
                    .is_some_and(|rest| rest.starts_with('='))
            }),
            None => config.lines().any(|line| line == wanted),
        };
        self.fragments()
            .iter()
            .flat_map(|fragment| fragment.lines())
            .filter(|line| line.starts_with("CONFIG_") || option_that_is_off(line).is_some())
            .filter(|line| !is_met(line))
            .collect()
    }
}

/// `CONFIG_X` of the line `# CONFIG_X is not set`.
fn option_that_is_off(line: &str) -> Option<&str> {
    line.strip_prefix("# ")?
        .strip_suffix(" is not set")
        .filter(|name| name.starts_with("CONFIG_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_that_kconfig_dropped_is_named() {
        for kernel in [Kernel::Um, Kernel::X86, Kernel::Kasan] {
            let fragments = kernel.fragments().concat();
            assert!(kernel.unmet(&fragments).is_empty(), "{kernel:?}");
            let config = fragments.replace("CONFIG_RUST=y", "# CONFIG_RUST is not set");
            assert_eq!(kernel.unmet(&config), ["CONFIG_RUST=y"]);
        }
    }

    #[test]
    fn an_option_that_kconfig_added_is_named() {
        let good = Kernel::X86.fragments().concat();
        let silent = good.replace("# CONFIG_KASAN is not set\n", "");
        assert!(Kernel::X86.unmet(&silent).is_empty());
        let bad = format!("{silent}CONFIG_KASAN=y\n");
        assert_eq!(Kernel::X86.unmet(&bad), ["# CONFIG_KASAN is not set"]);
    }
}
