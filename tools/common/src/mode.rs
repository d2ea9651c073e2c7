//! `--mode`: permission bits in octal.

/// Reads permission bits: one to four octal digits after any leading zeros, or "0o".
pub(crate) fn parse(text: &str) -> Result<u32, String> {
    let digits = text.strip_prefix("0o").unwrap_or(text);
    let octal = !digits.is_empty() && digits.bytes().all(|digit| matches!(digit, b'0'..=b'7'));
    let bits = octal.then(|| u32::from_str_radix(digits, 8).ok()).flatten();
    bits.filter(|bits| *bits <= 0o7777)
        .ok_or_else(|| "give the permission bits in octal, 0 to 7777: 660, for example".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_octal() {
        for (text, bits) in [
            ("0", 0),
            ("660", 0o660),
            ("0660", 0o660),
            ("0o644", 0o644),
            ("7777", 0o7777),
        ] {
            assert_eq!(parse(text), Ok(bits), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_an_example() {
        for text in ["", "0o", "8", "9", "10000", "-1", "+7", "u+r", "6 6", "0x1"] {
            assert!(parse(text).unwrap_err().contains("660"), "{text:?}");
        }
        assert!(parse(&"7".repeat(40)).is_err());
    }
}
