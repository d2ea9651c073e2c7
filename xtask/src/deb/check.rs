//! `cargo xtask deb --check`: installs the packages into a fresh Debian of its own, uses them there, purges
//! them, and compares what is there with what was there before.
//!
//! The system is made once, by mmdebstrap from the archive that apt uses, and kept as an archive in the
//! cache folder. What happens in it happens in namespaces of its own; it sees the machine's /dev/fuse.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use nix::unistd::Uid;

use super::{lint, module, services};
use crate::check::succeed;
use crate::host;
use crate::lab::apt;
use crate::unpacked;

/// What is in that system beside the least there is: what people have who use the packages.
const INCLUDED: &str =
    "bash-completion,dkms,fish,fuse3,gcc,libc6-dev,man-db,pkg-config,systemd,udev,zsh";

/// What dpkg, apt, systemd and others change by themselves.
const IGNORED: [&str; 11] = [
    "./etc/group-",
    "./etc/gshadow-",
    "./etc/ld.so.cache",
    "./etc/.updated/",
    "./run/",
    "./var/.updated/",
    "./var/cache/",
    "./var/lib/dpkg/",
    "./var/lib/systemd/",
    "./var/log/",
    "./tmp/",
];

/// # Errors
/// The user is not root, or there is no /dev/fuse.
pub(super) fn is_possible() -> Result<()> {
    if !Uid::effective().is_root() {
        bail!("--check takes root: it makes a system in a folder of its own");
    }
    if !Path::new("/dev/fuse").exists() {
        bail!("--check takes /dev/fuse: the tools are tried with it (modprobe fuse)");
    }
    Ok(())
}

pub(super) fn run(packages: &[PathBuf]) -> Result<()> {
    lint::run(packages)?;
    let base = base()?;
    let folder = tempfile::Builder::new()
        .prefix("fusd-root-")
        .tempdir()
        .context("cannot make a folder for the system")?;
    let root = folder.path().join("root");
    fs::create_dir(&root)?;
    println!("-- unpacking a fresh system --");
    let mut unpack = Command::new("tar");
    unpack.arg("-xf").arg(&base).arg("-C").arg(&root);
    succeed(unpack).context("cannot unpack the fresh system")?;
    let before = listing(&root)?;
    let groups = fs::read_to_string(root.join("etc/group"))?;

    let shared = root.join("fusd");
    fs::create_dir_all(&shared)?;
    for package in packages {
        let name = package.file_name().context("a package has a name")?;
        fs::copy(package, shared.join(name))
            .with_context(|| format!("cannot copy {}", package.display()))?;
    }
    fs::copy(
        host::workspace().join("libfusd/examples/c/hello.c"),
        shared.join("hello.c"),
    )?;
    fs::write(shared.join("use"), USE)?;
    fs::write(shared.join("remove"), REMOVE)?;
    enter(&root, "use", &[]).context("the packages do not work")?;
    module::run(&root).context("DKMS does not build the module")?;
    println!("-- services --");
    services::run(&root)?;
    enter(&root, "remove", &[]).context("the packages cannot be removed")?;

    let after = listing(&root)?;
    let left: Vec<_> = after.difference(&before).map(String::as_str).collect();
    let lost: Vec<_> = before.difference(&after).map(String::as_str).collect();
    if !left.is_empty() || !lost.is_empty() {
        bail!("after the removal, left behind: {left:?}; taken away: {lost:?}");
    }
    if fs::read_to_string(root.join("etc/group"))? != groups {
        bail!("after the removal, /etc/group is another");
    }
    println!("-- installed, used, removed; nothing is left --");
    Ok(())
}

/// Runs one of the scripts in the system. These folders of the machine are there as well, at the same
/// places, and cannot be written to.
pub(super) fn enter(root: &Path, script: &str, folders: &[&Path]) -> Result<()> {
    let mut made = Vec::new();
    for folder in folders {
        let place = root.join(folder.strip_prefix("/")?);
        made.extend(
            place
                .ancestors()
                .filter(|above| !above.exists())
                .map(Path::to_owned),
        );
        fs::create_dir_all(&place).with_context(|| format!("cannot make {}", place.display()))?;
    }
    let mut inside = Command::new("unshare");
    inside
        .args(["--mount", "--pid", "--fork", "--kill-child"])
        .args(["sh", "-ec", ENTER, "sh"])
        .args(folders)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C.UTF-8")
        .env("ROOT", root)
        .env("SCRIPT", script)
        .stdin(Stdio::null());
    let done = succeed(inside);
    made.sort();
    for place in made.iter().rev() {
        fs::remove_dir(place).with_context(|| format!("cannot remove {}", place.display()))?;
    }
    done
}

