//! Sizes on the command line: a number of bytes, with a unit.

/// Reads a size: a whole number, at least 1, and one of the units K, M, G, T (times 1024 each),
/// also written as KiB and so on; in lower case, too.
///
/// # Errors
/// What to give instead.
pub fn size(text: &str) -> Result<usize, String> {
    let help = || "give bytes, at least 1, or a number with K, M, G or T: 4K, 16M".to_owned();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kib" => 10,
        "m" | "mib" => 20,
        "g" | "gib" => 30,
        "t" | "tib" => 40,
        _ => return Err(help()),
    };
    let number: u64 = number.parse().map_err(|_| help())?;
    let bytes = number.checked_mul(1 << shift).filter(|bytes| *bytes > 0);
    let bytes = bytes.ok_or_else(help)?;
    // No object in memory is larger.
    match isize::try_from(bytes) {
        Ok(bytes) => Ok(bytes.unsigned_abs()),
        Err(_) => Err("no memory is so large".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_powers_of_1024() {
        for (text, bytes) in [
            ("1", 1),
            ("512b", 512),
            ("4K", 4096),
            ("4k", 4096),
            ("4KiB", 4096),
            ("16M", 16 << 20),
            ("2g", 2 << 30),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_an_example() {
        for text in [
            "",
            "0",
            "0K",
            "K",
            "-1",
            "+1",
            "1.5M",
            "4 K",
            "4X",
            "4KB",
            "0x10",
            "99999999999999999999",
            "99999999T",
        ] {
            assert!(size(text).unwrap_err().contains("16M"), "{text:?}");
        }
        assert!(size("9223372036854775808").is_err());
    }
}
