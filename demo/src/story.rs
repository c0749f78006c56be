//! The story of one user from the sandbox's record: every change, every mail that named it and every call that failed, and around
//! the moment in question every call.

use std::fmt::Write as _;

use sandbox::journal::{CallRecord, EffectRecord, Outcome};

use crate::promises::record::Record;

/// Lines at most, of which this many come after the moment in question.
const LINES: usize = 60;
const LINES_AFTER: usize = 15;

/// Calls before and after the moment in question that are all told.
const CLOSE: usize = 12;

/// What happened to a user; around this call, if one is given, otherwise to the end.
pub(crate) fn of_user(record: &Record, account: &str, user: &str, around: Option<u64>) -> String {
    let about = |call: &&CallRecord| call.account == account && is_about(&call.subject, user);
    let calls: Vec<&CallRecord> = record.calls.iter().filter(about).collect();
    let close = around.map(|moment| {
        let place = calls.partition_point(|call| call.seq < moment);
        place.saturating_sub(CLOSE)..place + CLOSE
    });
    let told = calls.iter().enumerate().filter(|(place, call)| {
        call.outcome != Outcome::Done || close.as_ref().is_some_and(|close| close.contains(place))
    });
    // A call's changes come after it: both carry its number.
    let mut lines: Vec<(u64, u8, String)> = told.map(|(_, call)| (call.seq, 0, call_line(call))).collect();
    lines.extend(record.effects.iter().filter_map(|change| change_line(record, change, account, user)));
    lines.sort();

    let end = around.map_or(lines.len(), |moment| {
        (lines.partition_point(|(seq, ..)| *seq <= moment) + LINES_AFTER).min(lines.len())
    });
    let begin = end.saturating_sub(LINES);
    let mut story = format!("The story of {user} in {account}, from the journal:");
    if begin > 0 {
        let _ = write!(story, "\n  ... ({begin} lines before)");
    }
    for (seq, _, line) in &lines[begin..end] {
        let here = if around == Some(*seq) { ">" } else { " " };
        let _ = write!(story, "\n{here} {line}");
    }
    if end < lines.len() {
        let _ = write!(story, "\n  ... ({} lines after)", lines.len() - end);
    }
    story
}

/// A user, or its secret: those are named after their user, with a slash for each comma.
fn is_about(subject: &str, user: &str) -> bool {
    subject == user || subject.contains(&format!("_User_{}_", user.replace(',', "/")))
}

fn call_line(call: &CallRecord) -> String {
    let who = if call.session.is_empty() { &call.app } else { &call.session };
    let key = if call.named_key_id.is_empty() { String::new() } else { format!(" {}", call.named_key_id) };
    format!(
        "#{:<7} {} {}:{}{key}: {} ({}, {who})",
        call.seq,
        call.at.strftime("%m-%d %H:%M"),
        call.service,
        call.operation,
        call.outcome.word(),
        call.app,
    )
}

fn change_line(record: &Record, change: &EffectRecord, account: &str, user: &str) -> Option<(u64, u8, String)> {
    let what = serde_json::to_value(&change.effect).ok()?;
    let text = |field: &str| what[field].as_str().unwrap_or_default();
    let mail = record.mails.get(text("message_id"));
    let told = match mail {
        // Mails are sent from the tool's own account; the one they are about stands in the subject.
        Some(mail) => {
            let names_it = format!("User:       {user}\n");
            mail.subject.contains(account) && mail.text.as_deref().is_some_and(|text| text.contains(&names_it))
        }
        None => change.account == account && (text("user") == user || is_about(text("name"), user)),
    };
    let fields = what.as_object()?.iter().filter(|(name, _)| !["effect", "user"].contains(&name.as_str()));
    let fields: Vec<String> = fields.map(|(name, value)| format!("{name} {value}")).collect();
    let at = change.at.strftime("%m-%d %H:%M");
    let line = format!("#{:<7} {at}   {} {}", change.call, text("effect"), fields.join(", "));
    told.then_some((change.call, 1, line))
}
