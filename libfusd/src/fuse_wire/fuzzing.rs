//! What a fuzzer may do with the protocol, and what must hold whatever it does.

use super::decode::{HEADER_SIZE, decode};

/// Decodes any bytes, as if the kernel had sent them.
///
/// # Panics
/// What comes of it points outside of the bytes, or claims an answer that nobody can be given.
pub fn request(bytes: &[u8]) {
    match decode(bytes) {
        Ok(frame) => {
            assert_eq!(frame, decode(bytes).expect("it depends on nothing else"));
            if let Some(range) = frame.body.data_range() {
                assert!(HEADER_SIZE <= range.start, "no data is in the header");
                assert!(bytes.get(range).is_some(), "the data is in the buffer");
            }
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            let whole = bytes.len() >= HEADER_SIZE;
            assert!(
                whole || error.answerable().is_none(),
                "whom to answer is in the header"
            );
        }
    }
}
