//! The body of an answer, as it comes: decoded, and never silent for too long.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_compression::tokio::bufread::{BrotliDecoder, GzipDecoder, ZstdDecoder};
use bytes::Bytes;
use fusd::Errno;
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use reqwest::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap};
use tokio::io::AsyncRead;
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, sleep_until};
use tokio_util::io::{ReaderStream, StreamReader};

use crate::direct::{Rest, poll_data};
use crate::failure::{Failure, from_io};
use crate::traffic::Traffic;

type Chunks = Pin<Box<dyn Stream<Item = Result<Bytes, Failure>> + Send>>;

/// A body as it comes from the network.
#[derive(Debug)]
pub(crate) enum Raw {
    Direct(Rest),
    Other(reqwest::Body),
}

impl Stream for Raw {
    type Item = Result<Bytes, Failure>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.get_mut() {
            Self::Direct(rest) => rest.poll_data(context),
            Self::Other(body) => poll_data(body, context).map_err(Failure::network),
        }
    }
}

/// What is decoded at a time, in bytes.
const PIECE: usize = 64 << 10;

/// The rest of a body.
pub(crate) struct Body {
    chunks: Chunks,
    length: Option<u64>,
    encoded: bool,
    /// The longest silence.
    stall: Option<Duration>,
    /// When all has to be there, and how long that was from the beginning.
    end: Option<(Instant, Duration)>,
}

impl Body {
    /// The body of an answer that had these headers.
    ///
    /// # Errors
    /// Nobody can decode it (`EIO`).
    pub(crate) fn new(
        headers: &HeaderMap,
        raw: Raw,
        stall: Option<Duration>,
        end: Option<(Instant, Duration)>,
        traffic: Arc<Traffic>,
    ) -> Result<Self, Failure> {
        let encodings = encodings(headers)?;
        let encoded = !encodings.is_empty();
        let length = headers.get(CONTENT_LENGTH);
        let length = length.and_then(|it| it.to_str().ok()?.parse().ok());
        let raw = raw.inspect_ok(move |chunk| traffic.receive(chunk.len()));
        let mut chunks: Chunks = Box::pin(raw);
        for encoding in encodings.into_iter().rev() {
            chunks = decode(chunks, encoding);
        }
        Ok(Self {
            chunks,
            length: length.filter(|_| !encoded),
            encoded,
            stall,
            end,
        })
    }

    /// How many bytes it has in all, where the server says so.
    pub(crate) fn length(&self) -> Option<u64> {
        self.length
    }

    /// Whether the bytes are others than those the server counts.
    pub(crate) fn is_encoded(&self) -> bool {
        self.encoded
    }

    /// The next bytes, at least one; `None` at the end. Nothing is lost where this is not waited for
    /// to its end.
    ///
    /// # Errors
    /// The connection broke before the end, or was silent for too long.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        let stall = self.stall.map(|stall| Instant::now() + stall);
        let at = match (stall, self.end) {
            (Some(at), Some((end, _))) => Some(at.min(end)),
            (at, end) => at.or(end.map(|it| it.0)),
        };
        loop {
            // A little that has come may be decoded to very much.
            consume_budget().await;
            let next = match at {
                None => self.chunks.next().await,
                Some(at) => tokio::select! {
                    biased;
                    next = self.chunks.next() => next,
                    () = sleep_until(at) => return Err(self.late(at)),
                },
            };
            match next.transpose()? {
                Some(chunk) if chunk.is_empty() => {}
                next => return Ok(next),
            }
        }
    }

    /// It is `at`, and nothing has come.
    fn late(&self, at: Instant) -> Failure {
        match (self.end, self.stall) {
            (Some((end, limit)), _) if end <= at => {
                Failure::late("the answer has not ended", limit)
            }
            (_, stall) => Failure::late("nothing more has come", stall.unwrap_or_default()),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body")
            .field("length", &self.length)
            .field("encoded", &self.encoded)
            .finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Gzip,
    Brotli,
    Zstd,
}

/// What was done to the content, in this order.
fn encodings(headers: &HeaderMap) -> Result<Vec<Encoding>, Failure> {
    let mut encodings = Vec::new();
    for value in headers.get_all(CONTENT_ENCODING) {
        for name in value.to_str().unwrap_or("?").split(',') {
            encodings.push(match name.trim().to_ascii_lowercase().as_str() {
                "identity" | "" => continue,
                "gzip" | "x-gzip" => Encoding::Gzip,
                "br" => Encoding::Brotli,
                "zstd" => Encoding::Zstd,
                other => {
                    let text = format!("the content is encoded as {other:?}, which is not known");
                    return Err(Failure::new(Errno::EIO, text));
                }
            });
        }
    }
    Ok(encodings)
}

fn decode(chunks: Chunks, encoding: Encoding) -> Chunks {
    let reader = StreamReader::new(chunks.map_err(io::Error::other));
    let decoded: Pin<Box<dyn AsyncRead + Send>> = match encoding {
        Encoding::Gzip => {
            let mut decoder = GzipDecoder::new(reader);
            decoder.multiple_members(true);
            Box::pin(decoder)
        }
        Encoding::Brotli => Box::pin(BrotliDecoder::new(reader)),
        Encoding::Zstd => {
            let mut decoder = ZstdDecoder::new(reader);
            decoder.multiple_members(true);
            Box::pin(decoder)
        }
    };
    let pieces = ReaderStream::with_capacity(decoded, PIECE);
    // Nothing follows a failure.
    let until_failure = stream::unfold(Some(pieces), |pieces| async {
        let mut pieces = pieces?;
        match pieces.next().await? {
            Ok(piece) => Some((Ok(piece), Some(pieces))),
            Err(error) => Some((Err(from_io(error)), None)),
        }
    });
    Box::pin(until_failure)
}
