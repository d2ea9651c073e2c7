//! The tools themselves.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::artifacts;
use crate::deploy::item::{Item, Part};
use crate::deploy::layout::Layout;
use crate::tools::TOOLS;

/// What else is in the workspace has nothing for users.
const OTHERS: [&str; 6] = [
    "--exclude",
    "fusd-bench",
    "--exclude",
    "fusd-tests",
    "--exclude",
    "xtask",
];

pub(super) fn items(layout: &Layout, debug: bool) -> Result<Vec<Item>> {
    let mut arguments = vec!["--workspace", "--bins"];
    if !debug {
        // In the other build, these are there already: to leave them out would compile what all share anew.
        arguments.extend(OTHERS);
    }
    let artifacts = artifacts::build(&arguments, debug)?;
    let mut built: BTreeMap<&str, PathBuf> = artifacts::programs(&artifacts).collect();
    let tools = TOOLS.iter().map(|tool| {
        let file = built.remove(tool.name);
        let file = file.with_context(|| format!("cargo has built no {}", tool.name))?;
        Ok(Item::program(Part::Tools, file, layout.program(tool.name)))
    });
    tools.collect()
}
