//! Starts systemd in the fresh system, as its first process, and has it serve devices by the units.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::check::succeed;

/// What is tried.
const TRY: &str = include_str!("try.sh");

/// Where control groups are for a system of one's own; `None` where the machine has none.
fn groups() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/mounts").ok()?;
    let mut lines = mounts.lines().map(|line| line.split(' '));
    lines.find_map(|mut words| {
        let place = words.nth(1)?;
        (words.next()? == "cgroup2").then(|| PathBuf::from(place))
    })
}

/// Runs systemd in `root`, whose packages are installed, until what is tried there has come to an end.
///
/// # Errors
/// A unit does not do what it is for.
pub(super) fn run(root: &Path) -> Result<()> {
    let Some(groups) = groups() else {
        println!("-- no services: this machine has no control groups for systemd --");
        return Ok(());
    };
    let group = groups.join(format!("fusd-check-{}", std::process::id()));
    fs::create_dir(&group).with_context(|| format!("cannot make {}", group.display()))?;
    let _group = Group(&group);
    fs::write(root.join("etc/systemd/system/fusd-try.service"), UNIT)?;
    fs::write(root.join("fusd/try"), TRY)?;
    let mut command = Command::new("sh");
    command
        .args(["-ec", OUTSIDE])
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("ROOT", root)
        .env("GROUP", &group)
        .env("INSIDE", INSIDE)
        .stdin(Stdio::null());
    let result = succeed(command);
    let said = fs::read_to_string(root.join("fusd/tried")).unwrap_or_default();
    result.context("systemd has not come to its end")?;
    if !root.join("fusd/right").exists() {
        let console = fs::read_to_string(root.join("fusd/console")).unwrap_or_default();
        bail!("the units do not do what they are for:\n{said}\nsystemd says:\n{console}");
    }
    fs::remove_file(root.join("etc/systemd/system/fusd-try.service"))?;
    Ok(())
}

/// A control group, with those below it. Dropped, it is removed: nothing runs in it any more.
struct Group<'a>(&'a Path);

impl Drop for Group<'_> {
    fn drop(&mut self) {
        let mut remove = Command::new("find");
        remove
            .arg(self.0)
            .args(["-depth", "-type", "d", "-exec", "rmdir", "{}", ";"]);
        if !remove.status().is_ok_and(|status| status.success()) {
            eprintln!("warning: {} is left", self.0.display());
        }
    }
}

/// With a limit, as what hangs in there cannot be told from what takes its time.
const OUTSIDE: &str = r#"
echo 0 >"$GROUP/cgroup.procs"
status=0
timeout --signal=KILL 120 \
    unshare --mount --pid --fork --cgroup --uts --ipc --kill-child=KILL sh -ec "$INSIDE" || status=$?
# What ends it is that there is nothing left to do, by a signal or not.
cd "${GROUP%/*}"
echo 0 >cgroup.procs
test "$status" != 137
"#;

const INSIDE: &str = r#"
mount --bind "$ROOT" "$ROOT"
cd "$ROOT"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=755 tmpfs dev
for node in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 tty:5:0 fuse:10:229; do
    number=${node#*:}
    mknod -m 666 "dev/${node%%:*}" c "${number%:*}" "${number#*:}"
done
ln -s /proc/self/fd dev/fd
mkdir dev/shm dev/pts
mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
pivot_root . mnt
umount -l mnt
exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --system --log-target=console --show-status=no --unit=fusd-try.service \
    </dev/null >/fusd/console 2>&1
"#;

/// What that systemd is started for. It ends with it.
const UNIT: &str = "\
[Unit]
SuccessAction=exit-force
FailureAction=exit-force

[Service]
Type=oneshot
ExecStart=/bin/sh -eux /fusd/try
StandardOutput=append:/fusd/tried
StandardError=append:/fusd/tried
TimeoutStartSec=90
";
