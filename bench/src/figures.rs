//! What a guest says of its counts, as text: a line for each contender, size, and number of clients.

use std::fmt;
use std::str::FromStr;

use anyhow::Context;

/// What one boot says of one contender at one size, with so many clients. As text, a line: its fields are separated by
/// tabs, the values by blanks.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Figures {
    pub(crate) contender: String,
    /// Bytes that are read at a time.
    pub(crate) size: usize,
    /// Who read at the same time.
    pub(crate) clients: usize,
    /// Instructions per operation, one value for each round.
    pub(crate) values: Vec<f64>,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\t{}\t{}\t", self.contender, self.size, self.clients)?;
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
            let (contender, size) = (fields.next()?, fields.next()?);
            let (clients, values) = (fields.next()?, fields.next()?);
            let values: Option<Vec<f64>> =
                values.split(' ').map(|value| value.parse().ok()).collect();
            Some(Self {
                contender: contender.to_owned(),
                size: size.parse().ok()?,
                clients: clients.parse().ok()?,
                values: values?,
            })
        };
        parse().with_context(|| format!("the guest says {line:?}, which is no figure"))
    }
}

/// A contender, the bytes that are read at a time, and how many clients read.
pub(crate) type Thing<'a> = (&'a str, usize, usize);

impl Figures {
    pub(crate) fn thing(&self) -> Thing<'_> {
        (&self.contender, self.size, self.clients)
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
    /// What there are figures of.
    pub(crate) fn things(&self) -> Vec<Thing<'_>> {
        self.0.iter().map(Figures::thing).collect()
    }

    /// The rounds of one contender at one size; none where it was not counted.
    pub(crate) fn values(&self, thing: Thing<'_>) -> &[f64] {
        let mut all = self.0.iter();
        all.find(|figures| figures.thing() == thing)
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
            clients: 16,
            values: vec![308.5, 309.0],
        };
        assert_eq!(figures.to_string(), "/dev/zero\t4096\t16\t308.5 309.0");
        assert_eq!(figures.to_string().parse::<Figures>().unwrap(), figures);
        for wrong in [
            "",
            "a\t1\t1",
            "a\tb\t1\t1.0",
            "a\t1\tb\t1.0",
            "a\t1\t1\t1.0 x",
            "a\t1\t1\t",
        ] {
            assert!(wrong.parse::<Figures>().is_err(), "{wrong:?}");
        }
    }
}
