//! The system packages that a command needs: finds what is missing and installs it.
//!
//! Nothing is installed unasked: it takes a person's yes, `--yes`, or `CI=true`.

mod apt;
mod consent;
mod package;

use anyhow::{Context, Result, bail};

pub(crate) use self::consent::{Consent, Options, is_ci};
pub(crate) use self::package::{Package, Proof};
use crate::host;
use crate::unpacked::Sources;

/// The packages that something needs.
pub(crate) struct Needs {
    /// Who needs them: the start of a sentence.
    pub(crate) who: &'static str,
    /// In groups, as needs share some.
    pub(crate) packages: &'static [&'static [Package]],
    /// The command that goes on without them, if that is possible.
    pub(crate) without: Option<&'static str>,
}

/// What the tests need.
pub(crate) const TESTS: Needs = Needs {
    who: "The tests",
    packages: &[&[
        Package {
            name: "fuse3",
            proof: Proof::Program("fusermount3"),
            why: "an ordinary user mounts with it",
        },
        Package {
            name: "man-db",
            proof: Proof::Program("man"),
            why: "the manual pages are read with it",
        },
        Package {
            name: "gcc",
            proof: Proof::Program("gcc"),
            why: "drivers in C are compiled with it",
        },
        Package {
            name: "g++",
            proof: Proof::Program("g++"),
            why: "drivers in C++ are",
        },
        Package {
            name: "clang-19",
            proof: Proof::Program("clang++-19"),
            why: "they are compiled with another compiler, too",
        },
        Package {
            name: "libc6-dev",
            proof: Proof::File("/usr/include/stdio.h"),
            why: "the C library's headers",
        },
        Package {
            name: "pkg-config",
            proof: Proof::Program("pkg-config"),
            why: "it tells where the installed library is",
        },
        Package {
            name: "python3",
            proof: Proof::File("/usr/bin/python3"),
            why: "drivers in Python run in it, and fusd-http reads the pages of its web server",
        },
        Package {
            name: "mypy",
            proof: Proof::Program("mypy"),
            why: "it checks the types of the Python package",
        },
        Package {
            name: "valgrind",
            proof: Proof::Program("valgrind"),
            why: "it watches what they do with memory",
        },
        Package {
            name: "groff-base",
            proof: Proof::Program("groff"),
            why: "it formats the manual pages",
        },
        Package {
            name: "make",
            proof: Proof::Program("make"),
            why: "an example of a manual page runs it",
        },
        Package {
            name: "nats-server",
            proof: Proof::Unpacked("usr/sbin/nats-server"),
            why: "it joins the nodes of fusd-pipe; only unpacked, as it would be started at once",
        },
        Package {
            name: "socat",
            proof: Proof::Program("socat"),
            why: "its pseudo-terminals are ports for fusd-serial-proxy",
        },
        Package {
            name: "ser2net",
            // An ordinary user may not have that folder in PATH.
            proof: Proof::File("/usr/sbin/ser2net"),
            why: "it offers such a port over the network",
        },
        Package {
            name: "picocom",
            proof: Proof::Program("picocom"),
            why: "it is a program that people use such a port with",
        },
        Package {
            name: "minicom",
            proof: Proof::Program("minicom"),
            why: "it is another",
        },
        Package {
            name: "tio",
            proof: Proof::Program("tio"),
            why: "it is one more",
        },
        Package {
            name: "screen",
            proof: Proof::Program("screen"),
            why: "so is this",
        },
        Package {
            name: "cu",
            proof: Proof::Program("cu"),
            why: "and this",
        },
        Package {
            name: "avrdude",
            proof: Proof::Program("avrdude"),
            why: "it writes to the chip of a board at such a port",
        },
        Package {
            name: "python3-pip",
            proof: Proof::Program("pip3"),
            why: "it gets the next two",
        },
        Package {
            name: "pyserial",
            proof: Proof::Sources(Sources {
                proof: "test/run_all_tests.py",
                version: "3.5",
                sha256: "3c77e014170dfffbd816e6ffc205e9842efb10be9f58ec16d3e8675b4925cddb",
            }),
            why: "its own tests run on such a port; only unpacked, as it is no program",
        },
        Package {
            name: "esptool",
            proof: Proof::Sources(Sources {
                proof: "esptool.py",
                version: "4.6.2",
                sha256: "549ef93eef42ee7e9462ce5a53c16df7a0c71d91b3f77e19ec15749804cdf300",
            }),
            why: "it talks to other chips at such a port; not every Debian has it",
        },
        Package {
            name: "nginx",
            proof: Proof::File("/usr/sbin/nginx"),
            why: "fusd-http reads its pages",
        },
        Package {
            name: "curl",
            proof: Proof::Program("curl"),
            why: "it gets the same pages",
        },
        Package {
            name: "openssl",
            proof: Proof::Program("openssl"),
            why: "it makes certificates for a server",
        },
        Package {
            name: "iproute2",
            proof: Proof::Program("ip"),
            why: "a network is cut with it",
        },
        Package {
            name: "podman",
            proof: Proof::Program("podman"),
            why: "the tools run in its containers",
        },
        Package {
            name: "crun",
            proof: Proof::Program("crun"),
            why: "it starts them",
        },
        Package {
            name: "tmux",
            proof: Proof::Program("tmux"),
            why: "a person uses fusd-prompt in it",
        },
        Package {
            name: "pinentry-tty",
            proof: Proof::Program("pinentry-tty"),
            why: "fusd-prompt has it ask a person",
        },
        Package {
            name: "systemd",
            proof: Proof::Program("systemd-ask-password"),
            why: "its systemd-ask-password likewise",
        },
        Package {
            name: "python3-dotenv",
            proof: Proof::File("/usr/lib/python3/dist-packages/dotenv/__init__.py"),
            why: "it reads a file that fusd-prompt makes",
        },
    ]],
    without: Some("cargo xtask test --no-install"),
};

