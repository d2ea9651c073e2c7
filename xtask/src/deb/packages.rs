//! The packages: which files are in each, and what it says of itself.

use crate::deploy::item::{Item, Part};

/// The version of all.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A package.
pub(super) struct Package {
    pub(super) name: &'static str,
    pub(super) section: &'static str,
    /// Whether what is in it was compiled for one kind of machine.
    pub(super) is_compiled: bool,
    /// Further lines of its control file, `@version@` in them replaced. That with the dependencies begins
    /// with those on libraries, where it has `@libraries@`.
    pub(super) fields: &'static [&'static str],
    pub(super) summary: &'static str,
    /// Paragraphs, in lines.
    pub(super) description: &'static [&'static str],
    /// Whether a file is in it.
    has: fn(&Item) -> bool,
}

impl Package {
    pub(super) fn has(&self, item: &Item) -> bool {
        (self.has)(item)
    }

    pub(super) fn architecture<'a>(&self, machine: &'a str) -> &'a str {
        match self.is_compiled {
            true => machine,
            false => "all",
        }
    }
}

/// What a program needs that is linked already.
fn is_runtime(item: &Item) -> bool {
    let name = item.path.file_name().map(|name| name.to_string_lossy());
    item.part == Part::Library && name.is_some_and(|name| name.starts_with("libfusd.so."))
}

pub(super) const PACKAGES: [Package; 4] = [
    Package {
        name: "fusd",
        section: "utils",
        is_compiled: true,
        fields: &[
            "Depends: @libraries@",
            "Recommends: fuse3",
            "Suggests: fusd-dkms, pinentry-curses | pinentry-tty",
        ],
        summary: "device nodes that ordinary programs implement",
        description: &[
            "Tools that make a node, below /dev or at any other place, and answer those who",
            "open it: fusd-echo (a text, a file, or what a command prints), fusd-pipe (a",
            "named pipe with policies), fusd-serial-proxy (one serial port for many",
            "programs), fusd-http (a URL as a device) and fusd-prompt (a person answers).",
            "",
            "Nodes are served through the kernel module kfusd, CUSE, or FUSE, whichever is",
            "there; ordinary users use FUSE.",
        ],
        has: |item| item.part == Part::Tools,
    },
    Package {
        name: "libfusd0",
        section: "libs",
        is_compiled: true,
        fields: &[
            "Depends: @libraries@",
            "Multi-Arch: same",
            "Suggests: fusd-dkms",
        ],
        summary: "devices that ordinary programs implement - C library",
        description: &[
            "A program that uses this library makes a node below /dev, or elsewhere, and",
            "answers the calls of those who open it: it is a device driver in user space.",
            "",
            "This package has the shared library.",
        ],
        has: is_runtime,
    },
    Package {
        name: "libfusd-dev",
        section: "libdevel",
        is_compiled: true,
        fields: &[
            "Depends: libfusd0 (= @version@), libc6-dev | libc-dev",
            "Multi-Arch: same",
        ],
        summary: "devices that ordinary programs implement - development files",
        description: &[
            "A program that uses this library makes a node below /dev, or elsewhere, and",
            "answers the calls of those who open it: it is a device driver in user space.",
            "",
            "This package has the headers fusd.h, source-compatible with the original FUSD,",
            "and fusd_device.h, the static library, and manual pages.",
        ],
        has: |item| item.part == Part::Library && !is_runtime(item),
    },
    Package {
        name: "fusd-dkms",
        section: "kernel",
        is_compiled: false,
        fields: &[
            "Depends: dkms, make, passwd",
            "Recommends: rustc, bindgen",
            "Enhances: fusd, libfusd0",
        ],
        summary: "devices that ordinary programs implement - kernel module source",
        description: &[
            "The source of the kernel module kfusd, through which the programs of fusd and",
            "libfusd make real character devices. DKMS builds it for the kernels that can",
            "take it: Linux 7.2 or later with Rust. Members of the group fusd can use it.",
            "",
            "Without it, devices are served through CUSE or FUSE.",
        ],
        has: |item| item.part == Part::Module,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_are_of_the_form_that_they_have_to_be() {
        for package in &PACKAGES {
            let summary = package.summary;
            assert!(summary.len() < 80 && !summary.ends_with('.'), "{summary}");
            for line in package.description {
                assert!(line.len() < 80 && !line.starts_with(' '), "{line}");
            }
        }
    }

    #[test]
    fn the_library_is_divided() {
        let file = |name: &str| {
            let path = format!("/usr/lib/x86_64-linux-gnu/{name}").into();
            Item::text(Part::Library, "", path)
        };
        let of = |name: &str| {
            let item = file(name);
            let package = PACKAGES.iter().find(|package| package.has(&item));
            package.map(|package| package.name)
        };
        assert_eq!(of("libfusd.so.0"), Some("libfusd0"));
        assert_eq!(of("libfusd.so"), Some("libfusd-dev"));
        assert_eq!(of("libfusd.a"), Some("libfusd-dev"));
    }
}
