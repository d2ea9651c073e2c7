//! What is on the screen: rows of text that fit, however small the window is. It writes nothing by
//! itself, and all that others have chosen (names, arguments, what is written) is made printable first.

mod caller;
mod question;
#[cfg(test)]
mod tests;

use std::time::Instant;

use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::queue;
use crossterm::style::{Attribute, Print, SetAttribute};
use crossterm::terminal::{BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate};

use super::field;
use super::form::Form;
use crate::desk::{Asked, Operation};
use crate::settings::Settings;

/// From so many rows and columns on, each thing about the caller has a row of its own.
const ROOMY: (u16, u16) = (44, 13);

/// What there is to show.
pub(crate) struct View<'a> {
    pub(crate) settings: &'a Settings,
    /// All that waits, the oldest first.
    pub(crate) list: &'a [Asked],
    /// Which of them is shown.
    pub(crate) place: usize,
    pub(crate) form: &'a Form,
    /// What is typed is dropped at the moment.
    pub(crate) guarded: bool,
    pub(crate) now: Instant,
}

/// How a row looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    Plain,
    Strong,
    Weak,
    Marked,
}

/// Rows, and where the cursor is.
#[derive(Debug, Default)]
pub(crate) struct Screen {
    rows: Vec<(Look, String)>,
    /// It has the end of what is written.
    pub(crate) shows_end: bool,
    /// How many pages there are about the caller.
    pub(crate) pages: usize,
    /// Column and row, from 0: where something is typed, or marked.
    cursor: (u16, u16),
}

impl Screen {
    /// What fits a window of `size` columns and rows.
    pub(crate) fn of(view: &View<'_>, size: (u16, u16)) -> Self {
        let (columns, rows) = (usize::from(size.0), usize::from(size.1));
        // The last column stays free: terminals differ in what comes after it.
        let width = columns.saturating_sub(1).max(1);
        let roomy = size.0 >= ROOMY.0 && size.1 >= ROOMY.1;
        let asked = &view.list[view.place];
        let mut screen = Self::default();
        if roomy {
            // The caller has 8 rows, the question, the field and the help one each.
            screen.queue(view, (rows / 4).min(rows.saturating_sub(12)));
            screen.caller(view, asked, width);
        } else {
            screen.caller_in_short(view, asked, width, rows);
        }
        let mut left = rows.saturating_sub(screen.rows.len());
        if let Operation::Write(data) = &asked.operation {
            // Rather a row of it than the question: that it is a write is seen from the rest.
            let most = left.saturating_sub(3).max(usize::from(left == 3));
            left = screen.written(data, view.form.scroll, width, most, left);
        }
        // The question, the field and the last row are what nobody can do without.
        if left >= 3 {
            screen.question(view, asked);
            left -= 1;
        }
        let help = usize::from(left >= 2);
        screen.field(view, width, left - help);
        if help > 0 {
            screen.push(Look::Weak, question::last_row(view, screen.pages));
        }
        for (_, row) in &mut screen.rows {
            *row = field::clip(row, width);
        }
        screen.rows.truncate(rows);
        screen
    }

    /// As control sequences for the terminal.
    pub(crate) fn draw(&self) -> std::io::Result<Vec<u8>> {
        let mut out = Vec::new();
        queue!(out, BeginSynchronizedUpdate, Hide)?;
        for (row, (look, line)) in (0..).zip(&self.rows) {
            queue!(out, MoveTo(0, row), SetAttribute(Attribute::Reset))?;
            let attribute = match look {
                Look::Plain => None,
                Look::Strong => Some(Attribute::Bold),
                Look::Weak => Some(Attribute::Dim),
                Look::Marked => Some(Attribute::Reverse),
            };
            if let Some(attribute) = attribute {
                queue!(out, SetAttribute(attribute))?;
            }
            queue!(out, Print(line), SetAttribute(Attribute::Reset))?;
            queue!(out, Clear(ClearType::UntilNewLine))?;
        }
        let below = u16::try_from(self.rows.len()).unwrap_or(u16::MAX);
        queue!(out, MoveTo(0, below.saturating_sub(1)))?;
        // On the last row there is nothing below.
        if let Some((_, line)) = self.rows.last() {
            let end = u16::try_from(field::width(line)).unwrap_or(u16::MAX);
            queue!(
                out,
                MoveTo(end, below.saturating_sub(1)),
                Clear(ClearType::FromCursorDown)
            )?;
        }
        let (column, row) = self.cursor;
        // It is hidden until all is drawn.
        queue!(out, MoveTo(column, row), Show, EndSynchronizedUpdate)?;
        Ok(out)
    }

    fn push(&mut self, look: Look, row: String) {
        self.rows.push((look, row));
    }

    fn cursor_at(&mut self, column: usize, row: usize) {
        let [column, row] = [column, row].map(|it| u16::try_from(it).unwrap_or(u16::MAX));
        self.cursor = (column, row);
    }
}
