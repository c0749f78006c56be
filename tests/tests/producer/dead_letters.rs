//! Dead letters listed, sent back and deleted, and the queues' status.

use std::collections::BTreeMap;

use producer::command::{CommandError, ExitStatus, Report};
use producer::dead_letters::delete::{self, DeleteOptions};
use producer::dead_letters::list::{self, Filter, ListOptions};
use producer::dead_letters::redrive::{self, RedriveOptions};
use producer::status::{self, Purpose};
use rotation::{Job, Reason, Task};
use sandbox::world::MANAGEMENT_ACCOUNT;

use crate::stage::{Kind, Stage, account, id, user, world};

const REASONS: [Reason; 4] = [Reason::RoleRefused, Reason::Denied, Reason::Refused, Reason::MalformedMessage];

/// Forty letters of four reasons, ten of each, one of each reason to an account.
async fn forty(kind: Kind) -> Stage {
    let stage = Stage::set(world(), kind).await;
    for number in 0..40 {
        let reason = REASONS[number % 4];
        let job = Job::new(account(&id(number / 4)), Task::Account);
        let body = if reason == Reason::MalformedMessage { format!("no JSON {number}") } else { job.to_body() };
        stage.dead_letter(number, &body, reason.as_str(), None).await;
    }
    stage
}

fn everything() -> ListOptions {
    ListOptions { filter: Filter::default(), limit: 10_000, show_addresses: false }
}

async fn counts(stage: &Stage) -> BTreeMap<String, usize> {
    let listed = list::run(&stage.connection, &stage.settings, &everything()).await.expect("the letters can be read");
    listed.groups.into_iter().map(|group| (group.reason.to_string(), group.letters.len())).collect()
}

fn ten_each(reasons: &[Reason]) -> BTreeMap<String, usize> {
    reasons.iter().map(|reason| (reason.to_string(), 10)).collect()
}

fn of_reason(reason: Reason) -> RedriveOptions {
    RedriveOptions { filter: Filter { reasons: vec![reason], accounts: vec![] } }
}

#[tokio::test]
async fn letters_are_listed_by_reason_and_listing_takes_and_hides_nothing() {
    for kind in [Kind::Fifo, Kind::Standard] {
        let stage = forty(kind).await;
        assert_eq!(counts(&stage).await, ten_each(&REASONS));
        assert_eq!(counts(&stage).await, ten_each(&REASONS), "released at once");
    }
}

#[tokio::test]
async fn one_reason_is_redriven_and_the_others_stay() {
    for kind in [Kind::Fifo, Kind::Standard] {
        let stage = forty(kind).await;
        let report = redrive::run(&stage.connection, &stage.settings, &of_reason(Reason::Denied)).await.unwrap();
        assert_eq!((report.redriven, report.left), (10, 30));
        assert_eq!(stage.work().len(), 10);
        assert_eq!(counts(&stage).await, ten_each(&[Reason::RoleRefused, Reason::Refused, Reason::MalformedMessage]));
    }
}

#[tokio::test]
async fn one_accounts_letters_are_redriven_and_their_bodies_are_the_originals() {
    let stage = forty(Kind::Fifo).await;
    let filter = Filter { reasons: vec![], accounts: vec![account(&id(3))] };
    let report = redrive::run(&stage.connection, &stage.settings, &RedriveOptions { filter }).await.unwrap();
    assert_eq!(report.redriven, 3, "the malformed one is nobody's");
    let original = Job::new(account(&id(3)), Task::Account).to_body();
    for message in stage.messages(&stage.settings.queue) {
        assert_eq!(message.body, original);
        assert_eq!(message.group.as_deref(), Some(id(3).as_str()), "the account's group, not the letter's");
        assert!(message.attributes.contains_key("Attempts"), "the worker can tell that work may have been begun");
    }
}

