//! What is installed of each part of the project, built where that takes a build.

mod artifacts;
mod completions;
mod library;
mod module;
mod pages;
mod tools;
mod units;

use anyhow::Result;

use super::item::{Item, Part};
use super::layout::Layout;
pub(crate) use library::SONAME;
pub(crate) use module::name as module_name;

/// Makes these parts, for this layout.
///
/// # Errors
/// Something does not compile, or a file of the project is missing.
pub(crate) fn make(parts: &[Part], layout: &Layout, debug: bool) -> Result<Vec<Item>> {
    let mut items = Vec::new();
    if parts.contains(&Part::Tools) {
        items.extend(tools::items(layout, debug)?);
        items.extend(completions::items(layout)?);
        items.extend(units::items(layout)?);
    }
    if parts.contains(&Part::Library) {
        items.extend(library::items(layout, debug)?);
    }
    if parts.contains(&Part::Module) {
        items.extend(module::items(layout)?);
    }
    items.extend(pages::items(layout, parts));
    Ok(items)
}

/// What takes no build.
#[cfg(test)]
pub(crate) fn unbuilt(layout: &Layout) -> Result<Vec<Item>> {
    let mut items = completions::items(layout)?;
    items.extend(units::items(layout)?);
    items.extend(module::items(layout)?);
    items.extend(pages::items(
        layout,
        &[Part::Tools, Part::Library, Part::Module],
    ));
    Ok(items)
}
