//! A control file that outlives its driver, because somebody else has it too: so service managers do
//! with what a service leaves in their store (sd_pid_notify_with_fds(3), `FDSTORE=1`). The driver that
//! they start next gets it, by `LISTEN_FDS` and `LISTEN_FDNAMES`, and says that it is the successor.

use super::*;

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};

use fusd_tests::client;
use fusd_tests::wait::{start, wait_until};
use nix::fcntl::OFlag;
use nix::poll::PollFlags;

use crate::languages::Example;
use crate::module::tests;
use crate::raw::received;

/// A stand-in for a service manager with a store for one descriptor of one service: the example in
/// Python.
struct Manager {
    folder: tempfile::TempDir,
    notices: UnixDatagram,
    store: Option<OwnedFd>,
}

impl Manager {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let notices = UnixDatagram::bind(folder.path().join("notify")).expect("a socket");
        notices
            .set_read_timeout(Some(6 * deadline()))
            .expect("a limit");
        Self {
            folder,
            notices,
            store: None,
        }
    }

    /// Starts the service, with what is in the store as its descriptor 3.
    fn start(&self, name: &str) -> Example {
        let script = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../libfusd/examples/numbers.py"
        );
        let mut command = Command::new("sh");
        let kept = match &self.store {
            None => "exec python3 \"$@\"",
            Some(descriptor) => {
                command.stdin(descriptor.try_clone().expect("a copy"));
                "exec 3<&0 0</dev/null; LISTEN_FDS=1 LISTEN_FDNAMES=control LISTEN_PID=$$ exec python3 \"$@\""
            }
        };
        command
            .args(["-c", kept, "sh", script, name])
            .env("NOTIFY_SOCKET", self.folder.path().join("notify"))
            .stdout(Stdio::null());
        Example(command.spawn().expect("the service"))
    }

    /// Takes what the service gives to keep.
    fn take(&mut self) {
        self.store = Some(received(&self.notices));
    }
}

/// The next number that a client reads.
fn next(file: &client::Handle) -> String {
    let file = file.duplicate();
    let text = start(move || file.read(20)).wait_or_give_up();
    String::from_utf8(text.expect("an answer").expect("read")).expect("ASCII")
}

tests! {
    fn a_service_manager_keeps_the_file() {
        let name = name();
        let node = node(&name);
        let mut manager = Manager::new();
        let mut service = manager.start(&name);
        manager.take();
        let open = || client::open_with(&node, OFlag::O_RDONLY);
        let (first, second) = (open().expect("open"), open().expect("open"));
        let mut wanted = 0;
        for _ in 0..3 {
            for _ in 0..2 {
                wanted += 1;
                assert_eq!(next(&first), format!("{wanted}\n"));
            }
            assert_eq!(next(&second), format!("{}\n", wanted / 2));
            // It notes what it gave after it has given it: now it has.
            drop(open().expect("open"));
            service.0.kill().expect("kill");
            service.0.wait().expect("wait");
            assert!(node.exists());
            service = manager.start(&name);
        }
        // Where there is no store, the next one takes over by the device's name.
        wanted += 1;
        assert_eq!(next(&first), format!("{wanted}\n"));
        drop(open().expect("open"));
        manager.store = None;
        service.0.kill().expect("kill");
        service.0.wait().expect("wait");
        wait_until("there is no driver", || crate::status::line(&node).driver == 0);
        let service = manager.start(&name);
        wanted += 1;
        assert_eq!(next(&first), format!("{wanted}\n"));
        drop(service);
        manager.take();
        manager.store = None;
        wait_until("there is no driver", || crate::status::line(&node).driver == 0);
        drop((first, second));
        successor(&name).0.unregister(1).expect("unregister");
    }

    fn who_gets_the_file_goes_on() {
        for flags in [0, REGISTER_AGAIN] {
            let (driver, name) = kept(flags, LONG);
            let (file, number) = driver.open(&node(&name));
            let reading = file.start_read(5);
            let read = driver.expect(operation::READ);
            let store = driver.duplicate();
            drop(driver);
            // Nobody is told: there still is a control file.
            let writing = file.start_write(b"untouched");
            store.control().poll(PollFlags::POLLIN, deadline()).expect("poll");
            assert!(reading.blocks());
            let next = store.duplicate();
            say(&next, operation::RESUME, 0).expect("resume");
            let charge = Charge::from_bytes(&next.expect(operation::CHARGE).body);
            assert_eq!((charge.devices, charge.files), (1, 1));
            assert_eq!(files(&next)[0].file, number);
            if flags == 0 {
                assert_eq!(reading.wait(), Err(Errno::EPIPE));
                assert_eq!(next.answer(read.id(), 0, b"x"), Err(Errno::ENOENT));
            } else {
                let again = next.expect(operation::READ);
                assert!(is_again(&again));
                next.answer(again.id(), 0, b"again").expect("answer");
                assert_eq!(reading.wait().as_deref(), Ok(&b"again"[..]));
            }
            let write = next.expect(operation::WRITE);
            assert!(!is_again(&write));
            next.answer(write.id(), 9, b"").expect("answer");
            assert_eq!(writing.wait(), Ok(9));
            // Where the store lets go as well, the device waits as long as it says.
            drop((next, store));
            wait_until("there is no driver", || crate::status::line(&node(&name)).driver == 0);
            drop(file);
            successor(&name).0.unregister(1).expect("unregister");
        }
    }
}
