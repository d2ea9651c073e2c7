//! What is wrong with a command line, in one line like every other message of a tool.

use clap::error::{ContextKind, ContextValue};

/// The message of clap, which takes several lines, as one.
pub(crate) fn line(error: clap::Error) -> String {
    format!("{}; --help tells more", fault(error))
}

/// What is wrong, in one line, for what is no command line but is read like one.
pub fn fault(mut error: clap::Error) -> String {
    // It would offer "--", which introduces the command here.
    if let Some(ContextValue::StyledStrs(tips)) = error.remove(ContextKind::Suggested) {
        let good = |tip: &clap::builder::StyledStr| !tip.to_string().contains("as a value");
        let tips = tips.into_iter().filter(good).collect();
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(tips));
    }
    let text = error.render().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let told = |paragraph: &&str| {
        !paragraph.starts_with("Usage:") && !paragraph.starts_with("For more information")
    };
    let words: Vec<&str> = text
        .split("\n\n")
        .map(str::trim)
        .filter(told)
        .flat_map(str::lines)
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::CommonArgs;

    #[derive(Parser)]
    struct Example {
        text: Vec<String>,
        #[command(flatten)]
        common: CommonArgs,
    }

    fn message(words: &[&str]) -> String {
        let words = [&["example"], words].concat();
        line(Example::try_parse_from(words).map(drop).unwrap_err())
    }

    #[test]
    fn each_message_is_one_line_that_says_what_to_do() {
        for (words, expected) in [
            (
                &["--max-open", "0"][..],
                "invalid value '0' for '--max-open <N>': give a whole number, at least 1; \
                 --help tells more",
            ),
            (
                &["--log-format", "xml"],
                "invalid value 'xml' for '--log-format <FORMAT>' [possible values: text, json]; \
                 --help tells more",
            ),
            (
                &["--nam", "x"],
                "unexpected argument '--nam' found tip: a similar argument exists: '--name'; \
                 --help tells more",
            ),
            (
                &["--no-such-option"],
                "unexpected argument '--no-such-option' found; --help tells more",
            ),
            (
                &["--name", "x", "--path", "y"],
                "the argument '--name <NAME>' cannot be used with '--path <PATH>'; --help tells \
                 more",
            ),
        ] {
            assert_eq!(message(words), expected);
        }
    }
}
