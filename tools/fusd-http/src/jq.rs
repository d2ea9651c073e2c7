//! `--jq`: what a filter makes of a page in JSON.

use bytes::Bytes;
use fusd::Errno;
use jaq_core::load::{Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Filter as Compiled, Vars, data, unwrap_valr};
use jaq_json::{Val, read};

use crate::failure::Failure;

/// How many arrays and objects may be in each other: the reader recurses, and the stack is finite.
const DEEPEST: usize = 256;

type Program = Compiled<data::JustLut<Val>>;

/// A filter that means something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter(String);

impl Filter {
    /// Reads a filter.
    ///
    /// # Errors
    /// It is none.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        compile(text)?;
        Ok(Self(text.to_owned()))
    }

    /// What it makes of `page`: a line for each value, strings as they are. At most `limit` bytes.
    ///
    /// # Errors
    /// The page is not JSON, the filter fails (`EIO`), or makes too much of it (`EFBIG`).
    pub(crate) fn apply(&self, page: &[u8], limit: u64) -> Result<Bytes, Failure> {
        let fail = |text: String| Failure::new(Errno::EIO, text);
        if depth(page) > DEEPEST {
            return Err(fail(format!(
                "the page has more than {DEEPEST} arrays and objects in each other"
            )));
        }
        let input = read::parse_single(page)
            .map_err(|error| fail(format!("the page is not JSON: {error}")))?;
        let program = compile(&self.0).map_err(fail)?;
        let context = Ctx::<data::JustLut<Val>>::new(&program.lut, Vars::new([]));
        let mut out = Vec::new();
        for value in program.id.run((context, input)).map(unwrap_valr) {
            match value {
                Ok(Val::TStr(text) | Val::BStr(text)) => out.extend_from_slice(&text),
                Ok(value) => out.extend(value.to_string().into_bytes()),
                Err(error) => return Err(fail(format!("the filter fails: {error}"))),
            }
            out.push(b'\n');
            if out.len() as u64 > limit {
                let text = format!("the filter makes more than {limit} bytes of the page");
                return Err(Failure::new(Errno::EFBIG, text));
            }
        }
        Ok(out.into())
    }
}

/// How many arrays and objects of a page are in each other, at the most. The words are those of
/// jaq's reader, which knows comments.
fn depth(page: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut bytes = page.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'#' => drop(bytes.find(|byte| **byte == b'\n')),
            b'"' => {
                while let Some(byte) = bytes.next().filter(|byte| **byte != b'"') {
                    if *byte == b'\\' {
                        bytes.next();
                    }
                }
            }
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

fn compile(text: &str) -> Result<Program, String> {
    let functions = || {
        jaq_core::funs()
            .chain(jaq_std::funs())
            .chain(jaq_json::funs())
    };
    let definitions = jaq_core::defs()
        .chain(jaq_std::defs())
        .chain(jaq_json::defs());
    let arena = Arena::default();
    let file = File {
        code: text,
        path: (),
    };
    let modules = Loader::new(definitions).load(&arena, file);
    let modules = modules.map_err(|_| "it is no filter of jq; give one such as .temperature")?;
    let compiled = Compiler::default().with_funs(functions()).compile(modules);
    compiled.map_err(|errors| {
        let unknown = errors.into_iter().flat_map(|(_, names)| names);
        let unknown: Vec<_> = unknown.map(|(name, _)| name.to_string()).collect();
        format!("the filter uses what there is not: {}", unknown.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(filter: &str, page: &str) -> Result<String, Errno> {
        let out = Filter::parse(filter).unwrap().apply(page.as_bytes(), 100);
        out.map(|out| String::from_utf8(out.to_vec()).unwrap())
            .map_err(|failure| failure.errno)
    }

    #[test]
    fn values_are_lines() {
        let page = r#"{"a": [1, 2.5, "x\ny"], "b": {"c": null}}"#;
        for (filter, lines) in [
            (".a[]", "1\n2.5\nx\ny\n"),
            (".b", "{\"c\":null}\n"),
            (".a | length", "3\n"),
            (".a | map(tostring) | join(\"-\")", "1-2.5-x\ny\n"),
            ("empty", ""),
        ] {
            assert_eq!(apply(filter, page).as_deref(), Ok(lines), "{filter}");
        }
    }

    #[test]
    fn a_page_without_bottom_is_refused() {
        assert_eq!(apply(".", &"[".repeat(100_000)), Err(Errno::EIO));
        assert_eq!(apply(".", &"#\"\n[".repeat(100_000)), Err(Errno::EIO));
        assert_eq!(depth(br##"{"a]]\"[": [[1], "#"]} # [[["##), 3);
        let page = "[".repeat(DEEPEST) + &"]".repeat(DEEPEST);
        assert!(apply("empty", &page).is_ok());
    }

    #[test]
    fn what_cannot_be_done_fails() {
        assert_eq!(apply(".", "<html>"), Err(Errno::EIO));
        assert_eq!(apply(".a", "[]"), Err(Errno::EIO));
        assert_eq!(apply("repeat(.)", "1"), Err(Errno::EFBIG));
        assert!(Filter::parse(".a |").is_err());
        assert!(Filter::parse("nonsense").unwrap_err().contains("nonsense"));
    }
}
