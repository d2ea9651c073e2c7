//! A journal from its bytes to what it means, and back to fewer bytes.

use std::io::{self, BufReader, Read};

use super::entry::{self, HEAD, Write};
use super::header::{LEN, Shape, Unreadable};
use super::replay::Replay;

/// Bytes for readers that one entry has at most, unless a record is larger.
const CHUNK: u64 = 256 << 10;

/// Reads a header.
///
/// # Errors
/// The outer ones are those of `input`.
pub(super) fn read_header(input: &mut impl Read) -> io::Result<Result<Shape, Unreadable>> {
    let mut bytes = [0; LEN];
    match input.read_exact(&mut bytes) {
        Ok(()) => Ok(Shape::decode(&bytes)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(Err(Unreadable::Foreign)),
        Err(error) => Err(error),
    }
}

/// Reads the entries that follow the header, of `left` bytes: what they come to, and how many bytes
/// at the end are none.
///
/// # Errors
/// Those of `input`.
pub(super) fn read_entries(
    input: impl Read,
    shape: Shape,
    mut left: u64,
) -> io::Result<(Replay, u64)> {
    let mut input = BufReader::with_capacity(64 << 10, input);
    let mut replay = Replay::new(shape);
    let mut body = Vec::new();
    while left >= HEAD as u64 {
        let mut head = [0; HEAD];
        input.read_exact(&mut head)?;
        let whole = left - HEAD as u64;
        let Some(length) = entry::body_length(head).filter(|length| *length as u64 <= whole) else {
            break;
        };
        body.resize(length, 0);
        input.read_exact(&mut body)?;
        let applied = entry::decode(head, &body).and_then(|entry| replay.apply(&entry));
        if applied.is_none() {
            break;
        }
        left = whole - length as u64;
    }
    Ok((replay, left))
}

/// Writes a header, and entries for what is there and nothing else.
///
/// # Errors
/// Those of `out`.
pub(super) fn write(out: &mut dyn io::Write, shape: Shape, replay: &mut Replay) -> io::Result<()> {
    out.write_all(&shape.encode())?;
    let (lost, next) = (replay.lost(), replay.next());
    let chunks: Vec<_> = replay.chunks().collect();
    let mut out = Entries {
        out,
        head: Vec::new(),
    };
    let mut bytes = replay.bytes();
    for (span, lengths) in chunks {
        let mut at = span.at;
        let mut left = &lengths[..];
        while at < span.end() {
            let (count, size) = match shape.stream {
                true => (0, CHUNK.min(span.end() - at)),
                false => some_records(left),
            };
            let (records, others) = left.split_at(count);
            // Lossless: it is in memory.
            let (piece, rest) = bytes.split_at(size as usize);
            let write = Write {
                at,
                lost,
                bytes: [piece, &[]],
                ..Write::default()
            };
            out.put(&write, records)?;
            (at, left, bytes) = (at + size, others, rest);
        }
    }
    let state = Write {
        at: next,
        lost,
        ..Write::default()
    };
    out.put(&state, &[])?;
    for (writer, label, line) in replay.lines() {
        let write = Write {
            writer,
            at: next,
            lost,
            label,
            line,
            ..Write::default()
        };
        out.put(&write, &[])?;
    }
    Ok(())
}

/// How many of the records one entry takes, at least 1, and their bytes.
fn some_records(lengths: &[u64]) -> (usize, u64) {
    let mut size = 0;
    for (index, length) in lengths.iter().enumerate() {
        if index > 0 && size + length > CHUNK {
            return (index, size);
        }
        size += length;
    }
    (lengths.len(), size)
}

struct Entries<'a> {
    out: &'a mut dyn io::Write,
    head: Vec<u8>,
}

impl Entries<'_> {
    fn put(&mut self, write: &Write<'_>, lengths: &[u64]) -> io::Result<()> {
        self.head.clear();
        let records = lengths.len() as u64;
        entry::encode_write(&mut self.head, write, records, lengths.iter().copied());
        self.out.write_all(&self.head)?;
        for piece in write.pieces() {
            self.out.write_all(piece)?;
        }
        Ok(())
    }
}
