//! The system packages that a command needs: finds what is missing and installs it.
//!
//! Nothing is installed unasked: it takes a person's yes, `--yes`, or `CI=true`.

use std::env;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail};

use crate::host;
use crate::unpacked::{self, Sources};

/// A package of Debian and its derivatives, and what shows that it is there.
pub(crate) struct Package {
    pub(crate) name: &'static str,
    pub(crate) proof: Proof,
    pub(crate) why: &'static str,
}

/// What is there when a package is installed.
#[derive(Clone, Copy)]
pub(crate) enum Proof {
    /// A program in PATH.
    Program(&'static str),
    /// A file at this place.
    File(&'static str),
    /// A program at this place of a package that is [only unpacked](unpacked).
    Unpacked(&'static str),
    /// A file of the sources of a Python package, likewise. Without them, a test is skipped: a network
    /// that has the system's archive need not have Python's.
    Sources(Sources),
}

impl Package {
    fn is_there(&self) -> bool {
        match self.proof {
            Proof::Program(program) => host::find_program(program).is_some(),
            Proof::File(path) => Path::new(path).exists(),
            Proof::Unpacked(path) => unpacked::find(self.name, path).is_some(),
            Proof::Sources(sources) => unpacked::find_sources(self.name, sources.proof).is_some(),
        }
    }

    fn is_installed(&self) -> bool {
        !matches!(self.proof, Proof::Unpacked(_) | Proof::Sources(_))
    }

    fn is_of_the_system(&self) -> bool {
        !matches!(self.proof, Proof::Sources(_))
    }

    /// The commands that unpack it.
    fn by_hand(&self) -> String {
        match self.proof {
            Proof::Sources(sources) => unpacked::sources_by_hand(self.name, &sources),
            _ => unpacked::by_hand(self.name),
        }
    }
}

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
            name: "python3-pip",
            proof: Proof::Program("pip3"),
            why: "it gets the next one",
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

/// How a command that needs packages is told what may be done about them.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Install missing packages without asking (CI=true in the environment: the same).
    #[arg(long)]
    yes: bool,

    /// Install nothing: tests that need a missing package are skipped.
    #[arg(long, conflicts_with = "yes")]
    no_install: bool,
}

impl Options {
    pub(crate) fn consent(&self) -> Consent {
        match (self.no_install, self.yes || is_ci()) {
            (true, _) => Consent::Withheld,
            (_, true) => Consent::Given,
            _ => Consent::Ask,
        }
    }
}

/// What may be done about a missing package.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Consent {
    /// Install it.
    Given,
    /// Ask the person at the terminal, if there is one.
    Ask,
    /// Leave it: the tests that need it are skipped.
    Withheld,
}

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
        ask(needs, &by_hand(&missing))?;
    }
    println!("installing {names}");
    install(needs, &missing, is_root).with_context(|| {
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

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Program(text) | Self::File(text) | Self::Unpacked(text) => f.write_str(text),
            Self::Sources(sources) => f.write_str(sources.proof),
        }
    }
}

/// Returns when the person at the terminal agrees.
fn ask(needs: &Needs, by_hand: &str) -> Result<()> {
    if !io::stdin().is_terminal() {
        bail!(
            "there is no terminal to ask at; agree with --yes (or CI=true), or install them \
             yourself ({by_hand}){}",
            needs.or_without(", or go on without them: ")
        );
    }
    print!("Install them now ({by_hand})? [Y/n] ");
    io::stdout().flush()?;
    let mut answer = String::new();
    let length = io::stdin()
        .read_line(&mut answer)
        .context("cannot read the answer")?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "" | "y" | "yes" if length > 0 => Ok(()),
        _ => bail!(
            "nothing was installed{}",
            needs.or_without("; to go on without them: ")
        ),
    }
}

/// Installs quietly; refreshes the package lists only if the first attempt fails.
fn install(needs: &Needs, packages: &[&Package], is_root: bool) -> Result<()> {
    let (whole, unpacked): (Vec<&Package>, Vec<&Package>) =
        packages.iter().partition(|package| package.is_installed());
    if !whole.is_empty() {
        let mut arguments = vec!["install", "--yes", "--no-install-recommends"];
        arguments.extend(whole.iter().map(|package| package.name));
        let mut output = apt_get(&arguments, is_root)?;
        if !output.status.success() {
            let update = apt_get(&["update"], is_root)?;
            output = match update.status.success() {
                true => apt_get(&arguments, is_root)?,
                false => update,
            };
        }
        succeeded(&output)?;
    }
    for package in unpacked {
        if let Proof::Sources(sources) = package.proof {
            if let Err(error) = unpacked::unpack_sources(package.name, &sources) {
                eprintln!(
                    "warning: cannot get the sources of {}, the test that needs them is skipped: \
                     {error:#}; as yourself, run: {}",
                    package.name,
                    package.by_hand()
                );
            }
            continue;
        }
        if unpacked::unpack(package.name).is_err() {
            succeeded(&apt_get(&["update"], is_root)?)?;
            unpacked::unpack(package.name)?;
        }
    }
    let still = needs
        .missing()
        .iter()
        .filter(|package| package.is_of_the_system())
        .map(|package| package.proof.to_string())
        .collect::<Vec<_>>()
        .join(" ");
    if !still.is_empty() {
        bail!("apt-get succeeded, yet these are still missing: {still}");
    }
    Ok(())
}

fn succeeded(output: &Output) -> Result<()> {
    if output.status.success() {
        return Ok(());
    }
    io::stderr().write_all(&output.stdout)?;
    io::stderr().write_all(&output.stderr)?;
    bail!("apt-get failed: {}", output.status);
}

/// Runs the command in its arguments while a policy forbids packages to start services, and has those
/// that it brought not start by themselves later either: tests start what they need.
const WITHOUT_SERVICES: &str = r#"
policy=/usr/sbin/policy-rc.d
had=$(test -e /usr/sbin/nginx && echo nginx)
if test ! -e $policy; then
    # A shell that a signal ends does not come to its end by itself.
    trap 'rm -f $policy' EXIT
    trap 'exit 130' HUP INT TERM
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod 755 $policy
fi
"$@"
status=$?
if test -z "$had" && test -e /usr/sbin/nginx && command -v systemctl >/dev/null; then
    systemctl --quiet disable nginx.service >/dev/null 2>&1
fi
exit $status
"#;

fn apt_get(arguments: &[&str], is_root: bool) -> Result<Output> {
    let mut command = match is_root {
        true => Command::new("env"),
        false => Command::new("sudo"),
    };
    if !is_root {
        // With nobody at the terminal, fail rather than wait for a password.
        if !io::stdin().is_terminal() {
            command.arg("-n");
        }
        command.arg("env");
    }
    command
        .args([
            "DEBIAN_FRONTEND=noninteractive",
            "sh",
            "-c",
            WITHOUT_SERVICES,
            "sh",
            "apt-get",
            "-qq",
            "-o",
            "DPkg::Lock::Timeout=120",
        ])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .with_context(|| match is_root {
            true => "cannot run apt-get".to_owned(),
            false => "cannot run sudo, and only root can install packages".to_owned(),
        })
}

/// Whether the environment says that no person is there to be asked (`CI=true`).
pub(crate) fn is_ci() -> bool {
    env::var_os("CI").is_some_and(|value| value == "true")
}
