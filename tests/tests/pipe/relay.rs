//! A wire to the server that can be cut at a given moment: with something on it that the server has
//! sent and the node has not got.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// Passes on what comes, both ways. It ends with the test's process.
pub(crate) struct Relay {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// What the server says stays here.
    holds: bool,
    held: Vec<u8>,
    /// Both ends of each connection that there has been since the last cut.
    open: Vec<TcpStream>,
}

impl Relay {
    /// Begins to listen, for connections to that port of this machine.
    pub(crate) fn start(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("its number");
        let state: Arc<Mutex<State>> = Arc::default();
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                // There may be no server now: then the client sees its connection end.
                if let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
                    join(client, server, &shared);
                }
            }
        });
        Self { address, state }
    }

    /// The URL that leads through here.
    pub(crate) fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// Keeps what the server says from now on, until the [`cut`](Self::cut).
    pub(crate) fn hold(&self) {
        lock(&self.state).holds = true;
    }

    /// Whether that has this text in it.
    pub(crate) fn has(&self, text: &str) -> bool {
        let held = &lock(&self.state).held;
        held.windows(text.len()).any(|part| part == text.as_bytes())
    }

    /// Ends all connections, and what was kept is gone. New ones are as at the start.
    pub(crate) fn cut(&self) {
        let mut state = lock(&self.state);
        for stream in std::mem::take(&mut *state).open {
            // The other side may have been faster.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn join(client: TcpStream, server: TcpStream, state: &Arc<Mutex<State>>) {
    let copy = |stream: &TcpStream| stream.try_clone().expect("a second handle");
    let (from_client, to_server) = (copy(&client), copy(&server));
    lock(state).open.extend([copy(&client), copy(&server)]);
    thread::spawn(move || pump(from_client, to_server, |_| false));
    let state = Arc::clone(state);
    thread::spawn(move || {
        pump(server, client, move |bytes| {
            let mut state = lock(&state);
            if state.holds {
                state.held.extend(bytes);
            }
            state.holds
        });
    });
}

/// Passes on what comes and is not `kept`, until one side ends, and ends the other.
fn pump(mut from: TcpStream, mut to: TcpStream, mut kept: impl FnMut(&[u8]) -> bool) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let bytes = &buffer[..count];
        if !kept(bytes) && to.write_all(bytes).is_err() {
            break;
        }
    }
    for stream in [from, to] {
        // It may have ended already.
        let _ = stream.shutdown(Shutdown::Both);
    }
}
