//! A device for ioctl(2): one command for each direction and for sizes up to the largest.

use fusd::{Device, Errno, IoctlRequest, OpenFile, OpenRequest};

/// Commands of the type 'e':
/// - 1 `_IOWR`, two u32: the first becomes the sum of both; returns 0;
/// - 2 `_IOR`, any size: filled with 0, 1, 2... modulo 251; returns the size;
/// - 3 `_IOW`, any size: returns the sum of the bytes;
/// - 4 `_IO`: returns the argument's low 31 bits;
/// - 5 `_IOWR`, any size: the bytes reversed;
/// - 6 `_IOWR`, any size: only the first byte is filled, with 0xff;
/// - 7 any: fails with the errno in the first byte of the input, or EDEADLK.
pub(crate) struct Ioctls;

impl Device for Ioctls {
    type File = ();

    fn open(&self, request: OpenRequest<()>) {
        request.accept(());
    }

    fn ioctl(&self, _: &OpenFile<()>, request: IoctlRequest) {
        let command = request.command();
        if command.kind() != b'e' {
            request.fail(Errno::ENOTTY);
            return;
        }
        let input = request.input().to_vec();
        match command.number() {
            1 if input.len() == 8 => {
                let word = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|i| input[at + i]));
                let sum = word(0).wrapping_add(word(4));
                request.reply(0, &sum.to_le_bytes())
            }
            2 => {
                let size = request.output_len();
                let fill: Vec<u8> = (0..size).map(|place| (place % 251) as u8).collect();
                request.reply(i32::try_from(size).unwrap_or(-1), &fill)
            }
            3 => request.reply(input.iter().map(|byte| i32::from(*byte)).sum(), &[]),
            4 => {
                let value = request.argument() & 0x7fff_ffff;
                request.reply(i32::try_from(value).unwrap_or(-1), &[])
            }
            5 => {
                let reversed: Vec<u8> = input.iter().rev().copied().collect();
                request.reply(0, &reversed)
            }
            6 => request.reply(0, &[0xff]),
            7 => {
                let errno = input
                    .first()
                    .and_then(|byte| Errno::from_raw((*byte).into()));
                request.fail(errno.unwrap_or(Errno::EDEADLK))
            }
            _ => request.fail(Errno::ENOTTY),
        };
    }
}
