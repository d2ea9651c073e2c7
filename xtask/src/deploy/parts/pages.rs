//! The manual pages: each with the part that it is about.

use crate::deploy::item::{Item, Part};
use crate::deploy::layout::Layout;
use crate::host;
use crate::man::WRITTEN;
use crate::tools::TOOLS;

pub(super) fn items(layout: &Layout, parts: &[Part]) -> Vec<Item> {
    let folder = host::workspace().join("man");
    let made = TOOLS.iter().map(|tool| format!("{}.1", tool.name));
    let written = WRITTEN.iter().map(|page| (*page).to_owned());
    let pages = made.chain(written).map(|page| (part(&page), page));
    let wanted = pages.filter(|(part, _)| parts.contains(part));
    wanted
        .map(|(part, page)| Item::copy(part, folder.join(&page), layout.page(&page)))
        .collect()
}

fn part(page: &str) -> Part {
    match page.rsplit('.').next() {
        Some("3") => Part::Library,
        Some("4") => Part::Module,
        _ => Part::Tools,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn each_page_comes_with_what_it_is_about() {
        let layout = Layout::new(Path::new("/usr"), None).unwrap();
        let pages = |part| {
            let items = items(&layout, &[part]);
            let names = items.iter().map(|item| item.path.display().to_string());
            names.collect::<Vec<_>>()
        };
        assert!(pages(Part::Tools).contains(&"/usr/share/man/man1/fusd-echo.1".to_owned()));
        assert!(pages(Part::Library).contains(&"/usr/share/man/man3/libfusd.3".to_owned()));
        assert_eq!(pages(Part::Module), ["/usr/share/man/man4/kfusd.4"]);
    }
}
