//! Ports at the other end of a connection: ser2net(8) offers one.

use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::process::{Child, Stdio};

use crate::helper::{Cable, has_program, open, proxy, read, stty, text};
use fusd_tests::Case;
use fusd_tests::wait::wait_until;

/// A server. Dropped, it is killed.
struct Server<'a> {
    case: &'a Case,
    lines: String,
    child: Child,
    port: u16,
}

impl<'a> Server<'a> {
    /// Offers `cable` in this way.
    ///
    /// `None` where there can be none: the test is then to return.
    #[track_caller]
    fn start(case: &'a Case, cable: &Cable<'_>, way: &str) -> Option<Self> {
        if std::env::var_os("FUSD_LAB").is_some() {
            // It asks for addresses with AI_ADDRCONFIG (getaddrinfo(3)).
            case.skip("ser2net does nothing on a machine whose only network is its own");
            return None;
        }
        // The server takes it in a moment; until then, the system gives it to no one who does not ask
        // for this one.
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("its number").port();
        drop(listener);
        // One that has just gone keeps nobody out.
        let lines = format!(
            "connection: &port\n  accepter: {way},127.0.0.1,{port}\n  connector: \
             serialdev(nouucplock),{},9600n81,local\n  options:\n    max-connections: 8\n",
            cable.port().display()
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
        let address = (Ipv4Addr::LOCALHOST, self.port);
        wait_until("the server listens", || TcpStream::connect(address).is_ok());
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

pub(crate) fn a_serial_port_elsewhere(case: &Case) {
    if !has_program(case, "ser2net") {
        return;
    }
    let Some(cable) = Cable::new(case) else {
        return;
    };
    let Some(mut server) = Server::start(case, &cable, "telnet(rfc2217),tcp") else {
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

pub(crate) fn bytes_from_elsewhere(case: &Case) {
    if !has_program(case, "ser2net") {
        return;
    }
    let Some(cable) = Cable::new(case) else {
        return;
    };
    let Some(server) = Server::start(case, &cable, "tcp") else {
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
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
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
