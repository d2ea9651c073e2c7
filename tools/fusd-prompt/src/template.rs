//! What is put around answers, and which answers are asked for: `--template`.

use clap::ValueEnum;

use crate::args::Kind;
use crate::secret::Secret;

/// One thing that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    /// Empty where there is but one.
    pub(crate) name: String,
    pub(crate) kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    /// The answer to the question of this number.
    Answer(usize),
}

/// A text with places for answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    parts: Vec<Part>,
    questions: Vec<Question>,
}

impl Template {
    /// The answer to a single question, and a newline unless told otherwise.
    pub(crate) fn plain(kind: Kind, newline: bool) -> Self {
        Self::read(&["{}".to_owned()], kind, newline).expect("it has a place")
    }

    /// Reads lines in which `{}`, `{NAME}` and `{NAME:KIND}` are places. Other braces stay.
    ///
    /// # Errors
    /// There is no place, or one name has two kinds.
    pub(crate) fn read(lines: &[String], kind: Kind, newline: bool) -> Result<Self, String> {
        let mut template = Self {
            parts: Vec::new(),
            questions: Vec::new(),
        };
        for (number, line) in lines.iter().enumerate() {
            if number > 0 {
                template.text("\n");
            }
            template.line(line, kind)?;
        }
        if newline {
            template.text("\n");
        }
        match template.questions.is_empty() {
            true => Err("the template has no place for an answer; write {} or {NAME}".to_owned()),
            false => Ok(template),
        }
    }

    fn line(&mut self, line: &str, kind: Kind) -> Result<(), String> {
        let mut rest = line;
        while let Some(brace) = rest.find('{') {
            self.text(&rest[..brace]);
            rest = &rest[brace..];
            match place(rest) {
                Some((inside, length)) => {
                    let question = question(inside, kind)?;
                    self.place(question)?;
                    rest = &rest[length..];
                }
                None => {
                    self.text("{");
                    rest = &rest[1..];
                }
            }
        }
        self.text(rest);
        Ok(())
    }

    fn text(&mut self, text: &str) {
        match self.parts.last_mut() {
            Some(Part::Text(last)) => last.push_str(text),
            _ => self.parts.push(Part::Text(text.to_owned())),
        }
    }

    fn place(&mut self, question: Question) -> Result<(), String> {
        let same = |one: &Question| one.name == question.name;
        let number = match self.questions.iter().position(same) {
            Some(number) if self.questions[number] == question => number,
            Some(_) => {
                return Err(format!(
                    "{{{}}} is asked for in two ways; give it one KIND",
                    question.name
                ));
            }
            None => {
                self.questions.push(question);
                self.questions.len() - 1
            }
        };
        self.parts.push(Part::Answer(number));
        Ok(())
    }

    /// What is asked for, in turn; at least one.
    pub(crate) fn questions(&self) -> &[Question] {
        &self.questions
    }

    /// The text with the answers in their places. A missing answer is empty.
    pub(crate) fn fill(&self, answers: &[Secret]) -> Secret {
        let mut content = Secret::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => content.push(text.as_bytes()),
                Part::Answer(number) => {
                    content.push(answers.get(*number).map_or(&[], Secret::bytes));
                }
            }
        }
        content
    }
}

/// What is between the braces that `text` begins with, if that is a place, and the length of all.
fn place(text: &str) -> Option<(&str, usize)> {
    let end = text.find('}')?;
    let inside = &text[1..end];
    let named = |letter: char| letter.is_alphanumeric() || "_-. :".contains(letter);
    inside.chars().all(named).then_some((inside, end + 1))
}

fn question(inside: &str, kind: Kind) -> Result<Question, String> {
    let (name, kind) = match inside.split_once(':') {
        None => (inside, kind),
        Some((name, word)) => {
            let kind = Kind::from_str(word, false)
                .map_err(|_| format!("{word:?} in {{{inside}}} is no KIND of --ask"))?;
            (name, kind)
        }
    };
    if kind == Kind::Confirm && !name.is_empty() {
        return Err(format!(
            "{{{name}}} is nothing to type; give it another KIND"
        ));
    }
    Ok(Question {
        name: name.trim().to_owned(),
        kind,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(lines: &[&str], answers: &[&str]) -> String {
        let lines: Vec<_> = lines.iter().map(|line| (*line).to_owned()).collect();
        let template = Template::read(&lines, Kind::Text, true).unwrap();
        assert_eq!(template.questions().len(), answers.len());
        let answers: Vec<_> = answers.iter().map(|it| Secret::of(it.as_bytes())).collect();
        template.fill(&answers).text().to_owned()
    }

    #[test]
    fn answers_are_put_into_their_places() {
        assert_eq!(fill(&["{}"], &["x"]), "x\n");
        assert_eq!(fill(&["KEY={}"], &["{user}"]), "KEY={user}\n", "once");
        let lines = ["U={user}", "P={pass:secret} # {user}"];
        assert_eq!(fill(&lines, &["me", "a b"]), "U=me\nP=a b # me\n");
    }

    #[test]
    fn other_braces_stay() {
        let line = "{\"key\": \"{}\", \"set\": {\"a\"}}";
        assert_eq!(
            fill(&[line], &["v"]),
            "{\"key\": \"v\", \"set\": {\"a\"}}\n"
        );
    }

    #[test]
    fn each_name_has_one_kind() {
        let read = |line: &str| Template::read(&[line.to_owned()], Kind::Secret, false);
        let questions = read("{a}{b:text}").unwrap().questions;
        assert_eq!(questions[0].kind, Kind::Secret);
        assert_eq!(questions[1].kind, Kind::Text);
        for (line, says) in [
            ("{a:text}{a}", "two ways"),
            ("{a:word}", "no KIND"),
            ("none", "no place"),
            ("{a:confirm}", "nothing to type"),
        ] {
            let error = read(line).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }
}
