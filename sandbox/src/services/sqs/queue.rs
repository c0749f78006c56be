//! A queue: its messages, where each of them is, and the indexes that find the next one to hand out, to show again or to drop
//! without looking at all of them. Knows nothing of calls; every moment is given from outside.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::attributes::Attributes;
use super::message::{Message, Place};
use super::recent::Recent;
use super::visible_index::{Label, VisibleIndex};

/// The longest a message can be in flight, counted from the receive, in seconds (12 hours).
pub(super) const LONGEST_IN_FLIGHT: u32 = 43_200;

#[derive(Debug, Clone, Serialize)]
pub struct Queue {
    pub arn: String,
    pub account: String,
    pub name: String,
    /// What it does with messages.
    pub attributes: Attributes,
    /// When it was made.
    pub created: Timestamp,
    /// When its attributes were last changed.
    pub modified: Timestamp,
    pub tags: BTreeMap<String, String>,
    /// Its messages by ticket: the number they were given on arrival.
    messages: BTreeMap<u64, Message>,
    last_ticket: u64,
    delayed: usize,
    in_flight: usize,
    #[serde(skip)]
    pub(super) recent: Recent,
    #[serde(skip)]
    visible_index: VisibleIndex,
    /// Delayed messages and those in flight, by when they become visible.
    #[serde(skip)]
    timers: BTreeSet<(Timestamp, u64)>,
    /// All messages by age.
    #[serde(skip)]
    ages: BTreeSet<(Timestamp, u64)>,
}

/// What a receipt handle says: which message, by ticket and id, and which of its receives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Handle {
    pub(super) ticket: u64,
    pub(super) receive: u32,
    pub(super) message: String,
}

impl Handle {
    /// Its text: looks like nothing, as SQS's do, and is the same for the same receive.
    pub(super) fn write(&self) -> String {
        format!("AQEB{}{:016x}{:08x}", self.message.replace('-', ""), self.ticket, self.receive)
    }

    /// Reads one that was given out.
    pub(super) fn read(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("AQEB").filter(|rest| rest.len() == 56 && rest.is_ascii())?;
        let message = uuid::Uuid::parse_str(&digits[..32]).ok()?.to_string();
        let ticket = u64::from_str_radix(&digits[32..48], 16).ok()?;
        let receive = u32::from_str_radix(&digits[48..], 16).ok()?;
        Some(Self { ticket, receive, message })
    }
}

impl Queue {
    pub(super) fn new(arn: String, account: &str, name: &str, attributes: Attributes, now: Timestamp) -> Self {
        let visible_index = VisibleIndex::new(attributes.fifo);
        Self {
            arn,
            account: account.to_owned(),
            name: name.to_owned(),
            attributes,
            created: now,
            modified: now,
            tags: BTreeMap::new(),
            messages: BTreeMap::new(),
            last_ticket: 0,
            delayed: 0,
            in_flight: 0,
            recent: Recent::default(),
            visible_index,
            timers: BTreeSet::new(),
            ages: BTreeSet::new(),
        }
    }

    /// All messages, in order of arrival.
    pub fn messages(&self) -> impl DoubleEndedIterator<Item = &Message> {
        self.messages.values()
    }

    /// How many messages there are in all.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether there is none, delayed and in flight ones included.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// How many are visible. On a FIFO queue those count that wait behind another of their group.
    pub fn visible(&self) -> usize {
        self.messages.len() - self.delayed - self.in_flight
    }

    /// How many are in flight.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// How many are not visible yet.
    pub fn delayed(&self) -> usize {
        self.delayed
    }

    /// How long the oldest message has been here: CloudWatch's `ApproximateAgeOfOldestMessage`.
    pub fn oldest_age(&self, now: Timestamp) -> Option<SignedDuration> {
        self.ages.first().map(|(sent, _)| now.duration_since(*sent))
    }

    /// When a message that is not visible now becomes so.
    pub fn next_visible(&self) -> Option<Timestamp> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Brings it up to `now`: shows what has become visible, drops what is too old.
    pub(super) fn catch_up(&mut self, now: Timestamp) {
        while let Some((at, ticket)) = self.timers.first().copied().filter(|(at, _)| *at <= now) {
            self.timers.remove(&(at, ticket));
            self.show(ticket);
        }
        let retention = self.attributes.retention();
        while let Some((_, ticket)) =
            self.ages.first().copied().filter(|(sent, _)| now.duration_since(*sent) >= retention)
        {
            self.remove(ticket);
        }
    }

