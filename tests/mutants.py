#!/usr/bin/env python3
"""Breaks the product on purpose, one defence at a time, and shows which proof notices.

    tests/mutants.py [--list] [--only WORD]... [--shard K/N] [--markdown FILE]

Each mutant is a change to the source that a tired engineer could make. It is applied to a copy of the checkout, built, and the
proofs are run in order until one fails: first the test that noticed it the last time, as docs/testing.md has it. A mutant that no proof notices means that the proofs are not done: exit 1. A mutant
whose text is no longer in the source is an error as well: it has to follow the code.
"""
import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
COPY = TARGET / "mutants"

INTENT = "rotation/src/intent.rs"
ROTATE, SETTLE, KEY_STATUS = (f"worker/src/steps/{name}.rs" for name in ("rotate", "settle", "key_status"))
TURN, PUBLISH = (f"worker/src/steps/rotate/{name}.rs" for name in ("turn", "publish"))
RECORDER, DELIVER = "worker/src/recorder.rs", "worker/src/notices/deliver.rs"
DESTINATION = "worker/src/steps/destination.rs"
CONSUMER, DELIVERY, GROUPS = (f"worker/src/queue/{name}.rs" for name in ("consumer", "delivery", "groups"))
ERRORS = "worker/src/error.rs"
USER, INVENTORY, SELECTION = "worker/src/user.rs", "worker/src/inventory.rs", "rotation/src/selection.rs"
IAM, IAM_READS = "worker/src/aws/iam.rs", "aws/src/iam.rs"
SECRET_POLICIES = "worker/src/secret_policies.rs"
ACCOUNT, NOTIFY = "worker/src/account.rs", "worker/src/account/notify.rs"
LOOK, EXECUTE, ITEMS = (f"worker/src/user/{name}.rs" for name in ("look", "execute", "execute/items"))
LIFECYCLE, INACTIVE = "rotation/src/lifecycle.rs", "rotation/src/lifecycle/inactive.rs"
EVIDENCE = "rotation/src/evidence.rs"
FORCED, OLD_KEY, RESTORE = "rotation/src/forced.rs", "rotation/src/forced/old_key.rs", "rotation/src/restore.rs"
CLOCK, CONNECTION, ERROR, TRIES = (f"aws/src/{name}.rs" for name in ("clock", "connection", "error", "tries"))

# In the order in which they are tried; the cheap ones first.
PROOFS = ["settling", "lifecycle", "calls", "late_requests", "promised", "refusals", "mail_notices", "queue_worker", "crashes", "processes", "chaos"]
# They run for minutes, so that it pays to optimise what they run. The others are built sooner without.
LONG = {"crashes", "processes", "chaos"}
MEMBERS = ("end-to-end", "key-rotation-aws", "producer", "rotation", "sandbox", "worker")


class Edit(NamedTuple):
    file: str
    before: str
    after: str


class Mutant(NamedTuple):
    name: str
    edits: list[Edit]
    # The proof that is tried before the others.
    first: str | None


def mutant(name, *edits, first=None):
    return Mutant(name, [Edit(*edit) for edit in edits], first)