#[tokio::test]
async fn a_letter_that_sqs_itself_gave_up_on_comes_back_as_the_same_request_which_may_have_been_begun() {
    let mut stage = Stage::set(world(), Kind::Standard).await;
    stage.settings.urgent_queue = None;
    let body = Job::new(account(&id(1)), Task::Restore { user: user("alice"), access_key_id: None }).to_body();
    let queue = stage.dead_letter_queue().as_str();
    let letter = stage.connection.sqs().send_message().queue_url(queue).message_body(body).send().await.unwrap();
    redrive::run(&stage.connection, &stage.settings, &RedriveOptions::default()).await.unwrap();
    let [message] = &stage.messages(&stage.settings.queue)[..] else { panic!("one message") };
    let first = message.attributes.get("FirstMessageId").map(|first| format!("{first:?}"));
    assert!(first.is_some_and(|first| first.contains(letter.message_id().unwrap())), "{message:?}");
    assert!(message.attributes.contains_key("Attempts") && message.attributes.contains_key("FirstSent"));
    assert!(stage.messages(stage.dead_letter_queue()).is_empty());
}

#[tokio::test]
async fn requests_are_redriven_to_the_urgent_queue_and_scans_to_the_work_queue() {
    let stage = Stage::set(world(), Kind::Fifo).await;
    let request = Job::new(account(&id(1)), Task::Restore { user: user("alice"), access_key_id: None });
    stage.dead_letter(1, &request.to_body(), "Denied", None).await;
    stage.dead_letter(2, &Job::new(account(&id(1)), Task::Account).to_body(), "Denied", None).await;
    redrive::run(&stage.connection, &stage.settings, &RedriveOptions::default()).await.unwrap();
    assert_eq!(stage.jobs(stage.urgent_queue()), [request]);
    assert_eq!(stage.work().len(), 1);
}

#[tokio::test]
async fn a_redrive_interrupted_between_sending_and_taking_away_loses_nothing_and_sends_nothing_twice() {
    let stage = forty(Kind::Fifo).await;
    stage.sandbox.with(|world| world.faults.deny(MANAGEMENT_ACCOUNT, "sqs:DeleteMessage", None));
    let interrupted = redrive::run(&stage.connection, &stage.settings, &of_reason(Reason::Denied)).await.unwrap();
    assert_eq!(interrupted.exit_status(), ExitStatus::Failed);
    assert_eq!(stage.messages(stage.dead_letter_queue()).len(), 40, "nothing is taken away");

    stage.sandbox.with(|world| world.faults.allow_all(MANAGEMENT_ACCOUNT));
    let again = redrive::run(&stage.connection, &stage.settings, &of_reason(Reason::Denied)).await.unwrap();
    assert_eq!((again.redriven, again.exit_status()), (10, ExitStatus::Done));
    assert_eq!(stage.work().len(), 10, "the second sending of a letter is recognised");
    assert_eq!(counts(&stage).await, ten_each(&[Reason::RoleRefused, Reason::Refused, Reason::MalformedMessage]));
}

#[tokio::test]
async fn a_letter_that_cannot_be_sent_stays_a_dead_letter() {
    let stage = forty(Kind::Fifo).await;
    stage.sandbox.with(|world| world.faults.deny(MANAGEMENT_ACCOUNT, "sqs:SendMessage", None));
    let report = redrive::run(&stage.connection, &stage.settings, &of_reason(Reason::Denied)).await.unwrap();
    assert_eq!((report.redriven, report.problems().len()), (0, 10));
    assert_eq!(counts(&stage).await, ten_each(&REASONS));
}

#[tokio::test]
async fn letters_that_are_named_are_deleted_and_told_in_full_and_the_others_stay() {
    for kind in [Kind::Fifo, Kind::Standard] {
        let stage = forty(kind).await;
        let RedriveOptions { filter } = of_reason(Reason::MalformedMessage);
        let report =
            delete::run(&stage.connection, &stage.settings, &DeleteOptions { filter, ..DeleteOptions::default() })
                .await
                .unwrap();
        assert_eq!((report.deleted.len(), report.left, report.exit_status()), (10, 30, ExitStatus::Done));
        assert!(report.to_string().contains("\nMalformedMessage: no JSON 3\n"), "{report}");
        assert_eq!(counts(&stage).await, ten_each(&[Reason::RoleRefused, Reason::Denied, Reason::Refused]));
        assert!(stage.messages(&stage.settings.queue).is_empty(), "and sent nowhere");
    }
}

