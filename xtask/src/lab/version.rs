//! Which version of a package to take.

use std::cmp::Reverse;

/// The series of the kernel that fusd is made for, the preferred one first.
pub(crate) const SERIES: [&str; 2] = ["7.2", "7.3"];

/// One version of one package, as the archive lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    pub(crate) package: String,
    pub(crate) version: String,
}

/// Reads the table of `apt-cache madison`: package, version and origin, between bars.
pub(crate) fn parse_madison(text: &str) -> Vec<Offer> {
    text.lines()
        .filter_map(|line| {
            let mut fields = line.split('|').map(str::trim);
            let (package, version) = (fields.next()?, fields.next()?);
            fields.next()?;
            Some(Offer {
                package: package.to_owned(),
                version: version.to_owned(),
            })
        })
        .collect()
}

/// The package with the source of a series.
pub(crate) fn source_package(series: &str) -> String {
    format!("linux-source-{series}")
}

/// The newest point release of the first series that is offered at all.
pub(crate) fn choose_linux(offers: &[Offer]) -> Option<&Offer> {
    SERIES.iter().find_map(|series| {
        let package = source_package(series);
        newest(
            offers
                .iter()
                .filter(|offer| offer.package == package && !offer.version.contains("~rc")),
        )
    })
}

/// The newest package of the library source of exactly this `release` of rustc.
pub(crate) fn choose_rust_src<'a>(offers: &'a [Offer], release: &str) -> Option<&'a Offer> {
    newest(offers.iter().filter(|offer| {
        offer.package == "rust-src"
            && offer
                .version
                .strip_prefix(release)
                .is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit() || c == '.'))
    }))
}

/// The first of those with the greatest version.
fn newest<'a>(offers: impl Iterator<Item = &'a Offer>) -> Option<&'a Offer> {
    offers.min_by_key(|offer| Reverse(numbers(&offer.version)))
}

/// The numbers in a version, but for what follows a `~`: that names a rebuild of the same source.
pub(crate) fn numbers(version: &str) -> Vec<u32> {
    let end = version.find('~').unwrap_or(version.len());
    version[..end]
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|digits| digits.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
linux-source-7.2 | 7.2.9-1~bpo13+1 | somewhere
linux-source-7.2 |   7.2.13-1 | sid/main amd64 Packages
linux-source-7.2 | 7.2.14~rc1-1 | somewhere
linux-source-7.3 | 7.3.4-1~bpo13+1 | somewhere
  rust-src | 1.97.1+dfsg1-1 | somewhere
  rust-src | 1.95.0+dfsg1-2~bpo13+1 | somewhere
  rust-src | 1.95.0+dfsg1-10~bpo13+1 | somewhere
N: a remark
";

    #[test]
    fn the_newest_point_release_of_the_preferred_series_is_taken() {
        let offers = parse_madison(TABLE);
        assert_eq!(offers.len(), 7);
        assert_eq!(choose_linux(&offers).unwrap().version, "7.2.13-1");
        let others: Vec<_> = offers
            .into_iter()
            .filter(|offer| offer.package != "linux-source-7.2")
            .collect();
        assert_eq!(choose_linux(&others).unwrap().version, "7.3.4-1~bpo13+1");
        assert_eq!(choose_linux(&[]), None);
    }

    #[test]
    fn the_library_source_is_that_of_the_same_compiler() {
        let offers = parse_madison(TABLE);
        let version = |release| choose_rust_src(&offers, release).map(|o| o.version.as_str());
        assert_eq!(version("1.95.0"), Some("1.95.0+dfsg1-10~bpo13+1"));
        assert_eq!(version("1.9"), None);
        assert_eq!(version("1.96.0"), None);
    }

    #[test]
    fn versions_are_compared_by_number() {
        assert!(numbers("7.2.13-1") > numbers("7.2.9-1"));
        assert!(numbers("7.2.13-2") > numbers("7.2.13-1~bpo13+1"));
    }
}
