//! The kernels of the lab: how each is configured and where its image is.
//!
//! A kernel is offered here once it was built and booted. Planned: `x86`, without debug options,
//! for instruction counts in QEMU; `kasan`, x86 with KASAN and lockdep.

/// A kernel that can be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kernel {
    /// User-Mode Linux: the kernel as a process
    Um,
}

impl Kernel {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Um => "um",
        }
    }

    /// What make calls the architecture.
    pub(crate) const fn arch(self) -> &'static str {
        match self {
            Self::Um => "um",
        }
    }

    /// The target of make that writes the configuration that [`Self::fragment`] is put on top of.
    pub(crate) const fn base(self) -> &'static str {
        match self {
            Self::Um => "defconfig",
        }
    }

    /// The options that differ from the base.
    pub(crate) const fn fragment(self) -> &'static str {
        match self {
            Self::Um => include_str!("config/um.config"),
        }
    }

    /// What is booted, below the folder of the build.
    pub(crate) const fn image(self) -> &'static str {
        match self {
            Self::Um => "linux",
        }
    }

    /// The options of the fragment that `config` does not have as the fragment says.
    pub(crate) fn unmet<'a>(self, config: &'a str) -> Vec<&'static str>
    where
        'static: 'a,
    {
        self.fragment()
            .lines()
            .filter(|line| line.starts_with("CONFIG_"))
            .filter(|wanted| !config.lines().any(|line| line == *wanted))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_that_kconfig_dropped_is_named() {
        let fragment = Kernel::Um.fragment();
        assert!(Kernel::Um.unmet(fragment).is_empty());
        let config = fragment.replace("CONFIG_RUST=y", "# CONFIG_RUST is not set");
        assert_eq!(Kernel::Um.unmet(&config), ["CONFIG_RUST=y"]);
    }
}
