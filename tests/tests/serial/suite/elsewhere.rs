//! Ports at the other end of a connection: ser2net(8) offers one.

use std::net::Shutdown;
use std::path::Path;
use std::process::{Child, Stdio};

use crate::helper::{Cable, has_program, int, open, proxy, proxy_at, read, set_int, stty, text};
use fusd_tests::wait::{start, wait_until};
use fusd_tests::{Case, ports, sys};

/// A server. Dropped, it is killed.
struct Server<'a> {
    case: &'a Case,
    lines: String,
    child: Child,
    port: u16,
}

impl<'a> Server<'a> {
    /// Offers the port at `path` in this way.
    ///
    /// `None` where there can be none: the test is then to return.
    #[track_caller]
    fn start(case: &'a Case, path: &Path, way: &str) -> Option<Self> {
        if std::env::var_os("FUSD_LAB").is_some() && !has_address(case) {
            case.skip("ser2net does nothing on a machine whose only network is its own");
            return None;
        }
        let port = ports::free();
        // One that has just gone keeps nobody out.
        let lines = format!(
            "connection: &port\n  accepter: {way},127.0.0.1,{port}\n  connector: \
             serialdev(nouucplock),{},9600n81,local\n  options:\n    max-connections: 8\n",
            path.display()
        );
        let child = Self::spawn(case, &lines);
        let server = Self {
            case,
            lines,
            child,
            port,
        };
        server.await_start();
        Some(server)
    }

