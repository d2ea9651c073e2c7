//! What guests have counted, side by side, and whether two boots agree.

use std::fmt;

use anyhow::ensure;

use crate::contender::{CROWDED, CROWDS, FLOOR, NO_DRIVER, PUBLISHED, SIZES, YARDSTICK};
use crate::figures::{Boot, Figures, Thing};
use crate::measure::{median, spread};

/// How far apart two boots may be, in percent of the lower.
const TOLERANCE: f64 = 2.0;

/// Two boots with one processor each, and one with two.
pub(crate) struct Table {
    pub(crate) alone: [Boot; 2],
    pub(crate) pair: Boot,
}

impl Table {
    /// That the boots with one processor agree.
    ///
    /// # Errors
    /// They do not: it says which contender at which size is how far apart. Or a boot has counted
    /// nothing, or other things than the others.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let [first, second] = &self.alone;
        let things = first.things();
        ensure!(
            !things.is_empty() && things == second.things() && things == self.pair.things(),
            "the boots have not counted the same"
        );
        let too_far: Vec<_> = things
            .into_iter()
            .map(|thing| (thing, self.distance(thing)))
            .filter(|(_, distance)| *distance > TOLERANCE)
            .map(|((contender, size, clients), distance)| {
                let clients = match clients {
                    1 => String::new(),
                    _ => format!(", {clients} clients"),
                };
                format!("{contender}, {}{clients}: {distance:.1}%", bytes(size))
            })
            .collect();
        ensure!(
            too_far.is_empty(),
            "two boots differ by more than {TOLERANCE}% ({}); \
             try again when the machine has less to do",
            too_far.join("; ")
        );
        Ok(())
    }

    /// How far apart the medians of the boots with one processor are, in percent of the lower.
    fn distance(&self, thing: Thing<'_>) -> f64 {
        let alone = self.alone.each_ref();
        let [first, second] = alone.map(|boot| median(boot.values(thing)));
        (first - second).abs() / first.min(second) * 100.0
    }

    /// The values of both boots with one processor.
    fn alone(&self, thing: Thing<'_>) -> Vec<f64> {
        let [first, second] = self.alone.each_ref().map(|boot| boot.values(thing));
        [first, second].concat()
    }

    fn has(&self, thing: Thing<'_>) -> bool {
        self.alone[0].things().contains(&thing)
    }

    /// How far reads that need no driver are from those that need no process at all.
    fn published(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = SIZES[0];
        if !self.has((PUBLISHED, size, 1)) || !self.has((NO_DRIVER, size, 1)) {
            return Ok(());
        }
        let ratio = |values: &dyn Fn(&str) -> Vec<f64>| {
            median(&values(PUBLISHED)) / median(&values(NO_DRIVER))
        };
        writeln!(
            f,
            "\n{PUBLISHED}, {}: {:.2} times {NO_DRIVER} with 1 vCPU, {:.2} with 2",
            bytes(size),
            ratio(&|name| self.alone((name, size, 1))),
            ratio(&|name| self.pair.values((name, size, 1)).to_vec()),
        )
    }

    /// What an operation takes where many clients read at the same time.
    fn crowds(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = SIZES[0];
        let there: Vec<_> = CROWDED
            .into_iter()
            .filter(|contender| self.has((contender, size, CROWDS[0])))
            .collect();
        if there.is_empty() {
            return Ok(());
        }
        write!(f, "\n{:<24}", format!("{}, clients", bytes(size)))?;
        for clients in [1].into_iter().chain(CROWDS) {
            write!(f, "{clients:>9}")?;
        }
        writeln!(f, "{:>8}", "most")?;
        for contender in there {
            let alone = |clients| median(&self.alone((contender, size, clients)));
            let pair = |clients| median(self.pair.values((contender, size, clients)));
            Self::crowd(f, &format!("{contender}, 1"), &alone)?;
            Self::crowd(f, &format!("{contender}, 2"), &pair)?;
        }
        Ok(())
    }

    /// The line of one contender: the figures, and how many times the first the largest is.
    fn crowd(f: &mut fmt::Formatter<'_>, name: &str, value: &dyn Fn(usize) -> f64) -> fmt::Result {
        write!(f, "{name:<24}")?;
        let values = [1].into_iter().chain(CROWDS).map(value);
        let values: Vec<_> = values.collect();
        for value in &values {
            write!(f, "{value:>9.0}")?;
        }
        let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        writeln!(f, "{:>8.2}", most / values[0])
    }

    /// The lines for one size.
    fn block(&self, f: &mut fmt::Formatter<'_>, size: usize) -> fmt::Result {
        let ratios = format!("{:>10} {:>6}", "/raw CUSE", "/pipe");
        writeln!(
            f,
            "\n{:<20}{:>9} {:>7} {:>6} {ratios}{:>11} {:>7} {ratios}",
            bytes(size),
            "1 vCPU",
            "spread",
            "boots",
            "2 vCPUs",
            "spread",
        )?;
        let of_one = |line: &&Figures| line.size == size && line.clients == 1;
        for Figures { contender, .. } in self.alone[0].0.iter().filter(of_one) {
            let alone = columns(contender, |name| self.alone((name, size, 1)));
            let pair = columns(contender, |name| self.pair.values((name, size, 1)).to_vec());
            writeln!(
                f,
                "{contender:<20}{:>9.0} {:>6.2}% {:>5.2}% {:>10.2} {:>6.2}{:>11.0} {:>6.2}% {:>10.2} {:>6.2}",
                alone.median,
                alone.spread,
                self.distance((contender, size, 1)),
                alone.to_yardstick,
                alone.to_floor,
                pair.median,
                pair.spread,
                pair.to_yardstick,
                pair.to_floor,
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SIZES.iter().try_for_each(|size| self.block(f, *size))?;
        self.published(f)?;
        self.crowds(f)
    }
}

/// What the table says of one contender at one number of processors.
struct Columns {
    median: f64,
    /// From the lowest to the highest round, in percent of the median.
    spread: f64,
    to_yardstick: f64,
    to_floor: f64,
}

fn columns(contender: &str, values: impl Fn(&str) -> Vec<f64>) -> Columns {
    let own = values(contender);
    let (low, high) = spread(&own);
    let median = median(&own);
    Columns {
        median,
        spread: high - low,
        to_yardstick: median / self::median(&values(YARDSTICK)),
        to_floor: median / self::median(&values(FLOOR)),
    }
}

fn bytes(size: usize) -> String {
    match size {
        1 => "1 byte".to_owned(),
        _ => format!("{} KiB", size / 1024),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boot(lines: &[(&str, &[f64])]) -> Boot {
        Boot(
            lines
                .iter()
                .map(|(contender, values)| Figures {
                    contender: (*contender).to_owned(),
                    size: 1,
                    clients: 1,
                    values: values.to_vec(),
                })
                .collect(),
        )
    }

    fn table(first: &[f64], second: &[f64]) -> Table {
        let one = |values| boot(&[(FLOOR, &[100.0]), (YARDSTICK, values)]);
        Table {
            alone: [one(first), one(second)],
            pair: one(&[400.0]),
        }
    }

    #[test]
    fn boots_agree_up_to_the_tolerance() {
        assert!(table(&[100.0], &[102.0]).check().is_ok());
        assert!(table(&[102.0], &[100.0]).check().is_ok());
        let error = table(&[103.0], &[100.0]).check().unwrap_err().to_string();
        assert!(
            error.contains("CUSE, raw C server, 1 byte: 3.0%"),
            "{error}"
        );
    }

    #[test]
    fn the_medians_are_compared_and_not_the_extremes() {
        assert!(
            table(&[100.0, 101.0, 150.0], &[90.0, 100.0, 100.0])
                .check()
                .is_ok()
        );
        assert!(
            table(&[100.0, 110.0, 110.0], &[100.0, 100.0, 110.0])
                .check()
                .is_err()
        );
    }

    #[test]
    fn boots_that_count_different_things_do_not_agree() {
        let other = boot(&[(FLOOR, &[100.0]), ("another", &[100.0])]);
        for part in [other, boot(&[(FLOOR, &[100.0])]), boot(&[])] {
            let full = || table(&[100.0], &[100.0]);
            let [first, second] = [0, 1].map(|index| {
                let mut table = full();
                table.alone[index] = part.clone();
                table
            });
            let mut third = full();
            third.pair = part;
            for table in [first, second, third] {
                assert!(table.check().is_err());
            }
        }
        let alone = [boot(&[]), boot(&[])];
        let pair = boot(&[]);
        assert!(Table { alone, pair }.check().is_err());
    }

    #[test]
    fn what_many_clients_take_is_compared_with_what_one_takes() {
        let crowd = |values: [f64; 4]| {
            let clients = [1].into_iter().chain(CROWDS);
            Boot(
                clients
                    .zip(values)
                    .map(|(clients, value)| Figures {
                        contender: CROWDED[0].to_owned(),
                        size: 1,
                        clients,
                        values: vec![value],
                    })
                    .collect(),
            )
        };
        let alone = crowd([100.0, 80.0, 90.0, 105.0]);
        let table = Table {
            alone: [alone.clone(), alone],
            pair: crowd([200.0, 150.0, 150.0, 150.0]),
        };
        let text = table.to_string();
        let line = |start: &str| {
            let line = text.lines().find(|line| line.starts_with(start)).unwrap();
            let fields = line[24..].split_whitespace();
            fields.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(line("1 byte, clients"), ["1", "4", "16", "64", "most"]);
        let one = format!("{}, 1", CROWDED[0]);
        assert_eq!(line(&one), ["100", "80", "90", "105", "1.05"]);
        let two = format!("{}, 2", CROWDED[0]);
        assert_eq!(line(&two), ["200", "150", "150", "150", "1.00"]);
    }

    #[test]
    fn ratios_are_those_of_one_number_of_processors() {
        let text = table(&[200.0, 200.0], &[202.0]).to_string();
        let line = text
            .lines()
            .find(|line| line.starts_with(YARDSTICK))
            .unwrap();
        let fields: Vec<_> = line[20..].split_whitespace().collect();
        let expected = [
            "200", "1.00%", "1.00%", "1.00", "2.00", "400", "0.00%", "1.00", "4.00",
        ];
        assert_eq!(fields, expected);
    }
}
