//! Time per call: turns, medians, ratios.

use std::time::{Duration, Instant};

/// Repeats `call` for about `turn` and returns nanoseconds per call.
pub(crate) fn turn(
    turn: Duration,
    call: &mut dyn FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<f64> {
    turn_of(64, turn, &mut || (0..64).try_for_each(|_| call()))
}

/// Likewise, where each call makes so many `operations`: nanoseconds per operation.
pub(crate) fn turn_of(
    operations: u32,
    turn: Duration,
    call: &mut dyn FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<f64> {
    let begin = Instant::now();
    let mut done = 0_u32;
    while begin.elapsed() < turn {
        call()?;
        done += operations;
    }
    Ok(begin.elapsed().as_secs_f64() * 1e9 / f64::from(done))
}

/// The median of `values`, which may be in any order; NaN of none.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Between which values the middle half of `values` is; NaN of none.
pub(crate) fn quartiles(values: &[f64]) -> (f64, f64) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
    let quarter = sorted.len() / 4;
    (at(quarter), at(sorted.len().wrapping_sub(quarter + 1)))
}

/// The smallest and the largest deviation from the median, in percent of it.
pub(crate) fn spread(values: &[f64]) -> (f64, f64) {
    let middle = median(values);
    let percent = |value: f64| (value / middle - 1.0) * 100.0;
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (percent(low), percent(high))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_half_leaves_a_quarter_out_at_each_end() {
        let values = [9.0, 1.0, 5.0, 3.0, 7.0, 2.0, 8.0, 4.0];
        assert_eq!(quartiles(&values), (3.0, 7.0));
        assert_eq!(quartiles(&[2.0, 1.0, 3.0]), (1.0, 3.0));
        assert!(quartiles(&[]).0.is_nan() && quartiles(&[]).1.is_nan());
    }
}