    fn show(&mut self, ticket: u64) {
        let Some(message) = self.messages.get_mut(&ticket) else { return };
        match message.place {
            Place::Delayed { .. } => self.delayed -= 1,
            Place::InFlight { .. } => self.in_flight -= 1,
            Place::Visible => {}
        }
        message.place = Place::Visible;
        self.visible_index.put(label(ticket, message));
    }

    /// The ticket the next message gets.
    pub(super) fn next_ticket(&self) -> u64 {
        self.last_ticket + 1
    }

    /// Takes a message in; `place` says whether it is delayed.
    pub(super) fn insert(&mut self, message: Message) {
        self.last_ticket += 1;
        let ticket = self.last_ticket;
        match message.place {
            Place::Delayed { until } => {
                self.delayed += 1;
                self.timers.insert((until, ticket));
            }
            Place::Visible => self.visible_index.put(label(ticket, &message)),
            Place::InFlight { until, .. } => {
                self.in_flight += 1;
                self.timers.insert((until, ticket));
                self.visible_index.hold(label(ticket, &message));
            }
        }
        self.ages.insert((message.sent_at, ticket));
        self.messages.insert(ticket, message);
    }

    /// The tickets that would be handed out next.
    pub(super) fn next(&self, count: usize) -> Vec<u64> {
        self.visible_index.next(count)
    }

    pub(super) fn message(&self, ticket: u64) -> Option<&Message> {
        self.messages.get(&ticket)
    }

    /// Hands a message out until `until`; with `again` it can be received once more meanwhile.
    pub(super) fn hand_out(
        &mut self,
        ticket: u64,
        now: Timestamp,
        until: Timestamp,
        again: bool,
    ) -> Option<(Handle, &Message)> {
        let message = self.messages.get_mut(&ticket)?;
        match message.place {
            Place::InFlight { until, .. } => {
                self.timers.remove(&(until, ticket));
            }
            Place::Visible => self.in_flight += 1,
            Place::Delayed { until } => {
                self.timers.remove(&(until, ticket));
                self.delayed -= 1;
                self.in_flight += 1;
            }
        }
        message.place = Place::InFlight { since: now, until };
        message.receive_count += 1;
        message.first_received_at.get_or_insert(now);
        self.timers.insert((until, ticket));
        if !again {
            self.visible_index.hold(label(ticket, message));
        }
        let handle = Handle { ticket, receive: message.receive_count, message: message.id.clone() };
        Some((handle, message))
    }

    /// Takes a message out for good.
    pub(super) fn remove(&mut self, ticket: u64) -> Option<Message> {
        let message = self.messages.remove(&ticket)?;
        match message.place {
            Place::Delayed { until } => {
                self.delayed -= 1;
                self.timers.remove(&(until, ticket));
            }
            Place::InFlight { until, .. } => {
                self.in_flight -= 1;
                self.timers.remove(&(until, ticket));
            }
            Place::Visible => {}
        }
        self.visible_index.remove(label(ticket, &message));
        self.ages.remove(&(message.sent_at, ticket));
        Some(message)
    }

    /// The message a handle is for, if it is still here.
    pub(super) fn of(&self, handle: &Handle) -> Option<&Message> {
        self.messages.get(&handle.ticket).filter(|message| message.id == handle.message)
    }

    /// Moves the moment a message in flight becomes visible.
    pub(super) fn show_at(&mut self, ticket: u64, at: Timestamp) {
        let Some(message) = self.messages.get_mut(&ticket) else { return };
        match &mut message.place {
            Place::InFlight { until, .. } => {
                self.timers.remove(&(*until, ticket));
                *until = at;
                self.timers.insert((at, ticket));
            }
            Place::Visible | Place::Delayed { .. } => {}
        }
    }
}

fn label(ticket: u64, message: &Message) -> Label<'_> {
    Label { ticket, rank: message.rank, group: message.group.as_deref() }
}

#[cfg(test)]
mod tests;
