//! Entries of a journal, and their bytes.
//!
//! Each begins with the length of what follows the checksum, and the checksum (CRC-32) of that and of
//! the length: four bytes each, the lowest first. Then come a byte for the kind, numbers as in
//! [`varint`], and what is written as it is.

use super::span::Span;
use super::varint;
use crate::stats::Count;

/// Bytes before the kind.
pub(crate) const HEAD: usize = 8;

const WRITE: u8 = 1;
const LEAVE: u8 = 2;
const GONE: u8 = 3;
const DROPPED: u8 = 4;

/// What a write brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Write<'a> {
    /// The file that wrote.
    pub(crate) writer: u64,
    /// The position of the first byte of `bytes`.
    pub(crate) at: u64,
    /// What was dropped until now and no reader has been told of.
    pub(crate) lost: Count,
    /// How much is left of the line that the writer had begun, in bytes.
    pub(crate) line_kept: usize,
    /// What is put before its line.
    pub(crate) label: &'a [u8],
    /// What it has added to its line.
    pub(crate) line: &'a [u8],
    /// What is for readers, in two pieces.
    pub(crate) bytes: [&'a [u8]; 2],
}

/// A change of what a pipe keeps.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Entry<'a> {
    /// A write, and the lengths of its records; none in a stream.
    Write(Write<'a>, Vec<u64>),
    /// The writer has gone. The line that it had begun is a record at the position, or dropped.
    Leave { writer: u64, at: Option<u64> },
    /// Readers have got these.
    Gone(Span),
    /// A fifo has dropped these. Its losses of which no reader has been told are so many now.
    Dropped(Span, Count),
}

/// Puts the head and the numbers of a write into `out`; the pieces of the write follow it in the
/// file, in their order.
pub(crate) fn encode_write(
    out: &mut Vec<u8>,
    write: &Write<'_>,
    records: u64,
    lengths: impl Iterator<Item = u64>,
) {
    let begin = out.len();
    out.extend([0; HEAD]);
    out.push(WRITE);
    for number in [
        write.writer,
        write.at,
        write.lost.bytes,
        write.lost.records,
        write.line_kept as u64,
        write.label.len() as u64,
        write.line.len() as u64,
        records,
    ] {
        varint::put(out, number);
    }
    lengths.for_each(|length| varint::put(out, length));
    seal(&mut out[begin..], &write.pieces());
}

impl Entry<'_> {
    /// Appends an entry other than a write: it is whole by itself.
    pub(crate) fn encode_small(&self, out: &mut Vec<u8>) {
        let begin = out.len();
        out.extend([0; HEAD]);
        match self {
            Self::Write(..) => unreachable!("a write is encoded with its pieces"),
            Self::Leave { writer, at } => {
                out.push(LEAVE);
                varint::put(out, *writer);
                at.iter().for_each(|at| varint::put(out, *at));
            }
            Self::Gone(span) => {
                out.push(GONE);
                put_span(out, *span);
            }
            Self::Dropped(span, lost) => {
                out.push(DROPPED);
                put_span(out, *span);
                varint::put(out, lost.bytes);
                varint::put(out, lost.records);
            }
        }
        seal(&mut out[begin..], &[]);
    }
}

fn put_span(out: &mut Vec<u8>, span: Span) {
    varint::put(out, span.at);
    varint::put(out, span.len);
}

impl<'a> Write<'a> {
    /// What is written as it is.
    pub(crate) fn pieces(&self) -> [&'a [u8]; 4] {
        [self.label, self.line, self.bytes[0], self.bytes[1]]
    }
}

/// Fills in the length and the checksum.
fn seal(entry: &mut [u8], pieces: &[&[u8]]) {
    let (head, body) = entry.split_at_mut(HEAD);
    let length = body.len() + pieces.iter().map(|piece| piece.len()).sum::<usize>();
    // Lossless: a pipe that has a journal keeps less than 2 GiB (`Args::contradiction`).
    let length = (length as u32).to_le_bytes();
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(&length);
    checksum.update(body);
    pieces.iter().for_each(|piece| checksum.update(piece));
    head[..4].copy_from_slice(&length);
    head[4..].copy_from_slice(&checksum.finalize().to_le_bytes());
}

/// The length of what follows a head, in bytes, at least 1; `None` if it is no head.
pub(crate) fn body_length(head: [u8; HEAD]) -> Option<usize> {
    let [a, b, c, d, ..] = head;
    let length = u32::from_le_bytes([a, b, c, d]);
    // Lossless: fusd runs on targets with at least 32 bits.
    (length > 0).then_some(length as usize)
}

