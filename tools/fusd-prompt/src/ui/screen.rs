//! What is on the screen: rows of text that fit, however small the window is. It writes nothing by
//! itself, and all that others have chosen (names, arguments, what is written) is made printable first.

use std::time::Instant;

use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::queue;
use crossterm::style::{Attribute, Print, SetAttribute};
use crossterm::terminal::{BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate};

use super::field::{self, Shown};
use super::form::Form;
use crate::args::{Echo, Kind};
use crate::desk::{Asked, Operation};
use crate::settings::Settings;
use crate::text;

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
            screen.caller(view, asked);
        } else {
            screen.caller_in_short(view, asked, rows);
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
            screen.push(Look::Weak, last_row(view));
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

    /// The requests that wait, as many as fit in `most` rows, if there are several.
    fn queue(&mut self, view: &View<'_>, most: usize) {
        let count = view.list.len();
        let title = match count {
            1 => "A program asks".to_owned(),
            _ => format!("{count} programs ask; this is number {}", view.place + 1),
        };
        self.push(Look::Strong, title);
        if count == 1 {
            return;
        }
        let shown = count.min(most.max(1));
        let first = view.place.saturating_sub(shown / 2).min(count - shown);
        for (place, asked) in view.list.iter().enumerate().skip(first).take(shown) {
            let (mark, look) = match place == view.place {
                true => ('>', Look::Marked),
                false => (' ', Look::Plain),
            };
            let who = asked.who.title();
            let user = text::printable(asked.who.user.as_ref());
            let word = asked.operation.word();
            let pid = asked.who.pid;
            let waits = waiting(view, asked);
            self.push(look, format!("{mark} {who}[{pid}] {user}, {word}, {waits}"));
        }
    }

    fn caller(&mut self, view: &View<'_>, asked: &Asked) {
        let who = &asked.who;
        let path = |path: &Option<std::path::PathBuf>| match path {
            Some(path) => text::printable(path.as_os_str()),
            None => "not to be seen".to_owned(),
        };
        let user = text::printable(who.user.as_ref());
        let rows = [
            ("Program", path(&who.program)),
            ("Command", text::printable(&who.command_line())),
            (
                "Process",
                format!("{} ({})", who.pid, text::printable(who.name.as_ref())),
            ),
            ("User", format!("{user} (uid {}, gid {})", who.uid, who.gid)),
            ("Directory", path(&who.directory)),
            (
                "Wants to",
                format!("{} {}", asked.operation.word(), view.settings.node()),
            ),
            ("Waiting", waiting(view, asked)),
        ];
        for (label, value) in rows {
            self.push(Look::Plain, format!("{label:<10} {value}"));
        }
        self.push(Look::Plain, String::new());
    }

    fn caller_in_short(&mut self, view: &View<'_>, asked: &Asked, rows: usize) {
        if rows < 3 {
            return;
        }
        let who = &asked.who;
        let number = match view.list.len() {
            1 => String::new(),
            count => format!("{}/{count} ", view.place + 1),
        };
        let (program, user) = (who.title(), text::printable(who.user.as_ref()));
        let word = asked.operation.word();
        let waits = waiting(view, asked);
        self.push(
            Look::Strong,
            format!("{number}{program}[{}] {user} {word} {waits}", who.pid),
        );
        let path = who
            .program
            .as_ref()
            .map(|path| text::printable(path.as_os_str()));
        let directory = who
            .directory
            .as_ref()
            .map(|path| text::printable(path.as_os_str()));
        let more = [
            (!who.command.is_empty()).then(|| text::printable(&who.command_line())),
            path,
            directory.map(|directory| format!("in {directory}")),
        ];
        let room = rows.saturating_sub(4);
        for row in more.into_iter().flatten().take(room) {
            self.push(Look::Plain, row);
        }
    }

    /// What is written, in at most `most` rows, from the one on that was scrolled to; gives back how many
    /// rows are left of `left`.
    fn written(
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

    fn question(&mut self, view: &View<'_>, asked: &Asked) {
        let question = view.settings.question(asked, view.form.name());
        let (done, all) = view.form.progress();
        let question = match all {
            0 | 1 => question,
            _ => format!("{question} ({}/{all})", done + 1),
        };
        self.push(Look::Strong, question);
    }

    /// What the person types, in at most `most` rows.
    fn field(&mut self, view: &View<'_>, width: usize, most: usize) {
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

    fn cursor_at(&mut self, column: usize, row: usize) {
        let [column, row] = [column, row].map(|it| u16::try_from(it).unwrap_or(u16::MAX));
        self.cursor = (column, row);
    }
}

/// How long somebody has waited, and how long it will.
fn waiting(view: &View<'_>, asked: &Asked) -> String {
    let seconds = |from: Instant, to: Instant| to.saturating_duration_since(from).as_secs();
    let waited = length(seconds(asked.since, view.now));
    match asked.deadline {
        None => waited,
        Some(deadline) => format!("{waited}, {} left", length(seconds(view.now, deadline))),
    }
}

/// Seconds as people read them.
fn length(seconds: u64) -> String {
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes}:{seconds:02} min"),
        (hours, minutes, _) => format!("{hours}:{minutes:02} h"),
    }
}

