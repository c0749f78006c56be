//! What a scheduled run has put on the queue, what was left out, and what failed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use key_rotation_aws::QueueUrl;
use rotation::{AccountId, UserName};
use serde::Serialize;
use uuid::Uuid;

use super::earlier::EarlierMessages;
use super::{Granularity, ScheduledRun};
use crate::command::{Report, count};
use crate::enqueue::{SendSummary, UnsentJob};
use crate::organization::{ListingSummary, taken_as_named};
use crate::users::ExpansionSummary;
use crate::watch::WatchReport;

/// A scheduled run, told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ScheduleReport {
    /// The run: every message, log line and dead letter of it carries this id.
    pub run_id: Uuid,
    /// When it was asked for, by AWS's clock.
    pub requested_at: Timestamp,
    pub queue: String,
    /// What a message is about.
    pub granularity: Granularity,
    /// Whether the workers were asked to audit only.
    pub dry_run: bool,
    /// Accounts in which they were asked for more than an audit, where that is not everywhere.
    pub enforced_accounts: Option<usize>,
    /// Accounts the run concerns.
    pub accounts: u64,
    /// Messages on the queue.
    pub messages: u64,
    /// Accounts left out because they are excluded.
    pub excluded: u64,
    /// Accounts left out because they are not active, by state.
    pub not_active: BTreeMap<String, u64>,
    /// What earlier runs had left on the queue, if anything.
    pub earlier: Option<EarlierMessages>,
    /// What is strange, but no failure.
    pub remarks: Vec<String>,
    pub problems: Vec<Problem>,
    /// How the queue was worked off, where it was watched.
    pub watched: Option<WatchReport>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The account, where it is about one.
    pub account: Option<AccountId>,
    /// The user, where it is about one.
    pub user: Option<UserName>,
    /// A sentence that needs nothing else to be understood.
    pub what: String,
}

impl Problem {
    pub(super) fn general(what: String) -> Self {
        Self { account: None, user: None, what }
    }

    fn account(account: AccountId, what: String) -> Self {
        Self { account: Some(account), user: None, what }
    }

    fn unsent(unsent: UnsentJob) -> Self {
        let user = unsent.job.user().cloned();
        let account = unsent.job.account;
        let what = match &user {
            Some(user) => format!("the user {user} of account {account} is not on the queue: {}", unsent.why),
            None => format!("account {account} is not on the queue: {}", unsent.why),
        };
        Self { account: Some(account), user, what }
    }
}

impl ScheduleReport {
    pub(super) fn new(
        run: &ScheduledRun,
        queue: &QueueUrl,
        granularity: Granularity,
        listed: ListingSummary,
        expanded: ExpansionSummary,
        sent: SendSummary,
    ) -> Self {
        let ExpansionSummary { accounts, unlisted } = expanded;
        let ListingSummary { left_out, broken_off } = listed;
        let mut problems = Vec::new();
        if let Some(error) = broken_off {
            problems.push(Problem::general(format!(
                "listing the organization broke off after {accounts} accounts, those after it are not on the queue: {error}"
            )));
        }
        if let Some(error) = sent.stopped_by {
            problems.push(Problem::general(format!(
                "the queue takes no more messages, the run was broken off after {}: {error}",
                sent.messages
            )));
        }
        problems.extend(left_out.named.into_iter().map(|(account, state)| {
            let what = format!("account {account} was asked for, but is {state}: it is not on the queue");
            Problem::account(account, what)
        }));
        problems.extend(unlisted.into_iter().map(|unlisted| {
            let (account, listed, why) = (unlisted.account, unlisted.listed, unlisted.why);
            let what = format!("the users of account {account} could not all be listed ({listed} were): {why}");
            Problem::account(account, what)
        }));
        problems.extend(sent.failed.into_iter().map(Problem::unsent));
        let mut remarks: Vec<String> = Vec::new();
        remarks.extend(left_out.as_named.iter().map(taken_as_named));
        remarks.extend(left_out.unmet_exclusions.iter().map(|account| {
            format!("account {account} is excluded, but the organization has no such account: is the id right?")
        }));
        if sent.messages == 0 && problems.is_empty() {
            remarks.push("nothing was sent: no active account is concerned".to_owned());
        }
        Self {
            run_id: run.run_id,
            requested_at: run.requested_at,
            queue: queue.name().to_owned(),
            granularity,
            dry_run: run.dry_run,
            enforced_accounts: run.enforced_accounts(),
            accounts,
            messages: sent.messages,
            excluded: left_out.by_operator,
            not_active: left_out.by_state,
            earlier: None,
            remarks,
            problems,
            watched: None,
        }
    }
}

impl ScheduleReport {
    /// Accounts that were meant and are not on the queue as a whole.
    pub(super) fn accounts_not_reached(&self) -> usize {
        self.problems.iter().filter_map(|problem| problem.account.as_ref()).collect::<BTreeSet<_>>().len()
    }
}

