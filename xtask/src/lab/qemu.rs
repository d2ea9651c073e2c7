//! QEMU as a guest: an emulated x86 machine, with the host's files as its root over 9p.
//!
//! Its instructions are interpreted (TCG) also where the host could run them itself: that works
//! everywhere and is the same everywhere.

use std::process::{Command, Stdio};

use super::channel::Ends;
use super::guest::Boot;
use super::init::Ports;

/// The program, and the package that has it.
pub(crate) const PROGRAM: &str = "qemu-system-x86_64";
pub(crate) const PACKAGE: &str = "qemu-system-x86";

/// A serial port for a person; ports of virtio, which take whole buffers, for the rest.
pub(crate) const PORTS: Ports = Ports {
    terminal: "/dev/ttyS1",
    output: "/dev/vport0p1",
    errors: "/dev/vport0p2",
    status: "/dev/vport0p3",
};

/// The name under which the guest finds the host's files.
const ROOT: &str = "host";

/// Adds the program that is the guest, and its arguments.
pub(crate) fn describe(boot: &Boot<'_>, ends: &Ends, command: &mut Command) {
    command
        .arg(PROGRAM)
        .args(["-nodefaults", "-no-user-config", "-no-reboot"])
        // Under KASAN the kernel takes minutes to interpret the interrupt table of the type "pc".
        .args(["-display", "none", "-machine", "q35,hpet=off"])
        // The kernel panics on what QEMU 7.2 calls "max".
        .args(["-cpu", "Haswell"])
        .args(["-m", &boot.memory.to_string()])
        .args(["-smp", &boot.cpus.to_string()])
        .args(accelerator(boot))
        .arg("-kernel")
        .arg(&boot.image)
        .args(["-append", &kernel_arguments(boot)]);
    // The first device of virtio: its ports are those of /dev/vport0.
    command.args(["-device", "virtio-serial-pci,addr=4"]);
    let ports = [ends.output(), ends.errors(), ends.status()];
    for (number, end) in (1..).zip(ports) {
        command
            .args(pipe(&format!("port{number}"), end))
            .arg("-device")
            .arg(format!(
                "virtserialport,nr={number},chardev=port{number},name=port{number}"
            ));
    }
    command
        .args([
            "-fsdev",
            "local,id=root,path=/,security_model=none,readonly=on,multidevs=remap",
        ])
        .arg("-device")
        .arg(format!("virtio-9p-pci,addr=5,fsdev=root,mount_tag={ROOT}"));
    command
        .args(pipe("console", ends.console()))
        .args(["-serial", "chardev:console"]);
    // Without a person the second serial port is there too: its loop-back mode is good for tests.
    match boot.interactive {
        true => command
            .args(["-chardev", "stdio,id=terminal,signal=off"])
            .args(["-serial", "chardev:terminal"])
            .stdout(Stdio::inherit()),
        false => command.args(["-serial", "null"]),
    };
}

/// A character device that writes into an inherited pipe.
fn pipe(name: &str, end: i32) -> [String; 4] {
    [
        "-add-fd".to_owned(),
        format!("fd={end},set={end}"),
        "-chardev".to_owned(),
        // Without "append", QEMU would cut the pipe to length 0, which fails.
        format!("file,id={name},path=/dev/fdset/{end},append=on"),
    ]
}

/// With `-icount` each instruction takes a nanosecond, and who waits for a timer does not wait.
fn accelerator(boot: &Boot<'_>) -> &'static [&'static str] {
    match boot.counts_instructions {
        true => &[
            "-accel",
            "tcg,thread=single",
            "-icount",
            "shift=0,sleep=off",
        ],
        false => &["-accel", "tcg,thread=multi"],
    }
}

/// Without the terminals of old that nobody opens: KASAN needs six seconds to make them.
fn kernel_arguments(boot: &Boot<'_>) -> String {
    let mut arguments = format!(
        "console=ttyS0 panic=-1 printk.devkmsg=on tsc=reliable pty.legacy_count=0 \
         ro root={ROOT} rootfstype=9p \
         rootflags=trans=virtio,version=9p2000.L,access=any,cache=loose,msize=512000 init={}/init{}",
        boot.folder.display(),
        boot.kernel.arguments()
    );
    if boot.counts_instructions {
        // QEMU's time stamp counter then counts instructions. Told so, the kernel takes it as it
        // is: without a second clock tsc_refine_calibration_work() has nothing to correct it by.
        arguments.push_str(" tsc_early_khz=1000000 pmtmr=0");
        // While all wait for the host to read a file, that clock leaps: hours for a millisecond.
        // Whoever waits looks hung.
        arguments.push_str(" sysctl.kernel.hung_task_timeout_secs=0");
    }
    arguments
}
