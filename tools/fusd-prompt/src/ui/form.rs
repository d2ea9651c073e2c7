//! What a person has typed for one prompt so far, and what becomes of it. Each prompt has its own: what
//! was typed for one never gets into another.

use super::edit::{Edit, Edited};
use super::keys::Key;
use crate::args::{Kind, Per};
use crate::desk::{Asked, Operation};
use crate::secret::Secret;
use crate::settings::{LONGEST, Settings};
use crate::template::Question;

/// What a key has come to.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The person goes on typing.
    Open,
    /// All that was asked for.
    Answered(Vec<Secret>),
    /// The end of the file, of a node that is asked for at each read.
    Ended,
    Approved,
    Denied,
    /// The answer is to be written in an editor.
    Editor,
}

/// The answers to one prompt.
pub(crate) struct Form {
    /// Whether it is what somebody writes that is asked about.
    is_write: bool,
    questions: Vec<Question>,
    answers: Vec<Secret>,
    pub(crate) edit: Edit,
    /// Which of the choices is marked.
    pub(crate) selected: usize,
    /// How many rows of what is written are above the window.
    pub(crate) scroll: usize,
    /// All of what is written has been on the screen, down to its end.
    pub(crate) end_is_seen: bool,
    /// Which page there is about the caller, and of how many; 0 is what fits at a glance.
    pub(crate) page: usize,
    pub(crate) pages: usize,
    /// What is being pasted.
    paste: Option<Secret>,
    /// What the person is to know.
    pub(crate) note: Option<&'static str>,
}

impl Form {
    pub(crate) fn new(settings: &Settings, asked: &Asked) -> Self {
        let questions = settings.template.questions().to_vec();
        let mut form = Self {
            is_write: matches!(asked.operation, Operation::Write(_)),
            edit: Edit::new(false),
            questions,
            answers: Vec::new(),
            selected: 0,
            scroll: 0,
            end_is_seen: false,
            page: 0,
            pages: 1,
            paste: None,
            note: None,
        };
        form.begin(settings);
        form
    }

    /// What is asked for now.
    pub(crate) fn kind(&self) -> Kind {
        match self.question() {
            Some(question) if !self.is_write => question.kind,
            _ => Kind::Confirm,
        }
    }

    /// The name of the answer that is asked for now, where there are several.
    pub(crate) fn name(&self) -> &str {
        match self.question() {
            Some(question) if !self.is_write => &question.name,
            _ => "",
        }
    }

    /// How many answers there are, and how many are to be.
    pub(crate) fn progress(&self) -> (usize, usize) {
        (self.answers.len(), self.questions.len())
    }

    fn question(&self) -> Option<&Question> {
        self.questions.get(self.answers.len())
    }

    fn begin(&mut self, settings: &Settings) {
        self.edit = Edit::new(self.kind() == Kind::Multiline);
        let marked = |choice: &String| Some(choice) == settings.default.as_ref();
        self.selected = settings.choices.iter().position(marked).unwrap_or(0);
    }

    /// Whether keys are a paste at the moment.
    pub(crate) fn is_pasting(&self) -> bool {
        self.paste.is_some()
    }

