//! What a guest finds on its start: the first program, and the command that it is to run.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result};
use tempfile::TempDir;

use super::kernel::Kernel;
use super::{qemu, uml};

const INIT: &str = include_str!("init.sh");
const LEFTOVERS: &str = include_str!("leftovers.sh");

/// What of the environment goes into the guest. A choice: the rest may hold secrets, or describe
/// what the guest does not have.
const PASSED: [&str; 14] = [
    "PATH",
    "HOME",
    "XDG_CACHE_HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LC_ALL",
    "TERM",
    "TZ",
    "LD_LIBRARY_PATH",
    "CARGO_HOME",
    "CARGO_TARGET_DIR",
    "RUSTUP_HOME",
    "RUSTUP_TOOLCHAIN",
];

/// The beginnings of further names that go into the guest.
const PASSED_GROUPS: [&str; 3] = ["FUSD_", "RUST_", "CARGO_BIN_EXE_"];

/// What the guest does.
pub(crate) enum Task<'a> {
    /// Runs a command with its arguments, in the same folder as this program.
    Command(&'a [OsString]),
    /// Gives the person at the terminal a shell. The size is in rows and columns.
    Shell { size: Option<(u16, u16)> },
}

/// The devices in a guest that lead to this program.
pub(crate) struct Ports {
    /// The terminal of an interactive guest.
    pub(crate) terminal: &'static str,
    pub(crate) output: &'static str,
    pub(crate) errors: &'static str,
    /// Where the first program says how the command ended.
    pub(crate) status: &'static str,
}

/// What the first program writes after the last of the command's output, after its errors, and after
/// the last of the kernel's log.
pub(crate) fn mark(folder: &Path) -> Vec<u8> {
    let name = folder.file_name().unwrap_or_default();
    [b"lab: end of ", name.as_bytes()].concat()
}

/// Writes what a guest needs for `task` into a new folder.
pub(crate) fn write(kernel: Kernel, task: &Task<'_>) -> Result<TempDir> {
    let folder = tempfile::Builder::new()
        .prefix("fusd-lab-")
        .tempdir()
        .context("cannot make a folder for the guest")?;
    let directory = env::current_dir().context("cannot tell the current folder")?;
    let (name, mut script) = match task {
        Task::Command(_) => ("command", b"#!/bin/sh\n".to_vec()),
        Task::Shell { size } => ("shell", terminal(*size).into_bytes()),
    };
    script.extend(b"cd ");
    script.extend(quote(directory.as_os_str()));
    script.extend(b" || exit 126\nexec env -i");
    for (name, value) in environment(kernel, env::vars_os()) {
        let mut pair = name;
        pair.push("=");
        pair.push(value);
        script.push(b' ');
        script.extend(quote(&pair));
    }
    let shell = [OsString::from("/bin/sh"), OsString::from("-i")];
    let words = match task {
        Task::Command(words) => *words,
        Task::Shell { .. } => shell.as_slice(),
    };
    for word in words {
        script.push(b' ');
        script.extend(quote(word));
    }
    script.push(b'\n');
    write_script(&folder.path().join(name), &script)
        .and_then(|()| fs::write(folder.path().join("ports"), ports(kernel)))
        .and_then(|()| fs::write(folder.path().join("leftovers"), LEFTOVERS))
        .and_then(|()| write_script(&folder.path().join("init"), INIT.as_bytes()))
        .with_context(|| format!("cannot write to {}", folder.path().display()))?;
    Ok(folder)
}

/// The ports, as variables for the first program.
fn ports(kernel: Kernel) -> String {
    let ports = match kernel.is_for_qemu() {
        true => qemu::PORTS,
        false => uml::PORTS,
    };
    format!(
        "terminal={}\noutput={}\nerrors={}\nstatus={}\n",
        ports.terminal, ports.output, ports.errors, ports.status
    )
}

fn terminal(size: Option<(u16, u16)>) -> String {
    match size {
        Some((rows, columns)) => format!("#!/bin/sh\nstty rows {rows} cols {columns}\n"),
        None => "#!/bin/sh\n".to_owned(),
    }
}

fn write_script(path: &Path, text: &[u8]) -> io::Result<()> {
    fs::write(path, text)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

/// What of `all` goes into the guest, and what is different there.
fn environment(
    kernel: Kernel,
    all: impl Iterator<Item = (OsString, OsString)>,
) -> Vec<(OsString, OsString)> {
    let mut chosen: Vec<_> = all
        .filter(|(name, _)| {
            name.to_str().is_some_and(|name| {
                PASSED.contains(&name) || PASSED_GROUPS.iter().any(|start| name.starts_with(start))
            })
        })
        .collect();
    chosen.sort();
    chosen.push(("XDG_RUNTIME_DIR".into(), "/run/user/0".into()));
    chosen.push(("FUSD_LAB".into(), kernel.name().into()));
    chosen
}

/// The word as the shell reads it: between apostrophes.
fn quote(word: &OsStr) -> Vec<u8> {
    let mut quoted = vec![b'\''];
    for byte in word.as_bytes() {
        match byte {
            b'\'' => quoted.extend(b"'\\''"),
            byte => quoted.push(*byte),
        }
    }
    quoted.push(b'\'');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn words_reach_the_command_unchanged() {
        let words = ["printf", "%s|", "a b", "it's", "$HOME", "x\ny", ""].map(OsString::from);
        let folder = write(Kernel::Um, &Task::Command(&words)).unwrap();
        let output = Command::new("sh")
            .arg(folder.path().join("command"))
            .output()
            .unwrap();
        assert_eq!(
            String::from_utf8(output.stdout).unwrap(),
            "a b|it's|$HOME|x\ny||"
        );
    }

    #[test]
    fn secrets_stay_outside() {
        let all = [("PATH", "/bin"), ("FUSD_X", "1"), ("A_TOKEN", "t")];
        let all = all.map(|(name, value)| (name.into(), value.into()));
        let names: Vec<_> = environment(Kernel::Um, all.into_iter())
            .into_iter()
            .map(|(name, _)| name.into_string().unwrap())
            .collect();
        assert_eq!(names, ["FUSD_X", "PATH", "XDG_RUNTIME_DIR", "FUSD_LAB"]);
    }
}
