//! What a guest says of its counts, as text: a line for each contender and size.

use std::fmt;
use std::str::FromStr;

use anyhow::Context;

/// What one boot says of one contender and one size. As text, a line: its fields are separated by
/// tabs, the values by blanks.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Figures {
    pub(crate) contender: String,
    /// Bytes that are read at a time.
    pub(crate) size: usize,
    /// Instructions per operation, one value for each round.
    pub(crate) values: Vec<f64>,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\t{}\t", self.contender, self.size)?;
        for (index, value) in self.values.iter().enumerate() {
            let blank = if index == 0 { "" } else { " " };
            write!(f, "{blank}{value:.1}")?;
        }
        Ok(())
    }
}

impl FromStr for Figures {
    type Err = anyhow::Error;

    fn from_str(line: &str) -> anyhow::Result<Self> {
        let parse = || {
            let mut fields = line.split('\t');
            let (contender, size, values) = (fields.next()?, fields.next()?, fields.next()?);
            let values: Option<Vec<f64>> =
                values.split(' ').map(|value| value.parse().ok()).collect();
            Some(Self {
                contender: contender.to_owned(),
                size: size.parse().ok()?,
                values: values?,
            })
        };
        parse().with_context(|| format!("the guest says {line:?}, which is no figure"))
    }
}

/// All that one boot has counted.
#[derive(Clone, Debug)]
pub(crate) struct Boot(pub(crate) Vec<Figures>);

impl FromStr for Boot {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        text.lines()
            .map(str::parse)
            .collect::<anyhow::Result<_>>()
            .map(Self)
    }
}

impl Boot {
    /// The contenders and sizes of which there are figures.
    pub(crate) fn things(&self) -> Vec<(&str, usize)> {
        self.0
            .iter()
            .map(|figures| (figures.contender.as_str(), figures.size))
            .collect()
    }

    /// The rounds of one contender at one size; none where it was not counted.
    pub(crate) fn values(&self, contender: &str, size: usize) -> &[f64] {
        self.0
            .iter()
            .find(|figures| figures.contender == contender && figures.size == size)
            .map_or(&[], |figures| &figures.values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_what_it_was_made_from() {
        let figures = Figures {
            contender: "/dev/zero".to_owned(),
            size: 4096,
            values: vec![308.5, 309.0],
        };
        assert_eq!(figures.to_string(), "/dev/zero\t4096\t308.5 309.0");
        assert_eq!(figures.to_string().parse::<Figures>().unwrap(), figures);
        for wrong in ["", "a\t1", "a\tb\t1.0", "a\t1\t1.0 x", "a\t1\t"] {
            assert!(wrong.parse::<Figures>().is_err(), "{wrong:?}");
        }
    }
}
