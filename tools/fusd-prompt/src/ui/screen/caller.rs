//! Who asks: the queue, and all about the caller of the request that is shown.

use std::path::PathBuf;
use std::time::Instant;

use super::{Look, Screen, View};
use crate::desk::Asked;
use crate::text;
use crate::ui::field;

/// How many rows a roomy window has about the caller.
const ROWS: usize = 7;

impl Screen {
    /// The requests that wait, as many as fit in `most` rows, if there are several.
    pub(super) fn queue(&mut self, view: &View<'_>, most: usize) {
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

    /// All about the caller, a row for each thing; what does not fit is on further pages.
    pub(super) fn caller(&mut self, view: &View<'_>, asked: &Asked, width: usize) {
        let facts = facts(view, asked);
        let rows = facts.map(|(label, value)| format!("{label:<10} {value}"));
        let is_whole = rows.iter().all(|row| field::width(row) <= width);
        let more = match is_whole {
            true => Vec::new(),
            false => whole(view, asked, width),
        };
        self.page(view, rows.to_vec(), &more, ROWS);
        self.push(Look::Plain, String::new());
    }

    /// The same for a small window, what matters most first.
    pub(super) fn caller_in_short(
        &mut self,
        view: &View<'_>,
        asked: &Asked,
        width: usize,
        rows: usize,
    ) {
        self.pages = 1;
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
        let shown = |path: &Option<PathBuf>| {
            let path = path.as_ref()?;
            Some(text::printable(path.as_os_str()))
        };
        // First what the kernel says, and the caller cannot choose.
        let facts = [
            shown(&who.program),
            (!who.command.is_empty()).then(|| text::printable(&who.command_line())),
            shown(&who.directory).map(|directory| format!("in {directory}")),
        ];
        let room = rows.saturating_sub(4);
        let facts = facts.into_iter().flatten().take(room).collect();
        self.page(view, facts, &whole(view, asked, width), room);
    }

    /// The page of rows about the caller that the person has gone to: the first one, or one of so many
    /// rows of `more`.
    fn page(&mut self, view: &View<'_>, first: Vec<String>, more: &[String], rows: usize) {
        self.pages = match rows {
            0 => 1,
            _ => 1 + more.len().div_ceil(rows),
        };
        let page = view.form.page.min(self.pages - 1);
        let page = match page.checked_sub(1) {
            None => first,
            Some(number) => {
                let rows = more.iter().skip(number * rows).take(rows);
                rows.cloned().collect()
            }
        };
        let blank = rows.saturating_sub(page.len());
        // In a small window, rows that it does not need are for the question.
        let blank = if view.form.page == 0 { 0 } else { blank };
        for row in page.into_iter().chain(vec![String::new(); blank]) {
            self.push(Look::Plain, row);
        }
    }
}

/// What there is to know of a caller, by names.
fn facts(view: &View<'_>, asked: &Asked) -> [(&'static str, String); ROWS] {
    let who = &asked.who;
    let path = |path: &Option<PathBuf>| match path {
        Some(path) => text::printable(path.as_os_str()),
        None => "not to be seen".to_owned(),
    };
    let program = match who.is_here {
        true => path(&who.program),
        false => format!("{} of elsewhere", path(&who.program)),
    };
    let user = text::printable(who.user.as_ref());
    [
        ("Program", program),
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
    ]
}

/// The same in rows that leave nothing out.
fn whole(view: &View<'_>, asked: &Asked, width: usize) -> Vec<String> {
    let facts = facts(view, asked).into_iter();
    let lines = facts.map(|(label, value)| format!("{label}: {value}"));
    lines.flat_map(|line| field::wrap(&line, width)).collect()
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
