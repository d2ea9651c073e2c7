//! `-e`: the backslash escapes of echo(1).

/// What the escapes of a text come to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unescaped {
    /// The bytes.
    pub(crate) text: Vec<u8>,
    /// `\c` ended the text: not even a newline follows.
    pub(crate) ended: bool,
}

/// Replaces the escapes in `text`: `\\ \a \b \c \e \f \n \r \t \v`, `\0` with up to three octal
/// digits, `\x` with one or two hexadecimal ones.
///
/// # Errors
/// Any other character after a backslash, which echo(1) would print as it is: the message names
/// the escape and its place, counted in bytes from 1.
pub(crate) fn unescape(text: &[u8]) -> Result<Unescaped, String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.iter().position(|byte| *byte == b'\\') {
        out.extend_from_slice(&rest[..start]);
        let place = text.len() - rest.len() + start + 1;
        let escape = &rest[start + 1..];
        let Some(letter) = escape.first() else {
            return Err(format!(
                "the backslash at byte {place} of the text escapes nothing; write \\\\ for a \
                 backslash"
            ));
        };
        let mut used = 1;
        out.push(match letter {
            b'\\' => b'\\',
            b'a' => 0x07,
            b'b' => 0x08,
            b'c' => {
                return Ok(Unescaped {
                    text: out,
                    ended: true,
                });
            }
            b'e' => 0x1b,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'v' => 0x0b,
            b'0' => {
                let (value, digits) = number(&escape[1..], 8, 3);
                used += digits;
                value
            }
            b'x' => {
                let (value, digits) = number(&escape[1..], 16, 2);
                if digits == 0 {
                    return Err(format!(
                        "\\x at byte {place} of the text needs one or two hexadecimal digits; \
                         write \\\\ for a backslash"
                    ));
                }
                used += digits;
                value
            }
            _ => {
                let letter = first_character(escape);
                return Err(format!(
                    "unknown escape \\{letter} at byte {place} of the text; write \\\\ for a \
                     backslash"
                ));
            }
        });
        rest = &escape[used..];
    }
    out.extend_from_slice(rest);
    Ok(Unescaped {
        text: out,
        ended: false,
    })
}

/// The number that `text` begins with, of at most `most` digits, and how many there are. Of a
/// value above 255 the low byte counts, as in echo(1).
fn number(text: &[u8], radix: u32, most: usize) -> (u8, usize) {
    let digits = text.iter().take(most);
    let digits = digits.map_while(|byte| char::from(*byte).to_digit(radix));
    let (value, count) = digits.fold((0, 0), |(value, count), digit| {
        (value * radix + digit, count + 1)
    });
    ((value & 0xff) as u8, count)
}

fn first_character(text: &[u8]) -> String {
    let end = text.len().min(4);
    let text = String::from_utf8_lossy(&text[..end]).into_owned();
    text.chars().take(1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(escaped: &str) -> Vec<u8> {
        unescape(escaped.as_bytes()).unwrap().text
    }

    #[test]
    fn escapes_are_those_of_echo() {
        assert_eq!(
            text(r"a\\b\a\b\e\f\n\r\t\vz"),
            b"a\\b\x07\x08\x1b\x0c\n\r\t\x0bz"
        );
        assert_eq!(text(r"\0"), b"\0");
        assert_eq!(text(r"\0101\01018\08"), b"AA8\x008");
        assert_eq!(text(r"\0377\0777"), b"\xff\xff");
        assert_eq!(text(r"\x41\x4\xfg\xAbc"), b"A\x04\x0fg\xabc");
        assert_eq!(text("no escape, ü"), "no escape, ü".as_bytes());
        assert_eq!(unescape(b"\xff\\n").unwrap().text, b"\xff\n");
    }

    #[test]
    fn the_text_ends_at_c() {
        let unescaped = unescape(br"ab\cde\q").unwrap();
        assert_eq!(unescaped.text, b"ab");
        assert!(unescaped.ended);
        assert!(!unescape(b"ab").unwrap().ended);
    }

    #[test]
    fn what_is_no_escape_is_named_with_its_place() {
        for (escaped, message) in [
            (r"ab\q", r"unknown escape \q at byte 3"),
            (r"\n\ü", r"unknown escape \ü at byte 3"),
            (r"\1", r"unknown escape \1 at byte 1"),
            (r"\E", r"unknown escape \E at byte 1"),
            (r"a\xg", r"\x at byte 2 of the text needs"),
            (r"\x", r"\x at byte 1 of the text needs"),
            (
                r"ab\",
                r"the backslash at byte 3 of the text escapes nothing",
            ),
        ] {
            let error = unescape(escaped.as_bytes()).unwrap_err();
            assert!(error.contains(message), "{escaped}: {error}");
            assert!(error.contains("; write"), "{escaped}: {error}");
        }
    }
}
