//! Messages of a fifo that this node has taken and no reader has yet.
//!
//! The pipe's log has their bytes, in the order they came. So how many bytes it has left tells which
//! of them have been read: those whose end lies before what is left.

use std::collections::VecDeque;

/// The messages, oldest first; `M` is what the server is told with.
#[derive(Debug)]
pub(crate) struct Held<M> {
    messages: VecDeque<Item<M>>,
    /// Bytes that have come in all.
    arrived: u64,
}

#[derive(Debug)]
struct Item<M> {
    key: String,
    /// `arrived` before it and after it.
    begin: u64,
    end: u64,
    message: M,
}

impl<M> Default for Held<M> {
    fn default() -> Self {
        Self {
            messages: VecDeque::new(),
            arrived: 0,
        }
    }
}

impl<M> Held<M> {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &M> {
        self.messages.iter().map(|item| &item.message)
    }

    /// The message `key`, of `length` bytes, is in the log.
    pub(crate) fn push(&mut self, key: String, length: usize, message: M) {
        let begin = self.arrived;
        self.arrived += length as u64;
        self.messages.push_back(Item {
            key,
            begin,
            end: self.arrived,
            message,
        });
    }

    /// Where `key` is held, `message` stands for it from now on; else it is given back.
    pub(crate) fn replace(&mut self, key: &str, message: M) -> Option<M> {
        match self.messages.iter_mut().find(|item| item.key == key) {
            Some(item) => {
                item.message = message;
                None
            }
            None => Some(message),
        }
    }

    /// Lets go of those that have been read, where the log has `kept` bytes left.
    pub(crate) fn read(&mut self, kept: usize) -> Vec<(String, M)> {
        let read = self.arrived.saturating_sub(kept as u64);
        let count = self.messages.partition_point(|item| item.end <= read);
        let messages = self.messages.drain(..count);
        messages.map(|item| (item.key, item.message)).collect()
    }

    /// Lets go of those of which nobody has read anything: how many bytes at the end of the log they
    /// are, and they themselves, oldest first.
    pub(crate) fn withdraw(&mut self, kept: usize) -> (usize, Vec<M>) {
        let read = self.arrived.saturating_sub(kept as u64);
        let first = self.messages.partition_point(|item| item.begin < read);
        let end = self.arrived;
        let gone = self.messages.split_off(first);
        self.arrived = gone.front().map_or(end, |item| item.begin);
        // Lossless: they are in memory.
        let bytes = (end - self.arrived) as usize;
        (bytes, gone.into_iter().map(|item| item.message).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held() -> Held<u8> {
        let mut held = Held::default();
        for (number, length) in [(1, 10), (2, 20), (3, 30)] {
            held.push(number.to_string(), length, number);
        }
        held
    }

    fn read(held: &mut Held<u8>, kept: usize) -> Vec<u8> {
        let read = held.read(kept);
        read.into_iter().map(|(_key, message)| message).collect()
    }

    #[test]
    fn what_is_left_tells_what_was_read() {
        let mut held = held();
        assert_eq!(read(&mut held, 60), [0; 0]);
        assert_eq!(read(&mut held, 51), [0; 0]);
        assert_eq!(read(&mut held, 50), [1]);
        assert_eq!(read(&mut held, 1), [2]);
        assert_eq!(read(&mut held, 0), [3]);
        assert_eq!(held.len(), 0);
    }

    #[test]
    fn what_is_begun_stays() {
        let mut held = held();
        assert_eq!(held.withdraw(60 - 15), (30, vec![3]));
        assert_eq!(read(&mut held, 20), [1]);
        assert_eq!(read(&mut held, 15), [0; 0]);
        held.push("4".to_owned(), 5, 4);
        assert_eq!(read(&mut held, 5), [2]);
        assert_eq!(held.withdraw(5), (5, vec![4]));
        assert_eq!(held.withdraw(0), (0, vec![]));
    }

    #[test]
    fn what_comes_again_takes_its_own_place() {
        let mut held = held();
        assert_eq!(held.replace("2", 22), None);
        assert_eq!(held.replace("9", 99), Some(99));
        assert_eq!(held.iter().copied().collect::<Vec<_>>(), [1, 22, 3]);
    }
}
