//! A text that is being typed: the cursor is between what a person sees as characters.

use unicode_segmentation::{GraphemeCursor, UnicodeSegmentation};

use super::keys::Key;
use crate::secret::Secret;
use crate::settings::LONGEST;

/// What became of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Edited {
    /// It has changed the text, or moved the cursor.
    Yes,
    /// It means nothing in a text.
    No,
    /// There is no room for it.
    TooLong,
}

/// A text and a cursor.
pub(crate) struct Edit {
    text: Secret,
    /// A byte of the text, at the beginning of a character, or its end.
    cursor: usize,
    several_lines: bool,
}

impl Edit {
    /// An empty text.
    pub(crate) fn new(several_lines: bool) -> Self {
        Self {
            text: Secret::new(),
            cursor: 0,
            several_lines,
        }
    }

    pub(crate) fn secret(&self) -> &Secret {
        &self.text
    }

    pub(crate) fn into_secret(self) -> Secret {
        self.text
    }

    /// The text; it is nothing else.
    pub(crate) fn text(&self) -> &str {
        self.text.text()
    }

    /// Where the cursor is, in bytes.
    pub(crate) fn cursor(&self) -> usize {
        self.cursor
    }

    /// Puts another text in the place of this one, and the cursor at its end.
    pub(crate) fn replace(&mut self, text: Secret) {
        self.cursor = text.text().len();
        self.text = text;
    }

    /// Puts text at the cursor.
    pub(crate) fn insert(&mut self, text: &str) -> Edited {
        if self.text.len() + text.len() > LONGEST {
            return Edited::TooLong;
        }
        self.text.insert(self.cursor, text.as_bytes());
        self.cursor += text.len();
        // What was inserted may have joined what comes after it, such as an accent.
        let joined = !self.is_boundary(self.cursor);
        if joined {
            self.cursor = self.after(self.cursor);
        }
        Edited::Yes
    }

    /// What a key does to the text.
    pub(crate) fn press(&mut self, key: Key) -> Edited {
        let (begin, end) = self.line();
        match key {
            Key::Letter(letter) => return self.insert(letter.encode_utf8(&mut [0; 4])),
            Key::Enter | Key::Control('j') if self.several_lines => return self.insert("\n"),
            Key::Backspace => self.cut(self.before(self.cursor), self.cursor),
            Key::Delete => self.cut(self.cursor, self.after(self.cursor)),
            Key::Control('d') if self.cursor < self.text.len() => {
                self.cut(self.cursor, self.after(self.cursor));
            }
            Key::Left | Key::Control('b') => self.cursor = self.before(self.cursor),
            Key::Right | Key::Control('f') => self.cursor = self.after(self.cursor),
            Key::Home | Key::Control('a') => self.cursor = begin,
            Key::End | Key::Control('e') => self.cursor = end,
            Key::WordLeft => self.cursor = self.word_before(),
            Key::WordRight => self.cursor = self.word_after(),
            Key::Control('w') => self.cut(self.word_before(), self.cursor),
            Key::Alt('d') => self.cut(self.cursor, self.word_after()),
            Key::Control('u') => self.cut(begin, self.cursor),
            Key::Control('k') if self.cursor == end => self.cut(end, self.after(end)),
            Key::Control('k') => self.cut(self.cursor, end),
            Key::Up if self.several_lines => self.up(begin),
            Key::Down if self.several_lines => self.down(begin, end),
            _ => return Edited::No,
        }
        Edited::Yes
    }

    fn cut(&mut self, begin: usize, end: usize) {
        self.text.remove(begin..end);
        self.cursor = begin;
        // What was apart may be one character now.
        if !self.is_boundary(self.cursor) {
            self.cursor = self.after(self.cursor);
        }
    }

    /// The line of the cursor: its beginning and its end, without the newline.
    fn line(&self) -> (usize, usize) {
        let (before, after) = self.text().split_at(self.cursor);
        let begin = before.rfind('\n').map_or(0, |place| place + 1);
        let end = after
            .find('\n')
            .map_or(self.text.len(), |place| self.cursor + place);
        (begin, end)
    }

    fn up(&mut self, begin: usize) {
        if begin == 0 {
            self.cursor = 0;
            return;
        }
        let column = self.text()[begin..self.cursor].graphemes(true).count();
        self.cursor = begin - 1;
        let (above, _) = self.line();
        self.cursor = self.at_column(above, begin - 1, column);
    }

    fn down(&mut self, begin: usize, end: usize) {
        if end == self.text.len() {
            self.cursor = end;
            return;
        }
        let column = self.text()[begin..self.cursor].graphemes(true).count();
        self.cursor = end + 1;
        let (below, last) = self.line();
        self.cursor = self.at_column(below, last, column);
    }

