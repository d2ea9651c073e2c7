//! What shells need to complete the options of the tools.

use anyhow::Result;
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
            items.push(Item::text(Part::Tools, text, path));
        }
    }
    Ok(items)
}
