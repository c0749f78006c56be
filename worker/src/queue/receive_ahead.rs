//! How many messages are received before there is a place for them.
//!
//! A place that becomes free is empty until a receive is answered, which is a fifth of the time that an account takes with which nothing
//! is to be done. Messages that wait in the worker bridge it. But they wait there although another worker may have a place, and where work
//! has become long meanwhile, for long: so they are few, and only while the queue has more than is asked for and work is short.

use super::limits::BATCH;

/// At most this part of the messages that are worked on at once is received ahead.
const PART: usize = 8;

/// What the last receive was like, and what follows from it for the next.
#[derive(Debug, Default)]
pub(super) struct ReceiveAhead {
    asked: usize,
    done_since: usize,
    ahead: usize,
}

impl ReceiveAhead {
    /// How many messages more than are worked on at once may be held.
    pub(super) fn messages(&self) -> usize {
        self.ahead
    }

    /// A receive begins: for how many messages it asks, where there is room for so many.
    pub(super) fn begin(&mut self, room: usize) -> usize {
        self.done_since = 0;
        self.asked = room.min(BATCH);
        self.asked
    }

    /// A piece of work is done.
    pub(super) fn work_done(&mut self) {
        self.done_since += 1;
    }

    /// A receive has returned so many messages. From now on twice the number of messages that were finished meanwhile (it varies) are
    /// received ahead, up to an eighth of `max_concurrent`; none if SQS returned fewer than were asked for.
    pub(super) fn end(&mut self, received: usize, max_concurrent: usize) {
        self.ahead = if received < self.asked { 0 } else { (2 * self.done_since).min(max_concurrent / PART) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is received ahead of 32 places after a receive for `room` messages brings these, while so much work is done.
    fn ahead(room: usize, received: usize, done: usize) -> usize {
        let mut ahead = ReceiveAhead::default();
        ahead.begin(room);
        (0..done).for_each(|_| ahead.work_done());
        ahead.end(received, 32);
        ahead.messages()
    }

    #[test]
    fn twice_what_is_done_during_a_receive_is_received_ahead_but_an_eighth_of_the_places_at_most() {
        assert_eq!([ahead(1, 1, 0), ahead(1, 1, 1), ahead(1, 1, 2), ahead(1, 1, 9)], [0, 2, 4, 4]);
    }

    #[test]
    fn nothing_is_received_ahead_of_a_queue_that_has_less_than_was_asked_for() {
        assert_eq!([ahead(3, 2, 9), ahead(3, 0, 9), ahead(16, 10, 9)], [0, 0, 4], "a receive brings ten at most");
    }
}