    /// Takes a text over that was written elsewhere; what is wrong with it, if so.
    pub(crate) fn take_over(&mut self, mut text: Secret) -> Option<&'static str> {
        if text.text().len() != text.len() {
            return Some("the editor's text is no UTF-8: it is not taken");
        }
        if self.kind() != Kind::Multiline {
            text.trim_line_ends();
            if text.bytes().contains(&b'\n') {
                return Some("the editor's text has several lines: it is not taken");
            }
        }
        self.edit.replace(text);
        None
    }

    /// A key is pressed.
    pub(crate) fn press(&mut self, key: Key, settings: &Settings) -> Outcome {
        if key != Key::Unknown {
            self.note = None;
        }
        if let Some(outcome) = self.paste(key) {
            return outcome;
        }
        match key {
            Key::PageDown => self.page = (self.page + 1).min(self.pages.saturating_sub(1)),
            Key::PageUp => self.page = self.page.saturating_sub(1),
            _ => return self.press_in_field(key, settings),
        }
        Outcome::Open
    }

    fn press_in_field(&mut self, key: Key, settings: &Settings) -> Outcome {
        let ends = key == Key::Control('d') && settings.per == Per::Read && !self.is_write;
        match self.kind() {
            Kind::Confirm | Kind::Choice if ends => Outcome::Ended,
            Kind::Confirm => self.press_confirm(key, settings),
            Kind::Choice => self.press_choice(key, settings),
            Kind::Text | Kind::Secret | Kind::Multiline => self.press_text(key, settings),
        }
    }

    fn press_confirm(&mut self, key: Key, settings: &Settings) -> Outcome {
        let default = settings.default.as_deref().filter(|_| !self.is_write);
        match (key, default) {
            (Key::Letter('y' | 'Y'), _) if self.is_write && !self.end_is_seen => {
                self.note = Some("first see all of it: Down, or a larger window");
                Outcome::Open
            }
            (Key::Letter('y' | 'Y'), _) | (Key::Enter, Some("yes")) => Outcome::Approved,
            (Key::Letter('n' | 'N'), _) | (Key::Enter, Some("no")) => Outcome::Denied,
            // What is too far is seen where there are rows.
            (Key::Down, _) if self.is_write => {
                self.scroll += 1;
                Outcome::Open
            }
            (Key::Up, _) if self.is_write => {
                self.scroll = self.scroll.saturating_sub(1);
                Outcome::Open
            }
            _ => {
                self.note = Some("type y or n");
                Outcome::Open
            }
        }
    }

    fn press_choice(&mut self, key: Key, settings: &Settings) -> Outcome {
        let count = settings.choices.len();
        match key {
            Key::Enter => {
                let choice = settings.choices.get(self.selected);
                let choice = choice.map_or(&[][..], |choice| choice.as_bytes());
                return self.answered(Secret::of(choice), settings);
            }
            Key::Up | Key::Left => self.selected = (self.selected + count - 1) % count,
            Key::Down | Key::Right => self.selected = (self.selected + 1) % count,
            Key::Home => self.selected = 0,
            Key::End => self.selected = count - 1,
            Key::Letter(letter) => {
                // The next one that begins so.
                let from = self.selected + 1;
                let mut order = (from..from + count).map(|place| place % count);
                let found = order.find(|place| settings.choices[*place].starts_with(letter));
                match found {
                    Some(place) => self.selected = place,
                    None => self.note = Some("none of them begins so"),
                }
            }
            _ => {}
        }
        Outcome::Open
    }

    fn press_text(&mut self, key: Key, settings: &Settings) -> Outcome {
        let several_lines = self.kind() == Kind::Multiline;
        let at_end = self.edit.cursor() == self.edit.text().len();
        match key {
            Key::Enter if !several_lines => return self.submit(settings),
            Key::Alt('\r') => return self.submit(settings),
            Key::Control('d') if several_lines && at_end => return self.submit(settings),
            Key::Control('d') if settings.per == Per::Read && self.edit.secret().is_empty() => {
                return Outcome::Ended;
            }
            Key::Control('x') if self.kind() == Kind::Secret => {
                self.note = Some("a secret is not given to an editor");
            }
            Key::Control('x') => return Outcome::Editor,
            _ => {
                if self.edit.press(key) == Edited::TooLong {
                    self.note = Some("the answer is too long: 1 MiB is the most");
                }
            }
        }
        Outcome::Open
    }

    fn submit(&mut self, settings: &Settings) -> Outcome {
        let edit = std::mem::replace(&mut self.edit, Edit::new(false));
        let mut answer = edit.into_secret();
        if answer.is_empty()
            && let Some(default) = &settings.default
        {
            answer.push(default.as_bytes());
        }
        self.answered(answer, settings)
    }

    fn answered(&mut self, answer: Secret, settings: &Settings) -> Outcome {
        self.answers.push(answer);
        if self.answers.len() < self.questions.len() {
            self.begin(settings);
            return Outcome::Open;
        }
        Outcome::Answered(std::mem::take(&mut self.answers))
    }

    /// What is pasted is text, whatever keys it would be; it is taken as a whole.
    fn paste(&mut self, key: Key) -> Option<Outcome> {
        let Some(paste) = &mut self.paste else {
            if key == Key::PasteBegins {
                self.paste = Some(Secret::new());
                return Some(Outcome::Open);
            }
            return None;
        };
        match key {
            Key::PasteEnds => {
                let paste = self.paste.take().unwrap_or_else(Secret::new);
                self.insert(paste);
            }
            // The rest is dropped; that it is too long is said at its end.
            _ if paste.len() > LONGEST => {}
            Key::Letter(letter) => paste.push(letter.encode_utf8(&mut [0; 4]).as_bytes()),
            Key::Enter | Key::Control('j') => paste.push(b"\n"),
            Key::Tab => paste.push(b"\t"),
            _ => {}
        }
        Some(Outcome::Open)
    }

    /// Drops a paste that has begun.
    pub(crate) fn drop_paste(&mut self) {
        self.paste = None;
    }

    /// The same, and the person is told.
    pub(crate) fn break_paste_off(&mut self) {
        if self.paste.take().is_some() {
            self.note = Some("the paste had no end: it is not taken");
        }
    }

    fn insert(&mut self, mut paste: Secret) {
        match self.kind() {
            Kind::Confirm | Kind::Choice => return,
            Kind::Multiline => {}
            Kind::Text | Kind::Secret => paste.trim_line_ends(),
        }
        if self.kind() != Kind::Multiline && paste.bytes().contains(&b'\n') {
            self.note = Some("several lines were pasted: they are not taken");
        } else if self.edit.insert(paste.text()) == Edited::TooLong {
            self.note = Some("the paste is too long: 1 MiB is the most");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Instant;

    use clap::Parser;

    use super::*;
    use crate::Args;
    use crate::who::tests::process;

    fn settings(line: &[&str]) -> Settings {
        let args = Args::try_parse_from([&["fusd-prompt", "--name", "x"], line].concat());
        Settings::new(&args.unwrap()).unwrap()
    }

    fn asked(operation: Operation) -> Asked {
        Asked {
            number: 1,
            who: Arc::new(process(1, 0, "/a")),
            operation,
            since: Instant::now(),
            deadline: None,
        }
    }

    /// What the last of these keys comes to: the answers joined by "|", or a word.
    fn typed(line: &[&str], keys: &[Key]) -> String {
        let settings = settings(line);
        let mut form = Form::new(&settings, &asked(Operation::Open));
        let (last, others) = keys.split_last().unwrap();
        for key in others {
            let outcome = form.press(*key, &settings);
            assert!(matches!(outcome, Outcome::Open), "{key:?}: {outcome:?}");
        }
        told(form.press(*last, &settings), &form)
    }

    fn told(outcome: Outcome, form: &Form) -> String {
        match outcome {
            Outcome::Answered(answers) => {
                let texts: Vec<_> = answers.iter().map(Secret::text).collect();
                texts.join("|")
            }
            Outcome::Open => form.note.unwrap_or("open").to_owned(),
            Outcome::Approved => "approved".to_owned(),
            Outcome::Denied => "denied".to_owned(),
            Outcome::Ended => "ended".to_owned(),
            Outcome::Editor => "editor".to_owned(),
        }
    }

    const A: Key = Key::Letter('a');
    const ENTER: Key = Key::Enter;
    const CTRL_D: Key = Key::Control('d');

    #[test]
    fn each_kind_has_its_answer() {
        for (line, keys, result) in [
            (&[][..], &[A, ENTER][..], "a"),
            (&[], &[ENTER], ""),
            (&["--default", "d"], &[ENTER], "d"),
            (&["--default", "d"], &[A, ENTER], "a"),
            (&["-a", "secret"], &[A, A, ENTER], "aa"),
            (
                &["-a", "secret"],
                &[Key::Control('x')],
                "a secret is not given to an editor",
            ),
            (&[], &[Key::Control('x')], "editor"),
            (&["-a", "multiline"], &[A, ENTER, A, CTRL_D], "a\na"),
            (&["-a", "multiline"], &[A, Key::Alt('\r')], "a"),
            (&["--per", "read"], &[CTRL_D], "ended"),
            (&["--per", "read"], &[A, CTRL_D], "open"),
            (&["--per", "read", "-a", "confirm"], &[CTRL_D], "ended"),
            (&["--per", "read", "--choices", "a,b"], &[CTRL_D], "ended"),
            (&["-a", "confirm"], &[CTRL_D], "type y or n"),
            (&["-a", "confirm"], &[Key::Letter('y')], "approved"),
            (&["-a", "confirm"], &[Key::Letter('N')], "denied"),
            (&["-a", "confirm"], &[ENTER], "type y or n"),
            (&["-a", "confirm", "--default", "yes"], &[ENTER], "approved"),
            (&["-a", "confirm", "--default", "no"], &[ENTER], "denied"),
            (&["--choices", "one,two,three"], &[Key::Down, ENTER], "two"),
            (&["--choices", "one,two,three"], &[Key::Up, ENTER], "three"),
            (
                &["--choices", "one,two,three", "--default", "three"],
                &[ENTER],
                "three",
            ),
            (
                &["--choices", "one,two,three"],
                &[Key::Letter('t'), ENTER],
                "two",
            ),
            (
                &["--choices", "one,two,three"],
                &[Key::Letter('t'), Key::Letter('t'), ENTER],
                "three",
            ),
            (&["--choices", "one,two"], &[A], "none of them begins so"),
            (&["--template", "{a} {b}"], &[A, ENTER, A, A, ENTER], "a|aa"),
        ] {
            assert_eq!(typed(line, keys), result, "{line:?} {keys:?}");
        }
    }

    #[test]
    fn a_paste_is_taken_as_a_whole() {
        let pasted = |keys: &[Key]| [&[Key::PasteBegins], keys, &[Key::PasteEnds]].concat();
        let with = |keys: &[Key], last: Key| [pasted(keys), vec![last]].concat();
        assert_eq!(
            typed(&[], &with(&[A, ENTER], ENTER)),
            "a",
            "the newline at its end"
        );
        let two = "several lines were pasted: they are not taken";
        assert_eq!(typed(&[], &pasted(&[A, ENTER, A])), two);
        assert_eq!(
            typed(&["-a", "multiline"], &with(&[A, ENTER, A], CTRL_D)),
            "a\na"
        );
        assert_eq!(
            typed(&["-a", "confirm"], &pasted(&[Key::Letter('y')])),
            "open"
        );
        assert_eq!(
            typed(&[], &with(&[Key::Tab, Key::Control('u')], ENTER)),
            "\t"
        );
    }

    #[test]
    fn what_is_written_takes_a_yes_of_its_own() {
        let settings = settings(&["-w", "approve", "--default", "yes"]);
        let write = Operation::Write(Arc::from(&b"x"[..]));
        let mut form = Form::new(&settings, &asked(write));
        let outcome = form.press(ENTER, &settings);
        assert_eq!(told(outcome, &form), "type y or n");
        let outcome = form.press(Key::Letter('y'), &settings);
        let said = told(outcome, &form);
        assert!(said.starts_with("first see all of it"), "{said}");
        form.end_is_seen = true;
        let outcome = form.press(Key::Letter('y'), &settings);
        assert_eq!(told(outcome, &form), "approved");
    }
}
