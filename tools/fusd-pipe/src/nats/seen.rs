//! What has come already: a message that comes again after an outage is known by its key.

use std::collections::{HashSet, VecDeque};

/// Messages that are remembered: many times what can be under way at once.
const LIMIT: usize = 8192;

/// The newest keys.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    keys: HashSet<String>,
    order: VecDeque<String>,
}

impl Seen {
    /// Whether `key` is among the newest.
    pub(crate) fn contains(&self, key: &str) -> bool {
        self.keys.contains(key)
    }

    /// `key` has come.
    pub(crate) fn insert(&mut self, key: &str) {
        if !self.keys.insert(key.to_owned()) {
            return;
        }
        self.order.push_back(key.to_owned());
        if self.order.len() > LIMIT
            && let Some(oldest) = self.order.pop_front()
        {
            self.keys.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_known() {
        let mut seen = Seen::default();
        for number in 0..=LIMIT {
            seen.insert(&number.to_string());
            seen.insert(&number.to_string());
        }
        assert!(!seen.contains("0"));
        assert!(seen.contains("1") && seen.contains(&LIMIT.to_string()));
        assert_eq!(seen.order.len(), seen.keys.len());
    }
}
