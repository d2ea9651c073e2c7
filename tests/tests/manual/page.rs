//! The examples in a manual page's source: what is between `.EX` and `.EE`.

/// An example: commands, each after a prompt, and what they print.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) commands: Vec<String>,
    pub(crate) output: Vec<String>,
}

impl Block {
    /// That of these lines.
    ///
    /// # Panics
    /// It has no command.
    pub(crate) fn new<'a>(lines: impl Iterator<Item = &'a str>) -> Self {
        let mut block = Self {
            commands: Vec::new(),
            output: Vec::new(),
        };
        for line in lines {
            match line.strip_prefix("$ ").or(line.strip_prefix("# ")) {
                Some(command) => block.commands.push(command.to_owned()),
                None => block.output.push(line.to_owned()),
            }
        }
        assert!(!block.commands.is_empty(), "no prompt in {block:?}");
        block
    }

    /// Whether its first command begins like this.
    pub(crate) fn begins(&self, text: &str) -> bool {
        self.commands
            .first()
            .is_some_and(|command| command.starts_with(text))
    }
}

/// All of a page.
///
/// # Panics
/// One has no end, or no command.
pub(crate) fn blocks(page: &str) -> Vec<Block> {
    let mut lines = page.lines();
    let mut blocks = Vec::new();
    while lines.by_ref().any(|line| line == ".EX") {
        let mut inside = Vec::new();
        loop {
            let line = text(lines.next().expect("an example ends with .EE"));
            if line == ".EE" {
                break;
            }
            inside.push(line);
        }
        blocks.push(Block::new(inside.iter().map(String::as_str)));
    }
    blocks
}

/// A line as a reader sees it (groff_char(7)).
fn text(line: &str) -> String {
    let text = line.replace("\\-", "-").replace("\\(aq", "'");
    assert!(
        !text.contains("\\("),
        "{line:?} has an escape that is not known here"
    );
    text.replace("\\e", "\\")
}

#[test]
fn a_block_has_commands_and_their_output() {
    let page =
        "a\n.EX\n$ echo \\(aqone\\(aq \\-\\-two\none \\-\\-two\n# true\n.EE\nb\n.EX\n$ x\n.EE\n";
    let blocks = blocks(page);
    assert_eq!(blocks.len(), 2);
    assert_eq!(blocks[0].commands, ["echo 'one' --two", "true"]);
    assert_eq!(blocks[0].output, ["one --two"]);
    assert!(blocks[1].begins("x"));
}
