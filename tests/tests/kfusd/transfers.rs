//! Open, release, read, write, seek, sync, flush: what arrives at the driver, and what the client
//! gets.

use std::os::fd::AsFd;

use fusd::wire::{self, REGISTER_STREAM, Seek, Sync, operation};
use fusd_tests::client::Whence;
use fusd_tests::pattern;
use fusd_tests::wait::start;
use nix::errno::Errno;
use nix::fcntl::OFlag;

use crate::driver::{ALL, Driver, open};
use crate::module::tests;

tests! {
    fn open_tells_who_and_how() {
        let (driver, node) = Driver::with_device(ALL, 0);
        let opening = open(&node, OFlag::O_WRONLY | OFlag::O_NONBLOCK);
        let request = driver.expect(operation::OPEN);
        let header = request.header;
        assert_eq!((header.device, header.cookie), (1, 0));
        assert_eq!(header.pid, std::process::id());
        assert_ne!((header.tid, header.tid), (0, header.pid), "a thread of the process");
        assert_eq!((header.uid, header.gid), (0, 0));
        let flags = i32::try_from(header.open_flags).expect("flags");
        assert_eq!(flags & libc::O_ACCMODE, libc::O_WRONLY);
        assert_ne!(flags & libc::O_NONBLOCK, 0);
        driver.answer(request.id(), 0xfeed_f00d_dead_beef, b"").expect("answer");
        let file = opening.wait().expect("open");
        let writing = file.start_write(b"x");
        let request = driver.expect(operation::WRITE);
        assert_eq!(request.header.cookie, 0xfeed_f00d_dead_beef, "the driver's own");
        driver.answer(request.id(), 1, b"").expect("answer");
        assert_eq!(writing.wait(), Ok(1));
        drop(file);
        let release = driver.expect(operation::RELEASE);
        assert_eq!(release.header.cookie, 0xfeed_f00d_dead_beef);
    }

    fn what_is_appended_is_told_and_the_position_moves_on() {
        let (driver, node) = Driver::with_device(ALL, 0);
        let (file, _) = driver.open_with(&node, OFlag::O_RDWR | OFlag::O_APPEND);
        for offset in [0, 4] {
            let writing = file.start_write(b"four");
            let request = driver.expect(operation::WRITE);
            // The kernel knows no end of a character device: the position is as for any write.
            assert_eq!(request.transfer().offset, offset);
            let flags = i32::try_from(request.header.open_flags).expect("flags");
            assert_ne!(flags & libc::O_APPEND, 0);
            driver.answer(request.id(), 4, b"").expect("answer");
            assert_eq!(writing.wait(), Ok(4));
        }
        assert_eq!(file.seek(0, Whence::SeekCur), Ok(8));
    }

    fn any_errno_refuses_an_open_and_there_is_no_release() {
        let (driver, node) = Driver::with_device(0, 0);
        for errno in [Errno::EPERM, Errno::EBUSY, Errno::ENOSYS, Errno::ENXIO, Errno::EINTR] {
            let opening = open(&node, OFlag::O_RDWR);
            let request = driver.expect(operation::OPEN);
            driver.refuse(request.id(), errno).expect("answer");
            assert_eq!(opening.wait().map(drop), Err(errno));
        }
        driver.expect_nothing();
    }

    fn every_open_has_one_release() {
        let (driver, node) = Driver::with_device(0, 0);
        for _ in 0..50 {
            let (file, number) = driver.open(&node);
            let copies = [file.duplicate(), file.duplicate()];
            drop(file);
            driver.expect_nothing();
            drop(copies);
            let release = driver.expect(operation::RELEASE);
            assert_eq!((release.header.file, release.header.id), (number, 0));
        }
        driver.expect_nothing();
    }

    fn pread_has_its_offset_and_read_goes_on() {
        let (driver, node) = Driver::with_device(ALL, 0);
        let (file, _) = driver.open(&node);
        for (offset, length) in [(0, 1), (4096, 10), (1 << 40, 7), (i64::MAX as u64 - 100, 50)] {
            let copy = file.duplicate();
            let reading = start(move || copy.read_at(offset, length));
            let request = driver.expect(operation::READ);
            assert_eq!(request.transfer().offset, offset);
            assert_eq!(request.transfer().size as usize, length);
            driver.answer(request.id(), 0, &vec![b'p'; length]).expect("answer");
            assert_eq!(reading.wait().expect("pread").len(), length);
        }
        for offset in [0, 3, 6] {
            let reading = file.start_read(3);
            let request = driver.expect(operation::READ);
            assert_eq!(request.transfer().offset, offset, "the position");
            driver.answer(request.id(), 0, b"abc").expect("answer");
            assert_eq!(reading.wait().expect("read"), b"abc");
        }
    }

    fn large_transfers_are_split_and_whole() {
        let (driver, node) = Driver::with_device(ALL, 0);
        let (file, _) = driver.open(&node);
        let data = pattern::bytes(0, 3_000_001);
        let writing = file.start_write(&data);
        let mut got = Vec::new();
        while got.len() < data.len() {
            let request = driver.expect(operation::WRITE);
            assert_eq!(request.transfer().offset as usize, got.len());
            assert_eq!(request.transfer().size as usize, request.written().len());
            got.extend_from_slice(request.written());
            driver.answer(request.id(), request.written().len() as u64, b"").expect("answer");
        }
        assert_eq!(writing.wait(), Ok(data.len()));
        assert!(got == data, "the bytes");

        let copy = file.duplicate();
        let length = data.len();
        let reading = start(move || copy.read_at(0, length + 5));
        let mut sent = 0;
        loop {
            let request = driver.expect(operation::READ);
            let start = request.transfer().offset as usize;
            assert_eq!(start, sent);
            let end = data.len().min(start + request.transfer().size as usize);
            driver.answer(request.id(), 0, &data[start..end]).expect("answer");
            sent = end;
            if end == data.len() {
                break;
            }
        }
        let got = reading.wait().expect("read");
        assert!(got == data, "a short answer ends the read");
        driver.expect_nothing();
    }

    fn a_short_write_and_an_error_after_a_part_tell_the_part() {
        let (driver, node) = Driver::with_device(ALL, 0);
        let (file, _) = driver.open(&node);
        let writing = file.start_write(&vec![0; 2 << 20]);
        let request = driver.expect(operation::WRITE);
        driver.answer(request.id(), 100, b"").expect("answer");
        assert_eq!(writing.wait(), Ok(100));
        let writing = file.start_write(&vec![0; 2 << 20]);
        let request = driver.expect(operation::WRITE);
        let size = request.transfer().size;
        driver.answer(request.id(), size.into(), b"").expect("answer");
        let request = driver.expect(operation::WRITE);
        driver.refuse(request.id(), Errno::ENOSPC).expect("answer");
        assert_eq!(writing.wait(), Ok(size as usize));
    }

    fn zero_bytes_never_reach_the_driver() {
        let (driver, node) = Driver::with_device(ALL, 0);
        let (file, _) = driver.open(&node);
        assert_eq!(file.read(0), Ok(vec![]));
        assert_eq!(file.write(b""), Ok(0));
        driver.expect_nothing();
    }

    fn vectors_are_one_call() {
        let (driver, node) = Driver::with_device(ALL, 0);
        let (file, _) = driver.open(&node);
        let copy = file.duplicate();
        let writing = start(move || copy.write_parts(&[b"one", b"", b"two"]));
        let request = driver.expect(operation::WRITE);
        assert_eq!(request.written(), b"onetwo");
        driver.answer(request.id(), 6, b"").expect("answer");
        assert_eq!(writing.wait(), Ok(6));
        let copy = file.duplicate();
        let reading = start(move || {
            let (mut first, mut second) = ([0; 2], [0; 4]);
            let count = copy.read_parts(&mut [&mut first, &mut second]);
            (count, first, second)
        });
        let request = driver.expect(operation::READ);
        assert_eq!(request.transfer().size, 6);
        driver.answer(request.id(), 0, b"abcde").expect("answer");
        assert_eq!(reading.wait(), (Ok(5), *b"ab", *b"cde\0"));
    }

    fn splice_and_sendfile_are_reads() {
        let (driver, node) = Driver::with_device(ALL, 0);
        let (file, _) = driver.open(&node);
        let copying = start(move || {
            // Between files, the standard library has the kernel copy.
            let mut from = std::fs::File::from(file.into_fd());
            let target = tempfile::NamedTempFile::new().expect("a file");
            let mut to = std::fs::File::create(target.path()).expect("a file");
            let count = std::io::copy(&mut from, &mut to).expect("copy");
            (count, std::fs::read(target.path()).expect("read"))
        });
        let data = pattern::bytes(3, 100_000);
        loop {
            let request = driver.next();
            if request.header.operation != operation::READ {
                driver.answer(request.id(), 0, b"").expect("answer");
                continue;
            }
            let start = (request.transfer().offset as usize).min(data.len());
            let end = data.len().min(start + request.transfer().size as usize);
            driver.answer(request.id(), 0, &data[start..end]).expect("answer");
            if start == end {
                break;
            }
        }
        let (count, got) = copying.wait();
        assert_eq!(count, 100_000);
        assert!(got == data, "the bytes");
    }

    fn streams_have_no_position() {
        let (driver, node) = Driver::with_device(ALL, REGISTER_STREAM);
        let (file, _) = driver.open(&node);
        assert_eq!(file.seek(0, Whence::SeekCur), Err(Errno::ESPIPE));
        assert_eq!(file.read_at(3, 1), Err(Errno::ESPIPE));
        for _ in 0..2 {
            let reading = file.start_read(3 << 20);
            let request = driver.expect(operation::READ);
            assert_eq!(request.transfer().offset, 0);
            let whole = vec![b's'; request.transfer().size as usize];
            driver.answer(request.id(), 0, &whole).expect("answer");
            assert_eq!(reading.wait().expect("read").len(), whole.len(), "what there is");
        }
        driver.expect_nothing();
    }

    fn seek_asks_the_driver_only_for_what_it_alone_knows() {
        let (driver, node) = Driver::with_device(ALL, 0);
        let (file, _) = driver.open(&node);
        assert_eq!(file.seek(10, Whence::SeekSet), Ok(10));
        assert_eq!(file.seek(5, Whence::SeekCur), Ok(15));
        assert_eq!(file.seek(-16, Whence::SeekCur), Err(Errno::EINVAL));
        driver.expect_nothing();
        let copy = file.duplicate();
        let seeking = start(move || copy.seek(-3, Whence::SeekEnd));
        let request = driver.expect(operation::SEEK);
        let seek = Seek::from_bytes(&request.body);
        assert_eq!((seek.offset, seek.whence), (-3, 2));
        driver.answer(request.id(), 97, b"").expect("answer");
        assert_eq!(seeking.wait(), Ok(97));
        assert_eq!(file.seek(0, Whence::SeekCur), Ok(97));

        let (driver, node) = Driver::with_device(wire::IMPLEMENTS_READ, 0);
        let (file, _) = driver.open(&node);
        assert_eq!(file.seek(0, Whence::SeekEnd), Err(Errno::EINVAL));
        driver.expect_nothing();
    }

    fn sync_says_which() {
        let (driver, node) = Driver::with_device(ALL, 0);
        let (file, _) = driver.open(&node);
        for data_only in [0, 1] {
            let copy = file.duplicate();
            let syncing = start(move || match data_only {
                0 => nix::unistd::fsync(copy.as_fd()),
                _ => nix::unistd::fdatasync(copy.as_fd()),
            });
            let request = driver.expect(operation::SYNC);
            assert_eq!(Sync::from_bytes(&request.body).data_only, data_only);
            driver.refuse(request.id(), Errno::EIO).expect("answer");
            assert_eq!(syncing.wait(), Err(Errno::EIO));
        }
    }

    fn flush_is_told_of_each_close() {
        let (driver, node) = Driver::with_device(wire::IMPLEMENTS_FLUSH, 0);
        let (file, _) = driver.open(&node);
        let copy = file.duplicate();
        let closing = start(move || nix::unistd::close(copy.into_fd()));
        let request = driver.expect(operation::FLUSH);
        driver.refuse(request.id(), Errno::ENOSPC).expect("answer");
        assert_eq!(closing.wait(), Err(Errno::ENOSPC), "close tells of it");
        let closing = start(move || nix::unistd::close(file.into_fd()));
        let request = driver.expect(operation::FLUSH);
        driver.answer(request.id(), 0, b"").expect("answer");
        driver.expect(operation::RELEASE);
        assert_eq!(closing.wait(), Ok(()));
    }

    fn what_is_not_implemented_never_arrives() {
        let (driver, node) = Driver::with_device(0, 0);
        let (file, _) = driver.open(&node);
        assert_eq!(file.read(1), Err(Errno::EINVAL));
        assert_eq!(file.write(b"x"), Err(Errno::EINVAL));
        assert_eq!(file.ioctl(0x8004_5200, &mut [0; 4]), Err(Errno::ENOTTY));
        assert_eq!(nix::unistd::fsync(file.as_fd()), Err(Errno::EINVAL));
        use nix::poll::PollFlags;
        let both = PollFlags::POLLIN | PollFlags::POLLOUT;
        assert_eq!(file.ready(both), both, "always ready");
        driver.expect_nothing();
        drop(file);
        driver.expect(operation::RELEASE);
    }
}
