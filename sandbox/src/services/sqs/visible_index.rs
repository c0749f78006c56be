//! The index of what a queue can hand out next, so that a receive costs the same with ten messages as with ten thousand.

use std::collections::{BTreeMap, BTreeSet};

/// Which messages can be handed out, in which order. Messages are known here by their ticket: the number they were given on
/// arrival.
#[derive(Debug, Clone)]
pub(super) enum VisibleIndex {
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

/// What the index must know of a message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Label<'a> {
    pub(super) ticket: u64,
    /// Its place on a standard queue.
    pub(super) rank: u64,
    /// Its group; messages without one share one.
    pub(super) group: Option<&'a str>,
}

impl Label<'_> {
    fn group(&self) -> &str {
        self.group.unwrap_or_default()
    }
}

impl VisibleIndex {
    pub(super) fn new(fifo: bool) -> Self {
        if fifo { VisibleIndex::Fifo(Groups::default()) } else { VisibleIndex::Standard(BTreeSet::new()) }
    }

    /// It can be handed out (again).
    pub(super) fn put(&mut self, label: Label<'_>) {
        match self {
            VisibleIndex::Standard(ranks) => {
                ranks.insert((label.rank, label.ticket));
            }
            VisibleIndex::Fifo(groups) => groups.change(label.group(), |group| {
                group.held.remove(&label.ticket);
                group.waiting.insert(label.ticket);
            }),
        }
    }

    /// A consumer has it.
    pub(super) fn hold(&mut self, label: Label<'_>) {
        match self {
            VisibleIndex::Standard(ranks) => {
                ranks.remove(&(label.rank, label.ticket));
            }
            VisibleIndex::Fifo(groups) => groups.change(label.group(), |group| {
                group.waiting.remove(&label.ticket);
                group.held.insert(label.ticket);
            }),
        }
    }

    pub(super) fn remove(&mut self, label: Label<'_>) {
        match self {
            VisibleIndex::Standard(ranks) => {
                ranks.remove(&(label.rank, label.ticket));
            }
            VisibleIndex::Fifo(groups) => groups.change(label.group(), |group| {
                group.waiting.remove(&label.ticket);
                group.held.remove(&label.ticket);
            }),
        }
    }

    /// The next ones, at most `count`. A FIFO queue gives as many as it can of one group before it turns to the next.
    pub(super) fn next(&self, count: usize) -> Vec<u64> {
        match self {
            VisibleIndex::Standard(ranks) => ranks.iter().take(count).map(|(_, ticket)| *ticket).collect(),
            VisibleIndex::Fifo(groups) => groups
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
    fn a_standard_queue_goes_by_rank() {
        let mut index = VisibleIndex::new(false);
        for (ticket, rank) in [(1, 9), (2, 2), (3, 3)] {
            index.put(Label { ticket, rank, group: None });
        }
        assert_eq!(index.next(2), [2, 3]);
        index.hold(Label { ticket: 2, rank: 2, group: None });
        assert_eq!(index.next(9), [3, 1]);
    }

    #[test]
    fn a_group_is_closed_while_one_of_its_messages_is_held() {
        let mut index = VisibleIndex::new(true);
        for (ticket, group) in [(1, "a"), (2, "b"), (3, "a"), (4, "a")] {
            index.put(label(ticket, group));
        }
        assert_eq!(index.next(10), [1, 3, 4, 2]);
        index.hold(label(1, "a"));
        assert_eq!(index.next(10), [2]);
        index.put(label(1, "a"));
        assert_eq!(index.next(2), [1, 3]);
        index.hold(label(1, "a"));
        index.remove(label(1, "a"));
        assert_eq!(index.next(10), [2, 3, 4]);
    }

    #[test]
    fn a_group_taken_together_opens_only_when_all_of_it_is_given_back() {
        let mut index = VisibleIndex::new(true);
        for ticket in [1, 2, 3] {
            index.put(label(ticket, "a"));
        }
        index.hold(label(1, "a"));
        index.hold(label(2, "a"));
        index.remove(label(1, "a"));
        assert_eq!(index.next(10), [] as [u64; 0]);
        index.put(label(2, "a"));
        assert_eq!(index.next(10), [2, 3]);
    }
}