MUTANTS = [
    mutant(
        "the key is made before its destination is prepared",
        (ROTATE, "let prepared =\n            self.destination.prepare(&self.context, &self.session, secret.clone(), Some(&self.intent)).await?;", ""),
        (
            ROTATE,
            "let new = self.create_key().await?;",
            "let new = self.create_key().await?;\n        let prepared = self.destination.prepare(&self.context, &self.session, secret.clone(), Some(&self.intent)).await?;",
        ),
    ),
    mutant(
        "no intent is left",
        (ROTATE, "self.iam().leave_intent(self.context.user, &self.intent).await?;", ""),
    ),
    mutant(
        "the session is renewed inside an attempt",
        (
            ROTATE,
            "let is_published = self.store_pending(&new).await?;",
            "self.context.account.sessions.discard().await;\n"
            "        let session = self.context.account.sessions.with_at_least(MIN_SESSION_FOR_ATTEMPT).await?;\n"
            "        let destination = Destination::new(&self.context, &session);\n"
            "        let renewed = RotationAttempt { context: self.context, session, destination, intent: self.intent.clone() };\n"
            "        let is_published = renewed.store_pending(&new).await?;",
        ),
        (ROTATE, "self.publish(&new, present, prepared).await?;", "renewed.publish(&new, present, prepared).await?;"),
        (ROTATE, "let keys = access_keys(&self.context, &self.session).await?;\n        if !is_live(&keys, &new.id)", "let keys = access_keys(&self.context, &renewed.session).await?;\n        if !is_live(&keys, &new.id)"),
        (ROTATE, "self.clear_intents(&[]).await.map_err(AttemptFailure::with_intent_untouched)?;\n        info!(access_key_id = %old", "renewed.clear_intents(&[]).await.map_err(AttemptFailure::with_intent_untouched)?;\n        info!(access_key_id = %old"),
    ),
    mutant(
        "young intents of others are not waited for",
        (INTENT, "others.iter().filter(|intent| !intent.is_expired(now)).collect();", "others.iter().filter(|intent| !intent.is_expired(now) && false).collect();"),
    ),
    mutant(
        "of two attempts that meet both keep their intents",
        (INTENT, "(Some(lowest), Some(own)) if own < lowest =>", "(Some(_), Some(_)) =>"),
    ),
    mutant(
        "of two attempts that meet both clear their intents",
        (INTENT, "(Some(lowest), Some(own)) if own < lowest => Turn::OthersGiveWay,", ""),
        (TURN, "Turn::OthersGiveWay => pause(&mut pauses, &seen.intents).await?,\n                Turn::GiveWay => {", "Turn::OthersGiveWay | Turn::GiveWay => {"),
    ),
    mutant(
        "a silent attempt is waited for as one that is under way",
        (INTENT, "now > intent.silent_from()", "now > intent.expires_at()"),
    ),
    mutant(
        "a plan is carried out on other keys than it was made on",
        (ROTATE, "if keys.len() != present.len() ||", "if false &&"),
    ),
    mutant(
        "the key an intent is for (for=) is not looked at",
        (INTENT, "self.successor_of.as_ref() == Some(key) || self.beside", "self.beside"),
    ),
    mutant(
        "an intent does not name the keys beside",
        (ROTATE, "present.iter().filter(|key| *key != old).cloned().collect()", "Vec::new()"),
    ),
    mutant(
        "an attempt that only settles explains keys",
        (INTENT, "if self.successor_of.is_none() {", "if false {"),
    ),
    mutant(
        "an intent is believed though no attempt was at work",
        (SETTLE, "if !expired_intents.iter().any(is_theirs) {", "if !expired_intents.iter().any(is_theirs) && false {"),
    ),
    mutant(
        "an attempt leaves no trace on the secret",
        (DESTINATION, "Some(intent) => Some(intent.written),", "Some(_) => self.last_attempt().await?,"),
    ),
    mutant(
        "whoever mends a secret's policy takes the trace of an attempt away",
        (DESTINATION, "None => self.last_attempt().await?,", "None => None,"),
    ),
    mutant(
        "a create without a clear answer counts as refused",
        (ROTATE, "Err(error) if error.ambiguous => Err(self.leave_for_settling(error)),\n            Err(error) if error.class == ErrorClass::LimitExceeded", "Err(error) if error.class == ErrorClass::LimitExceeded"),
    ),
    mutant(
        "the SDK retries a create",
        (IAM, ".customize().config_override(once).send().await;\n        let key = answer", ".send().await;\n        let _ = once;\n        let key = answer"),
    ),
    mutant(
        "only the last try of a call is looked at",
        (TRIES, "error.ambiguous |= self.unanswered.load(Ordering::Relaxed);", ""),
        (TRIES, "let mut error = AwsError", "let error = AwsError"),
    ),
    mutant(
        "a look is believed after a try without an answer",
        (PUBLISH, "if error.class == ErrorClass::Conflict && !error.ambiguous => {}", "if error.class == ErrorClass::Conflict => {}"),
    ),
    mutant(
        "none to be seen is taken for none published",
        (PUBLISH, "None => AttemptFailure::with_intent_untouched(error),", "None => self.delete_new_key(&new.id, error).await,"),
    ),
    mutant(
        "an answer that cannot be read counts as refused",
        (ERROR, "if answer.raw().status().is_success() =>", "if answer.raw().status().is_server_error() && false =>"),
        (ERROR, "Self { operation, class, code: None, ambiguous: true, unsigned: false, foreign: true, what }", "Self { operation, class, code: None, ambiguous: status >= 500, unsigned: false, foreign: true, what }"),
    ),
    mutant(
        "after the create nobody looks for a third key",
        (ROTATE, "self.delete_new_key_if_limit_raced(&new, present).await?;", ""),
    ),
    mutant(
        "the compare-and-swap takes whatever is published",
        (PUBLISH, "let swap = self.destination.secrets", "expected = self.read_published_version(new).await?;\n            let swap = self.destination.secrets"),
    ),
    mutant(
        "another attempt's published key is taken over although it is live",
        (PUBLISH, "key.id != new.id && !present.contains(&key.id) && key.status == KeyStatus::Active && is_current(&key.id)", "false && !present.contains(&key.id) && is_current(&key.id) && key.status == KeyStatus::Active"),
    ),
    mutant(
        "settling publishes a pending key over another attempt's live one",
        (SETTLE, " && !is_beaten(key, record.as_ref(), keys, expired_intents) {", " && (true || is_beaten(key, record.as_ref(), keys, expired_intents)) {"),
    ),
    mutant(
        "a published key has to be active to be settled",
        (SETTLE, "if key.status == KeyStatus::Active {\n                verify", "if true {\n                verify"),
    ),
    mutant(
        "a notice dates from when it is recorded",
        (RECORDER, ".or_default().add(item, *at, grace);", ".or_default().add(item, { let _ = at; self.account.now() }, grace);"),
    ),
    mutant(
        "keys and tags that do not go together are taken as they are",
        (USER, "if look::tags_are_as_listed(context, &session).await? {", "if true {"),
        (LOOK, "if again == keys {\n            return Ok((keys, UserTags::from_pairs(&tags)));", "if again == keys || true {\n            return Ok((again, UserTags::from_pairs(&tags)));"),
    ),
    mutant(
        "a tag that was set after the listing does not count",
        (ROTATE, "tags.is_none_or(|planned| seen.is_equivalent_to(planned))", "tags.is_none_or(|planned| seen.is_equivalent_to(planned) || true)"),
    ),
    mutant(
        "no user has a turn to be looked at",
        (SELECTION, "(day + phase).rem_euclid(i64::from(self.days)) < i64::from(self.run_interval)", "(day + phase).rem_euclid(i64::from(self.days)) < 0"),
        first="calls",
    ),
    mutant(
        "a row of the credential report is that of whoever has the name now",
        (INVENTORY, ".map(|row| ((&row.name, row.created), row))", ".map(|row| (&row.name, row))"),
        (INVENTORY, "reported.get(&(&user.name, user.created))", "reported.get(&user.name)"),
        first="calls",
    ),
    mutant(
        "where there is no credential report nobody is looked at",
        (INVENTORY, "return self.undecided.iter().collect();", "return Vec::new();"),
        first="calls",
    ),
    mutant(
        "the key is not published",
        (ROTATE, "self.publish(&new, present, prepared).await?;", "let _ = prepared;"),
    ),
    mutant(
        "a message is tried again although its key cannot be stored",
        (ERRORS, "let may_get_on = failed.iter().filter(|(_, error)| !error.needs_a_person());", "let may_get_on = failed.iter().filter(|(_, error)| !error.needs_a_person() || true);"),
        (EXECUTE, "if let Some(error) = refused.get(account.message_id, self.context.user) {", "if let Some(error) = refused.get(account.message_id, self.context.user).filter(|_| false) {"),
    ),
    mutant(
        "what refuses for good to prepare a secret is tried again",
        (DESTINATION, ".await.map_err(StepError::while_preparing)?;", ".await?;"),
        first="settling",
    ),
    mutant(
        "a wrong parameter is taken for a conflict whatever the call",
        (ERROR, 'if code == "InvalidParameterException" && operation == "secretsmanager:UpdateSecretVersionStage" {', 'if code == "InvalidParameterException" {'),
        first="settling",
    ),
    mutant(
        "a refused replication is believed although somebody else has replicated the secret",
        (DESTINATION, "if error.class != ErrorClass::Invalid {", "if true {"),
        first="settling",
    ),
    mutant(
        "a report waits in the group that it was sent to",
        (CONSUMER, "if let Some(group) = &parsed.own_group\n", "if let Some(group) = parsed.own_group.as_ref().filter(|_| false)\n"),
        first="exposed_keys",
    ),
    mutant(
        "a deletion, or what is found once, that nobody can be told is a message done",
        (NOTIFY, "!item.news.is_made_again() &&", "item.record.is_some() &&"),
        first="mail_notices",
    ),
    mutant(
        "the policies of all secrets are looked at before owners are told",
        (ACCOUNT, "    let told = account.notify_owners", "    secret_policies::bring_up_to_date(&account, &inventory).await;\n    let told = account.notify_owners"),
        first="secret_access",
    ),
    mutant(
        "the record of a mail takes away a report of a leak that came in between",
        (RECORDER, "is_anothers(there) || has_later_leak(there)", "is_anothers(there) || has_later_leak(there) && false"),
        first="late_requests",
    ),
    mutant(
        "a key is disabled on a record that is another by now",
        (KEY_STATUS, "if tags.state_of(key) != decided_on.state_of(key) {", "if tags.state_of(key) != decided_on.state_of(key) && false {"),
        first="late_requests",
    ),
    mutant(
        "what the owner of a restored key was told retires it",
        (LIFECYCLE, "noticed.kind == KeyStateKind::Notified);", "noticed.kind != KeyStateKind::Forced);"),
        first="rules",
    ),
    mutant(
        "a restore takes the only inactive key whichever it began with",
        (RESTORE, "if perhaps_another && !was_inactive_before(meant, request) {", "if perhaps_another && !was_inactive_before(meant, request) && false {"),
        first="rules",
    ),
    mutant(
        "of two restores of a key the one that is delivered later counts",
        (RESTORE, "if let Some(at) = restore_since(key, request) {", "if let Some(at) = restore_since(key, request).filter(|_| false) {"),
        first="rules",
    ),
    mutant(
        "the owner is told before the key is published",
        (
            EXECUTE,
            "let disable_due = notice.and_then(|notice| notice.disable_due);",
            "let disable_due = notice.and_then(|notice| notice.disable_due);\n        let early = notice.map(|notice| notice.state(self.context.now()));\n        self.collect_item(old, News::Rotated { successor: None, disable_due }, early);",
        ),
    ),
    mutant(
        "what was told is recorded whether or not the mail was accepted",
        (DELIVER, "MailOutcome::Refused { .. } => return None,", "MailOutcome::Refused { .. } => first = first.or(Some(Timestamp::now())),"),
    ),
    mutant(
        "what SES accepts and would not deliver counts as told",
        (DELIVER, "Ok(Deliverability::Suppressed) => return refused(MailError::Suppressed, None),", "Ok(Deliverability::Suppressed) => {}"),
    ),
    mutant(
        "an address that SES calls malformed counts as one that it delivers to",
        ("worker/src/aws/suppression.rs", "=> Ok(Deliverability::Malformed),", "=> Ok(Deliverability::Expected),"),
        first="mail_notices",
    ),
    mutant(
        "a user that has vanished fails the account's message",
        (ACCOUNT, "if self.has_vanished(record, &report).await {", "if false && self.has_vanished(record, &report).await {"),
        first="refusals",
    ),
    mutant(
        "a suppression list that cannot be read is an empty one",
        (DELIVER, "return refused(MailError::SuppressionNotKnown { class, code }, Some(class));", "let _ = (class, code);"),
    ),
    mutant(
        "a reminder is not recorded",
        (RECORDER, "done_if_not_found(Iam::new(&session).record_reminder(user, at).await)", "{ let _ = (session, user, at); Ok(()) }"),
    ),
    mutant(
        "settling deletes a key without asking whether it was used",
        (SETTLE, "match iam.last_use(&id).await? {", "match LastUse::Never {"),
    ),
    mutant(
        "settling publishes nothing that is only pending",
        (SETTLE, "} else if holds && key.status == KeyStatus::Active", "} else if holds && key.status == KeyStatus::Inactive"),
    ),
    mutant(
        "a last use that cannot be read counts as never used",
        (IAM_READS, "let used = answer\n        .map_err(|error| AwsError::new(OPERATION, error))?", "let Ok(answer) = answer else { return Ok(LastUse::Never) };\n    let used = answer"),
    ),
    mutant(
        "an exemption group that cannot be read exempts nobody",
        (IAM, "Err(error) if error.class == ErrorClass::NotFound && members.is_empty() => return Ok(None),\n                Err(error) => return Err(error),", "Err(_) => return Ok(None),"),
    ),
    mutant(
        "the exemption group is read to its first page",
        (IAM, "members.extend(page.users.into_iter().map(|user| user.user_name));", "members.extend(page.users.into_iter().map(|user| user.user_name));\n                    more = false;\n                    break;"),
    ),
    mutant(
        "the users are read to their first page",
        (IAM_READS, "    Ok(listing)\n}", "    listing.users.truncate(100);\n    Ok(listing)\n}"),
    ),
    mutant(
        "the notice of a forced rotation counts though no successor was made",
        (LIFECYCLE, "KeyStateKind::Forced | KeyStateKind::Restored => {\n                since_due", "KeyStateKind::Forced | KeyStateKind::Restored => {\n                noticed.kind == KeyStateKind::Forced || since_due"),
        first="lifecycle",
    ),
    mutant(
        "no look before a disable: the successor",
        (KEY_STATUS, "if !iam.last_use(successor).await?.is_used() {", "if false && !iam.last_use(successor).await?.is_used() {"),
        (KEY_STATUS, "if !is_live(&keys, successor) {", "if false && find(&keys, successor).is_none() {"),
    ),
    mutant(
        "no look before a disable: whether the owner can read the successor",
        (KEY_STATUS, "destination.unreadable(context, session, &record).await?", "None::<crate::steps::destination::Unreadable>"),
    ),
    mutant(
        "no look before a disable: whether the identity policy is still attached",
        ("worker/src/steps/destination.rs", "&& !Iam::new(session).has_policy(context.user, &policy).await?", "&& false"),
    ),
    mutant(
        "a secret is the name's, whoever has the name",
        (DESTINATION, "is_some_and(|id| *id != context.record.id)", "is_some_and(|_| false)"),
    ),
    mutant(
        "anybody may change a secret and its policy",
        ("rotation/src/secret_policy.rs", '"Condition": {"ArnNotLike": {PRINCIPAL: self.writers}},', '"Condition": {"ArnNotLike": {PRINCIPAL: "arn:*:*:*:*:*"}},'),
        first="secret_access",
    ),
    mutant(
        "a user's tag names any reader",
        ("rotation/src/readers.rs", "is_role && self.allowed.iter().any(allows)", "is_role || self.allowed.iter().any(allows)"),
        first="secret_access",
    ),
    mutant(
        "a reader that is named later waits for the next rotation",
        (ACCOUNT, "secret_policies::bring_up_to_date(&account, &inventory).await;", ""),
        first="secret_access",
    ),
    mutant(
        "a published key in use goes in favour of one made by hand",
        ("rotation/src/lifecycle.rs", "if known_publication(key)? && !known_publication(successor)? && self.was_used_within_install_grace(key)? {", "if false {"),
        first="rules",
    ),
    mutant(
        "no look before a disable: still unused",
        (KEY_STATUS, "DisablePrecondition::StillUnused => match iam.last_use(key).await? {", "DisablePrecondition::StillUnused => match LastUse::Never {"),
    ),
    mutant(
        "a key whose deletion is due is restored at once",
        (RESTORE, "if deletion_is_near(now, &policy, disabled) =>", "if false && deletion_is_near(now, &policy, disabled) =>"),
    ),
    mutant(
        "no look before a delete",
        (KEY_STATUS, "Some(found) if found.status == KeyStatus::Active => {", "Some(found) if found.status == KeyStatus::Active && false => {"),
    ),
    mutant(
        "a message is deleted although its copy is not among the dead letters",
        (DELIVERY, "self.retry(context, &failure, delay).await;\n            }\n        }\n    }\n\n    async fn copy_to", "let _ = delay;\n                self.done(context).await;\n            }\n        }\n    }\n\n    async fn copy_to"),
    ),
    mutant(
        "a message is done although some of its users failed",
        ("worker/src/account/notify.rs", "return Err(JobError::Users { failed: self.failed, now });", "let _ = now;"),
    ),
    mutant(
        "the central store is written to after the session's end",
        (ROTATE, "if self.session.time_left().is_positive() { Ok(call.await?) } else { Err(StepError::SessionEnded) }", "Ok(call.await?)"),
    ),
    mutant(
        "a restore does not ask what has happened since",
        (RESTORE, "state.restoring.is_none() && later(", "false && state.restoring.is_none() && later("),
    ),
    mutant(
        "a policy is written over while an attempt may be at work",
        ("worker/src/secret_policies.rs", "if !tags.intents.is_empty() || !tags.unreadable.is_empty() {", "if false && !tags.intents.is_empty() {"),
        first="settling",
    ),
    mutant(
        "a key is deleted for a forced rotation without announcing that",
        (FORCED, "Some((deletable.key().clone(), self.deletion_wait(deletable.key())?))", "Some((deletable.key().clone(), self.deletion_wait(deletable.key()).filter(|_| false)?))"),
        first="late_requests",
    ),
    mutant(
        "a deletion that was announced does not look for a restore",
        (FORCED, "self.user.tags.state_of(key).filter(is_begun);", "self.user.tags.state_of(key).filter(|state| false && is_begun(state));"),
        first="late_requests",
    ),
    mutant(
        "a restore does not look for a deletion that is announced",
        (RESTORE, "user.tags.may_be_deleted_until(&key.id, now).filter(|_| key.status == KeyStatus::Inactive)", "user.tags.may_be_deleted_until(&key.id, now).filter(|_| false)"),
        (KEY_STATUS, "if let Some(not_before) = tags.may_be_deleted_until(key, context.now()) {", "if let Some(not_before) = tags.may_be_deleted_until(key, context.now()).filter(|_| false) {"),
        first="late_requests",
    ),
    mutant(
        "a notice is recorded over what a request has recorded since",
        (RECORDER, "if self.is_overtaken(iam, user, key, state).await? {", "if false && self.is_overtaken(iam, user, key, state).await? {"),
        first="late_requests",
    ),
    mutant(
        "one wrong answer puts off what an operator asks for",
        ("worker/src/context.rs", "let now = if self.job.is_operators_request() { clock.now() } else { clock.earliest() };", "let now = clock.earliest();"),
    ),
    mutant(
        "what a delivery has recorded itself does not count before reads show it",
        (LOOK, "        tags.add_own_record(key, state);\n", "        let _ = (key, state, &mut tags);\n"),
        first="late_requests",
    ),
    mutant(
        "a leak of a key that is inactive already leaves no record",
        (FORCED, "if !self.request.disable_old_now || !is_inactive {", "if !self.request.disable_old_now || is_inactive || !is_inactive {"),
        first="late_requests",
    ),
    mutant(
        "whether a restore has begun beside a report of a leak is looked at once only",
        (FORCED, "let rest_after = Some(recorded_for_long_enough(self.now));", "let rest_after = None;"),
        first="late_requests",
    ),
    mutant(
        "a restore writes over a leak that was reported after its look",
        (EXECUTE, "state.requested_at.filter(|_| state.restoring.is_some() && !self.is_audit())", "state.requested_at.filter(|_| false)"),
        first="late_requests",
    ),
    mutant(
        "what nobody can be told ends an operator's request",
        (NOTIFY, "if !self.job.is_operators_request() || report.is_given_up(last_delivery) {", "{"),
        first="late_requests",
    ),
    mutant(
        "secrets whose policy is refused for good end the round of policies",
        (SECRET_POLICIES, "failed += usize::from(error.class.may_pass());", "failed += 1;"),
        first="secret_access",
    ),
    mutant(
        "the successor that an operator asked for goes, because it was told before that it has to",
        (LIFECYCLE, "if told.kind == KeyStateKind::Forced && known_publication(newer)? =>", "if told.kind == KeyStateKind::Disabled && known_publication(newer)? =>"),
        first="rules",
    ),
    mutant(
        "a forced rotation hides that a restore has begun from an older request",
        (EVIDENCE, "KeyStateKind::Disabled => state.restoring.map(|_| state.requested_at.unwrap_or(state.at)),", "KeyStateKind::Disabled => None,"),
        first="rules",
    ),
    mutant(
        "a restore brings back a key whose owner was told of its end since it was asked for",
        (RESTORE, "later(state.at, request.origin.requested_at) && !is_from_the_future(state.at, now)", "later(state.at, request.origin.requested_at) && now < state.at"),
        first="rules",
    ),
    mutant(
        "a key that is contained anew counts as inactive since the first time",
        (FORCED, "state.is_containment() && !is_contained_anew", "state.is_containment() || is_contained_anew"),
        first="rules",
    ),
    mutant(
        "a restore hides a later report of a leak of a key that a person has made active",
        (RESTORE, "let reported = key.state.as_ref()?.leak_reported();", "let reported = key.state.as_ref().filter(|_| key.status == KeyStatus::Inactive)?.leak_reported();"),
        first="rules",
    ),
    mutant(
        "a restore that came to nothing hides that a deletion was told before an exemption",
        (INACTIVE, "told_until.map_or(state.at, |until| before(until, self.policy.recovery_grace()).min(state.at))", "told_until.map_or(state.at, |until| before(until, self.policy.recovery_grace()).max(state.at))"),
        first="rules",
    ),
    mutant(
        "a key that is made active while its leak is reported stays so",
        (KEY_STATUS, "        contain(context, session, key).await?;\n        // Another delivery", "        if matches!(why, StepError::Changed(_)) {\n            return Ok(());\n        }\n        contain(context, session, key).await?;\n        // Another delivery"),
        first="late_requests",
    ),
    mutant(
        "a key whose restore has begun counts as inactive",
        (OLD_KEY, "key.status == KeyStatus::Active || key.state.as_ref().is_some_and(is_restored)", "{ let _ = is_restored; key.status == KeyStatus::Active }"),
        first="late_requests",
    ),
    mutant(
        "an audit says nothing of what a request would do after waiting",
        (EXECUTE, "if self.is_audit() { plan.rest.as_slice() } else { &[] }", "if self.is_audit() && false { plan.rest.as_slice() } else { &[] }"),
        first="late_requests",
    ),
    mutant(
        "what a request did before an exemption stays in force",
        (LIFECYCLE, "(true, true) => Some(Action::Record { key: key.clone(), state: state.clone().made_void() }),", "(true, true) => None,"),
        first="promised",
    ),
    mutant(
        "a restore leaves no record between the active key and its mail",
        (EXECUTE, "self.record_not_told(key, &state).await?;\n        self.collect_item(key, News::Restored", "self.collect_item(key, News::Restored"),
        first="late_requests",
    ),
    mutant(
        "a request takes a key that is newer than itself",
        (OLD_KEY, "!no_earlier(key.created, self.request.origin.requested_at)", "true || !no_earlier(key.created, self.request.origin.requested_at)"),
    ),
    mutant(
        "a request is not known by its id",
        (OLD_KEY, "let by_this_request = state.request == Some(self.request.origin.id);", "let by_this_request = state.request == Some(self.request.origin.id) && false;"),
    ),
    mutant(
        "a request that was a dead letter is another request",
        (DELIVERY, "first_id: first_id.unwrap_or_else(|| id.clone()),", "first_id: { let _ = first_id; id.clone() },"),
    ),
    mutant(
        "containment waits for what is unknown",
        (FORCED, "Err(Obstacle::Missing(missing)) => rules.contain_or(Verdict::Undecided(missing)),", "Err(Obstacle::Missing(missing)) => Verdict::Undecided(missing),"),
    ),
    mutant(
        "a secret or a last use that cannot be read fails the user",
        (LOOK, "failures.push((fact(), error));\n            Ok(None)", "failures.push((fact(), error.clone()));\n            Err(error.into())"),
    ),
    mutant(
        "a tag that cannot be read shields a leaked key",
        (FORCED, "return rules.contain_or(rules.refused(Refusal::blocked(&user.name, &findings)));", "return Verdict::Refused(Refusal::blocked(&user.name, &findings));"),
    ),
    mutant(
        "a finding ends a request",
        (EXECUTE, "!findings.is_empty() && !self.context.account.job.is_operators_request()", "!findings.is_empty()"),
    ),
    mutant(
        "what was not told is not told again",
        (INACTIVE, ".filter(|state| !state.told)?;", ".filter(|_| false)?;"),
    ),
    mutant(
        "a key is deleted before it is on record that its owner has to be told",
        (KEY_STATUS, "iam.record_deletion(context.user, key.key(), context.now()).await?;", ""),
        first="promised",
    ),
    mutant(
        "a secret is mended before the notice about it is void",
        (
            KEY_STATUS,
            "iam.record_state(context.user, key, &void).await?;\n                    }\n                    destination.prepare(context, session, Some(record).into(), None).await?;",
            "if context.account.dry_run {\n                            iam.record_state(context.user, key, &void).await?;\n                        }\n                        destination.prepare(context, session, Some(record).into(), None).await?;\n                        iam.record_state(context.user, key, &void).await?;\n                    }",
        ),
        first="crashes",
    ),
    mutant(
        "a contained key is deleted in the run that tells of its successor",
        (INACTIVE, "state.until = Some(self.delete_due(self.now));", "let _ = state;"),
        first="rules",
    ),
    mutant(
        "an older report of a leak is recorded over a newer one",
        (FORCED, "requested_at.is_some_and(|at| no_earlier(at, self.request.origin.requested_at))", "requested_at.is_some_and(|at| at.as_second() == self.request.origin.requested_at.as_second())"),
        first="late_requests",
    ),
    mutant(
        "a leak voids a restore that was asked for after it and waits",
        (OLD_KEY, "Some(_) => Some(state.requested_at.unwrap_or(state.at)),", "Some(_) => Some(state.requested_at.unwrap_or(state.at)).filter(|_| key.status == KeyStatus::Active),"),
        first="late_requests",
    ),
    mutant(
        "a restore takes another key for the one that is gone",
        (RESTORE, "user.orphaned_states().find(|(_, state)| is_by(state, request))", "user.orphaned_states().find(|(_, state)| false && is_by(state, request))"),
        first="late_requests",
    ),
    mutant(
        "a key whose record cannot be read is restored",
        (RESTORE, "if !unreadable.is_empty() {", "if !unreadable.is_empty() && false {"),
        (KEY_STATUS, "if !tags.unreadable_of(key).is_empty() {", "if !tags.unreadable_of(key).is_empty() && false {"),
        first="late_requests",
    ),
    mutant(
        "an exemption that no run has seen leaves a deletion as it was told",
        (INACTIVE, "used_after_disable(key, state.at) || self.is_from_before_an_exemption(state)", "used_after_disable(key, state.at) || false && self.is_from_before_an_exemption(state)"),
        first="rules",
    ),
    mutant(
        "what a leak has put on record is kept by the age of the disable",
        (EVIDENCE, "now.duration_since(newest) <= MAX_REQUEST_AGE", "now.duration_since(newest.min(state.at)) <= MAX_REQUEST_AGE"),
        first="rules",
    ),
    mutant(
        "a message ends though a mail could be tried again",
        (NOTIFY, "may_be_told && makes_no_key && !last_delivery {", "may_be_told && makes_no_key && !last_delivery && false {"),
        first="late_requests",
    ),
    mutant(
        "a notice in the log dates from the earliest that it may be",
        (NOTIFY, "logged_at: self.worker.settings.as_of.unwrap_or_else(|| self.worker.connection.clock().now()),", "logged_at: self.decision_time(),"),
        first="settling",
    ),
    mutant(
        "a key is deleted though its owner was not told that it is disabled",
        (INACTIVE, "filter(|state| state.told && !is_void(state))?;", "filter(|state| !is_void(state))?;"),
        first="rules",
    ),
    mutant(
        "a forced rotation does not tell what an earlier delivery has deleted",
        (FORCED, "let untold = untold_of_gone(self.user);", "let untold = { let _ = untold_of_gone; Vec::<Action>::new() };"),
        first="promised",
    ),
    mutant(
        "a notice is mailed before it is known that it can be recorded",
        (EXECUTE, "None => self.record_not_told(key, &state).await?,", "None => {}"),
    ),
    mutant(
        "a leaked key is contained once everything about it is known",
        ("worker/src/user/decide.rs", "    if account.dry_run {\n        return None;", "    if account.dry_run || true {\n        return None;"),
        first="late_requests",
    ),
    mutant(
        "what is found once waits until all users are done",
        ("worker/src/notices/item.rs", "News::Finding(finding) => finding.lasts_until_mended(),", "News::Finding(_) => true,"),
        first="mail_notices",
    ),
    mutant(
        "the account is mailed again at each delivery",
        ("worker/src/account/notify.rs", "is_redelivered: self.origin.redelivered,", "is_redelivered: false,"),
        first="mail_notices",
    ),
    mutant(
        "replicas are looked at right after the rotation alone",
        (EXECUTE, "if let SeenSecret::Found(secret) = &self.snapshot.secret {", "if let SeenSecret::Found(secret) = &SeenSecret::Unknown {"),
        first="settling",
    ),
    mutant(
        "the worker contains the key that it signs with",
        ("rotation/src/decide.rs", "if contains_it {", "if contains_it && false {"),
        first="refusals",
    ),
    mutant(
        "a date that was mailed does not count",
        (LIFECYCLE, "told.until.map_or(due, |until| until.max(due))", "told.until.map_or(due, |_| due)"),
    ),
    mutant(
        "an exemption leaves the notices before it as they are",
        (LIFECYCLE, "filter(|(key, _)| may_void && !is_announced(&actions, key));", "filter(|(key, _)| may_void && false && !is_announced(&actions, key));"),
    ),
    mutant(
        "an answer that waited turns the clock back",
        (CLOCK, "let may_turn_back = believed.at < sent;", "let may_turn_back = true;"),
        (CLOCK, "believed.now().duration_since(Reading { time, at: sent }.now())", "believed.now().duration_since(time)"),
        first="lib",
    ),
    mutant(
        "one answer makes the clock jump",
        (CLOCK, "            if agreed {", "            if agreed || time > believed.now() {"),
    ),
    mutant(
        "one service that agrees with itself makes the clock jump",
        (CLOCK, "jump.service != service && time", "time"),
    ),
    mutant(
        "a session ends by the time that is believed, not by the latest that it can be",
        ("aws/src/session.rs", "self.clock.latest()", "self.clock.now()"),
    ),
    mutant(
        "a user that ends waits for the lock of the sessions, and all others with it",
        (ACCOUNT, "reports.push(report);", "reports.push(report);\n            self.sessions.discard().await;"),
        first="queue_worker",
    ),
    mutant(
        "a try of a call may take for ever",
        (CONNECTION, ".operation_attempt_timeout(LONGEST_TRY)", ""),
        first="lib",
    ),
    mutant(
        "a stop waits for what it hands back, and a receive with it",
        (CONSUMER, "state.stop(),", "{ state.stopping = true; let waiting = state.groups.take_waiting().into_iter().map(|read| read.delivery).collect(); hand_back_all(&self.context, waiting).await }"),
        first="queue_worker",
    ),
    mutant(
        "tags of one user are written at the same time, and a refusal for that is not tried again",
        (IAM, "Err(error) if error.is_concurrent_modification() =>", "Err(error) if error.is_concurrent_modification() && false =>"),
        first="promised",
    ),
    mutant(
        "messages of one group are worked on side by side",
        (GROUPS, "filter(|(_, group)| matches!(group.under_way, UnderWay::Nothing))", "filter(|_| true)"),
        first="queue_worker",
    ),
    mutant(
        "an answer without an error code counts as refused",
        (ERROR, "code: None, ambiguous: true, unsigned: false, foreign: true, what }", "code: None, ambiguous: false, unsigned: false, foreign: true, what }"),
        first="settling",
    ),
    mutant(
        "a list that ends before its end is taken for whole",
        (IAM_READS, "if more {", "if more && false {"),
        first="lifecycle",
    ),
    mutant(
        "who is put into the exemption group while an account is worked on is not exempt",
        (USER, "decision.changes() && look::is_exempt_since", "false && look::is_exempt_since"),
        first="settling",
    ),
    mutant(
        "a user that was renamed cannot read its secret any more",
        (SECRET_POLICIES, "owners.get(id.as_str()))", "owners.get(id.as_str())).filter(|owner| secret.name == secret_name(&account.job.account, &owner.name))"),
        first="settling",
    ),
    mutant(
        "what was received ahead is worked on without a place for it",
        (GROUPS, "take(at_most)", "take(usize::MAX)"),
        first="queue_worker",
    ),
    mutant(
        "the oldest of the messages that ask for the same is worked on",
        (GROUPS, "let newest = same.pop()?;", "let newest = same.remove(0);"),
        first="queue_worker",
    ),
    mutant(
        "a message covered by another is deleted whatever becomes of that one",
        (CONSUMER, "older.end(context, end.clone(), run_id)", "older.end(context, DeliveryEnd::Done, run_id)"),
        first="queue_worker",
    ),
    mutant(
        "what waits for its group is not kept invisible",
        (DELIVERY, "heartbeat: Heartbeat::start(sqs.clone(), queue.clone(), receipt.clone(), limits.visibility),", "heartbeat: Heartbeat::start(sqs.clone(), queue.clone(), receipt.clone(), limits.visibility * 1000),"),
        first="queue_worker",
    ),
    mutant(
        "what is handed back can be taken by the worker's own long poll",
        (DELIVERY, "let visible_in = context.open_receive.over_in();", "let visible_in = Duration::ZERO;"),
        first="queue_worker",
    ),
    mutant(
        "after the signal to stop further users are begun",
        (ACCOUNT, "running.len() < pace.at_once() && !self.stop.is_asked()", "running.len() < pace.at_once()"),
        first="processes",
    ),
    mutant(
        "what AWS reports is contained unless somebody asks for an audit",
        ("cloudformation/exposed-keys.yaml", 'ContainsKeys: !Equals [!Ref ContainReportedKeys, "True"]', 'ContainsKeys: !Equals [!Ref ContainReportedKeys, "False"]'),
        first="exposed_keys",
    ),
    mutant(
        "the urgent queue lets in whatever rule of EventBridge",
        ("cloudformation/fleet.yaml", ":rule/${NamePrefix}-exposed-keys/*", ":rule/*"),
        first="exposed_keys",
    ),
    mutant(
        "an unknown last use of a new key is taken for none",
        ("rotation/src/succession.rs", "LastUse::Unknown => Installed::Unknown,", "LastUse::Unknown => Installed::NotYet,"),
        first="installed",
    ),
    mutant(
        "that the previous key is used proves that the new one is installed",
        (ITEMS, "published_use: published.map_or(LastUse::Unknown, |key| key.last_use.clone()),", "published_use: key.map_or(LastUse::Unknown, |id| self.facts(id).last_use),"),
        first="installed",
    ),
    mutant(
        "a deletion does not wait for a restore that was carried out just now",
        (FORCED, "state.restoring.is_some() || state.kind == KeyStateKind::Restored;", "state.restoring.is_some();"),
        first="rules",
    ),
    mutant(
        "a request without a name takes a key that was made active again",
        (OLD_KEY, "self.refuse_if_perhaps_re_enabled(meant)?;", "let _ = self.refuse_if_perhaps_re_enabled(meant);"),
        first="rules",
    ),
    mutant(
        "a restore without a name takes a key off the record beside one that is on it",
        (RESTORE, "request.origin.redelivered || is_disabled(state);", "request.origin.redelivered || (is_disabled(state) && false);"),
        first="rules",
    ),
    mutant(
        "a key that was contained just now and reads as active is taken for a re-enabled one",
        (LIFECYCLE, "if user.keys.iter().any(|key| may_be_contained_still(key, now)) {", "if user.keys.iter().any(|key| may_be_contained_still(key, now) && false) {"),
        first="rules",
    ),
    mutant(
        "a restore that cannot look once more is not begun again",
        (KEY_STATUS, "Iam::new(session).record_state(context.user, key, &begun).await?;", "let _ = begun;"),
        first="late_requests",
    ),
    mutant(
        "an exemption that was set after the look does not count",
        (KEY_STATUS, "match tags.exempts_as(decided_on) {", "match tags.exempts_as(decided_on) || true {"),
        first="settling",
    ),
    mutant(
        "a forced rotation's notice that counted for nothing is not given anew",
        (KEY_STATUS, "KeyStateKind::Forced => state.clone().made_void(),", "KeyStateKind::Forced => state.clone().not_told(),"),
        first="settling",
    ),
    mutant(
        "a contained key's recovery grace counts from the decision",
        (RECORDER, "until.max(earliest)", "{ let _ = earliest; until }"),
        first="lib",
    ),
    mutant(
        "the mail of a leak response does not say how to see what the key did",
        ("worker/src/notices/instructions.rs", "let calls = item.news == News::Contained;", "let calls = item.news == News::Deleted;"),
        first="secret_access",
    ),
]