#[tokio::test]
async fn nothing_is_deleted_unless_it_is_named_or_where_it_cannot_be() {
    let stage = forty(Kind::Fifo).await;
    let everything = delete::run(&stage.connection, &stage.settings, &DeleteOptions::default()).await;
    assert!(matches!(everything, Err(CommandError::Usage(why)) if why.contains("--reason")));
    stage.sandbox.with(|world| world.faults.deny(MANAGEMENT_ACCOUNT, "sqs:DeleteMessage", None));
    let RedriveOptions { filter } = of_reason(Reason::MalformedMessage);
    let report = delete::run(&stage.connection, &stage.settings, &DeleteOptions { filter, ..DeleteOptions::default() })
        .await
        .unwrap();
    assert_eq!((report.deleted.len(), report.problems().len(), report.exit_status()), (0, 10, ExitStatus::Failed));
    assert_eq!(counts(&stage).await, ten_each(&REASONS));
}

#[tokio::test]
async fn letters_that_fail_again_at_once_are_not_sent_round_and_round() {
    let stage = forty(Kind::Standard).await;
    let worker = async {
        for number in 100.. {
            let job = stage.take(&stage.settings.queue).await;
            stage.dead_letter(number, &job.to_body(), "Denied", None).await;
        }
    };
    let options = of_reason(Reason::Denied);
    let redriven = redrive::run(&stage.connection, &stage.settings, &options);
    tokio::select! {
        report = redriven => assert!(report.unwrap().redriven <= 40),
        () = worker => panic!("the worker never ends"),
    }
}

#[tokio::test]
async fn letters_behind_ten_others_of_their_fifo_group_are_counted_as_not_seen() {
    let stage = Stage::set(world(), Kind::Fifo).await;
    let queue = stage.dead_letter_queue();
    for number in 0..12 {
        let call = stage.connection.sqs().send_message().queue_url(queue.as_str());
        let call = call.message_body(Job::new(account(&id(1)), Task::Account).to_body());
        call.message_group_id("one").message_deduplication_id(format!("{number}")).send().await.unwrap();
    }
    let listed = list::run(&stage.connection, &stage.settings, &everything()).await.unwrap();
    let shown: usize = listed.groups.iter().map(|group| group.letters.len()).sum();
    assert_eq!((shown as u64 + listed.not_seen, shown), (12, 10));

    let report = redrive::run(&stage.connection, &stage.settings, &RedriveOptions::default()).await.unwrap();
    assert_eq!(report.redriven, 12, "each that is taken away makes room for the next");
}

#[tokio::test]
async fn the_status_counts_every_queue() {
    let stage = forty(Kind::Fifo).await;
    let report = status::run(&stage.connection, &stage.settings).await.unwrap();
    let waiting: Vec<(Purpose, u64)> = report.queues.iter().map(|queue| (queue.purpose, queue.depth.waiting)).collect();
    assert_eq!(waiting, [(Purpose::Work, 0), (Purpose::Urgent, 0), (Purpose::DeadLetters, 40)]);
    assert_eq!(report.exit_status(), ExitStatus::Done);
}

#[tokio::test]
async fn the_dead_letter_queue_is_read_off_the_redrive_policy_where_it_is_not_set() {
    let mut stage = forty(Kind::Fifo).await;
    stage.settings.dead_letter_queue = None;
    let report = status::run(&stage.connection, &stage.settings).await.unwrap();
    assert_eq!(report.queues.last().map(|queue| (queue.name.as_str(), queue.depth.waiting)), Some(("dead.fifo", 40)));
}

/// Its workers died, so nobody could say how often it was tried; but a worker that gets it again must know that it was.
#[tokio::test]
async fn a_letter_that_sqs_itself_put_aside_is_sent_back_as_one_that_was_delivered() {
    let stage = Stage::set(world(), Kind::Fifo).await;
    let job = Job::new(account(&id(1)), Task::Account).to_body();
    let (sqs, work) = (stage.connection.sqs(), stage.settings.queue.as_str());
    let send = sqs.send_message().queue_url(work).message_body(&job);
    send.message_group_id("group").message_deduplication_id("message").send().await.expect("it is taken");
    for _ in 0..6 {
        sqs.receive_message().queue_url(work).visibility_timeout(0).send().await.expect("a receive");
    }
    assert_eq!(stage.messages(stage.dead_letter_queue()).len(), 1);
    let report = redrive::run(&stage.connection, &stage.settings, &RedriveOptions::default()).await.unwrap();
    assert_eq!(report.redriven, 1);
    let sent_back = stage.messages(&stage.settings.queue).remove(0);
    assert_eq!(sent_back.attributes["Attempts"].string_value.as_deref(), Some("1"));
}
