//! What a worker holds, by message group: of one group one piece of work is under way, until its messages are ended, and the rest
//! waits for it in order.
//!
//! A FIFO queue keeps the messages of a group apart from further *receives* while one of them is in flight, but one receive
//! brings as many messages of the same group as it can. (Amazon SQS Developer Guide, "FIFO queue delivery logic": "it is
//! possible to receive multiple messages from the same message group in one ReceiveMessage call".) On a standard queue there
//! are no groups at all. So a worker keeps them apart itself.

use std::collections::{HashMap, VecDeque};

use super::Parsed;
use super::delivery::Delivery;

/// A received message, read.
#[derive(Debug)]
pub(super) struct ReadDelivery<R> {
    pub(super) delivery: Delivery,
    pub(super) parsed: Parsed<R>,
}

/// One piece of work: a message, and those that ask for the same and are older.
#[derive(Debug)]
pub(super) struct WorkItem<R> {
    pub(super) newest: ReadDelivery<R>,
    pub(super) covered: Vec<ReadDelivery<R>>,
}

/// The groups with work under way, each with what waits for it.
#[derive(Debug)]
pub(super) struct MessageGroups<R> {
    groups: HashMap<String, MessageGroup<R>>,
}

#[derive(Debug)]
struct MessageGroup<R> {
    waiting: VecDeque<ReadDelivery<R>>,
    under_way: UnderWay,
}

/// The piece of work of a group, by how many messages it is about.
#[derive(Debug, Clone, Copy)]
enum UnderWay {
    Nothing,
    /// It is worked on.
    Work(usize),
    /// The work is done, and SQS is being told what becomes of the messages.
    Ending(usize),
}

impl<R> Default for MessageGroups<R> {
    fn default() -> Self {
        Self { groups: HashMap::new() }
    }
}

impl<R> MessageGroups<R> {
    /// Takes a message in; it waits for its turn.
    pub(super) fn admit(&mut self, read: ReadDelivery<R>) {
        let group = read.delivery.group().unwrap_or(&read.parsed.group).to_owned();
        let group = self.groups.entry(group).or_insert_with(MessageGroup::new);
        group.waiting.push_back(read);
    }

    /// The next piece of work of groups that have none under way, with the group's name; of so many groups at most, those first whose
    /// message was received first.
    pub(super) fn startable(&mut self, at_most: usize) -> Vec<(String, WorkItem<R>)> {
        let idle = self.groups.iter_mut().filter(|(_, group)| matches!(group.under_way, UnderWay::Nothing));
        let mut idle: Vec<_> = idle.filter(|(_, group)| !group.waiting.is_empty()).collect();
        idle.sort_by_key(|(_, group)| group.waiting.front().map(|read| read.delivery.received()));
        idle.into_iter().take(at_most).filter_map(|(name, group)| Some((name.clone(), group.start()?))).collect()
    }

    /// The group's piece of work is done, and its messages are not ended yet: the group's next one waits for that.
    pub(super) fn begin_ending(&mut self, name: &str) {
        if let Some(group) = self.groups.get_mut(name)
            && let UnderWay::Work(messages) = group.under_way
        {
            group.under_way = UnderWay::Ending(messages);
        }
    }

    /// Nothing of the group is under way any more.
    pub(super) fn end_work(&mut self, name: &str) {
        if let Some(group) = self.groups.get_mut(name) {
            group.under_way = UnderWay::Nothing;
            if group.waiting.is_empty() {
                self.groups.remove(name);
            }
        }
    }

    /// Everything that has not been started.
    pub(super) fn take_waiting(&mut self) -> Vec<ReadDelivery<R>> {
        self.groups.values_mut().flat_map(|group| std::mem::take(&mut group.waiting)).collect()
    }

    /// Messages in work or waiting for their turn.
    pub(super) fn held(&self) -> usize {
        self.in_work() + self.groups.values().map(|group| group.waiting.len()).sum::<usize>()
    }

    /// Messages that are worked on.
    pub(super) fn in_work(&self) -> usize {
        let in_work = |group: &MessageGroup<R>| match group.under_way {
            UnderWay::Work(messages) => messages,
            UnderWay::Nothing | UnderWay::Ending(_) => 0,
        };
        self.groups.values().map(in_work).sum()
    }

    /// Messages whose work is done and that are not ended yet.
    pub(super) fn ending(&self) -> usize {
        let ending = |group: &MessageGroup<R>| match group.under_way {
            UnderWay::Ending(messages) => messages,
            UnderWay::Nothing | UnderWay::Work(_) => 0,
        };
        self.groups.values().map(ending).sum()
    }
}

impl<R> MessageGroup<R> {
    fn new() -> Self {
        Self { waiting: VecDeque::new(), under_way: UnderWay::Nothing }
    }

    /// The message whose turn it is, or the newest of those that ask for the same work.
    fn start(&mut self) -> Option<WorkItem<R>> {
        let first = self.waiting.pop_front()?;
        let mut same = vec![first];
        if same[0].parsed.same_work.is_some() {
            let (more, others) = std::mem::take(&mut self.waiting)
                .into_iter()
                .partition(|read| read.parsed.same_work == same[0].parsed.same_work);
            self.waiting = others;
            same.extend::<VecDeque<_>>(more);
        }
        self.under_way = UnderWay::Work(same.len());
        // A stable sort: of messages sent in the same millisecond the one received last counts as the newest.
        same.sort_by_key(|read| read.delivery.message().sent);
        let newest = same.pop()?;
        Some(WorkItem { newest, covered: same })
    }
}
