//! The dialogue of pinentry (the Assuan protocol, as libassuan's manual and pinentry's have it).

use std::env;
use std::fs::File;
use std::io::{self, Read, Write, pipe};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use fusd_tool::Program;

use super::output::Output;
use super::{Ask, No, Shared, TOO_LONG, has_terminal};
use crate::args::Kind;
use crate::desk::Operation;
use crate::notify::variables;
use crate::secret::Secret;
use crate::settings::LONGEST;

/// The longest line, in bytes, with its end (ASSUAN_LINELENGTH).
const LINE: usize = 1002;

/// Whether a command is a pinentry.
pub(super) fn is(command: &str) -> bool {
    let program = command.split_whitespace().next().unwrap_or_default();
    let name = program.rsplit('/').next().unwrap_or_default();
    name.starts_with("pinentry")
}

pub(super) fn ask(shared: &Shared, ask: &Ask<'_>) -> Result<Secret, No> {
    let (output, stdout) = pipe()?;
    let (stdin, input) = pipe()?;
    let mut program = Program::new(["/bin/sh", "-c"])
        .arg(format!("exec {}", shared.command))
        .stdin(stdin)
        .stdout(stdout);
    if !has_terminal() {
        program = program.own_group();
    }
    let program = variables(program, ask.asked, shared.requests.settings());
    let (child, _own) = shared.requests.own_processes().spawn(program)?;
    let child = Arc::new(child);
    shared.runs(ask.asked.number, &child);
    let answer = Output::of(output, &child)
        .map_err(No::from)
        .and_then(|output| {
            let mut dialogue = Dialogue {
                input: File::from(OwnedFd::from(input)),
                output,
                line: Secret::new(),
            };
            // It ends at the end of its input, which is dropped here.
            dialogue.ask(ask)
        });
    let status = child.wait();
    shared.runs_no_more();
    status?;
    answer
}

struct Dialogue {
    input: File,
    output: Output,
    /// What has been read and not looked at yet.
    line: Secret,
}

/// What pinentry says.
enum Said {
    Ok,
    Data(Secret),
    Refused,
    Error(String),
}

impl Dialogue {
    fn ask(&mut self, ask: &Ask<'_>) -> Result<Secret, No> {
        self.done()?;
        let variable = |name| {
            env::var(name)
                .ok()
                .filter(|value: &String| !value.is_empty())
        };
        if has_terminal() {
            self.option("ttyname", Some("/dev/tty".to_owned()))?;
        }
        self.option("ttytype", variable("TERM"))?;
        let letters = variable("LC_ALL")
            .or(variable("LC_CTYPE"))
            .or(variable("LANG"));
        self.option("lc-ctype", letters)?;
        self.tell("SETTITLE", "fusd-prompt")?;
        let is_write = matches!(ask.asked.operation, Operation::Write(_));
        if is_write && "SETDESC ".len() + escaped(&ask.text).len() > LINE - 2 {
            return Err(No::Failed(TOO_LONG.to_owned()));
        }
        self.tell("SETDESC", &ask.text)?;
        // No SETTIMEOUT: the tool ends it when the time is over, and decides then.
        if ask.kind == Kind::Confirm {
            self.send("CONFIRM", "")?;
            return match self.said()? {
                Said::Ok | Said::Data(_) => Ok(Secret::new()),
                Said::Refused => Err(No::Refused),
                Said::Error(error) => Err(No::Failed(error)),
            };
        }
        let prompt = if ask.name.is_empty() {
            "Answer"
        } else {
            ask.name
        };
        self.tell("SETPROMPT", &format!("{prompt}:"))?;
        self.send("GETPIN", "")?;
        // Long answers come in several lines, an empty one in none.
        let mut answer = Secret::new();
        loop {
            match self.said()? {
                Said::Ok => return Ok(answer),
                Said::Data(part) => answer.push(part.bytes()),
                Said::Refused => return Err(No::Refused),
                Said::Error(error) => return Err(No::Failed(error)),
            }
            if answer.len() > LONGEST {
                return Err(No::Failed("it says too much".to_owned()));
            }
        }
    }

