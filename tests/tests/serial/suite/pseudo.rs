//! A pseudo-terminal for a node.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::process::Stdio;
use std::time::Duration;

use crate::helper::{Cable, has_program, int, locks_of, open, proxy, proxy_at, read, set_int};
use crate::helper::{stty, text};
use fusd_tests::Case;
use fusd_tests::wait::{deadline, holds_within, wait_until};
use nix::fcntl::OFlag;
use nix::pty::openpty;
use nix::sys::signal::Signal;
use nix::unistd::{isatty, ttyname};
use rustix::fs::{FlockOperation, flock};

pub(crate) fn it_stands_in_where_there_is_fuse_alone(case: &Case) {
    let driver = proxy(case, "loop", [""; 0]).start();
    driver.await_error("has no modem lines, no breaks");
    let file = open(driver.node());
    assert_eq!(isatty(&file), Ok(true));
    file.write(b"to and fro").expect("write");
    assert_eq!(text(&file, 10), "to and fro");
    driver.stop();
    let driver = proxy(case, "loop", ["--pty", "--mode", "640"]).start();
    let mode = fs::metadata(driver.node()).expect("stat").permissions();
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777,
        0o640
    );
    assert!(!driver.errors().contains("WARN"), "it was asked for");
}

pub(crate) fn a_killed_proxy_leaves_no_link(case: &Case) {
    let driver = proxy(case, "loop", ["--pty"]).start();
    let node = driver.node().to_owned();
    assert!(
        fs::read_link(&node)
            .expect("a link")
            .starts_with("/dev/pts")
    );
    driver.kill();
    wait_until("the link is gone", || fs::symlink_metadata(&node).is_err());
    // Where its watcher was killed as well, the next one takes the place over.
    symlink("/dev/pts/no-such", &node).expect("symlink");
    proxy(case, "loop", ["--pty"]).start().stop();
    assert!(fs::symlink_metadata(&node).is_err());
}

