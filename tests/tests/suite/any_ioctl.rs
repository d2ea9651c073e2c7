//! Row 6: ioctls whose numbers do not encode what their argument is, and memory behind pointers.

use std::os::fd::AsFd;

use fusd::IoctlCommand;
use fusd_tests::client::{Handle, open};
use fusd_tests::{Ability, Case, Driver, sys};
use nix::errno::Errno;
use nix::sys::termios::{BaudRate, LocalFlags, SetArg, cfsetspeed, tcgetattr, tcsetattr};
use nix::unistd::isatty;

fn device(case: &Case) -> (Driver, Handle) {
    let driver = case.device("terminal").start();
    let file = open(driver.node()).expect("open");
    (driver, file)
}

/// Whether the backend goes by the number alone. Such calls must not reach the driver then.
fn skips(case: &Case) -> bool {
    if !case.lacks(Ability::AnyIoctl) {
        return false;
    }
    let (mut driver, file) = device(case);
    assert_eq!(isatty(file.as_fd()), Ok(false));
    assert_eq!(
        driver.number("counts ioctls"),
        0,
        "none arrives without its memory"
    );
    true
}

pub(crate) fn row6_terminals(case: &Case) {
    if skips(case) {
        return;
    }
    let (driver, file) = device(case);
    assert_eq!(isatty(file.as_fd()), Ok(true));
    let mut settings = tcgetattr(&file).expect("tcgetattr");
    settings.local_flags = LocalFlags::ECHO | LocalFlags::ICANON;
    cfsetspeed(&mut settings, BaudRate::B9600).expect("cfsetspeed");
    for when in [SetArg::TCSANOW, SetArg::TCSADRAIN, SetArg::TCSAFLUSH] {
        settings.local_flags.toggle(LocalFlags::ECHO);
        tcsetattr(&file, when, &settings).expect("tcsetattr");
        let found = tcgetattr(&file).expect("tcgetattr");
        assert_eq!(found.local_flags, settings.local_flags, "{when:?}");
    }
    let output = case
        .command("stty")
        .args(["-a", "-F"])
        .arg(driver.node())
        .output()
        .expect("stty");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{output:?}");
    for words in [
        "speed 9600 baud; rows 24; columns 80",
        " -echo ",
        " icanon ",
    ] {
        assert!(said.contains(words), "{words:?} in {said}");
    }
}

pub(crate) fn row6_old_numbers(case: &Case) {
    if skips(case) {
        return;
    }
    let (_driver, file) = device(case);
    let fionread = u32::try_from(libc::FIONREAD).expect("32 bits");
    let count = || {
        // What is behind the int must stay as it is.
        let mut argument = [0xee; 8];
        assert_eq!(file.ioctl(fionread, &mut argument), Ok(0));
        assert_eq!(argument[4..], [0xee; 4]);
        argument[0]
    };
    assert_eq!(count(), 0);
    file.write(b"five.").expect("write");
    assert_eq!(count(), 5);
    file.read(2).expect("read");
    assert_eq!(count(), 3);
    let tcflsh = u32::try_from(libc::TCFLSH).expect("32 bits");
    assert_eq!(sys::ioctl_value(&file, tcflsh, 1), Ok(0), "not the input");
    assert_eq!(count(), 3);
    assert_eq!(sys::ioctl_value(&file, tcflsh, 0), Ok(0));
    assert_eq!(count(), 0);
    assert_eq!(sys::ioctl_nowhere(&file, fionread), Err(Errno::EFAULT));
    // Nobody's number.
    assert_eq!(sys::ioctl_value(&file, 0x54ff, 0), Err(Errno::ENOTTY));
}

pub(crate) fn row6_memory_behind_pointers(case: &Case) {
    if skips(case) {
        return;
    }
    let (mut driver, file) = device(case);
    let reverse = IoctlCommand::read_write(b'e', 20, 16).raw();
    for size in [1_i32, 7, 4096, 65_537, 100_000] {
        let sent: Vec<u8> = (0..size).map(|place| (place % 253) as u8).collect();
        let mut memory = sent.clone();
        let result = sys::ioctl_behind(&file, reverse, &mut memory);
        assert_eq!(result, Ok(size));
        memory.reverse();
        assert!(memory == sent, "{size} bytes");
    }
    assert_eq!(sys::ioctl_behind(&file, reverse, &mut []), Ok(0));
    let calls = driver.number("counts ioctls");
    // The argument is there, what it points to is not.
    let mut pointer = [1u64.to_le_bytes(), 8u64.to_le_bytes()].concat();
    assert_eq!(file.ioctl(reverse, &mut pointer), Err(Errno::EFAULT));
    assert_eq!(
        driver.number("counts ioctls"),
        calls + 1,
        "it does not come again"
    );
    let mut pointer = [4096u64.to_le_bytes(), u64::MAX.to_le_bytes()].concat();
    let refused = file.ioctl(reverse, &mut pointer).expect_err("no such size");
    assert!(
        [Errno::ENOMEM, Errno::EFAULT, Errno::EINVAL].contains(&refused),
        "{refused}"
    );
    assert_eq!(sys::ioctl_nowhere(&file, reverse), Err(Errno::EFAULT));
    assert_eq!(file.write(b"and it goes on"), Ok(14));
}
