//! A bounded, numbered log: the newest entries, each with a number that is never used twice.

use std::collections::VecDeque;

/// The newest entries. Numbers begin at 1.
#[derive(Clone, Debug)]
pub(crate) struct Ring<T> {
    entries: VecDeque<T>,
    most: usize,
    newest: u64,
}

/// A part of a [`Ring`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Page<T> {
    /// Numbered entries, oldest first.
    pub(crate) entries: Vec<(u64, T)>,
    /// What to ask for next.
    pub(crate) next: u64,
    /// Entries after the one that was asked for are gone.
    pub(crate) lost: bool,
}

impl<T: Clone> Ring<T> {
    pub(crate) const fn new(most: usize) -> Self {
        Self { entries: VecDeque::new(), most, newest: 0 }
    }

    /// Adds an entry and answers with its number.
    pub(crate) fn push(&mut self, entry: T) -> u64 {
        if self.entries.len() >= self.most {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
        self.newest += 1;
        self.newest
    }

    /// Number of the newest entry; 0 if there was none.
    pub(crate) const fn newest(&self) -> u64 {
        self.newest
    }

    /// At most `limit` entries after number `after`, the newest ones if that is 0.
    pub(crate) fn page(&self, after: u64, limit: usize) -> Page<T> {
        let held = self.entries.len() as u64;
        let first = self.newest - held + 1;
        let from = match after {
            0 => first.max((self.newest + 1).saturating_sub(limit as u64)),
            // A number from before a restart: everything is news.
            after if after > self.newest => first,
            after => first.max(after + 1),
        };
        let skipped = usize::try_from(from - first).unwrap_or(usize::MAX);
        let entries: Vec<(u64, T)> =
            (from..).zip(self.entries.iter().skip(skipped).take(limit).cloned()).collect();
        let next = entries.last().map_or(self.newest, |(number, _)| *number);
        Page { entries, next, lost: after > 0 && after <= self.newest && from > after + 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn pages_in_a_row_give_every_entry_that_is_held_once(
            most in 1_usize..20, pushed in 0_u64..60, limit in 1_usize..10,
        ) {
            let mut ring = Ring::new(most);
            for n in 1..=pushed {
                prop_assert_eq!(ring.push(n), n);
            }
            let first = pushed.saturating_sub(most as u64) + 1;
            let mut seen = Vec::new();
            let mut after = first - 1;
            loop {
                let page = ring.page(after, limit);
                if after > 0 { prop_assert!(!page.lost); }
                for (number, entry) in &page.entries {
                    prop_assert_eq!(number, entry);
                    seen.push(*entry);
                }
                if page.entries.is_empty() || (after == 0 && page.next == pushed) { break; }
                after = page.next;
            }
            if first > 1 {
                prop_assert_eq!(seen, (first..=pushed).collect::<Vec<_>>());
            }
            if first > 2 {
                prop_assert!(ring.page(1, limit).lost);
            }
            let newest = ring.page(0, limit).entries;
            prop_assert_eq!(newest.len() as u64, pushed.min(most as u64).min(limit as u64));
            prop_assert!(newest.last().is_none_or(|(n, _)| *n == pushed));
            prop_assert_eq!(ring.page(u64::MAX, 100).entries.len() as u64, pushed.min(most as u64));
        }
    }
}
