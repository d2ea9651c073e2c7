//! An HTTP server of the test's own, which says exactly what the test has it say, right or wrong.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use fusd_tests::ports;
use fusd_tests::wait::wait_until;

/// A request, as it came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    /// Names in lower case.
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find(|it| it.0 == name).map(|it| it.1.as_str())
    }

    /// The first and the last byte of a range that is asked for.
    pub(crate) fn range(&self) -> Option<(usize, usize)> {
        let range = self.header("range")?.strip_prefix("bytes=")?;
        let (first, last) = range.split_once('-')?;
        Some((first.parse().ok()?, last.parse().ok()?))
    }
}

type Handler = dyn Fn(&Asked, &mut Line) + Send + Sync;

/// The connection to a client, which closes when the handler returns.
pub(crate) struct Line {
    stream: TcpStream,
    open: Arc<AtomicUsize>,
}

impl Line {
    /// Says something, exactly so. The client may have gone.
    pub(crate) fn say(&mut self, bytes: impl AsRef<[u8]>) {
        // What becomes of it is what the test looks at.
        let _ = self.stream.write_all(bytes.as_ref());
    }

    /// Says a whole answer.
    pub(crate) fn answer(&mut self, status: &str, headers: &str, body: impl AsRef<[u8]>) {
        let body = body.as_ref();
        self.say(format!(
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n",
            body.len()
        ));
        self.say(body);
    }

    /// Says what a good server says: the range that is asked for, of this version.
    pub(crate) fn page(&mut self, asked: &Asked, content: &[u8], etag: &str) {
        let part = |part: Range<usize>| content[part].to_vec();
        self.part(asked, content.len(), part, etag);
    }

    /// The same of a page of `total` bytes, which are made when they are asked for.
    pub(crate) fn part(
        &mut self,
        asked: &Asked,
        total: usize,
        content: impl Fn(Range<usize>) -> Vec<u8>,
        etag: &str,
    ) {
        let tag = format!("ETag: {etag}\r\n");
        let same = asked.header("if-range").is_none_or(|it| it == etag);
        match asked.range().filter(|_| same) {
            Some((first, _)) if first >= total => {
                let range = format!("Content-Range: bytes */{total}\r\n{tag}");
                self.answer("416 Range Not Satisfiable", &range, "");
            }
            Some((first, last)) => {
                let last = last.min(total - 1);
                let range = format!("Content-Range: bytes {first}-{last}/{total}\r\n{tag}");
                self.answer("206 Partial Content", &range, content(first..last + 1));
            }
            None => self.answer("200 OK", &tag, content(0..total)),
        }
    }

    /// Says a piece of an answer whose head has said `Transfer-Encoding: chunked`.
    pub(crate) fn chunk(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        self.say(format!("{:x}\r\n", bytes.len()));
        self.say(bytes);
        self.say("\r\n");
    }

    /// Waits until the client has closed the connection.
    pub(crate) fn wait_for_end(&mut self) {
        let mut bytes = [0; 1024];
        while matches!(self.stream.read(&mut bytes), Ok(1..)) {}
    }

    /// Breaks the connection: the client gets a reset.
    pub(crate) fn reset(&mut self) {
        let linger =
            rustix::net::sockopt::set_socket_linger(&self.stream, Some(std::time::Duration::ZERO));
        linger.expect("a socket's option");
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The server. Dropped, it takes no more connections.
pub(crate) struct Server {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    open: Arc<AtomicUsize>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Answers each request as `handler` says.
    pub(crate) fn start(handler: impl Fn(&Asked, &mut Line) + Send + Sync + 'static) -> Self {
        let listener = ports::listen();
        let address = listener.local_addr().expect("its number");
        let handler: Arc<Handler> = Arc::new(handler);
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let (open, ends) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let mut server = Self {
            address,
            asked: Arc::clone(&asked),
            open: Arc::clone(&open),
            ends: Arc::clone(&ends),
            thread: None,
        };
        let serve = move || {
            for stream in listener.incoming() {
                if ends.load(Ordering::SeqCst) {
                    return;
                }
                let stream = stream.expect("a connection");
                open.fetch_add(1, Ordering::SeqCst);
                let line = Line {
                    stream,
                    open: Arc::clone(&open),
                };
                let (handler, asked) = (Arc::clone(&handler), Arc::clone(&asked));
                thread::spawn(move || serve_one(line, &*handler, &asked));
            }
        };
        server.thread = Some(thread::spawn(serve));
        server
    }

    /// A URL of this server.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Its port.
    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// All requests so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        lock(&self.asked).clone()
    }

    /// Waits until this many requests have come, since the beginning.
    #[track_caller]
    pub(crate) fn await_asked(&self, count: usize) {
        wait_until("the requests come", || lock(&self.asked).len() >= count);
    }

    /// Waits until no handler runs.
    #[track_caller]
    pub(crate) fn await_idle(&self) {
        let open = || self.open.load(Ordering::SeqCst);
        wait_until("the connections end", || open() == 0);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
        // So that it looks up.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the server does not panic");
        }
    }
}

fn serve_one(mut line: Line, handler: &Handler, asked: &Mutex<Vec<Asked>>) {
    let mut reader = BufReader::new(line.stream.try_clone().expect("a descriptor"));
    match read(&mut reader) {
        Ok(Some(request)) => {
            lock(asked).push(request.clone());
            handler(&request, &mut line);
            // What follows the end of an answer is its end.
            let _ = line.stream.shutdown(Shutdown::Write);
        }
        // A connection that was not used, or was given up.
        Ok(None) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        // It speaks something else.
        Err(_) => line.say("what?\r\n\r\n"),
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> std::io::Result<Option<Asked>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split(' ').map(str::to_owned);
    let mut asked = Asked {
        method: words.next().unwrap_or_default(),
        path: words.next().unwrap_or_default(),
        ..Asked::default()
    };
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        match line.trim_end().split_once(':') {
            Some((name, value)) => {
                let header = (name.to_ascii_lowercase(), value.trim().to_owned());
                asked.headers.push(header);
            }
            None => break,
        }
    }
    if let Some(length) = asked.header("content-length") {
        asked.body = vec![0; length.parse().expect("a length")];
        reader.read_exact(&mut asked.body)?;
    } else if asked.header("transfer-encoding").is_some() {
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(None);
            }
            let length = usize::from_str_radix(line.trim(), 16).expect("a chunk's length");
            let mut chunk = vec![0; length + 2];
            reader.read_exact(&mut chunk)?;
            asked.body.extend(&chunk[..length]);
            if length == 0 {
                break;
            }
        }
    }
    Ok(Some(asked))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
