//! Sizes on the command line: bytes with a unit, or a number of records.

use std::num::NonZeroU32;

use crate::settings::Amount;

/// Bytes that are kept at most where a size is given in records.
const BYTES_MAX: usize = 64 << 20;

const HELP: &str = "give bytes, or a number with K, M or G: 64K; or a number of records: 100r";

/// Reads bytes, or a number of records, at least 1, with an "r" behind it.
pub(crate) fn amount(text: &str) -> Result<Amount, String> {
    match text.strip_suffix(['r', 'R']) {
        Some(number) => match number.parse::<NonZeroU32>() {
            Ok(records) if !number.starts_with('+') => Ok(Amount {
                bytes: BYTES_MAX,
                // Lossless: fusd runs on targets with at least 32 bits.
                records: records.get() as usize,
            }),
            _ => Err(HELP.to_owned()),
        },
        None => match fusd_tool::size(text) {
            Ok(bytes) => Ok(Amount {
                bytes,
                records: usize::MAX,
            }),
            Err(_) => Err(HELP.to_owned()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_records() {
        for (text, bytes, records) in [
            ("1", 1, usize::MAX),
            ("64K", 64 << 10, usize::MAX),
            ("2mib", 2 << 20, usize::MAX),
            ("100r", BYTES_MAX, 100),
            ("1R", BYTES_MAX, 1),
        ] {
            assert_eq!(amount(text), Ok(Amount { bytes, records }), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_an_example() {
        for text in [
            "",
            "0",
            "0r",
            "r",
            "-1",
            "+1r",
            "1.5M",
            "4 K",
            "4X",
            "99999999999999999999",
        ] {
            assert!(amount(text).unwrap_err().contains("100r"), "{text:?}");
        }
    }
}