def copy_of_the_checkout():
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True).stdout
    names = [os.fsdecode(name) for name in tracked.split(b"\0") if name]
    for name in names:
        source, copy = ROOT / name, COPY / name
        # Unchanged files keep their times, so that only what a mutant touches is built again.
        if source.is_file() and not (copy.is_file() and copy.read_bytes() == source.read_bytes()):
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, copy)
    # Nothing that a former state had and this one has not.
    for folder in ("aws", "demo", "producer", "rotation", "sandbox", "tests", "worker"):
        for path in (COPY / folder).rglob("*.rs"):
            if str(path.relative_to(COPY)) not in names:
                path.unlink()


def apply(edits):
    for file, before, after in edits:
        path = COPY / file
        text = path.read_text()
        if text.count(before) != 1:
            raise SystemExit(f"{file} has {text.count(before)} times, not once:\n{before}")
        path.write_text(text.replace(before, after))


def cargo(proof, *arguments):
    settings = {"CHAOS_SEEDS": "600", **os.environ, "CARGO_TARGET_DIR": str(TARGET), "RUSTFLAGS": "", "CARGO_INCREMENTAL": "1"}
    levels = [] if proof in LONG else [f"--config=profile.release.package.{name}.opt-level=0" for name in MEMBERS]
    target = ["--lib"] if proof == "lib" else ["--test", proof]
    command = ["cargo", "test", "--release", "--workspace", *levels, *target, *arguments]
    return subprocess.run(command, cwd=COPY, env=settings, capture_output=True, text=True, check=False)


