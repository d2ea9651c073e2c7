//! 32-bit programs on a 64-bit kernel, as clients and as drivers. User-Mode Linux runs none, and
//! neither do other machines than x86.

use fusd::wire::{self, Copied, CopyIn, CopyOut, Exchange, StatusQuery, StatusRecord, operation};
use fusd_tests::wait::start;

use crate::driver::{ALL, Driver, Message, answer, message};
use crate::module;
use crate::raw::LowPage;

/// Whether no 32-bit program can run here; says so for `test`.
fn skips(test: &str) -> bool {
    // The lab's kernels for QEMU have CONFIG_IA32_EMULATION; what others have is not known, and to
    // try is to die.
    let runs = ["x86", "kasan"].map(Some).map(|it| it.map(str::to_owned));
    let skips = !runs.contains(&std::env::var("FUSD_LAB").ok());
    if skips {
        println!("SKIP {test}: this kernel runs no 32-bit programs");
    }
    skips
}

/// A test that takes a kernel which runs 32-bit programs.
macro_rules! compat_tests {
    ($(fn $name:ident() $body:block)+) => {$(
        #[test]
        fn $name() {
            if skips(stringify!($name)) { return }
            let Some(_present) = module::present(stringify!($name)) else { return };
            $body
        }
    )+};
}

compat_tests! {
    fn an_ioctl_of_a_32_bit_program_says_so() {
        let (driver, node) = Driver::with_device(ALL, 0);
        let (file, _) = driver.open(&node);
        let calling = start(move || {
            let mut page = LowPage::new();
            page.put(0, b"into the driver!");
            let result = page.ioctl(&file, 0xc010_6b01);
            (result, page.get(0, 16), page.address())
        });
        let request = driver.expect(operation::IOCTL);
        assert_eq!(request.header.flags, wire::REQUEST_COMPAT);
        assert_eq!(&request.body[wire::Ioctl::SIZE..], b"into the driver!");
        driver.answer(request.id(), 7, b"and back again..").expect("answer");
        let (result, data, address) = calling.wait();
        assert_eq!((result, data), (Ok(7), b"and back again..".to_vec()));
        assert_eq!(request.ioctl().argument, address.into());
    }

    fn memory_of_a_32_bit_program_can_be_copied() {
        let (driver, node) = Driver::with_device(ALL, wire::REGISTER_RAW_IOCTL);
        let (file, _) = driver.open(&node);
        let calling = start(move || {
            let mut page = LowPage::new();
            page.put(100, b"nested");
            (page.ioctl(&file, 0x5401), page.get(200, 6))
        });
        let request = driver.expect(operation::IOCTL);
        assert_eq!(request.header.flags, wire::REQUEST_COMPAT);
        let at = request.ioctl().argument;
        assert!(at < 1 << 32);
        let copy = CopyIn { address: at + 100, length: 6, reserved: 0 };
        let copy = message(operation::COPY_IN, 0, request.id(), &[&copy.to_bytes()]);
        driver.say(&copy).expect("copy");
        let copied = driver.expect(operation::COPIED);
        assert_eq!(&copied.body[Copied::SIZE..], b"nested");
        let copy = CopyOut { address: at + 200, length: 6, reserved: 0 };
        let copy = message(operation::COPY_OUT, 0, request.id(), &[&copy.to_bytes(), b"answer"]);
        driver.say(&copy).expect("copy");
        driver.expect(operation::COPIED);
        driver.answer(request.id(), 0, b"").expect("answer");
        assert_eq!(calling.wait(), (Ok(0), b"answer".to_vec()));
    }

    fn a_32_bit_program_reads_and_writes() {
        let (driver, node) = Driver::with_device(ALL, 0);
        let (file, _) = driver.open(&node);
        let copy = file.duplicate();
        let calling = start(move || {
            let mut page = LowPage::new();
            page.put(0, b"0123456789");
            page.transfer(&copy, true, [3, 7])
        });
        let request = driver.expect(operation::WRITE);
        assert_eq!(request.written(), b"0123456789");
        assert_eq!(request.header.flags, 0, "that is told of ioctls");
        driver.answer(request.id(), 10, b"").expect("answer");
        assert_eq!(calling.wait(), Ok(10));
        let calling = start(move || {
            let mut page = LowPage::new();
            let result = page.transfer(&file, false, [3, 7]);
            (result, page.get(0, 10))
        });
        let request = driver.expect(operation::READ);
        driver.answer(request.id(), 0, b"abcdefghij").expect("answer");
        assert_eq!(calling.wait(), (Ok(10), b"abcdefghij".to_vec()));
    }

    fn a_32_bit_program_can_be_a_driver() {
        let (driver, node) = Driver::with_device(ALL, 0);
        let (file, _) = driver.open(&node);
        let reading = file.start_read(4);
        let mut page = LowPage::new();
        let address = u64::from(page.address());
        let mut exchange = Exchange {
            command: 0,
            buffer: address + 1024,
            command_length: 0,
            buffer_length: 1024,
            reserved: 0,
        };
        page.put(0, &exchange.to_bytes());
        let length = page.ioctl(&driver, wire::IOCTL_EXCHANGE).expect("exchange");
        let bytes = page.get(1024, usize::try_from(length).expect("a length"));
        let request = Message::parse(&bytes);
        assert_eq!(request.header.operation, operation::READ);
        let reply = answer(request.id(), 0, 0, b"four");
        driver.control().set_nonblocking(true).expect("fcntl");
        exchange.command = address + 512;
        exchange.command_length = u32::try_from(reply.len()).expect("a short answer");
        page.put(512, &reply);
        page.put(0, &exchange.to_bytes());
        let result = page.ioctl(&driver, wire::IOCTL_EXCHANGE);
        assert_eq!(result, Err(nix::errno::Errno::EAGAIN), "it was taken, and there is no more");
        assert_eq!(reading.wait().expect("read"), b"four");
    }

    fn a_32_bit_program_gets_the_status() {
        let (_driver, _node) = Driver::with_device(ALL, 0);
        let flags = nix::fcntl::OFlag::O_RDONLY;
        let status = fusd_tests::client::open_with("/dev/fusd/status".as_ref(), flags);
        let mut page = LowPage::new();
        let query = StatusQuery {
            buffer: u64::from(page.address()) + 1024,
            buffer_length: 320,
            record_size: 320,
            ..StatusQuery::default()
        };
        page.put(0, &query.to_bytes());
        assert_eq!(page.ioctl(&status.expect("open"), wire::IOCTL_STATUS), Ok(1));
        let record = StatusRecord::from_bytes(&page.get(1024, StatusRecord::SIZE));
        assert_eq!(record.driver, std::process::id());
        assert_eq!(record.operations, ALL);
    }
}
