//! Server-sent events (WHATWG HTML, 9.2): which event came last, and what the events say.

use std::time::Duration;

use clap::ValueEnum;

/// The longest event, in bytes: a server that never ends one shall not fill the memory.
const LONGEST: usize = 4 << 20;

/// What `--sse` takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Sse {
    /// The data of each event, and a newline
    Data,
    /// The stream as it comes
    Raw,
}

/// A stream of events, as far as it has come.
#[derive(Debug)]
pub(crate) struct Events {
    form: Sse,
    line: Vec<u8>,
    /// The line before has ended with CR: LF belongs to it.
    after_return: bool,
    first: bool,
    data: Vec<u8>,
    has_data: bool,
    id: Option<Vec<u8>>,
    /// What to send as Last-Event-ID.
    last_id: Option<Vec<u8>>,
    retry: Option<Duration>,
}

/// An event that is too long.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

impl Events {
    pub(crate) fn new(form: Sse) -> Self {
        Self {
            form,
            line: Vec::new(),
            after_return: false,
            first: true,
            data: Vec::new(),
            has_data: false,
            id: None,
            last_id: None,
            retry: None,
        }
    }

    /// The event that came last, if it has a name.
    pub(crate) fn last_id(&self) -> Option<&[u8]> {
        self.last_id.as_deref().filter(|id| !id.is_empty())
    }

    /// How long the server wants to be left alone after the connection broke.
    pub(crate) fn retry(&self) -> Option<Duration> {
        self.retry
    }

    /// Another connection begins: what was begun on the one before never comes to its end.
    pub(crate) fn reconnect(&mut self) {
        self.line.clear();
        self.data.clear();
        self.id.clone_from(&self.last_id);
        self.has_data = false;
        self.after_return = false;
        self.first = true;
    }

    /// Takes what came; puts what readers get of it into `out`.
    ///
    /// # Errors
    /// An event is too long; those before it are there.
    pub(crate) fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), TooLong> {
        if self.form == Sse::Raw {
            out.extend(bytes);
        }
        for byte in bytes {
            let joined = std::mem::replace(&mut self.after_return, *byte == b'\r');
            match byte {
                b'\n' if joined => {}
                b'\n' | b'\r' => {
                    let line = std::mem::take(&mut self.line);
                    self.end_line(&line, out);
                }
                _ if self.line.len() + self.data.len() >= LONGEST => return Err(TooLong),
                _ => self.line.push(*byte),
            }
        }
        Ok(())
    }

    fn end_line(&mut self, line: &[u8], out: &mut Vec<u8>) {
        let line = match std::mem::take(&mut self.first) {
            true => line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line),
            false => line,
        };
        if line.is_empty() {
            self.dispatch(out);
            return;
        }
        let (name, value) = match line.iter().position(|byte| *byte == b':') {
            Some(0) => return,
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &line[line.len()..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"data" => {
                if self.has_data {
                    self.data.push(b'\n');
                }
                self.data.extend(value);
                self.has_data = true;
            }
            b"id" if !value.contains(&0) => self.id = Some(value.to_vec()),
            b"retry" => {
                let digits = value.iter().all(u8::is_ascii_digit);
                let millis = std::str::from_utf8(value).ok().filter(|_| digits);
                if let Some(millis) = millis.and_then(|it| it.parse().ok()) {
                    self.retry = Some(Duration::from_millis(millis));
                }
            }
            _ => {}
        }
    }

    fn dispatch(&mut self, out: &mut Vec<u8>) {
        if self.id.is_some() {
            self.last_id.clone_from(&self.id);
        }
        let data = std::mem::take(&mut self.data);
        if std::mem::take(&mut self.has_data) && self.form == Sse::Data {
            out.extend(data);
            out.push(b'\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(events: &mut Events, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        events.feed(bytes, &mut out).unwrap();
        out
    }

    const STREAM: &[u8] =
        b"\xef\xbb\xbf: hello\ndata: one\nid: 1\n\ndata: two\r\ndata:three\r\n\r\nevent: x\rdata\r\r\
        id: 2\nretry: 1500\n\ndata: never ended";

    #[test]
    fn data_is_what_events_say() {
        for size in [1, 2, 7, STREAM.len()] {
            let mut events = Events::new(Sse::Data);
            let mut out = Vec::new();
            for piece in STREAM.chunks(size) {
                out.extend(feed(&mut events, piece));
            }
            assert_eq!(
                String::from_utf8(out).unwrap(),
                "one\ntwo\nthree\n\n",
                "{size}"
            );
            assert_eq!(events.last_id(), Some(&b"2"[..]));
            assert_eq!(events.retry(), Some(Duration::from_millis(1500)));
        }
    }

    #[test]
    fn raw_is_all_there_is_and_its_ids_are_known() {
        let mut events = Events::new(Sse::Raw);
        assert_eq!(feed(&mut events, STREAM), STREAM);
        assert_eq!(events.last_id(), Some(&b"2"[..]));
    }

    #[test]
    fn what_a_broken_connection_has_begun_is_forgotten() {
        let mut events = Events::new(Sse::Data);
        assert_eq!(feed(&mut events, b"id: 5\ndata: half"), b"");
        assert_eq!(events.last_id(), None, "it has not ended");
        events.reconnect();
        assert_eq!(feed(&mut events, b"data: whole\n\n"), b"whole\n");
    }

    #[test]
    fn an_endless_event_is_an_error() {
        let mut events = Events::new(Sse::Data);
        let mut out = Vec::new();
        let stream = [b"data: whole\n\n", &vec![b'x'; LONGEST + 1][..]].concat();
        assert_eq!(events.feed(&stream, &mut out), Err(TooLong));
        assert_eq!(out, b"whole\n", "what was before it");
    }
}