def forget_the_mutants():
    """Removes what was built of them. It lies in the checkout's own target folder, so that the dependencies are not built again, and cargo
    would take it for the checkout's own: its sources are below that folder, unchanged since."""
    described = subprocess.run(
        ["cargo", "metadata", "--no-deps", "--format-version", "1"], cwd=ROOT, check=True, capture_output=True
    )
    members = [option for package in json.loads(described.stdout)["packages"] for option in ("--package", package["name"])]
    settings = {**os.environ, "CARGO_TARGET_DIR": str(TARGET)}
    subprocess.run(["cargo", "clean", "--quiet", "--release", *members], cwd=ROOT, env=settings, check=True)


def failed_tests(output):
    return re.findall(r"^test (\S+) \.\.\. FAILED", output, re.MULTILINE)


def noticed_last():
    """By mutant the proof and the test that noticed it the last time, as `--markdown` wrote them."""
    rows = re.findall(r"^\| (.+?) \| `(\w+)` \| (.+?) \|$", (ROOT / "docs/testing.md").read_text(), re.MULTILINE)
    return {name: (proof, re.sub(r"[^a-z0-9]+", "_", test.lower().replace("'", ""))) for name, proof, test in rows}


def notice(one, last):
    """The proof and the test that notice a mutant; (None, why) if none does."""
    copy_of_the_checkout()
    apply(one.edits)
    whole = [(name, None) for name in dict.fromkeys([one.first or PROOFS[0], *PROOFS])]
    for proof, test in [last, *whole] if last else whole:
        built = cargo(proof, "--no-run")
        if built.returncode != 0:
            print(built.stderr[-3000:], file=sys.stderr)
            return None, "it does not compile"
        tested = cargo(proof, *([test] if test else []))
        if tested.returncode != 0:
            return proof, (failed_tests(tested.stdout) or ["it did not end"])[0].split("::")[-1]
    return None, None


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--list", action="store_true", help="only say what would be broken")
    arguments.add_argument("--only", action="append", default=[], help="only mutants whose name has this in it")
    arguments.add_argument("--shard", default="1/1", metavar="K/N", help="only the K-th of N parts; each needs a checkout of its own")
    arguments.add_argument("--markdown", type=Path, help="write the table to this file as well")
    options = arguments.parse_args()
    chosen = [one for one in MUTANTS if not options.only or any(word in one.name for word in options.only)]
    part, parts = map(int, options.shard.split("/"))
    chosen = chosen[part - 1 :: parts]
    if options.list:
        print(*(one.name for one in chosen), sep="\n")
        return
    # Before an hour's work: every mutant still fits the source.
    for one in chosen:
        copy_of_the_checkout()
        apply(one.edits)
    last = noticed_last()
    rows, survivors = [], 0
    try:
        for one in chosen:
            began = time.monotonic()
            proof, test = notice(one, last.get(one.name))
            survivors += proof is None
            verdict = f"{proof}: {test}" if proof else (test or "SURVIVED")
            rows.append((one.name, f"`{proof}`" if proof else "**none**", (test or "").replace("_", " ")))
            print(f"{one.name}: {verdict} ({time.monotonic() - began:.0f} s)", flush=True)
    finally:
        forget_the_mutants()
    if options.markdown:
        lines = ["| broken on purpose | noticed by | in the test |", "|---|---|---|"]
        lines += [f"| {name} | {proof} | {test} |" for name, proof, test in rows]
        options.markdown.write_text("\n".join(lines) + "\n")
    print(f"{len(chosen)} mutants, {survivors} survived")
    sys.exit(1 if survivors else 0)


if __name__ == "__main__":
    main()
