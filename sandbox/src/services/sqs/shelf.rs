//! The index of what a queue can hand out next, so that a receive costs the same with ten messages as with ten thousand.

use std::collections::{BTreeMap, BTreeSet};

/// Which messages can be handed out, in which order. Messages are known here by their ticket: the number they were given on
/// arrival.
#[derive(Debug, Clone)]
pub(super) enum Shelf {
    /// In order of rank, which is the order of arrival unless something was reordered.
    Standard(BTreeSet<(u64, u64)>),
    /// In order of arrival within a group, and none of a group while another of it is held by a consumer.
    Fifo(Groups),
}

/// The groups of a FIFO queue.
#[derive(Debug, Clone, Default)]
pub(super) struct Groups {
    groups: BTreeMap<String, Group>,
    /// The groups that can be received from, by their first ticket.
    open: BTreeSet<(u64, String)>,
}

#[derive(Debug, Clone, Default)]
struct Group {
    waiting: BTreeSet<u64>,
    held: BTreeSet<u64>,
}

impl Group {
    /// The ticket the group is listed under while it can be received from.
    fn open_at(&self) -> Option<u64> {
        if self.held.is_empty() { self.waiting.first().copied() } else { None }
    }
}

impl Groups {
    /// Changes a group and lists it anew.
    fn change(&mut self, name: &str, change: impl FnOnce(&mut Group)) {
        let group = self.groups.entry(name.to_owned()).or_default();
        let before = group.open_at();
        change(group);
        let after = group.open_at();
        if group.waiting.is_empty() && group.held.is_empty() {
            self.groups.remove(name);
        }
        if before != after {
            if let Some(ticket) = before {
                self.open.remove(&(ticket, name.to_owned()));
            }
            if let Some(ticket) = after {
                self.open.insert((ticket, name.to_owned()));
            }
        }
    }
}

/// What the shelf must know of a message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Label<'a> {
    /// Its number.
    pub(super) ticket: u64,
    /// Its place on a standard queue's shelf.
    pub(super) rank: u64,
    /// Its group; messages without one share one.
    pub(super) group: Option<&'a str>,
}

impl Label<'_> {
    fn group(&self) -> &str {
        self.group.unwrap_or_default()
    }
}

impl Shelf {
    /// An empty one.
    pub(super) fn new(fifo: bool) -> Self {
        if fifo { Shelf::Fifo(Groups::default()) } else { Shelf::Standard(BTreeSet::new()) }
    }

    /// It can be handed out (again).
    pub(super) fn put(&mut self, label: Label<'_>) {
        match self {
            Shelf::Standard(ranks) => {
                ranks.insert((label.rank, label.ticket));
            }
            Shelf::Fifo(groups) => groups.change(label.group(), |group| {
                group.held.remove(&label.ticket);
                group.waiting.insert(label.ticket);
            }),
        }
    }

    /// A consumer has it.
    pub(super) fn hold(&mut self, label: Label<'_>) {
        match self {
            Shelf::Standard(ranks) => {
                ranks.remove(&(label.rank, label.ticket));
            }
            Shelf::Fifo(groups) => groups.change(label.group(), |group| {
                group.waiting.remove(&label.ticket);
                group.held.insert(label.ticket);
            }),
        }
    }

    /// It is gone.
    pub(super) fn remove(&mut self, label: Label<'_>) {
        match self {
            Shelf::Standard(ranks) => {
                ranks.remove(&(label.rank, label.ticket));
            }
            Shelf::Fifo(groups) => groups.change(label.group(), |group| {
                group.waiting.remove(&label.ticket);
                group.held.remove(&label.ticket);
            }),
        }
    }

    /// The next ones, at most `count`. A FIFO queue gives as many as it can of one group before it turns to the next.
    pub(super) fn next(&self, count: usize) -> Vec<u64> {
        match self {
            Shelf::Standard(ranks) => ranks.iter().take(count).map(|(_, ticket)| *ticket).collect(),
            Shelf::Fifo(groups) => groups
                .open
                .iter()
                .filter_map(|(_, name)| groups.groups.get(name))
                .flat_map(|group| group.waiting.iter().copied())
                .take(count)
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(ticket: u64, group: &str) -> Label<'_> {
        Label { ticket, rank: ticket, group: Some(group) }
    }

    #[test]
    fn a_standard_shelf_goes_by_rank() {
        let mut shelf = Shelf::new(false);
        for (ticket, rank) in [(1, 9), (2, 2), (3, 3)] {
            shelf.put(Label { ticket, rank, group: None });
        }
        assert_eq!(shelf.next(2), [2, 3]);
        shelf.hold(Label { ticket: 2, rank: 2, group: None });
        assert_eq!(shelf.next(9), [3, 1]);
    }

    #[test]
    fn a_group_is_closed_while_one_of_its_messages_is_held() {
        let mut shelf = Shelf::new(true);
        for (ticket, group) in [(1, "a"), (2, "b"), (3, "a"), (4, "a")] {
            shelf.put(label(ticket, group));
        }
        assert_eq!(shelf.next(10), [1, 3, 4, 2]);
        shelf.hold(label(1, "a"));
        assert_eq!(shelf.next(10), [2]);
        shelf.put(label(1, "a"));
        assert_eq!(shelf.next(2), [1, 3]);
        shelf.hold(label(1, "a"));
        shelf.remove(label(1, "a"));
        assert_eq!(shelf.next(10), [2, 3, 4]);
    }

    #[test]
    fn a_group_taken_together_opens_only_when_all_of_it_is_given_back() {
        let mut shelf = Shelf::new(true);
        for ticket in [1, 2, 3] {
            shelf.put(label(ticket, "a"));
        }
        shelf.hold(label(1, "a"));
        shelf.hold(label(2, "a"));
        shelf.remove(label(1, "a"));
        assert_eq!(shelf.next(10), [] as [u64; 0]);
        shelf.put(label(2, "a"));
        assert_eq!(shelf.next(10), [2, 3]);
    }
}
