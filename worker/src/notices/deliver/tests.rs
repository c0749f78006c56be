use super::*;

fn mail(recipient: RecipientClass, items: &[usize]) -> RenderedMail {
    let (address, subject, html, text) = Default::default();
    RenderedMail { recipient, address, subject, html, text, items: items.to_vec() }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time")
}

fn accepted(second: i64) -> MailOutcome {
    MailOutcome::Accepted { at: at(second) }
}

fn refused(class: ErrorClass) -> MailOutcome {
    MailOutcome::Refused { error: MailError::Refused { class, code: None }, class: Some(class) }
}

fn not_sent(error: MailError) -> MailOutcome {
    MailOutcome::Refused { error, class: None }
}

/// Account: items 0 and 1; owner: item 1. What is told after each mail, and the failures.
fn judged(account: MailOutcome, owner: MailOutcome) -> (Vec<(usize, Timestamp)>, Vec<MailFailure>) {
    let mails = [mail(RecipientClass::Account, &[0, 1]), mail(RecipientClass::Owner, &[1])];
    let outcomes = [account, owner];
    let mut told = newly_told(&mails, &outcomes[..1]);
    told.extend(newly_told(&mails, &outcomes));
    let failures = failures(&mails, &outcomes, &told.iter().copied().collect());
    (told, failures)
}

fn told(verdict: &(Vec<(usize, Timestamp)>, Vec<MailFailure>)) -> Vec<usize> {
    verdict.0.iter().map(|(index, _)| *index).collect()
}

#[test]
fn an_item_is_told_once_every_recipient_has_accepted_it() {
    let verdict = judged(accepted(1), accepted(1));
    assert_eq!((told(&verdict), verdict.1.len()), (vec![0, 1], 0));
}

#[test]
fn what_no_later_mail_tells_is_told_before_the_next_mail_is_sent() {
    let mails = [mail(RecipientClass::Account, &[0, 1]), mail(RecipientClass::Owner, &[1])];
    assert_eq!(newly_told(&mails, &[accepted(1)]), [(0, at(1))]);
    assert_eq!(newly_told(&mails, &[accepted(1), accepted(2)]), [(1, at(1))]);
}

#[test]
fn an_item_is_told_since_the_first_mail_about_it_was_accepted() {
    let (told, _) = judged(accepted(20), accepted(10));
    assert_eq!(told, [(0, at(20)), (1, at(10))]);
}

#[test]
fn a_recipient_refused_for_good_does_not_stand_in_the_way_of_another_that_accepted() {
    let rejected = || refused(ErrorClass::Rejected);
    let invalid = || refused(ErrorClass::Invalid);
    let suppressed = || not_sent(MailError::Suppressed);
    for (refusal, may_pass) in [(rejected(), true), (invalid(), false), (suppressed(), false)] {
        let verdict = judged(accepted(1), refusal.clone());
        assert_eq!(told(&verdict), [0, 1]);
        assert_eq!(verdict.1.len(), 1);
        assert!(!verdict.1[0].retryable, "{refusal:?}");
        // The other way round, item 0 has been told to nobody.
        let verdict = judged(refusal.clone(), accepted(1));
        assert_eq!(told(&verdict), [1]);
        assert_eq!(verdict.1[0].retryable, may_pass, "{refusal:?}");
    }
}

#[test]
fn throttling_or_an_outage_blocks_the_items_concerned_and_is_tried_again() {
    for class in [ErrorClass::Throttled, ErrorClass::Transient, ErrorClass::SendingPaused, ErrorClass::Denied] {
        let not_known =
            MailOutcome::Refused { error: MailError::SuppressionNotKnown { class, code: None }, class: Some(class) };
        for refusal in [refused(class), not_known] {
            let verdict = judged(accepted(1), refusal);
            assert_eq!(told(&verdict), [0], "{class:?}");
            assert!(verdict.1[0].retryable, "{class:?}");
        }
    }
}

#[test]
fn what_ses_refuses_in_its_own_sandbox_is_not_told_by_the_accounts_address() {
    let verdict = judged(accepted(1), not_sent(MailError::SesSandbox));
    assert_eq!(told(&verdict), [0]);
    assert!(verdict.1[0].retryable);
}

#[test]
fn the_accounts_last_mail_leaves_out_what_an_owner_has_not_been_told_and_may_be_another_time() {
    let mails =
        [mail(RecipientClass::Owner, &[0]), mail(RecipientClass::Owner, &[1]), mail(RecipientClass::Owner, &[2])];
    let outcomes = [accepted(1), refused(ErrorClass::Throttled), refused(ErrorClass::Rejected)];
    assert_eq!(blocked(&mails, &outcomes), BTreeSet::from([1]));
}

#[test]
fn an_unverified_sender_starts_no_clock() {
    let verdict = judged(refused(ErrorClass::Rejected), refused(ErrorClass::Rejected));
    assert_eq!(told(&verdict), [0_usize; 0]);
    assert!(verdict.1.iter().all(|failure| failure.retryable));
}
