//! nginx, at a port of its own.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, ensure};

use super::way::wait_until;

/// A running nginx. Dropped, it is killed.
pub(crate) struct Nginx {
    pub(crate) port: u16,
    child: Child,
}

impl Nginx {
    /// Serves the files of `root`, with lists of them; its own go to `home`.
    pub(crate) fn start(home: &Path, root: &Path) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port")?;
        let port = listener.local_addr()?.port();
        drop(listener);
        let (home, root) = (home.display(), root.display());
        let paths: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {home}/{name};\n"))
            .concat();
        // One process, which serves as the user who starts it.
        let configuration = format!(
            "daemon off; master_process off; pid {home}/pid; error_log {home}/error.log;\n\
             events {{ worker_connections 1024; }}\n\
             http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000;\n{paths}\
             server {{ listen 127.0.0.1:{port}; root {root}; autoindex on; }} }}\n"
        );
        let file = format!("{home}/nginx.conf");
        std::fs::write(&file, configuration).context("cannot configure nginx")?;
        let mut command = Command::new(program());
        command.args(["-e", &format!("{home}/error.log"), "-c", &file]);
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = child.spawn();
        let child = child.context("cannot run nginx; the package of that name has it")?;
        let mut nginx = Self { port, child };
        wait_until("nginx answers", || {
            let ended = nginx.child.try_wait()?;
            ensure!(ended.is_none(), "nginx has ended: {ended:?}");
            Ok(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok())
        })?;
        Ok(nginx)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Debian has it where an ordinary user may not look.
fn program() -> &'static str {
    match Path::new("/usr/sbin/nginx").exists() {
        true => "/usr/sbin/nginx",
        false => "nginx",
    }
}
