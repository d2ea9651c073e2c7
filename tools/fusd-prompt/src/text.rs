//! Text from elsewhere, made fit for a terminal: it moves no cursor, hides nothing, and says where its
//! bytes are no text.

use std::ffi::OsStr;
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;

use unicode_width::UnicodeWidthChar;

/// `text` with backslash escapes for all that is not seen, or changes how other things are seen.
pub(crate) fn printable(text: &OsStr) -> String {
    printable_bytes(text.as_bytes())
}

/// The same for any bytes.
pub(crate) fn printable_bytes(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for letter in chunk.valid().chars() {
            push(&mut out, letter);
        }
        for byte in chunk.invalid() {
            // Writing to a string does not fail.
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}

fn push(out: &mut String, letter: char) {
    match letter {
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\x1b' => out.push_str("\\e"),
        _ if is_seen(letter) => out.push(letter),
        _ => {
            let _ = write!(out, "\\u{{{:x}}}", u32::from(letter));
        }
    }
}

/// Whether a character is seen as what it is: not a control character, nor one that has no width of
/// its own, such as those that change the direction of text (UAX 9) or join others.
pub(crate) fn is_seen(letter: char) -> bool {
    !letter.is_control() && letter.width().is_some_and(|width| width > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_the_terminal_but_what_is_seen() {
        for (bytes, shown) in [
            (&b"cat /x"[..], "cat /x"),
            (b"a\x1b[2Jb\r\n\x07\x7f", "a\\e[2Jb\\r\\n\\u{7}\\u{7f}"),
            ("\u{9b}31m".as_bytes(), "\\u{9b}31m"),
            (
                "a\u{202e}b\u{2066}\u{200b}".as_bytes(),
                "a\\u{202e}b\\u{2066}\\u{200b}",
            ),
            ("e\u{301}".as_bytes(), "e\\u{301}"),
            ("größe 漢字".as_bytes(), "größe 漢字"),
            (b"\xff\xfea\\", "\\xff\\xfea\\\\"),
        ] {
            assert_eq!(printable_bytes(bytes), shown);
        }
    }
}
