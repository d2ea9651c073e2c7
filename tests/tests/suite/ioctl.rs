//! Row 6: ioctl by the size that the number encodes.

use fusd::IoctlCommand;
use fusd_tests::client::{Handle, open};
use fusd_tests::{Backend, Case, Driver, sys};
use nix::errno::Errno;

/// The type of the test device's commands.
const KIND: u8 = b'e';
const SIZES: [u16; 8] = [1, 2, 8, 255, 4095, 4096, 4097, 16383];

fn device(case: &Case) -> (Driver, Handle) {
    let driver = case.device("ioctls").start();
    let file = open(driver.node()).expect("open");
    (driver, file)
}

pub(crate) fn row6_both_ways(case: &Case) {
    let (_driver, file) = device(case);
    let add = IoctlCommand::read_write(KIND, 1, 8).raw();
    let mut argument = [5u32.to_le_bytes(), 37u32.to_le_bytes()].concat();
    assert_eq!(file.ioctl(add, &mut argument), Ok(0));
    assert_eq!(
        argument,
        [42u32.to_le_bytes(), 37u32.to_le_bytes()].concat()
    );
    for size in SIZES {
        let sent: Vec<u8> = (0..size).map(|place| (place % 253) as u8).collect();
        let mut argument = sent.clone();
        let reverse = IoctlCommand::read_write(KIND, 5, size).raw();
        assert_eq!(file.ioctl(reverse, &mut argument), Ok(0), "{size} bytes");
        argument.reverse();
        assert!(argument == sent, "{size} bytes");
    }
}

pub(crate) fn row6_out_of_any_size(case: &Case) {
    let (_driver, file) = device(case);
    for size in SIZES {
        let fill = IoctlCommand::read(KIND, 2, size).raw();
        // One byte more than the number says: it must stay.
        let mut argument = vec![0xee; usize::from(size) + 1];
        assert_eq!(file.ioctl(fill, &mut argument), Ok(i32::from(size)));
        assert_eq!(argument.pop(), Some(0xee), "{size} bytes, and no more");
        let right = argument
            .iter()
            .enumerate()
            .all(|(place, byte)| *byte == (place % 251) as u8);
        assert!(right, "{size} bytes");
    }
}

pub(crate) fn row6_in_of_any_size(case: &Case) {
    let (_driver, file) = device(case);
    for size in SIZES {
        let sum = IoctlCommand::write(KIND, 3, size).raw();
        let mut argument = vec![3; usize::from(size)];
        assert_eq!(file.ioctl(sum, &mut argument), Ok(3 * i32::from(size)));
        assert!(argument.iter().all(|byte| *byte == 3), "nothing comes back");
    }
}

pub(crate) fn row6_plain_values(case: &Case) {
    let (_driver, file) = device(case);
    let value = IoctlCommand::none(KIND, 4).raw();
    for argument in [0, 1, 0x1234_5678, 0x7fff_ffff] {
        let result = sys::ioctl_value(&file, value, argument);
        assert_eq!(result, Ok(i32::try_from(argument).expect("positive")));
    }
}

pub(crate) fn row6_short_answers_leave_the_rest(case: &Case) {
    let (_driver, file) = device(case);
    let first = IoctlCommand::read_write(KIND, 6, 4).raw();
    let mut argument = [1, 2, 3, 4];
    assert_eq!(file.ioctl(first, &mut argument), Ok(0));
    assert_eq!(argument, [0xff, 2, 3, 4]);
}

pub(crate) fn row6_errors(case: &Case) {
    let (_driver, file) = device(case);
    let fail = IoctlCommand::read_write(KIND, 7, 1).raw();
    for errno in [Errno::EPERM, Errno::EINVAL, Errno::ENOTTY, Errno::EDEADLK] {
        let mut argument = [errno as u8];
        assert_eq!(file.ioctl(fail, &mut argument), Err(errno));
        assert_eq!(argument, [errno as u8], "the argument stays as it was");
    }
    let unknown = IoctlCommand::none(KIND, 99).raw();
    assert_eq!(sys::ioctl_value(&file, unknown, 0), Err(Errno::ENOTTY));
}

pub(crate) fn row6_enosys_is_no_word_on_other_ioctls(case: &Case) {
    let (_driver, file) = device(case);
    let fail = IoctlCommand::read_write(KIND, 7, 1).raw();
    // The kernel translates it for FUSE and CUSE (fs/fuse/ioctl.c, fuse_send_ioctl).
    let expected = match case.backend() {
        Backend::Fuse | Backend::Cuse => Errno::ENOTTY,
        Backend::Kfusd => Errno::ENOSYS,
    };
    let failed = file.ioctl(fail, &mut [Errno::ENOSYS as u8]);
    assert_eq!(failed, Err(expected));
    let value = IoctlCommand::none(KIND, 4).raw();
    assert_eq!(sys::ioctl_value(&file, value, 9), Ok(9));
}

pub(crate) fn row6_bad_addresses(case: &Case) {
    let (mut driver, file) = device(case);
    let sum = IoctlCommand::write(KIND, 3, 64).raw();
    assert_eq!(sys::ioctl_nowhere(&file, sum), Err(Errno::EFAULT));
    assert_eq!(
        driver.number("counts ioctls"),
        0,
        "what cannot be read never arrives"
    );
    let fill = IoctlCommand::read(KIND, 2, 64).raw();
    assert_eq!(sys::ioctl_nowhere(&file, fill), Err(Errno::EFAULT));
    let value = IoctlCommand::none(KIND, 4).raw();
    assert_eq!(
        sys::ioctl_value(&file, value, 9),
        Ok(9),
        "the device goes on"
    );
}
