//! A text that is being typed, as much of it as there is room for, with the cursor in it.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// How much of the text is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    Whole,
    /// A star for each character.
    Masked,
    /// Nothing.
    Not,
}

/// Rows of a field, and where the cursor is in them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) rows: Vec<String>,
    pub(super) column: usize,
    pub(super) row: usize,
}

/// What stands for something that would not be seen as what it is.
const HIDDEN: &str = "\u{fffd}";

/// Lays out what is around the cursor, a byte of `text`, in a room of columns and rows.
pub(super) fn lay_out(text: &str, cursor: usize, shown: Shown, room: (usize, usize)) -> Field {
    if shown == Shown::Not {
        return Field {
            rows: vec![String::new()],
            column: 0,
            row: 0,
        };
    }
    let (columns, most) = room;
    let lines: Vec<&str> = text.split('\n').collect();
    let current = text[..cursor].matches('\n').count();
    let begin = text[..cursor].rfind('\n').map_or(0, |place| place + 1);
    let count = lines.len().min(most);
    let first = current.saturating_sub(count / 2).min(lines.len() - count);
    let (row, column) = around(lines[current], cursor - begin, shown, columns);
    let rows = (first..first + count).map(|number| match number == current {
        true => row.clone(),
        false => clip(&seen(lines[number], shown), columns),
    });
    Field {
        rows: rows.collect(),
        column,
        row: current - first,
    }
}

/// The part of a line that is around the cursor, and the column of the cursor in it.
fn around(line: &str, cursor: usize, shown: Shown, columns: usize) -> (String, usize) {
    let before = seen(&line[..cursor], shown);
    let after = seen(&line[cursor..], shown);
    // The cursor itself takes a column.
    let room = columns.saturating_sub(1);
    let mut start = before.as_str();
    while width(start) > room {
        let first = start.graphemes(true).next().map_or(start.len(), str::len);
        start = &start[first..];
    }
    let column = width(start);
    let mut row = start.to_owned();
    for grapheme in after.graphemes(true) {
        if width(&row) + width(grapheme) > columns {
            break;
        }
        row.push_str(grapheme);
    }
    (row, column)
}

/// A line as it is seen.
fn seen(line: &str, shown: Shown) -> String {
    let graphemes = line.graphemes(true);
    match shown {
        Shown::Masked => graphemes.map(|_| '*').collect(),
        _ => graphemes
            .map(|one| if is_seen(one) { one } else { HIDDEN })
            .collect(),
    }
}

/// Whether a character is seen: it has a width, and moves nothing around it.
fn is_seen(grapheme: &str) -> bool {
    let moves = |letter: char| {
        letter.is_control()
            || matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    grapheme.width() > 0 && !grapheme.contains(moves)
}

/// Columns that a text takes.
pub(super) fn width(text: &str) -> usize {
    // By characters as they are drawn: what is joined takes the room of one.
    text.graphemes(true).map(UnicodeWidthStr::width).sum()
}

/// `text` in rows of at most so many columns, at least one.
pub(super) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut rows = vec![String::new()];
    let mut used = 0;
    for grapheme in text.graphemes(true) {
        let wide = width(grapheme);
        if used > 0 && used + wide > columns {
            rows.push(String::new());
            used = 0;
        }
        used += wide;
        if let Some(row) = rows.last_mut() {
            row.push_str(grapheme);
        }
    }
    rows
}

/// As much of `text` as fits in so many columns; that it is not all shows.
pub(super) fn clip(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut clipped = String::new();
    for grapheme in text.graphemes(true) {
        if width(&clipped) + width(grapheme) + 1 > columns {
            break;
        }
        clipped.push_str(grapheme);
    }
    if columns > 0 {
        clipped.push('…');
    }
    clipped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str, cursor: usize, columns: usize) -> (String, usize) {
        let field = lay_out(text, cursor, Shown::Whole, (columns, 1));
        (field.rows.concat(), field.column)
    }

    #[test]
    fn the_cursor_is_always_in_the_room() {
        for (text, cursor, columns, row, column) in [
            ("hello", 5, 10, "hello", 5),
            ("hello", 0, 3, "hel", 0),
            ("hello", 5, 3, "lo", 2),
            ("漢字漢", 9, 4, "漢", 2),
            ("漢字漢", 3, 5, "漢字", 2),
            ("a\u{202e}b", 5, 10, "a\u{fffd}b", 3),
            ("", 0, 1, "", 0),
            ("👨‍👩‍👧x", 18, 10, "👨‍👩‍👧x", 2),
        ] {
            assert_eq!(
                line(text, cursor, columns),
                (row.to_owned(), column),
                "{text:?}"
            );
        }
    }

    #[test]
    fn lines_scroll_with_the_cursor() {
        let text = "1\n2\n3\n4\n5";
        let field = lay_out(text, 4, Shown::Whole, (10, 3));
        assert_eq!((field.rows.join(","), field.row), ("2,3,4".into(), 1));
        let field = lay_out(text, text.len(), Shown::Whole, (10, 3));
        assert_eq!((field.rows.join(","), field.row), ("3,4,5".into(), 2));
        let field = lay_out("a\n", 2, Shown::Whole, (10, 3));
        assert_eq!(
            (field.rows.join(","), field.row, field.column),
            ("a,".into(), 1, 0)
        );
    }

    #[test]
    fn a_secret_shows_no_more_than_it_may() {
        let field = lay_out("päß🦀", 5, Shown::Masked, (10, 1));
        assert_eq!((field.rows.concat(), field.column), ("****".into(), 3));
        let field = lay_out("secret", 6, Shown::Not, (10, 1));
        assert_eq!((field.rows.concat(), field.column), (String::new(), 0));
    }

    #[test]
    fn long_lines_have_several_rows() {
        assert_eq!(wrap("hello", 5), ["hello"]);
        assert_eq!(wrap("hello", 2), ["he", "ll", "o"]);
        assert_eq!(wrap("漢字a", 3), ["漢", "字a"]);
        assert_eq!(wrap("", 2), [""]);
        assert_eq!(wrap("漢", 1), ["漢"]);
    }

    #[test]
    fn what_does_not_fit_shows_that() {
        assert_eq!(clip("hello", 5), "hello");
        assert_eq!(clip("hello", 4), "hel…");
        assert_eq!(clip("漢字", 3), "漢…");
        assert_eq!(clip("漢字", 2), "…");
        assert_eq!(clip("hello", 0), "");
    }
}
