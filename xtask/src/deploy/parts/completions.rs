//! What shells need to complete the options of the tools.

use anyhow::{Context, Result};
use clap_complete::{Shell, generate};

use crate::deploy::item::{Item, Part};
use crate::deploy::layout::Layout;
use crate::tools::TOOLS;

pub(super) fn items(layout: &Layout) -> Result<Vec<Item>> {
    let mut items = Vec::new();
    for tool in &TOOLS {
        for (shell, path) in [
            (Shell::Bash, layout.bash_completion(tool.name)),
            (Shell::Zsh, layout.zsh_completion(tool.name)),
            (Shell::Fish, layout.fish_completion(tool.name)),
        ] {
            let mut text = Vec::new();
            generate(shell, &mut (tool.command)(), tool.name, &mut text);
            let text = String::from_utf8(text).context("a completion is no text")?;
            let text = match shell {
                Shell::Fish => quoted(&text),
                _ => text,
            };
            items.push(Item::text(Part::Tools, text, path));
        }
    }
    Ok(items)
}

/// The text for fish, with the lists of values as they have to be: clap_complete (4.6) puts them between
/// double quotes, and what is a double quote or a dollar sign in there stays one.
fn quoted(text: &str) -> String {
    const BEGIN: &str = " -a \"";
    const END: &str = "'\"\n";
    let mut result = String::new();
    let mut rest = text;
    while let Some((before, list)) = rest.split_once(BEGIN) {
        result.push_str(before);
        result.push_str(BEGIN);
        rest = list;
        // What begins like this is a function's result.
        if !list.starts_with('(')
            && let Some((inside, after)) = list.split_once(END)
        {
            result.push_str(&inside.replace('"', "\\\"").replace('$', "\\$"));
            result.push_str(END);
            rest = after;
        }
    }
    result + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_of_a_help_text_do_not_end_the_list() {
        let text = "complete -l a -d 'say \"x\"' -r -f -a \"one\\t'with \">>\" and $x'\ntwo\\t''\"\n\
                    complete -l b -r -f -a \"(__fish_complete_users)\"\ncomplete -l c -d '\"'\n";
        assert_eq!(
            quoted(text),
            "complete -l a -d 'say \"x\"' -r -f -a \"one\\t'with \\\">>\\\" and \\$x'\ntwo\\t''\"\n\
             complete -l b -r -f -a \"(__fish_complete_users)\"\ncomplete -l c -d '\"'\n"
        );
    }
}