    /// The place in a line behind so many characters, or its end.
    fn at_column(&self, begin: usize, end: usize, column: usize) -> usize {
        let places = self.text()[begin..end].grapheme_indices(true);
        let place = places.map(|(place, _)| place).nth(column);
        place.map_or(end, |place| begin + place)
    }

    fn is_boundary(&self, place: usize) -> bool {
        GraphemeCursor::new(place, self.text.len(), true)
            .is_boundary(self.text(), 0)
            .unwrap_or(true)
    }

    fn before(&self, place: usize) -> usize {
        let mut cursor = GraphemeCursor::new(place, self.text.len(), true);
        cursor
            .prev_boundary(self.text(), 0)
            .ok()
            .flatten()
            .unwrap_or(0)
    }

    fn after(&self, place: usize) -> usize {
        let mut cursor = GraphemeCursor::new(place, self.text.len(), true);
        let end = self.text.len();
        cursor
            .next_boundary(self.text(), 0)
            .ok()
            .flatten()
            .unwrap_or(end)
    }

    fn word_before(&self) -> usize {
        let before = &self.text()[..self.cursor];
        let end = before.trim_end().len();
        let begin = before[..end].rfind(char::is_whitespace);
        begin.map_or(0, |place| {
            place + before[place..].chars().next().map_or(1, char::len_utf8)
        })
    }

    fn word_after(&self) -> usize {
        let after = &self.text()[self.cursor..];
        let gap = after.len() - after.trim_start().len();
        let word = after[gap..].find(char::is_whitespace);
        self.cursor + gap + word.unwrap_or(after.len() - gap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text after these keys, with the cursor as "|".
    fn typed(several_lines: bool, text: &str, keys: &[Key]) -> String {
        let mut edit = Edit::new(several_lines);
        edit.insert(text);
        for key in keys {
            edit.press(*key);
        }
        let (before, after) = edit.text().split_at(edit.cursor());
        format!("{before}|{after}")
    }

    #[test]
    fn a_line_is_edited() {
        use Key::{
            Backspace, Control, Delete, End, Home, Left, Letter, Right, WordLeft, WordRight,
        };
        for (keys, result) in [
            (&[Letter('!')][..], "one two!|"),
            (&[Backspace, Backspace], "one t|"),
            (&[Home, Delete, Right, Letter('x')], "nx|e two"),
            (&[Left, Left, Control('k')], "one t|"),
            (&[Left, Control('u')], "|o"),
            (&[Control('w')], "one |"),
            (&[Control('w'), Control('w')], "|"),
            (&[WordLeft, WordLeft, Key::Alt('d')], "| two"),
            (&[Home, WordRight], "one| two"),
            (&[Control('a'), Control('d'), End], "ne two|"),
            (&[Home, Left, Backspace], "|one two"),
            (&[Right, Delete], "one two|"),
        ] {
            assert_eq!(typed(false, "one two", keys), result, "{keys:?}");
        }
    }

    #[test]
    fn the_cursor_is_between_characters() {
        // A family of three, joined; an accent of its own; a flag.
        for whole in ["👨‍👩‍👧", "e\u{301}", "🇩🇪", "漢"] {
            let text = format!("a{whole}b");
            assert_eq!(
                typed(false, &text, &[Key::Left, Key::Left]),
                format!("a|{whole}b")
            );
            assert_eq!(typed(false, &text, &[Key::Left, Key::Backspace]), "a|b");
        }
        let accent = typed(false, "e", &[Key::Letter('\u{301}')]);
        assert_eq!(accent, "e\u{301}|");
        let before = typed(false, "\u{301}", &[Key::Home, Key::Letter('e')]);
        assert_eq!(before, "e\u{301}|");
    }

    #[test]
    fn lines_are_gone_through() {
        use Key::{Down, Enter, Home, Up};
        assert_eq!(typed(true, "one\ntw", &[Up]), "on|e\ntw");
        assert_eq!(typed(true, "one\n漢字x", &[Up]), "one|\n漢字x");
        assert_eq!(typed(true, "a\nb", &[Up, Down]), "a\nb|");
        assert_eq!(typed(true, "a\nb", &[Home, Key::Backspace]), "a|b");
        assert_eq!(typed(true, "a", &[Enter, Up, Up]), "|a\n");
        assert_eq!(
            typed(true, "a\nb", &[Up, Key::End, Key::Control('k')]),
            "a|b"
        );
        assert_eq!(typed(false, "a", &[Enter]), "a|");
    }

    #[test]
    fn there_is_an_end() {
        let mut edit = Edit::new(false);
        edit.replace(Secret::of(&vec![b'a'; LONGEST]));
        assert_eq!(edit.insert("b"), Edited::TooLong);
        assert_eq!(edit.secret().len(), LONGEST);
    }
}