/// The entry whose body follows `head`; `None` if it is none, or its bytes have changed.
pub(crate) fn decode(head: [u8; HEAD], body: &[u8]) -> Option<Entry<'_>> {
    let [length @ .., a, b, c, d] = head;
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(&length);
    checksum.update(body);
    if checksum.finalize() != u32::from_le_bytes([a, b, c, d]) {
        return None;
    }
    let (kind, mut rest) = body.split_first()?;
    let rest = &mut rest;
    let entry = match *kind {
        WRITE => return decode_write(rest),
        LEAVE => Entry::Leave {
            writer: varint::take(rest)?,
            at: match rest.is_empty() {
                true => None,
                false => Some(varint::take(rest)?),
            },
        },
        GONE => Entry::Gone(take_span(rest)?),
        DROPPED => Entry::Dropped(take_span(rest)?, take_count(rest)?),
        _ => return None,
    };
    rest.is_empty().then_some(entry)
}

fn take_span(rest: &mut &[u8]) -> Option<Span> {
    Some(Span {
        at: varint::take(rest)?,
        len: varint::take(rest)?,
    })
}

fn take_count(rest: &mut &[u8]) -> Option<Count> {
    Some(Count {
        bytes: varint::take(rest)?,
        records: varint::take(rest)?,
    })
}

fn decode_write<'a>(rest: &mut &'a [u8]) -> Option<Entry<'a>> {
    let (writer, at) = (varint::take(rest)?, varint::take(rest)?);
    let lost = take_count(rest)?;
    let line_kept = usize::try_from(varint::take(rest)?).ok()?;
    let label = usize::try_from(varint::take(rest)?).ok()?;
    let line = usize::try_from(varint::take(rest)?).ok()?;
    let records = varint::take(rest)?;
    let mut lengths = Vec::new();
    for _ in 0..records {
        lengths.push(varint::take(rest).filter(|length| *length > 0)?);
    }
    let (label, rest) = rest.split_at_checked(label)?;
    let (line, bytes) = rest.split_at_checked(line)?;
    let sum = lengths
        .iter()
        .try_fold(0_u64, |sum, length| sum.checked_add(*length));
    if records > 0 && sum != Some(bytes.len() as u64) {
        return None;
    }
    let write = Write {
        writer,
        at,
        lost,
        line_kept,
        label,
        line,
        bytes: [bytes, &[]],
    };
    Some(Entry::Write(write, lengths))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(bytes: &[u8]) -> Option<Entry<'_>> {
        let (head, body) = bytes.split_first_chunk::<HEAD>()?;
        (body_length(*head)? == body.len()).then(|| decode(*head, body))?
    }

    fn write() -> Write<'static> {
        Write {
            writer: u64::MAX,
            at: 300,
            lost: Count {
                bytes: 9,
                records: 1,
            },
            line_kept: 2,
            label: b"7: ",
            line: b"beg",
            bytes: [b"7: one\n7: ", b"two\n"],
        }
    }

    fn bytes_of_write() -> Vec<u8> {
        let mut out = Vec::new();
        encode_write(&mut out, &write(), 2, [7, 7].into_iter());
        write().pieces().iter().for_each(|piece| out.extend(*piece));
        out
    }

    #[test]
    fn a_write_comes_back() {
        let bytes = bytes_of_write();
        let expected = Write {
            bytes: [b"7: one\n7: two\n", b""],
            ..write()
        };
        assert_eq!(decoded(&bytes), Some(Entry::Write(expected, vec![7, 7])));
        assert_eq!(bytes[HEAD], 1);
        assert_eq!(usize::from(bytes[0]) + HEAD, bytes.len());
    }

    #[test]
    fn the_others_come_back() {
        let span = Span {
            at: 1 << 40,
            len: 5,
        };
        let leave = |at| Entry::Leave { writer: 3, at };
        for entry in [
            Entry::Gone(span),
            Entry::Dropped(span, write().lost),
            leave(None),
            leave(Some(200)),
        ] {
            let mut out = Vec::new();
            entry.encode_small(&mut out);
            assert_eq!(decoded(&out), Some(entry));
        }
    }

    #[test]
    fn no_changed_or_missing_byte_is_overlooked() {
        let bytes = bytes_of_write();
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut changed = bytes.clone();
                changed[at] ^= 1 << bit;
                assert_eq!(decoded(&changed), None, "{at}");
            }
            assert_eq!(decoded(&bytes[..at]), None);
        }
        assert_eq!(decoded(&[0; 64]), None, "zeros are no entry");
    }

    #[test]
    fn lengths_that_contradict_are_refused() {
        for (lengths, taken) in [([7, 7], true), ([7, 8], false), ([0, 14], false)] {
            let mut out = Vec::new();
            encode_write(&mut out, &write(), 2, lengths.into_iter());
            write().pieces().iter().for_each(|piece| out.extend(*piece));
            assert_eq!(decoded(&out).is_some(), taken, "{lengths:?}");
        }
    }
}
