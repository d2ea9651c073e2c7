//! The JetStream stream that keeps the content: found, or made, and fit for the purpose.

use std::time::Duration;

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::{CreateStreamErrorKind, GetStreamErrorKind};
use async_nats::jetstream::stream::{self, DiscardPolicy, RetentionPolicy, StorageType};
use fusd_tool::ToolError;

use super::Options;
use super::connection::Connection;
use crate::settings::Mode;

/// What the server counts of a message besides its content, at most, in bytes: the id, the subject
/// and the record's own head.
pub(crate) const OVERHEAD: usize = 512;

/// What a message counts for where a size in bytes stands for a number of messages.
const AVERAGE: usize = 1024;

/// How long a stream that is made knows the ids of messages.
const KNOWN: Duration = Duration::from_secs(120);

/// A stream that is fit.
#[derive(Clone)]
pub(crate) struct Stream {
    pub(crate) stream: stream::Stream,
    pub(crate) name: String,
    pub(crate) subject: String,
    /// Bytes that a message may have.
    pub(crate) limit: usize,
    /// It has nothing but this pipe's content, so that its numbers have no gaps.
    pub(crate) exclusive: bool,
    /// It has nothing but what was not acknowledged.
    pub(crate) is_queue: bool,
}

/// Finds the stream `name`, or makes it.
///
/// # Errors
/// The server has no streams, refuses this one, or has one that is for something else.
pub(crate) async fn open(
    connection: &Connection,
    options: &Options,
    name: &str,
) -> Result<Stream, ToolError> {
    let failed = |why: String| ToolError::failed(format!("cannot use the stream {name}: {why}"));
    let jetstream = &connection.jetstream;
    let found = match jetstream.get_stream(name).await {
        Ok(stream) => stream,
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(error)
                if error.error_code() == ErrorCode::STREAM_NOT_FOUND =>
            {
                let made = jetstream.get_or_create_stream(config(options, name)).await;
                made.map_err(|error| match error.kind() {
                    CreateStreamErrorKind::JetStream(error) => failed(format!(
                        "{error}; choose another name or subject, or make it with nats(1)"
                    )),
                    kind => failed(format!("{kind}; look into the server's log")),
                })?
            }
            GetStreamErrorKind::JetStream(error) => {
                return Err(failed(format!("{error}; {}", next_for(error.error_code()))));
            }
            // Nobody answers such a question where there are no streams.
            kind => return Err(failed(format!("{kind}; {NO_STREAMS}"))),
        },
    };
    let config = &found.cached_info().config;
    if let Some(why) = unfit(config, options) {
        return Err(failed(why));
    }
    let limits = [config.max_bytes, i64::from(config.max_message_size)];
    let limits = limits
        .into_iter()
        .filter_map(|limit| usize::try_from(limit).ok());
    let limit = limits.filter(|limit| *limit > 0).min();
    Ok(Stream {
        name: name.to_owned(),
        subject: options.subject.clone(),
        limit: limit.map_or(usize::MAX, |limit| limit.saturating_sub(OVERHEAD).max(1)),
        is_queue: config.retention == RetentionPolicy::WorkQueue,
        exclusive: config.subjects == [options.subject.clone()],
        stream: found,
    })
}

const NO_STREAMS: &str =
    "start the server with JetStream (nats-server -js -sd DIRECTORY), or do without --stream";

fn next_for(code: ErrorCode) -> &'static str {
    if code == ErrorCode::JETSTREAM_NOT_ENABLED
        || code == ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT
    {
        NO_STREAMS
    } else {
        "look into the server's log"
    }
}

/// The stream that a pipe of these options needs: its limits are the pipe's.
///
/// Where nothing may be dropped, only messages are counted: nats-server 2.9.10 compares the bytes of a
/// new message without what it adds itself, takes it, and then drops the oldest ones though the
/// policy is `DiscardPolicy::New` (seen; its check of the number is exact).
fn config(options: &Options, name: &str) -> stream::Config {
    let limit = |limit: usize| i64::try_from(limit).ok().filter(|_| limit != usize::MAX);
    let (bytes, records) = match (options.drop_old, options.size.records) {
        (true, records) => (options.size.bytes, records),
        (false, usize::MAX) => (usize::MAX, (options.size.bytes / AVERAGE).max(1)),
        (false, records) => (usize::MAX, records),
    };
    stream::Config {
        name: name.to_owned(),
        description: Some("made by fusd-pipe".to_owned()),
        subjects: vec![options.subject.clone()],
        retention: match options.settings.mode {
            Mode::Fifo => RetentionPolicy::WorkQueue,
            Mode::Broadcast | Mode::Ring => RetentionPolicy::Limits,
        },
        discard: match options.drop_old {
            true => DiscardPolicy::Old,
            false => DiscardPolicy::New,
        },
        max_bytes: limit(bytes).unwrap_or(-1),
        max_messages: limit(records).unwrap_or(-1),
        max_messages_per_subject: -1,
        max_message_size: -1,
        max_consumers: -1,
        storage: StorageType::File,
        num_replicas: 1,
        duplicate_window: KNOWN,
        ..stream::Config::default()
    }
}

/// Why a stream that somebody made cannot be this pipe's.
fn unfit(config: &stream::Config, options: &Options) -> Option<String> {
    let subject = &options.subject;
    if !config
        .subjects
        .iter()
        .any(|filter| matches(filter, subject))
    {
        let subjects = config.subjects.join(", ");
        return Some(format!(
            "it keeps {subjects}, not {subject}; choose another stream, or add the subject"
        ));
    }
    let each_once = config.retention == RetentionPolicy::WorkQueue;
    if each_once && options.settings.mode != Mode::Fifo {
        return Some(
            "it is a work queue, of which each message is for one reader; use --kind fifo, or \
             another stream"
                .to_owned(),
        );
    }
    config.no_ack.then(|| {
        "it does not acknowledge what it gets, so no write could be answered; choose another stream"
            .to_owned()
    })
}

/// Whether a subject with wildcards takes in `subject`.
fn matches(filter: &str, subject: &str) -> bool {
    let mut tokens = subject.split('.');
    for part in filter.split('.') {
        match (part, tokens.next()) {
            (">", Some(_)) => return true,
            ("*", Some(_)) => {}
            (part, Some(token)) if part == token => {}
            _ => return false,
        }
    }
    tokens.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards() {
        for (filter, subject, holds) in [
            ("a.b", "a.b", true),
            ("a.b", "a", false),
            ("a", "a.b", false),
            ("a.*", "a.b", true),
            ("a.*", "a.b.c", false),
            ("a.>", "a.b.c", true),
            ("a.>", "a", false),
            (">", "a", true),
        ] {
            assert_eq!(matches(filter, subject), holds, "{filter} {subject}");
        }
    }
}
