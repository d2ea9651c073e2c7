//! What is asked, and what the person types.

use super::{Look, Screen, View};
use crate::args::{Echo, Kind};
use crate::desk::Asked;
use crate::text;
use crate::ui::field::{self, Shown};

impl Screen {
    /// What is written, in at most `most` rows, from the one on that was scrolled to; gives back how many
    /// rows are left of `left`.
    pub(super) fn written(
        &mut self,
        data: &[u8],
        scroll: usize,
        width: usize,
        most: usize,
        left: usize,
    ) -> usize {
        let lines = data
            .strip_suffix(b"\n")
            .unwrap_or(data)
            .split(|byte| *byte == b'\n');
        let room = width.saturating_sub(2).max(1);
        let rows: Vec<_> = lines
            .flat_map(|line| field::wrap(&text::printable_bytes(line), room))
            .collect();
        let most = most.min(rows.len());
        let first = scroll.min(rows.len().saturating_sub(most));
        for (number, row) in rows.iter().enumerate().skip(first).take(most) {
            let below = rows.len() - number;
            if number + 1 == first + most && below > 1 && most > 1 {
                self.push(Look::Weak, format!("... {below} rows more: Down"));
            } else {
                self.push(Look::Plain, format!("| {row}"));
            }
        }
        self.shows_end = most > 0 && first + most == rows.len();
        left - most
    }

    pub(super) fn question(&mut self, view: &View<'_>, asked: &Asked) {
        let question = view.settings.question(asked, view.form.name());
        let (done, all) = view.form.progress();
        let question = match all {
            0 | 1 => question,
            _ => format!("{question} ({}/{all})", done + 1),
        };
        self.push(Look::Strong, question);
    }

    /// What the person types, in at most `most` rows.
    pub(super) fn field(&mut self, view: &View<'_>, width: usize, most: usize) {
        let top = self.rows.len();
        let form = view.form;
        match form.kind() {
            Kind::Confirm => {
                let question = "> yes (y) or no (n)?";
                self.push(Look::Plain, question.to_owned());
                self.cursor_at(question.len().min(width), top);
            }
            Kind::Choice => {
                let choices = &view.settings.choices;
                let shown = choices.len().min(most.max(1));
                let first = form
                    .selected
                    .saturating_sub(shown / 2)
                    .min(choices.len() - shown);
                for (place, choice) in choices.iter().enumerate().skip(first).take(shown) {
                    let (mark, look) = match place == form.selected {
                        true => ('>', Look::Marked),
                        false => (' ', Look::Plain),
                    };
                    self.push(look, format!("{mark} {}", text::printable(choice.as_ref())));
                }
                self.cursor_at(0, top + form.selected - first);
            }
            kind => {
                let shown = match (kind, view.settings.echo) {
                    (Kind::Secret, Echo::Mask) => Shown::Masked,
                    (Kind::Secret, Echo::Off) => Shown::Not,
                    _ => Shown::Whole,
                };
                let room = width.saturating_sub(2).max(1);
                let field = field::lay_out(
                    form.edit.text(),
                    form.edit.cursor(),
                    shown,
                    (room, most.max(1)),
                );
                for row in field.rows {
                    self.push(Look::Plain, format!("> {row}"));
                }
                self.cursor_at(field.column + 2, top + field.row);
            }
        }
    }
}

/// What keys there are, or what the person is to know; `pages` are those about the caller.
pub(super) fn last_row(view: &View<'_>, pages: usize) -> String {
    if view.guarded {
        return "Wait: what is typed now is dropped".to_owned();
    }
    if let Some(note) = view.form.note {
        return format!("! {note}");
    }
    let keys = match view.form.kind() {
        Kind::Confirm => "y/n",
        Kind::Choice => "Enter",
        Kind::Multiline => "Ctrl-D sends",
        _ => "Enter sends",
    };
    let next = if view.list.len() > 1 {
        ", Tab next"
    } else {
        ""
    };
    let default = match &view.settings.default {
        Some(default) if view.form.kind() != Kind::Confirm => {
            format!(" [{}]", text::printable(default.as_ref()))
        }
        _ => String::new(),
    };
    let editor = match view.form.kind() {
        Kind::Text | Kind::Multiline => ", Ctrl-X editor",
        _ => "",
    };
    let more = match view.form.page + 1 < pages {
        true => ", PgDn tells more",
        false => "",
    };
    format!("{keys}, Esc denies{next}{default}{editor}{more}")
}
