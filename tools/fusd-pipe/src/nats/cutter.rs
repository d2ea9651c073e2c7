//! Cuts what a writer writes into messages: records, or pieces of a stream of bytes.

use fusd::Errno;

use crate::settings::Records;

/// One writer's content.
#[derive(Debug)]
pub(crate) struct Cutter {
    records: Records,
    /// Bytes that a message may have, at least 1.
    limit: usize,
    /// The beginning of a line that is not complete, and what is to be put before it.
    line: Vec<u8>,
    label: Vec<u8>,
}

/// What is next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Bytes of the writer's.
    pub(crate) count: usize,
    /// What they make; `None`: a line that is not complete.
    pub(crate) message: Option<Vec<u8>>,
}

impl Cutter {
    pub(crate) fn new(records: Records, limit: usize) -> Self {
        Self {
            records,
            limit,
            line: Vec::new(),
            label: Vec::new(),
        }
    }

    /// What comes first in `data`, which is not empty. It stays there until it is
    /// [taken](Self::take).
    ///
    /// # Errors
    /// `EMSGSIZE`: a record is larger than a message may be.
    pub(crate) fn next(&self, data: &[u8], label: &[u8]) -> Result<Piece, Errno> {
        let piece = match self.records {
            Records::None => Piece {
                count: data.len().min(self.limit),
                message: Some(data[..data.len().min(self.limit)].to_vec()),
            },
            Records::Write => Piece {
                count: data.len(),
                message: Some([label, data].concat()),
            },
            Records::Line => match data.iter().position(|byte| *byte == b'\n') {
                Some(end) => Piece {
                    count: end + 1,
                    message: Some([label, &self.line, &data[..=end]].concat()),
                },
                None => Piece {
                    count: data.len(),
                    message: None,
                },
            },
        };
        let length = match &piece.message {
            Some(message) => message.len(),
            None => label.len() + self.line.len() + data.len(),
        };
        match length <= self.limit {
            true => Ok(piece),
            false => Err(Errno::EMSGSIZE),
        }
    }

    /// Takes what came first in `data`.
    pub(crate) fn take(&mut self, piece: &Piece, data: &[u8], label: &[u8]) {
        match piece.message {
            Some(_) => self.line.clear(),
            None => {
                self.line.extend(&data[..piece.count]);
                label.clone_into(&mut self.label);
            }
        }
    }

    /// What is left when the writer goes: a line that has not come to its end is one all the same.
    pub(crate) fn rest(self) -> Option<Vec<u8>> {
        (!self.line.is_empty()).then(|| [self.label, self.line].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The messages of these writes, and what is left.
    fn cut(records: Records, limit: usize, writes: &[&str]) -> (Vec<String>, Option<String>) {
        let mut cutter = Cutter::new(records, limit);
        let mut messages = Vec::new();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        for write in writes {
            let mut data = write.as_bytes();
            while !data.is_empty() {
                let piece = cutter.next(data, b"me: ").unwrap();
                cutter.take(&piece, data, b"me: ");
                data = &data[piece.count..];
                messages.extend(piece.message.map(text));
            }
        }
        (messages, cutter.rest().map(text))
    }

    #[test]
    fn bytes_come_in_pieces() {
        let (messages, rest) = cut(Records::None, 4, &["abcdefghij", "k"]);
        assert_eq!(messages, ["abcd", "efgh", "ij", "k"]);
        assert_eq!(rest, None);
    }

    #[test]
    fn a_write_is_a_message() {
        let (messages, rest) = cut(Records::Write, 7, &["a\nb", "c"]);
        assert_eq!(messages, ["me: a\nb", "me: c"]);
        assert_eq!(rest, None);
        let cutter = Cutter::new(Records::Write, 7);
        assert_eq!(cutter.next(b"abcd", b"me: "), Err(Errno::EMSGSIZE));
    }

    #[test]
    fn a_line_is_a_message_however_it_was_written() {
        let (messages, rest) = cut(Records::Line, 9, &["a", "b\nc\n", "d"]);
        assert_eq!(messages, ["me: ab\n", "me: c\n"]);
        assert_eq!(rest.as_deref(), Some("me: d"));
        let mut cutter = Cutter::new(Records::Line, 9);
        assert_eq!(cutter.next(b"abcdef", b"me: "), Err(Errno::EMSGSIZE));
        let piece = cutter.next(b"abcd", b"me: ").unwrap();
        cutter.take(&piece, b"abcd", b"me: ");
        assert_eq!(cutter.next(b"e\n", b"me: "), Err(Errno::EMSGSIZE));
    }
}