/// The archive with the fresh system, which is made if need be.
fn base() -> Result<PathBuf> {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let suite = release
        .lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="))
        .context("/etc/os-release names no suite to make a fresh system of")?;
    let folder = host::cache()?.join("root");
    let base = folder.join(format!("{suite}-1.tar"));
    if base.is_file() {
        return Ok(base);
    }
    println!("-- making a fresh {suite}, once; some minutes --");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let program = "usr/bin/mmdebstrap";
    if unpacked::find("mmdebstrap", program).is_none() {
        unpacked::unpack("mmdebstrap").context("cannot get mmdebstrap")?;
    }
    let program = unpacked::find("mmdebstrap", program).context("mmdebstrap has no program")?;
    let partial = folder.join("partial.tar");
    let mut make = Command::new("perl");
    make.arg(program)
        .args(["--variant=minbase", "--mode=root", "--quiet"])
        .arg(format!("--include={INCLUDED}"))
        .args(
            apt::inherited()?
                .iter()
                .map(|line| format!("--aptopt={line}")),
        )
        .arg(suite)
        .arg(&partial)
        .arg(apt::source(suite)?)
        .stdin(Stdio::null());
    succeed(make).context("cannot make a fresh system; is the archive within reach?")?;
    fs::rename(&partial, &base).with_context(|| format!("cannot make {}", base.display()))?;
    Ok(base)
}

/// All that is there, but for what changes anyway.
fn listing(root: &Path) -> Result<BTreeSet<String>> {
    let mut find = Command::new("find");
    let text = super::output_of(find.arg(".").current_dir(root))?;
    let lines = text.lines().filter(|line| {
        let folder = format!("{line}/");
        !IGNORED
            .iter()
            .any(|start| folder.starts_with(start) || line == start)
    });
    Ok(lines.map(str::to_owned).collect())
}

/// Goes into the system. What it starts and mounts goes with it.
const ENTER: &str = r#"
mount --bind "$ROOT" "$ROOT"
for folder; do
    mount --bind "$folder" "$ROOT$folder"
    mount -o remount,bind,ro "$ROOT$folder"
done
mount -t proc proc "$ROOT/proc"
mount -t tmpfs -o mode=755 tmpfs "$ROOT/dev"
# Nodes of its own: what udev does to them in there is not done to the machine's.
for node in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 tty:5:0 fuse:10:229; do
    number=${node#*:}
    mknod -m 666 "$ROOT/dev/${node%%:*}" c "${number%:*}" "${number#*:}"
done
ln -s /proc/self/fd "$ROOT/dev/fd"
exec chroot "$ROOT" sh -eu "/fusd/$SCRIPT" "$@"
"#;

/// What is done in it. (fish and systemd keep something in HOME and in /run.)
const USE: &str = r#"
cd /fusd
export HOME=/fusd
say() { echo "-- $* --"; }
fail() { echo "$*" >&2; exit 1; }

say installing
dpkg --install ./*.deb
getent group fusd

say a tool
test "$(fusd-echo --path ./node 'Hello, world!' -- cat ./node)" = 'Hello, world!'

say manual pages
for page in fusd.1 fusd-echo.1 fusd-pipe.1 fusd-serial-proxy.1 fusd-http.1 fusd-prompt.1 libfusd.3 \
    fusd_register.3 kfusd.4 fusd.7; do
    man --warnings "${page#*.}" "${page%.*}" >page 2>complaints || fail "no manual page $page"
    test ! -s complaints || fail "$page: $(cat complaints)"
done
man -k fusd | grep -q '^fusd-echo (1)'

say a driver in C
gcc hello.c $(pkg-config --cflags --libs fusd) -o hello
mkfifo ready
FUSD_BACKEND=fuse ./hello hello >ready &
driver=$!
read -r word <ready
test "$(cat /dev/hello)" = 'Hello, world!'
kill $driver
wait $driver || true

say completions
bash -c '. /usr/share/bash-completion/bash_completion; _completion_loader fusd-echo; complete -p fusd-echo'
zsh -c 'autoload -Uz compinit; compinit -D -u; print -r -- $_comps[fusd-echo]' | grep -x _fusd-echo
fish -c 'complete --do-complete "fusd-echo --on-write "' >values 2>complaints
test ! -s complaints || fail "fish: $(cat complaints)"
test "$(cut -f 1 values | sort | tr '\n' ' ')" = 'append deny discard replace '

say units
mkdir -p /etc/fusd
for unit in fusd-echo@x.service fusd-pipe@x.service fusd-serial-proxy@x.service fusd-http@x.service \
    fusd-prompt@x.service fusd@x.service fusd.target; do
    systemd-analyze verify "$unit" 2>&1 | grep -v 'modprobe@\|cannot be\|proceeding' >complaints || true
    test ! -s complaints || fail "$unit: $(cat complaints)"
done
systemd-tmpfiles --version >/dev/null

say the module source
dkms status | grep '^kfusd/'
test -e /usr/src/kfusd-*/wire.rs
"#;

const REMOVE: &str = r#"
dpkg --purge fusd-dkms fusd libfusd-dev libfusd0
rm -r /fusd
"#;
