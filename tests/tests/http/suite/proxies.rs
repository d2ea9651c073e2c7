//! Ways to servers other than the straight one.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use fusd_tests::Case;
use nix::errno::Errno;

use crate::helper::{certificates, content, http, try_open};
use crate::programs::Program;
use crate::server::Server;

/// Has `hello` talk to each client that comes, and then leads it to `to`. Gives the port, and what clients
/// have asked for.
fn proxy(
    to: u16,
    hello: fn(&mut BufReader<TcpStream>) -> io::Result<String>,
) -> (u16, Receiver<String>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = listener.local_addr().expect("its number").port();
    let (tell, told) = mpsc::channel();
    // Nobody comes any more once the test has ended.
    thread::spawn(move || {
        for client in listener.incoming() {
            let tell = tell.clone();
            thread::spawn(move || {
                let mut client = BufReader::new(client?);
                // The test may have ended.
                let _ = tell.send(hello(&mut client)?);
                join(client, TcpStream::connect((Ipv4Addr::LOCALHOST, to))?)
            });
        }
    });
    (port, told)
}

/// Passes on what each says to the other.
fn join(mut client: BufReader<TcpStream>, mut server: TcpStream) -> io::Result<()> {
    let (mut back, mut from) = (client.get_ref().try_clone()?, server.try_clone()?);
    thread::spawn(move || {
        // Whichever end it comes to.
        let _ = io::copy(&mut from, &mut back);
        let _ = back.shutdown(Shutdown::Write);
    });
    io::copy(&mut client, &mut server)?;
    server.shutdown(Shutdown::Write)
}

/// SOCKS 5 (RFC 1928), for those who give a name: gives that, and the port.
fn socks(client: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut head = [0; 2];
    client.read_exact(&mut head)?;
    client.read_exact(&mut vec![0; head[1].into()])?;
    client.get_mut().write_all(&[5, 0])?;
    let mut head = [0; 5];
    client.read_exact(&mut head)?;
    assert_eq!(head[..4], [5, 1, 0, 3], "CONNECT to a name");
    let (mut name, mut port) = (vec![0; head[4].into()], [0; 2]);
    client.read_exact(&mut name)?;
    client.read_exact(&mut port)?;
    client
        .get_mut()
        .write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])?;
    let (name, port) = (String::from_utf8_lossy(&name), u16::from_be_bytes(port));
    Ok(format!("{name}:{port}"))
}

/// The method CONNECT (RFC 9110, 9.3.6): gives the request's first line.
fn connect(client: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut first = String::new();
    client.read_line(&mut first)?;
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        client.read_line(&mut line)?;
    }
    client.get_mut().write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    Ok(first)
}

pub(crate) fn servers_are_reached_by_sockets_and_proxies(case: &Case) {
    case.file("page", b"reached\n");
    let socket = case.directory().join("socket").display().to_string();
    let configuration = format!("listen 127.0.0.1:PORT; listen unix:{socket};");
    let Some(server) = Program::nginx(case, &configuration) else {
        return;
    };
    let driver = http(case, "http://name.invalid/page", ["--unix-socket", &socket]).start();
    assert_eq!(content(&driver), b"reached\n");
    drop(server);
    assert_eq!(try_open(&driver).map(drop), Err(Errno::ECONNREFUSED));
    driver.stop();
    let proxy = Server::start(|asked, line| line.answer("200 OK", "", asked.path.clone()));
    let driver = http(
        case,
        "http://name.invalid/page",
        ["--proxy", &proxy.url("")],
    )
    .start();
    assert_eq!(content(&driver), b"http://name.invalid/page");
    driver.stop();
}

pub(crate) fn names_are_looked_up_by_the_proxy(case: &Case) {
    let server = Server::start(|asked, line| {
        line.answer("200 OK", "", asked.header("host").unwrap_or_default());
    });
    let (port, told) = proxy(server.port(), socks);
    let proxy = format!("socks5h://127.0.0.1:{port}");
    let url = "http://name.invalid/page";
    let driver = http(case, url, ["--proxy", &proxy]).start();
    assert_eq!(content(&driver), b"name.invalid");
    let asked = told.recv_timeout(fusd_tests::wait::deadline());
    assert_eq!(asked.as_deref(), Ok("name.invalid:80"));
    driver.stop();
    // No such proxy.
    let driver = http(case, url, ["--proxy", "socks5h://127.0.0.1:1"]).start();
    assert_eq!(try_open(&driver).map(drop), Err(Errno::EIO));
    driver.await_error("socks proxy");
    driver.stop();
}

pub(crate) fn tls_goes_through_a_proxy(case: &Case) {
    case.file("page", b"secure\n");
    let path = certificates(case);
    let configuration = format!(
        "listen 127.0.0.1:PORT ssl; ssl_certificate {}; ssl_certificate_key {};",
        path("server.pem"),
        path("server.key"),
    );
    let Some(server) = Program::nginx(case, &configuration) else {
        return;
    };
    let (port, told) = proxy(server.port, connect);
    let (url, proxy) = (
        server.url("/page").replace("http:", "https:"),
        format!("http://127.0.0.1:{port}"),
    );
    let driver = http(case, &url, ["--ca", &path("ca.pem"), "--proxy", &proxy]).start();
    assert_eq!(content(&driver), b"secure\n");
    let asked = told.recv_timeout(fusd_tests::wait::deadline());
    let wanted = format!("CONNECT 127.0.0.1:{} HTTP/1.1\r\n", server.port);
    assert_eq!(asked, Ok(wanted));
    driver.stop();
}
