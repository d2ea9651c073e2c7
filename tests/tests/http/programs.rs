//! Servers of others: each in the test's directory, at a port of its own. Dropped, they are killed.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use fusd_tests::wait::wait_until;
use fusd_tests::{Case, ports};

/// Such a server.
pub(crate) struct Program {
    pub(crate) port: u16,
    child: Child,
}

impl Program {
    /// Python's http.server(1) with the files of the test's directory; `None` where there is none on
    /// this machine: the test is then to return.
    #[track_caller]
    pub(crate) fn python(case: &Case) -> Option<Self> {
        let Some(program) = find("python3") else {
            case.skip("there is no python3; the package of that name has it");
            return None;
        };
        let port = ports::free();
        let mut command = case.command(program.to_str().expect("a path in UTF-8"));
        command
            .args(["-m", "http.server", "--bind", "127.0.0.1"])
            .arg(port.to_string())
            .arg("--directory")
            .arg(case.directory());
        Some(Self::start(command, port))
    }

    /// nginx(8) with this in its `server` block, where `PORT` stands for its port, and the test's
    /// directory as its root; `None` where there is none on this machine: the test is then to return.
    #[track_caller]
    pub(crate) fn nginx(case: &Case, server: &str) -> Option<Self> {
        let Some(program) = find("nginx") else {
            case.skip("there is no nginx; the package of that name has it");
            return None;
        };
        let port = ports::free();
        let home = case.directory().join("nginx");
        fs::create_dir(&home).expect("a directory");
        let home = home.to_str().expect("a path in UTF-8");
        let root = case.directory().display();
        let paths: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {home}/{name};\n"))
            .concat();
        let server = server.replace("PORT", &port.to_string());
        // A reader may pause for longer than the usual minute where all is slow.
        let configuration = format!(
            "daemon off; master_process off; pid {home}/pid; error_log {home}/error.log;\n\
             events {{ worker_connections 256; }}\n\
             http {{ access_log {home}/access.log;\n{paths}send_timeout 1h;\n\
             server {{ root {root}; {server} }} }}\n"
        );
        let file = case.file("nginx.conf", configuration.as_bytes());
        let mut command = case.command(program.to_str().expect("a path in UTF-8"));
        command.arg("-e").arg(format!("{home}/error.log"));
        command.arg("-c").arg(file);
        Some(Self::start(command, port))
    }

    #[track_caller]
    fn start(mut command: Command, port: u16) -> Self {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let mut program = Self {
            port,
            child: child.expect("the server can be started"),
        };
        wait_until("the server answers", || {
            let ended = program.child.try_wait().expect("it can be waited for");
            assert!(ended.is_none(), "it ended: {ended:?}");
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
        });
        program
    }

    /// A URL of this server.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.child.kill().expect("the server can be killed");
        self.child.wait().expect("the server can be waited for");
    }
}

/// A program in PATH, or where Debian has those for root.
fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut programs = std::env::split_paths(&path)
        .chain(["/usr/sbin".into()])
        .map(|folder| folder.join(name));
    programs.find(|program| program.is_file())
}