    fn option(&mut self, name: &str, value: Option<String>) -> Result<(), No> {
        let Some(value) = value else { return Ok(()) };
        self.send("OPTION", &format!("{name}={value}"))?;
        // What it does not know it does without.
        self.said().map(drop)
    }

    fn tell(&mut self, word: &str, text: &str) -> Result<(), No> {
        self.send(word, &escaped(text))?;
        self.done()
    }

    fn done(&mut self) -> Result<(), No> {
        match self.said()? {
            Said::Ok => Ok(()),
            Said::Error(error) => Err(No::Failed(error)),
            _ => Err(No::Failed("it says what nobody asked for".to_owned())),
        }
    }

    fn send(&mut self, word: &str, text: &str) -> Result<(), No> {
        let mut line = format!("{word} {text}");
        let mut end = line.len().min(LINE - 2);
        while !line.is_char_boundary(end) {
            end -= 1;
        }
        line.truncate(end);
        line.push('\n');
        self.input.write_all(line.as_bytes()).map_err(No::from)
    }

    /// The next thing it says that matters.
    fn said(&mut self) -> Result<Said, No> {
        loop {
            let line = self.line()?;
            let bytes = line.bytes();
            let (word, rest) = match bytes.iter().position(|byte| *byte == b' ') {
                Some(space) => (&bytes[..space], &bytes[space + 1..]),
                None => (bytes, &bytes[bytes.len()..]),
            };
            match word {
                b"OK" => return Ok(Said::Ok),
                b"D" => return Ok(Said::Data(unescaped(rest))),
                b"ERR" => {
                    let text = String::from_utf8_lossy(rest).into_owned();
                    // GPG_ERR_CANCELED, GPG_ERR_NOT_CONFIRMED, GPG_ERR_TIMEOUT, with their source
                    // in the high bits.
                    let number = text.split(' ').next().and_then(|it| it.parse::<u32>().ok());
                    return Ok(match number.map(|number| number & 0xffff) {
                        Some(99 | 114 | 62) => Said::Refused,
                        _ => Said::Error(text),
                    });
                }
                // Comments and states.
                b"S" | b"#" | b"" => {}
                _ => return Err(No::Failed("it is no pinentry".to_owned())),
            }
        }
    }

    fn line(&mut self) -> Result<Secret, No> {
        loop {
            let end = self.line.bytes().iter().position(|byte| *byte == b'\n');
            if let Some(end) = end {
                let line = Secret::of(&self.line.bytes()[..end]);
                self.line.remove(0..end + 1);
                return Ok(line);
            }
            if self.line.len() > LINE {
                return Err(No::Failed("it is no pinentry".to_owned()));
            }
            match self.output.read(self.line.room(LINE)) {
                Ok(0) => return Err(No::Failed("it has ended".to_owned())),
                Ok(count) => self.line.grown(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Text without line ends.
fn escaped(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// Data as they were before their line ends and percent signs were escaped.
fn unescaped(data: &[u8]) -> Secret {
    let mut out = Secret::new();
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let mut rest = data;
    while let Some((first, others)) = rest.split_first() {
        let escape = match others {
            [high, low, ..] if *first == b'%' => digit(*high).zip(digit(*low)),
            _ => None,
        };
        match escape {
            Some((high, low)) => {
                // Lossless: both are below 16.
                out.push(&[(high * 16 + low) as u8]);
                rest = &others[2..];
            }
            None => {
                out.push(&[*first]);
                rest = others;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pinentry_is_known_by_its_name() {
        for (command, is_it) in [
            ("pinentry", true),
            ("/usr/bin/pinentry-tty -g", true),
            ("ssh-askpass", false),
            ("cat pinentry", false),
            ("", false),
        ] {
            assert_eq!(is(command), is_it, "{command}");
        }
    }

    #[test]
    fn data_come_back_as_they_were() {
        assert_eq!(escaped("100%\n"), "100%25%0A");
        assert_eq!(unescaped(b"100%25%0a %zz %").text(), "100%\n %zz %");
    }
}
