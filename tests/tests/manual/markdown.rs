//! What is between fences in a text in Markdown.

use crate::page::Block;

/// The blocks of this language: what follows the opening fence.
pub(crate) fn fenced(text: &str, language: &str) -> Vec<String> {
    let mut lines = text.lines();
    let mut blocks = Vec::new();
    while let Some(line) = lines.next() {
        let Some(found) = line.strip_prefix("```") else {
            continue;
        };
        let block: String = lines
            .by_ref()
            .take_while(|line| *line != "```")
            .map(|line| format!("{line}\n"))
            .collect();
        if found == language {
            blocks.push(block);
        }
    }
    blocks
}

/// The examples: commands after a prompt, and what they print.
pub(crate) fn examples(text: &str) -> Vec<Block> {
    let blocks = fenced(text, "console");
    blocks
        .iter()
        .map(|block| Block::new(block.lines()))
        .collect()
}

#[test]
fn blocks_are_told_apart_by_their_language() {
    let text = "a\n```sh\none\ntwo\n```\nb\n```\nc\n```\n```console\n$ x\ny\n```\n";
    assert_eq!(fenced(text, "sh"), ["one\ntwo\n"]);
    assert_eq!(fenced(text, ""), ["c\n"]);
    let examples = examples(text);
    assert_eq!(examples.len(), 1);
    assert!(examples[0].begins("x"));
    assert_eq!(examples[0].output, ["y"]);
}