fn last_row(view: &View<'_>) -> String {
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
    format!("{keys}, Esc denies{next}{default}{editor}")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use clap::Parser;

    use super::*;
    use crate::Args;
    use crate::ui::keys::Key;
    use crate::who::tests::process;

    fn asked(number: u64, operation: Operation, now: Instant) -> Asked {
        let mut who = process(u32::try_from(number).unwrap(), 0, "/usr/bin/\x1b[31mevil");
        who.command = vec!["evil".into(), "-x\n".into()];
        Asked {
            number,
            who: Arc::new(who),
            operation,
            since: now,
            deadline: Some(now + Duration::from_secs(100)),
        }
    }

    fn screen(line: &[&str], operation: Operation, size: (u16, u16), text: &str) -> Screen {
        let line = [&["fusd-prompt", "--name", "x", "--message", "Say"], line].concat();
        let settings = Settings::new(&Args::try_parse_from(line).unwrap()).unwrap();
        let now = Instant::now();
        let list: Vec<_> = (1..=3)
            .map(|number| asked(number, operation.clone(), now))
            .collect();
        let mut form = Form::new(&settings, &list[1]);
        for letter in text.chars() {
            form.press(Key::Letter(letter), &settings);
        }
        let view = View {
            settings: &settings,
            list: &list,
            place: 1,
            form: &form,
            guarded: false,
            now: now + Duration::from_secs(75),
        };
        Screen::of(&view, size)
    }

    #[test]
    fn all_sizes_have_the_caller_the_field_and_no_row_too_many() {
        let kinds = [
            &[][..],
            &["-a", "secret"],
            &["-a", "multiline"],
            &["-a", "confirm"],
            &["--choices", "one,two,three,four,five,six,seven"],
        ];
        for size in [
            (20, 5),
            (1, 1),
            (20, 3),
            (44, 13),
            (80, 24),
            (200, 60),
            (44, 12),
        ] {
            for kind in kinds {
                for operation in [
                    Operation::Open,
                    Operation::Write(Arc::from(&b"a\nb\nc\nd"[..])),
                ] {
                    let screen = screen(kind, operation, size, "漢字漢字漢字漢字漢字漢字漢字");
                    assert!(
                        screen.rows.len() <= usize::from(size.1),
                        "{size:?} {screen:?}"
                    );
                    for (_, row) in &screen.rows {
                        assert!(
                            field::width(row) < usize::from(size.0).max(2),
                            "{size:?} {row}"
                        );
                        assert!(!row.contains(char::is_control), "{row:?}");
                    }
                    if size.1 >= 5 {
                        let all: Vec<_> = screen.rows.iter().map(|(_, row)| row.as_str()).collect();
                        assert!(all.iter().any(|row| row.starts_with("> ")), "{all:?}");
                        assert!(all.iter().any(|row| row.contains("\\e[31")), "{all:?}");
                    }
                    let (column, row) = screen.cursor;
                    assert!(column < size.0.max(4) && row < size.1.max(1), "{size:?}");
                }
            }
        }
    }

    #[test]
    fn what_is_written_is_seen_whole_or_known_not_to_be() {
        let shows = |size, text: &str| {
            let data = Operation::Write(Arc::from(text.as_bytes()));
            let screen = screen(&["-w", "approve"], data, size, "");
            let rows = screen.rows.iter().filter(|(_, row)| row.starts_with("| "));
            (rows.count(), screen.shows_end)
        };
        assert_eq!(shows((20, 5), "a"), (1, true));
        assert_eq!(shows((20, 5), "a\nb"), (1, false));
        assert_eq!(shows((80, 40), "a\nb"), (2, true));
        assert!(!shows((80, 40), &"a\n".repeat(100)).1);
        assert!(!shows((20, 2), "a").1);
    }

    #[test]
    fn the_question_is_there_in_a_small_window_with_a_queue() {
        for size in [(44, 13), (44, 14), (80, 15)] {
            let screen = screen(&[], Operation::Open, size, "");
            let has = |text: &str| screen.rows.iter().any(|(_, row)| row.starts_with(text));
            assert!(has("> ") && has("Enter"), "{size:?}: {screen:?}");
        }
    }

    #[test]
    fn there_is_room_for_all_about_the_caller() {
        let screen = screen(&[], Operation::Open, (80, 24), "hello");
        let text: Vec<_> = screen.rows.iter().map(|(_, row)| row.as_str()).collect();
        for part in [
            "3 programs ask; this is number 2",
            "Program    /usr/bin/\\e[31mevil",
            "Command    evil -x\\n",
            "Process    2 (x)",
            "User       0 (uid 0, gid 0)",
            "Directory  /",
            "Waiting    1:15 min, 25 s left",
            "Say",
            "> hello",
        ] {
            assert!(
                text.iter().any(|row| row.starts_with(part)),
                "{part}: {text:#?}"
            );
        }
    }

    #[test]
    fn a_secret_is_nowhere() {
        for (echo, row) in [("mask", "> *******"), ("off", "> ")] {
            let screen = screen(
                &["-a", "secret", "--echo", echo],
                Operation::Open,
                (80, 24),
                "hunter2",
            );
            let drawn = String::from_utf8(screen.draw().unwrap()).unwrap();
            assert!(!drawn.contains("hunter2"));
            assert!(screen.rows.iter().any(|(_, it)| it == row), "{screen:?}");
        }
    }
}