/// Installs what is missing, as far as `consent` goes.
///
/// # Errors
///
/// Something is missing and cannot be installed, or nobody said that it may be.
pub(crate) fn ensure(needs: &Needs, consent: Consent, is_root: bool) -> Result<()> {
    let missing = needs.missing();
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing
        .iter()
        .map(|package| package.name)
        .collect::<Vec<_>>()
        .join(" ");
    if consent == Consent::Withheld {
        println!("missing, and not installed because of --no-install: {names}");
        return Ok(());
    }
    println!("{} need packages that are not installed here:", needs.who);
    for package in &missing {
        println!("  {:<16}{} ({})", package.name, package.proof, package.why);
    }
    let system: Vec<&Package> = missing
        .iter()
        .copied()
        .filter(|package| package.is_of_the_system())
        .collect();
    if !system.is_empty() && host::find_program("apt-get").is_none() {
        let names = system.iter().map(|package| package.name);
        let names = names.collect::<Vec<_>>().join(" ");
        bail!(
            "no apt-get here: install {names}, or what your distribution calls them, and run this \
             again{}",
            needs.or_without("; or go on without them: ")
        );
    }
    if consent == Consent::Ask {
        consent::ask(needs, &by_hand(&missing))?;
    }
    println!("installing {names}");
    apt::install(needs, &missing, is_root).with_context(|| {
        format!(
            "cannot install {names}; as root, run: {}{}",
            by_hand(&system),
            needs.or_without("; or go on without them: ")
        )
    })
}

/// The commands that do it.
fn by_hand(packages: &[&Package]) -> String {
    let (whole, unpacked): (Vec<&Package>, Vec<&Package>) =
        packages.iter().partition(|package| package.is_installed());
    let whole: Vec<_> = whole.iter().map(|package| package.name).collect();
    let install = (!whole.is_empty()).then(|| format!("apt-get install {}", whole.join(" ")));
    let unpacked = unpacked.iter().map(|package| package.by_hand());
    install
        .into_iter()
        .chain(unpacked)
        .collect::<Vec<_>>()
        .join("; ")
}

impl Needs {
    pub(crate) fn missing(&self) -> Vec<&'static Package> {
        self.packages
            .iter()
            .copied()
            .flatten()
            .filter(|package| !package.is_there())
            .collect()
    }

    /// `lead` and the command that goes on without the packages, or nothing.
    fn or_without(&self, lead: &str) -> String {
        match self.without {
            Some(command) => format!("{lead}{command}"),
            None => String::new(),
        }
    }
}
