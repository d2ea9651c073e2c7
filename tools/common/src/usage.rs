//! What the parser of the command line refuses, said in one line as every other error is.

use crate::ToolError;

/// The parser's message without the lines that a person can look up with `--help`.
pub(crate) fn line(error: &clap::Error) -> ToolError {
    let text = error.render().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    // What follows is the same for every error: how to call the tool, and where to find more.
    let end = ["\nUsage:", "\nFor more information"]
        .iter()
        .filter_map(|start| text.find(start))
        .min();
    let mut parts: Vec<String> = Vec::new();
    for part in text[..end.unwrap_or(text.len())].lines().map(str::trim) {
        match parts.last_mut() {
            _ if part.is_empty() => {}
            // A list of what is missing or possible belongs to the line that announces it.
            Some(last) if last.ends_with(':') || part.starts_with('[') => {
                *last = format!("{last} {part}");
            }
            _ => parts.push(part.to_owned()),
        }
    }
    ToolError::usage(format!("{}; see --help", parts.join("; ")))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::CommonArgs;

    #[derive(Debug, Parser)]
    struct Args {
        #[command(flatten)]
        common: CommonArgs,
    }

    #[test]
    fn every_refusal_is_one_line() {
        for (words, expected) in [
            (
                &["--mode", "9"][..],
                "invalid value '9' for '--mode <MODE>': give the permission bits in octal, \
                 0 to 7777: 660, for example; see --help",
            ),
            (
                &["--log-format", "xml"],
                "invalid value 'xml' for '--log-format <FORMAT>' [possible values: text, json]; \
                 see --help",
            ),
            (
                &["--nane", "x"],
                "unexpected argument '--nane' found; tip: a similar argument exists: '--name'; \
                 tip: to pass '--nane' as a value, use '-- --nane'; see --help",
            ),
            (
                &["--name"],
                "a value is required for '--name <NAME>' but none was supplied; see --help",
            ),
            (
                &["--name", "x", "--path", "y"],
                "the argument '--name <NAME>' cannot be used with '--path <PATH>'; see --help",
            ),
        ] {
            let words = ["tool"].iter().chain(words);
            let error = Args::try_parse_from(words).unwrap_err();
            assert_eq!(line(&error).to_string(), expected);
        }
    }
}