pub(crate) fn it_is_not_the_proxy_s_own_terminal(case: &Case) {
    if !has_program(case, "setsid") {
        return;
    }
    let node = case.node("node");
    let child = case
        .command("setsid")
        .arg("--wait")
        .arg(case.program("fusd-serial-proxy").get_program())
        .arg("loop")
        .arg(&node)
        // The seventh word is the number of the proxy's terminal (proc_pid_stat(5)).
        .args(["--pty", "--", "cat", "/proc/self/stat"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("setsid can be started");
    let ended = fusd_tests::wait::start(move || child.wait_with_output());
    let output = ended.wait().expect("setsid can be waited for");
    let stat = String::from_utf8_lossy(&output.stdout).into_owned();
    // The command's is that of the proxy, which it is in the session of.
    assert_eq!(stat.split(' ').nth(6), Some("0"), "{stat}");
}

pub(crate) fn it_can_control_a_session(case: &Case) {
    if !has_program(case, "setsid") {
        return;
    }
    let other = case.node("other");
    let driver = proxy(case, "pair", [&other]).arg("--pty").start();
    let (near, far) = (open(driver.node()), open(&other));
    // Another line discipline: one that each kernel has, N_NULL; TIOCSETD, TIOCGETD.
    for number in [27, 0] {
        set_int(&near, 0x5423, number);
        assert_eq!(int(&near, 0x5424), number);
    }
    stty(case, driver.node(), &["isig"]);
    let mut child = case
        .command("setsid")
        .args(["--ctty", "--wait", "sh", "-c"])
        .arg("trap 'echo caught >/dev/tty; exit 7' INT; echo waits >/dev/tty; while :; do sleep 1; done")
        .stdin(Stdio::from(near.into_fd()))
        .spawn()
        .expect("setsid can be started");
    assert_eq!(text(&far, 6), "waits\n");
    // Ctrl-C from the line.
    far.write(b"\x03").expect("write");
    assert_eq!(text(&far, 7), "caught\n");
    wait_until("it has ended", || child.try_wait().expect("wait").is_some());
    let status = child.wait().expect("its status");
    assert_eq!(status.code(), Some(7));
}

pub(crate) fn places_that_are_taken(case: &Case) {
    let file = case.file("file", b"precious");
    let mut driver = proxy(case, "/dev/null", ["--pty"]).spawn();
    assert_eq!(driver.wait().code(), Some(1));
    let errors = driver.errors();
    assert!(
        errors.contains("/dev/null") && errors.contains("ENOTTY"),
        "{errors}"
    );
    let node = case.node("node");
    symlink(&file, &node).expect("symlink");
    let mut driver = proxy(case, "loop", ["--pty"]).spawn();
    assert_eq!(driver.wait().code(), Some(73));
    assert!(driver.errors().contains("EEXIST"), "{}", driver.errors());
    assert_eq!(fs::read(&node).expect("read"), b"precious");
    let Some(cable) = Cable::new(case) else {
        fs::remove_file(&node).expect("rm");
        return;
    };
    stty(case, &cable.port(), &["icanon"]);
    let as_it_was = || {
        let said = stty(case, &cable.port(), &["-a"]);
        let mut words = said.split_whitespace();
        assert!(words.any(|word| word == "icanon"), "{said}");
    };
    let mut driver = proxy(case, cable.port(), ["--pty"]).spawn();
    assert_eq!(driver.wait().code(), Some(73));
    as_it_was();
    fs::remove_file(&node).expect("rm");
    // A port that somebody has locked.
    let port = open(&cable.port());
    flock(&port, FlockOperation::NonBlockingLockExclusive).expect("flock");
    let mut driver = proxy(case, cable.port(), ["--pty"]).spawn();
    assert_eq!(driver.wait().code(), Some(1));
    assert!(driver.errors().contains("EBUSY"), "{}", driver.errors());
    as_it_was();
}

pub(crate) fn two_are_joined(case: &Case) {
    let other = case.node("other");
    let driver = proxy(case, "pair", [&other]).start();
    let (near, far) = (open(driver.node()), open(&other));
    // More than all buffers on the way hold.
    let sent: Vec<u8> = (0..100_000_u32)
        .map(|place| ((place * 7) >> 3) as u8)
        .collect();
    let writing = near.start_write(&sent);
    assert!(read(&far, sent.len()) == sent);
    assert_eq!(writing.wait(), Ok(sent.len()));
    drop(far);
    drop(near);
    driver.stop();
}

pub(crate) fn a_close_loses_nothing(case: &Case) {
    // A port that takes no more than its buffer holds as long as nobody reads at the other side.
    let port = openpty(None, None).expect("a pseudo-terminal");
    let name = ttyname(&port.slave).expect("its name");
    rustix::io::ioctl_fionbio(&port.master, true).expect("FIONBIO");
    let driver = proxy(case, name, ["--pty"]).start();
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let client = File::options()
        .read(true)
        .write(true)
        .custom_flags(flags.bits())
        .open(driver.node());
    let mut client = client.expect("open");
    let mut sent: Vec<u8> = Vec::new();
    let mut takes = || {
        let letter = |place: usize| b'a' + (place / 7 % 26) as u8;
        let more: Vec<u8> = (sent.len()..sent.len() + 512).map(letter).collect();
        match client.write(&more) {
            Ok(count) => sent.extend(&more[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
            Err(error) => panic!("write: {error}"),
        }
        true
    };
    // Until all buffers on the way are full.
    while holds_within(Duration::from_millis(500), &mut takes) {}
    drop(client);
    let mut master = File::from(port.master);
    let mut got: Vec<u8> = Vec::new();
    holds_within(deadline(), || {
        // Little at a time, so that there is never room for all that waits.
        let mut part = [0; 256];
        match master.read(&mut part) {
            Ok(count) => got.extend(&part[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => panic!("read: {error}"),
        }
        got.len() >= sent.len()
    });
    let same = got
        .iter()
        .zip(&sent)
        .take_while(|(got, sent)| got == sent)
        .count();
    assert!(
        got == sent,
        "{same} as sent, {} of {}",
        got.len(),
        sent.len()
    );
}

pub(crate) fn a_port_is_locked_and_comes_back(case: &Case) {
    let Some(mut cable) = Cable::new(case) else {
        return;
    };
    let mut driver = proxy(case, cable.port(), ["--pty"]).start();
    let (node, far) = (open(driver.node()), cable.far());
    let mut second = proxy_at(case, "second", cable.port(), ["--pty"]).spawn();
    assert_eq!(second.wait().code(), Some(1));
    let errors = second.errors();
    assert!(
        errors.contains("EBUSY") && errors.contains("locked"),
        "{errors}"
    );
    // A machine whose folder is not there, or not for this user, has no such locks.
    let own = driver.pid();
    let probe = format!("/var/lock/fusd-test-{own}");
    let used = fs::write(&probe, "").is_ok_and(|()| fs::remove_file(&probe).is_ok());
    assert_eq!(locks_of(own), usize::from(used));
    node.write(b"one").expect("write");
    assert_eq!(text(&far, 3), "one");
    stty(case, driver.node(), &["4800"]);
    wait_until("the port follows", || {
        stty(case, &cable.port(), &[]).contains("speed 4800 baud")
    });
    drop(far);
    cable.unplug();
    driver.await_error("is lost");
    cable.plug_in();
    driver.await_error("is back");
    let far = cable.far();
    node.write(b"two").expect("write");
    assert_eq!(text(&far, 3), "two");
    far.write(b"three").expect("write");
    assert_eq!(text(&node, 5), "three");
    driver.stop_by(Signal::SIGTERM);
    assert_eq!(locks_of(own), 0);
}

pub(crate) fn what_goes_through_is_noted(case: &Case) {
    let [log, pcap] = ["log", "pcap"].map(|name| case.directory().join(name));
    let mut driver = proxy(case, "loop", ["--pty", "--stats", "--log"])
        .arg(&log)
        .arg("--pcap")
        .arg(&pcap)
        .start();
    let file = open(driver.node());
    file.write(b"hi\n").expect("write");
    assert_eq!(text(&file, 3), "hi\n");
    drop(file);
    driver.signal(Signal::SIGUSR1);
    driver.await_error("received 3 bytes, sent 3,");
    driver.stop_by(Signal::SIGTERM);
    let noted = fs::read_to_string(&log).expect("the log");
    for words in ["> dtr=1 rts=1\n", "> hi\\n\n", "< hi\\n\n"] {
        assert!(noted.contains(words), "{words:?} in {noted}");
    }
    let packets = fs::read(&pcap).expect("the capture");
    let data = packets.windows(3).filter(|bytes| bytes == b"hi\n").count();
    assert_eq!(data, 2, "sent and received");
    let errors = driver.errors();
    let told = errors.matches("received 3 bytes, sent 3,").count();
    assert_eq!(told, 2, "when asked, and at the end: {errors}");
}
