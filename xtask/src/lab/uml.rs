//! User-Mode Linux as a guest: the kernel is a program, and the host's files are its root.

use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::statvfs::statvfs;

use super::channel::Ends;
use super::guest::Boot;
use super::init::Ports;

/// Its virtual terminals, each of which is a pipe of the host's.
pub(crate) const PORTS: Ports = Ports {
    terminal: "/dev/tty1",
    output: "/dev/tty1",
    errors: "/dev/tty2",
    status: "/dev/tty3",
};

/// Adds the program that is the guest, and its arguments.
pub(crate) fn describe(boot: &Boot<'_>, ends: &Ends, command: &mut Command) {
    let folder = boot.folder.display();
    command
        .arg(&boot.image)
        .arg(format!("mem={}M", boot.memory))
        .arg(format!("ncpus={}", boot.cpus))
        .args(["rootfstype=hostfs", "rootflags=/", "ro", "seccomp=on"])
        .arg("printk.devkmsg=on")
        // With two processors, the timer of one that idles gets lost now and then, and whatever
        // sleeps there sleeps on. A tick that never stops comes again.
        .args(["nohz=off", "highres=off"])
        .arg(format!("init={folder}/init"))
        .arg(format!("uml_dir={folder}/"))
        .arg("con=null")
        .arg(format!("con0=null,fd:{}", ends.console()))
        .arg(match boot.interactive {
            // A terminal is open in both directions.
            true => "con1=fd:0".to_owned(),
            false => format!("con1=null,fd:{}", ends.output()),
        })
        .arg(format!("con2=null,fd:{}", ends.errors()))
        .arg(format!("con3=null,fd:{}", ends.status()))
        .env("TMPDIR", memory_folder(boot));
}

/// Where the file is that is the guest's memory: in memory, if there is room.
fn memory_folder(boot: &Boot<'_>) -> PathBuf {
    let shared = Path::new("/dev/shm");
    let room = statvfs(shared).map_or(0, |fs| fs.blocks_available() * fs.fragment_size());
    match room > u64::from(boot.memory) << 20 {
        true => shared.to_owned(),
        false => boot.folder.to_owned(),
    }
}
