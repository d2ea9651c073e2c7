//! Columns of text that are as wide as what is in them.

/// Rows below a title row, as lines with two spaces between columns. All rows have as many cells as
/// the first one.
pub(crate) fn lay_out(rows: &[Vec<String>]) -> Vec<String> {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths);
        let cells: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// A text that others have chosen, without what a terminal would obey.
pub(crate) fn printable(text: &str) -> String {
    text.replace(char::is_control, "?")
}

/// A number of bytes as people read it: `1.5M`. Units are powers of 1024.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [char; 6] = ['K', 'M', 'G', 'T', 'P', 'E'];
    if count < 1024 {
        return count.to_string();
    }
    let mut value = count as f64;
    let mut unit = ' ';
    for next in UNITS {
        if value < 1023.95 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    format!("{value:.1}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_must_be() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let lines = lay_out(&[row(["A", "B", "C"]), row(["a", "long", ""])]);
        assert_eq!(lines, ["A  B     C", "a  long"]);
        assert!(lay_out(&[]).is_empty());
    }

    #[test]
    fn large_numbers_have_units() {
        for (count, text) in [
            (0, "0"),
            (1023, "1023"),
            (1024, "1.0K"),
            (1536, "1.5K"),
            (1_048_575, "1.0M"),
            (1 << 20, "1.0M"),
            (u64::MAX, "16.0E"),
        ] {
            assert_eq!(bytes(count), text);
        }
    }
}
