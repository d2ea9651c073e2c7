//! A NATS server of the test's own, which can be killed and started again at the same place.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use fusd_tests::packages::nats_server;
use fusd_tests::wait::{deadline, wait_until};
use fusd_tests::{Case, ports};

/// nats-server(8), with streams in the test's directory. Dropped, it is killed.
pub(crate) struct Server<'a> {
    case: &'a Case,
    program: PathBuf,
    port: u16,
    child: Option<Child>,
}

impl<'a> Server<'a> {
    /// Starts one; `None` where there is none on this machine: the test is then to return.
    #[track_caller]
    pub(crate) fn start(case: &'a Case) -> Option<Self> {
        let program = nats_server(case)?;
        let mut server = Self {
            case,
            program,
            port: ports::free(),
            child: None,
        };
        server.begin();
        Some(server)
    }

    /// Its URL.
    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Its port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Has it do something, by a message that is a question.
    ///
    /// # Panics
    /// It refuses.
    #[track_caller]
    pub(crate) fn ask(&self, subject: &str, question: &str) -> String {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).expect("connect");
        limit(&stream);
        let length = question.len();
        let lines = format!(
            "CONNECT {{\"verbose\":false}}\r\nSUB answer 1\r\nPUB {subject} answer {length}\r\n\
             {question}\r\n"
        );
        (&stream).write_all(lines.as_bytes()).expect("ask");
        let mut lines = BufReader::new(&stream)
            .lines()
            .map(|line| line.expect("an answer"));
        let head = lines.by_ref().find(|line| line.starts_with("MSG answer "));
        assert!(head.is_some(), "no answer to {subject}");
        let answer = lines.next().expect("an answer");
        assert!(!answer.contains("\"error\""), "{subject}: {answer}");
        answer
    }

    /// What its file `name` has, of those in which it keeps streams.
    pub(crate) fn file(&self, name: &str) -> Vec<u8> {
        fs::read(self.streams().join(name)).unwrap_or_default()
    }

    /// Empties its folder `name`, of those in which it keeps streams.
    #[track_caller]
    pub(crate) fn lose(&self, name: &str) {
        let folder = self.streams().join(name);
        fs::remove_dir_all(&folder).expect("the folder can be removed");
        fs::create_dir(&folder).expect("the folder can be made");
    }

    fn streams(&self) -> PathBuf {
        self.case.directory().join("streams/jetstream/$G/streams")
    }

    /// Kills it: what it has not written to its files is lost.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("the server can be killed");
            child.wait().expect("the server can be waited for");
        }
    }

    /// Starts it again, with what its files have.
    #[track_caller]
    pub(crate) fn begin(&mut self) {
        let log = self.log();
        let child = self
            .case
            .command(self.program.to_str().expect("a path in UTF-8"))
            .args(["--addr", "127.0.0.1", "--jetstream", "--port"])
            .arg(self.port.to_string())
            .arg("--store_dir")
            .arg(self.case.directory().join("streams"))
            .arg("--log")
            .arg(&log)
            .stdin(Stdio::null())
            .spawn();
        self.child = Some(child.expect("the server can be started"));
        let port = self.port;
        let child = self.child.as_mut().expect("it is started");
        wait_until("the server answers", || {
            let ended = child.try_wait().expect("the server can be waited for");
            assert!(ended.is_none(), "it ended: {ended:?}\n{}", read(&log));
            answers(port)
        });
    }

    fn log(&self) -> PathBuf {
        self.case.directory().join("nats.log")
    }
}

impl Drop for Server<'_> {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- the NATS server said:\n{}---", read(&self.log()));
        }
    }
}

fn read(log: &Path) -> String {
    fs::read_to_string(log).unwrap_or_default()
}

/// Whether the server says who it is, as it does when it serves.
fn answers(port: u16) -> bool {
    let Ok(stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else {
        return false;
    };
    limit(&stream);
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).is_ok() && line.starts_with("INFO ")
}

/// Has a read end in time.
fn limit(stream: &TcpStream) {
    let limit = deadline().max(Duration::from_secs(1));
    stream.set_read_timeout(Some(limit)).expect("a limit");
}
