//! What a work queue has though it was read: a server that is killed forgets for some seconds what it
//! has removed.
//!
//! nats-server 2.9.10 writes the index of a stream's file every two seconds while there are changes.
//! Killed in between and started again, it has the messages that were removed since. Its consumer,
//! whose state is written ten times a second, takes them for done and never gives them out: they would
//! be counted against the stream's limit for ever, and a limited queue would end up full (seen).

use async_nats::jetstream::stream::RawMessageErrorKind;

use super::stream::Stream;

/// Removes all messages up to the number `last`, of which none may wait for an acknowledgement.
///
/// # Errors
/// The server does not let us, or is gone.
pub(super) async fn remove(stream: &Stream, last: u64) -> Result<(), String> {
    let mut next = 1;
    let mut count = 0_u64;
    loop {
        let subject = &stream.subject;
        let found = stream
            .stream
            .get_first_raw_message_by_subject(subject, next);
        let number = match found.await {
            Ok(message) if message.sequence <= last => message.sequence,
            Ok(_) => break,
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => break,
            Err(error) => return Err(error.to_string()),
        };
        let removed = stream.stream.delete_message(number).await;
        removed.map_err(|error| error.to_string())?;
        next = number + 1;
        count += 1;
    }
    if count > 0 {
        let stream = &stream.name;
        tracing::info!(%stream, records = count, "removed what was read and had come back");
    }
    Ok(())
}
