//! Texts with `{uid}`, `{pid}` and `{program}` in them, for which each caller's own are put.

use std::fmt::Write;

use fusd::Errno;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Url;

use crate::failure::Failure;
use crate::target;
use crate::who::Who;

/// How what is put in is kept from meaning something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Escape {
    Percent,
    Json,
}

/// Puts what `who` says, and `data`, into `text`. Other braces stay.
pub(crate) fn fill(text: &str, who: &Who, data: Option<&str>, escape: Escape) -> String {
    let (uid, pid) = (who.uid.to_string(), who.pid.to_string());
    let known = [
        ("{uid}", Some(uid.as_str())),
        ("{pid}", Some(pid.as_str())),
        ("{program}", Some(who.program.as_str())),
        ("{data}", data),
    ];
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    // Once, from left to right: what is put in is not looked at.
    while let Some(brace) = rest.find('{') {
        out.push_str(&rest[..brace]);
        rest = &rest[brace..];
        let found = known.iter().find_map(|(name, value)| {
            value
                .filter(|_| rest.starts_with(name))
                .map(|it| (name, it))
        });
        match found {
            Some((name, value)) => {
                escape.push(&mut out, value);
                rest = &rest[name.len()..];
            }
            None => {
                out.push('{');
                rest = &rest[1..];
            }
        }
    }
    out + rest
}

impl Escape {
    fn push(self, out: &mut String, value: &str) {
        match self {
            Self::Percent => out.extend(utf8_percent_encode(value, NON_ALPHANUMERIC)),
            Self::Json => {
                for letter in value.chars() {
                    match letter {
                        '"' | '\\' => out.extend(['\\', letter]),
                        letter if letter < ' ' => {
                            // Writing to a string does not fail.
                            let _ = write!(out, "\\u{:04x}", u32::from(letter));
                        }
                        letter => out.push(letter),
                    }
                }
            }
        }
    }
}

/// The URL of the command line.
#[derive(Clone, Debug)]
pub struct Target {
    text: String,
    /// As it would be for somebody.
    url: Url,
    depends: bool,
}

impl Target {
    /// Reads it.
    ///
    /// # Errors
    /// It is none, or the caller would choose the server.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let url = target::url(&fill(text, &sample("x"), None, Escape::Percent))?;
        let other = target::url(&fill(text, &sample("y"), None, Escape::Percent))?;
        if url.origin() != other.origin() {
            return Err(
                "callers cannot choose the server: put {uid}, {pid} and {program} behind it"
                    .to_owned(),
            );
        }
        Ok(Self {
            text: text.to_owned(),
            depends: url != other,
            url,
        })
    }

    /// The URL as it would be for somebody: its server is that of all.
    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// Whether each caller has one of his own.
    pub(crate) fn depends_on_caller(&self) -> bool {
        self.depends
    }

    /// The URL for `who`.
    ///
    /// # Errors
    /// The name of the program leads somewhere else (`EACCES`).
    pub(crate) fn of(&self, who: &Who) -> Result<Url, Failure> {
        if !self.depends {
            return Ok(self.url.clone());
        }
        let refuse = || {
            let text = "the name of the program makes another URL of it";
            Failure::new(Errno::EACCES, text)
        };
        let text = fill(&self.text, who, None, Escape::Percent);
        let url = Url::parse(&text).map_err(|_| refuse())?;
        // A program may be called "..", which URLs take for the way up, however it is written.
        let steps = |url: &Url| url.path().split('/').count();
        match url.origin() == self.url.origin() && steps(&url) == steps(&self.url) {
            true => Ok(url),
            false => Err(refuse()),
        }
    }
}

fn sample(program: &str) -> Who {
    let number = program.len() as u32 + u32::from(program == "y");
    Who {
        uid: number,
        gid: number,
        pid: number,
        program: program.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(program: &str) -> Who {
        Who {
            uid: 1000,
            gid: 100,
            pid: 42,
            program: program.to_owned(),
        }
    }

    #[test]
    fn each_caller_has_a_url() {
        let target = Target::parse("http://host/{uid}/{program}?p={pid}&x={other}").unwrap();
        let url = target.of(&who("a b/c?{uid}")).unwrap();
        assert_eq!(
            url.as_str(),
            "http://host/1000/a%20b%2Fc%3F%7Buid%7D?p=42&x={other}"
        );
        assert!(target.depends && !Target::parse("http://host/{other}").unwrap().depends);
    }

    #[test]
    fn nobody_leaves_the_place() {
        assert!(Target::parse("http://{program}.host/").is_err());
        assert!(Target::parse("http://host:{uid}/").is_err());
        let target = Target::parse("http://host/a/{program}/b").unwrap();
        for program in [".", "..", ""] {
            let url = target.of(&who(program));
            assert!(
                url.is_err() || url.unwrap().path().starts_with("/a/"),
                "{program:?}"
            );
        }
        assert!(target.of(&who("..")).is_err());
    }

    #[test]
    fn data_stays_data() {
        let text = r#"{"text": "{data}", "by": {uid}}"#;
        assert_eq!(
            fill(text, &who("x"), Some("a\"b\\\n{uid}"), Escape::Json),
            r#"{"text": "a\"b\\\u000a{uid}", "by": 1000}"#
        );
        assert_eq!(
            fill("t={data}", &who("x"), Some("a&b"), Escape::Percent),
            "t=a%26b"
        );
    }
}
