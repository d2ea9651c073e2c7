//! Where an example is tried: a directory, and a bash in it that does what a person would type.

use std::env;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use fusd_tests::packages::nats_server;
use fusd_tests::wait::wait_until;
use fusd_tests::{Case, binaries};

use crate::Example;
use crate::page::Block;

/// What the shell knows besides. It cannot wait for ever: the test's deadline ends it.
const FUNCTIONS: &str = r#"
until_true() { until "$@" >/dev/null 2>&1; do sleep 0.02; done; }
ready() { test "$(grep -c 'is ready' said)" -ge "$1"; }
start_queue() {
    "$NATS_SERVER" --addr 127.0.0.1 --port -1 --ports_file_dir . --jetstream --store_dir . --log nats.log &
    server=$!
    until_true sh -c 'grep nats://127 nats-server_*.ports'
    queue=$(grep -o 'nats://127[0-9.:]*' nats-server_*.ports | head -n 1)
}
start_pages() {
    python3 pages.py >pages.log 2>&1 &
    server=$!
    until_true test -s port
    pages=http://127.0.0.1:$(cat port)
}
"#;

/// The server of the pages that examples read and write.
const PAGES: &str = r#"
import http.server

class Page(http.server.BaseHTTPRequestHandler):
    told = False

    def answer(self, body, status=200):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path == "/events":
            self.answer(b"" if Page.told else b"data: one\n\ndata: two\n\n", 204 if Page.told else 200)
            Page.told = True
        else:
            self.answer({
                "/big.tar": b"x" * 1000000 + b"done\n",
                "/weather": b"sunny\n",
                "/weather.json": b'{"degrees": 21.5}',
            }[self.path])

    def do_POST(self):
        if "Content-Length" in self.headers:
            body = self.rfile.read(int(self.headers["Content-Length"]))
        else:
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        with open("posted", "ab") as file:
            file.write(body + b"\n")
        self.answer(body.upper())

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
with open("port", "w") as file:
    file.write(str(server.server_port))
server.serve_forever()
"#;

/// Ends what the example has left running, and waits for it: the last first, as it may be the client of one
/// before, and would say that it has lost it. Then the server, which any may need to the last.
const END: &str = r#"
for job in $(jobs -p | grep -vx "${server:-none}" | tac); do
    kill $job 2>/dev/null
    wait $job
done
kill $server 2>/dev/null
wait
"#;

/// What stands for "/dev/" where it is not to be translated.
const OWN_DEV: &str = "@dev@";

/// Whether this is a guest of the lab, where /dev is the test's own.
pub(crate) fn is_guest() -> bool {
    env::var_os("FUSD_LAB").is_some()
}

/// The place of one example.
pub(crate) struct Scene<'a> {
    case: &'a Case,
    directory: PathBuf,
}

impl Drop for Scene<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let read = |name| fs::read_to_string(self.directory.join(name)).unwrap_or_default();
            let (printed, said) = (read("printed"), read("said"));
            eprintln!("--- the example has printed:\n{printed}--- and said:\n{said}---");
        }
    }
}

impl<'a> Scene<'a> {
    pub(crate) fn new(case: &'a Case, number: usize) -> Self {
        let directory = case.directory().join(number.to_string());
        fs::create_dir_all(directory.join("dev")).expect("a directory for the example");
        fs::write(directory.join("pages.py"), PAGES).expect("a file of the example");
        Self { case, directory }
    }

    /// Runs the example; gives what it has printed. `None` where what it needs is not there: the test is
    /// then skipped.
    pub(crate) fn run(&self, block: &Block, example: &Example) -> Option<String> {
        let file = |name: &str| File::create(self.directory.join(name)).expect("a file");
        let path = env::var("PATH").expect("a PATH");
        let path = format!("{}:{path}", binaries::directory().display());
        let mut bash: Command = self.case.command("bash");
        bash.args(["-c", &self.script(block, example)])
            .current_dir(&self.directory)
            .env("PATH", path)
            .stdin(Stdio::null())
            .stdout(file("printed"))
            .stderr(file("said"));
        if !is_guest() {
            bash.env("FUSD_BACKEND", "fuse");
        }
        if example.before.contains("start_queue") {
            bash.env("NATS_SERVER", nats_server(self.case)?);
        }
        let mut bash = bash.spawn().expect("bash can be started");
        let mut ended = || bash.try_wait().expect("bash can be waited for").is_some();
        wait_until("the example has ended", &mut ended);
        Some(self.read("printed"))
    }

    /// What has been said on standard error.
    pub(crate) fn said(&self) -> String {
        self.read("said")
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.directory.join(name)).expect("a file of the example")
    }

    fn script(&self, block: &Block, example: &Example) -> String {
        let mut script = format!("{FUNCTIONS}\n{}\n", example.before);
        let mut nodes = 0;
        for (number, command) in block.commands.iter().enumerate() {
            let stays = example.stays.contains(&number);
            // This has a /dev of its own wherever it runs.
            let has_own = command.starts_with("fusd run ");
            match has_own {
                true => script.push_str(&command.replace("/dev/", OWN_DEV)),
                false => script.push_str(command),
            }
            script.push_str(if stays { " &\n" } else { "\n" });
            let in_background = stays || command.ends_with('&');
            if in_background && command.contains("fusd-") {
                // A person types more slowly than the node comes.
                nodes += 1;
                script.push_str(&format!("until_true ready {nodes}\n"));
            }
        }
        script.push_str(example.after);
        script.push_str(END);
        self.translate(&script)
    }

    /// The script with places of the test's own where the example's are the machine's.
    fn translate(&self, script: &str) -> String {
        let script = script
            .replace("/etc/motd", "./motd")
            .replace("/etc/fusd", "./etc")
            .replace("/var/lib/jobs", "./kept")
            .replace("nats://queue", "$queue")
            .replace("http://127.0.0.1:8080", "$pages");
        if is_guest() {
            return script.replace(OWN_DEV, "/dev/");
        }
        let own = format!("{}/dev/", self.directory.display());
        let null = "/dev/null";
        script
            .replace(null, "@null@")
            .replace("/dev/", &own)
            .replace("@null@", null)
            .replace(OWN_DEV, "/dev/")
            .replace("--name ", &format!("--path {own}"))
    }
}