    fn spawn(case: &Case, lines: &str) -> Child {
        let file = case.file("ser2net.yaml", lines.as_bytes());
        let path = std::env::var("PATH").unwrap_or_default();
        case.command("ser2net")
            .env("PATH", format!("{path}:/usr/sbin"))
            .args(["-n", "-d", "-c"])
            .arg(file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            // It says that there is no mDNS.
            .stderr(Stdio::null())
            .spawn()
            .expect("ser2net can be started")
    }

    #[track_caller]
    fn await_start(&self) {
        wait_until("the server listens", || listens(self.port));
    }

    fn kill(&mut self) {
        self.child.kill().expect("the server can be killed");
        self.child.wait().expect("the server can be waited for");
    }

    #[track_caller]
    fn start_again(&mut self) {
        self.child = Self::spawn(self.case, &self.lines);
        self.await_start();
    }
}

impl Drop for Server<'_> {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// Whether anybody listens on this port (proc_net(5)): a connection to see that would be one for the
/// server to get rid of while the next one comes.
fn listens(port: u16) -> bool {
    let table = std::fs::read_to_string("/proc/net/tcp").expect("the kernel's table");
    let (port, listening) = (format!(":{port:04X}"), "0A");
    table.lines().any(|line| {
        let mut words = line.split_whitespace().skip(1);
        let (local, state) = (words.next(), words.nth(1));
        local.is_some_and(|local| local.ends_with(&port)) && state == Some(listening)
    })
}

/// Gives a guest of the lab, which has no other network, an address (of those for examples) besides
/// 127.0.0.1: the server asks for addresses with AI_ADDRCONFIG (getaddrinfo(3)).
fn has_address(case: &Case) -> bool {
    let added = case
        .command("ip")
        .args(["address", "replace", "192.0.2.1/32", "dev", "lo"])
        .status();
    added.is_ok_and(|status| status.success())
}

pub(crate) fn a_serial_port_elsewhere(case: &Case) {
    if !has_program(case, "ser2net") {
        return;
    }
    let Some(cable) = Cable::new(case) else {
        return;
    };
    let Some(mut server) = Server::start(case, &cable.port(), "telnet(rfc2217),tcp") else {
        return;
    };
    let url = format!("rfc2217://127.0.0.1:{}", server.port);
    let driver = proxy(case, url, ["--pty"]).start();
    let (node, far) = (open(driver.node()), cable.far());
    node.write(b"out\xff\n").expect("write");
    assert_eq!(read(&far, 5), b"out\xff\n");
    far.write(b"in\xff\xf0\n").expect("write");
    assert_eq!(read(&node, 5), b"in\xff\xf0\n");
    stty(case, driver.node(), &["57600", "cstopb"]);
    wait_until("the settings are there", || {
        let said = stty(case, &cable.port(), &["-a"]);
        said.contains("speed 57600 baud") && said.contains(" cstopb")
    });
    server.kill();
    driver.await_error("is lost");
    server.start_again();
    driver.await_error("is back");
    node.write(b"again").expect("write");
    assert_eq!(text(&far, 5), "again");
}

pub(crate) fn lines_of_a_port_elsewhere(case: &Case) {
    use libc::{TIOCM_CD, TIOCM_CTS, TIOCM_DSR, TIOCM_DTR, TIOCM_RTS};
    if !has_program(case, "ser2net") {
        return;
    }
    // The port is one end of a null modem, of whose other end the lines are seen.
    let other = case.node("other");
    let served = proxy_at(case, "served", "pair", [&other]).start();
    let far = open(&other);
    let Some(mut server) = Server::start(case, served.node(), "telnet(rfc2217),tcp") else {
        return;
    };
    let url = format!("rfc2217://127.0.0.1:{}", server.port);
    let driver = proxy(case, url, [""; 0]).start();
    let near = open(driver.node());
    let all = TIOCM_DSR | TIOCM_CD | TIOCM_CTS;
    let sees = |file, lines| {
        wait_until("the lines are seen", || {
            int(file, libc::TIOCMGET) & all == lines
        });
    };
    sees(&near, all);
    sees(&far, all);
    set_int(&near, libc::TIOCMBIC, TIOCM_DTR);
    sees(&far, TIOCM_CTS);
    set_int(&near, libc::TIOCMSET, TIOCM_DTR);
    sees(&far, TIOCM_DSR | TIOCM_CD);
    set_int(&far, libc::TIOCMBIC, TIOCM_RTS);
    sees(&near, TIOCM_DSR | TIOCM_CD);
    stty(case, &other, &["raw", "parmrk", "-ignbrk", "-brkint"]);
    nix::sys::termios::tcsendbreak(&near, 0).expect("tcsendbreak");
    assert_eq!(read(&far, 3), b"\xff\0\0");
    set_int(&near, libc::TIOCMBIS, TIOCM_RTS);
    sees(&far, all);
    // With the port goes its carrier.
    sees(&near, TIOCM_DSR | TIOCM_CD);
    let waiting = {
        let near = near.duplicate();
        start(move || sys::ioctl_value(&near, 0x545c, TIOCM_CD as usize))
    };
    server.kill();
    driver.await_error("is lost");
    sees(&near, 0);
    server.start_again();
    driver.await_error("is back");
    // It may have begun only then.
    assert_eq!(waiting.wait(), Ok(0), "TIOCMIWAIT");
    sees(&near, TIOCM_DSR | TIOCM_CD);
}

pub(crate) fn bytes_from_elsewhere(case: &Case) {
    if !has_program(case, "ser2net") {
        return;
    }
    let Some(cable) = Cable::new(case) else {
        return;
    };
    let Some(server) = Server::start(case, &cable.port(), "tcp") else {
        return;
    };
    let url = format!("tcp://127.0.0.1:{}", server.port);
    let driver = proxy(case, url, ["--pty"]).start();
    let (node, far) = (open(driver.node()), cable.far());
    let all: Vec<u8> = (0..=255).collect();
    node.write(&all).expect("write");
    assert_eq!(read(&far, 256), all);
    far.write(&all).expect("write");
    assert_eq!(read(&node, 256), all);
}

pub(crate) fn nobody_elsewhere(case: &Case) {
    let listener = ports::listen();
    let port = listener.local_addr().expect("its number").port();
    let url = format!("rfc2217://127.0.0.1:{port}");
    let refused = |reason: &str| {
        let mut driver = proxy(case, &url, ["--pty"]).spawn();
        assert_eq!(driver.wait().code(), Some(1));
        let errors = driver.errors();
        assert!(errors.contains(&url) && errors.contains(reason), "{errors}");
    };
    let hangs_up = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("accept");
        stream.shutdown(Shutdown::Write).expect("shutdown");
        // To its end: closed before, it would be reset.
        std::io::copy(&mut stream, &mut std::io::sink()).expect("read");
    });
    refused("EPROTO");
    hangs_up.join().expect("the listener");
    refused("ECONNREFUSED");
}