impl Report for ScheduleReport {
    fn problems(&self) -> Vec<String> {
        let watched = self.watched.iter().flat_map(WatchReport::problems);
        self.problems.iter().map(|problem| problem.what.clone()).chain(watched).collect()
    }
}

impl fmt::Display for ScheduleReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let audit = if self.dry_run { ", audit only" } else { "" };
        write!(f, "run {}{audit}: ", self.run_id)?;
        write!(f, "{} for {} on {}", count(self.messages, "message"), count(self.accounts, "account"), self.queue)?;
        let excluded = (self.excluded > 0).then(|| format!("{} excluded", self.excluded));
        let by_state = self.not_active.iter().map(|(state, accounts)| format!("{accounts} {state}"));
        let left: Vec<String> = excluded.into_iter().chain(by_state).collect();
        if !left.is_empty() {
            write!(f, "\nleft out: {}", left.join(", "))?;
        }
        if let Some(earlier) = &self.earlier {
            write!(f, "\nnote: {earlier}")?;
        }
        match self.enforced_accounts.filter(|_| !self.dry_run) {
            Some(0) => write!(f, "\nnote: this run only audits: it comes to no account of --enforce-in (ENFORCE_IN)")?,
            Some(accounts) => {
                let those = count(accounts as u64, "account");
                write!(f, "\nnote: everywhere but in {those} this run only audits (--enforce-in)")?;
            }
            None => {}
        }
        for remark in &self.remarks {
            write!(f, "\nnote: {remark}")?;
        }
        if let Some(watched) = &self.watched {
            write!(f, "\n{watched}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rotation::{Job, Task};

    use super::*;
    use crate::command::ExitStatus;
    use crate::organization::{MemberState, SkippedAccounts};
    use crate::users::IncompleteListing;

    fn account(id: u64) -> AccountId {
        AccountId::new(format!("{id:012}")).unwrap()
    }

    fn report(left_out: SkippedAccounts, expanded: ExpansionSummary, sent: SendSummary) -> ScheduleReport {
        let requested_at = "2026-11-22T10:00:00Z".parse().unwrap();
        let reached = std::sync::Mutex::default();
        let run = ScheduledRun { run_id: Uuid::nil(), requested_at, dry_run: false, enforced: None, reached };
        let queue = "https://sqs.eu-west-1.amazonaws.com/123456789012/work.fifo".parse().unwrap();
        ScheduleReport::new(
            &run,
            &queue,
            Granularity::Account,
            ListingSummary { left_out, broken_off: None },
            expanded,
            sent,
        )
    }

    #[test]
    fn a_run_without_problems_says_what_it_sent_and_left_out_and_exits_0() {
        let left_out = SkippedAccounts {
            by_operator: 1,
            by_state: BTreeMap::from([("SUSPENDED".to_owned(), 2)]),
            unmet_exclusions: vec![account(9)],
            ..SkippedAccounts::default()
        };
        let report = report(
            left_out,
            ExpansionSummary { accounts: 20, unlisted: vec![] },
            SendSummary { messages: 20, ..SendSummary::default() },
        );
        assert_eq!(report.exit_status(), ExitStatus::Done);
        assert_eq!(
            report.to_string(),
            "run 00000000-0000-0000-0000-000000000000: 20 messages for 20 accounts on work.fifo\n\
             left out: 1 excluded, 2 SUSPENDED\n\
             note: account 000000000009 is excluded, but the organization has no such account: is the id right?"
        );
    }

    #[test]
    fn every_account_and_user_that_failed_is_named_and_the_exit_is_1() {
        let user = UserName::new("alice").unwrap();
        let unsent = UnsentJob { job: Job::new(account(3), Task::User(user)), why: "refused".to_owned() };
        let report = report(
            SkippedAccounts {
                named: vec![(account(1), MemberState::Inactive("SUSPENDED".to_owned()))],
                ..SkippedAccounts::default()
            },
            ExpansionSummary {
                accounts: 1,
                unlisted: vec![IncompleteListing { account: account(2), listed: 100, why: "denied".to_owned() }],
            },
            SendSummary { messages: 1, failed: vec![unsent], stopped_by: None },
        );
        assert_eq!(report.exit_status(), ExitStatus::Failed);
        assert_eq!(
            report.problems(),
            [
                "account 000000000001 was asked for, but is SUSPENDED: it is not on the queue",
                "the users of account 000000000002 could not all be listed (100 were): denied",
                "the user alice of account 000000000003 is not on the queue: refused",
            ]
        );
    }

    #[test]
    fn a_run_that_concerns_nobody_says_so() {
        let report = report(SkippedAccounts::default(), ExpansionSummary::default(), SendSummary::default());
        assert!(report.to_string().ends_with("note: nothing was sent: no active account is concerned"));
    }
}
