//! What goes wrong, on purpose and from a seed: latency, throttling, server errors, connections closed before a call is carried
//! out or before it is answered, workers that crash at a call, reads that lag behind writes, sessions that end early, rights
//! that are missing. A draw depends on the seed, on the call and on how often that same call came before, and not on what other
//! callers do meanwhile, so that a failing seed fails again.

mod crash;
mod draw;
mod hold;
mod limit;
mod stale;

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::call::Service;
use crate::policy;

pub use crash::{CrashPlan, When};
pub use hold::{Hold, HoldPlan};
pub use limit::RateLimit;
pub use stale::StaleReads;

use crash::Crashes;
use draw::Draws;
pub(crate) use hold::Held;
use hold::Holds;
pub(crate) use stale::StaleView;

/// The faults of a sandbox. Everything is off in a new one.
#[derive(Debug, Clone, Serialize)]
pub struct Faults {
    /// Off, this leaves only latency, denials and crashes that were asked for.
    pub enabled: bool,
    /// How long every call takes before it is carried out.
    pub latency: Duration,
    /// How long a stalled call keeps its caller waiting before the connection is closed.
    pub stall: Duration,
    /// Faults at a rate.
    pub rules: Vec<Rule>,
    /// Calls throttled that come faster than this; the first that fits counts.
    pub limits: Vec<RateLimit>,
    /// Rights that are missing.
    pub denials: Vec<Denial>,
    /// Accounts for which STS is not activated.
    pub sts_disabled: BTreeSet<String>,
    /// Reads of users and of secrets lagging behind writes.
    pub stale_reads: Option<StaleReads>,
    /// How often IAM's limit of two keys does not hold, from 0 to 1: parallel creates have been seen to break it.
    pub key_limit_race: f64,
    /// Sessions that end before their time.
    pub short_sessions: Option<ShortSessions>,
    /// Answers whose `Date` is wrong.
    pub wrong_dates: Option<WrongDates>,
    /// How long it takes to generate a credential report, by the sandbox's clock.
    pub report_generation: SignedDuration,
    crashes: Crashes,
    #[serde(skip)]
    holds: Holds,
    #[serde(skip)]
    draws: Draws,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    #[serde(flatten)]
    pub calls: Calls,
    pub fault: Fault,
    /// How often, from 0 to 1.
    #[serde(default = "always")]
    pub rate: f64,
    /// How many times at most.
    #[serde(default)]
    pub times: Option<u64>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calls {
    /// The action, with wildcards: `iam:Create*`; any if not given.
    #[serde(default)]
    pub action: Option<String>,
    /// The account of the caller's credentials; any if not given.
    #[serde(default)]
    pub account: Option<String>,
    /// The calling program's SDK application name; any if not given.
    #[serde(default)]
    pub app: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Refused: too many requests.
    Throttle,
    /// Refused: an error of the service's own.
    ServerError,
    /// Refused as IAM does where another request is changing the same thing at the same time.
    Concurrent,
    /// The connection is closed and nothing is carried out.
    DropBefore,
    /// It is carried out, and the connection closed without an answer.
    LoseAnswer,
    /// It is carried out, and the answer arrives without its first byte, so that nobody can read it.
    GarbleAnswer,
    /// It is carried out, and a proxy on the way answers instead, with the status 403 and a page of its own.
    ProxyAnswer,
    /// It is carried out, and a list of IAM's says that more follows, but not where.
    LoseMarker,
    /// Nothing is carried out, and no answer comes until the caller gives up.
    StallBefore,
    /// It is carried out, and no answer comes until the caller gives up.
    StallAfter,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denial {
    /// The account of the caller's credentials.
    pub account: String,
    /// The action, with wildcards.
    pub action: String,
    /// The user, group, secret or queue it is missing for; every one if not given.
    #[serde(default)]
    pub resource: Option<String>,
}

/// Sessions that end before their time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShortSessions {
    /// How often, from 0 to 1.
    pub rate: f64,
    /// How long such a session lasts, in seconds.
    pub lasts_seconds: i64,
}

/// Answers that are dated wrong: of one host, one service, or one answer only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WrongDates {
    /// The calls whose answers are.
    #[serde(flatten)]
    pub calls: Calls,
    /// By how much: ahead, or (negative) behind.
    pub off_by_seconds: i64,
    /// How often, from 0 to 1.
    #[serde(default = "always")]
    pub rate: f64,
    /// How many times at most.
    #[serde(default)]
    pub times: Option<u64>,
}

/// A call, as far as faults look at it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Site<'a> {
    pub(crate) account: &'a str,
    pub(crate) app: &'a str,
    pub(crate) service: Service,
    pub(crate) operation: &'a str,
    pub(crate) subject: &'a str,
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Carried out and answered.
    CarryOut,
    Hit(Fault),
    /// Its worker is dead: the connection is closed and nothing is carried out.
    DeadBefore,
    /// Its worker dies with it: it is carried out, and the connection closed without an answer.
    DiesAfter,
}

fn always() -> f64 {
    1.0
}

impl Faults {
    /// No faults; what is switched on later is drawn from this seed.
    pub fn new(seed: u64) -> Self {
        Self {
            enabled: true,
            latency: Duration::ZERO,
            stall: Duration::from_secs(120),
            rules: Vec::new(),
            limits: Vec::new(),
            denials: Vec::new(),
            sts_disabled: BTreeSet::new(),
            stale_reads: None,
            key_limit_race: 0.0,
            short_sessions: None,
            wrong_dates: None,
            report_generation: SignedDuration::ZERO,
            crashes: Crashes::default(),
            holds: Holds::default(),
            draws: Draws::new(seed),
        }
    }

    /// Draws from another seed from now on, and starts every count anew.
    pub fn reseed(&mut self, seed: u64) {
        self.draws = Draws::new(seed);
    }

    /// Adds a fault at a rate.
    pub fn add(&mut self, rule: Rule) {
        self.rules.push(rule);
    }

    /// Takes a right away.
    pub fn deny(&mut self, account: &str, action: &str, resource: Option<&str>) {
        let resource = resource.map(str::to_owned);
        self.denials.push(Denial { account: account.to_owned(), action: action.to_owned(), resource });
    }

    /// Gives an account its rights back.
    pub fn allow_all(&mut self, account: &str) {
        self.denials.retain(|denial| denial.account != account);
    }

    /// Whether this account's callers lack the right to do this.
    pub(crate) fn denies(&self, account: &str, action: &str, resource: &str) -> bool {
        self.denials.iter().any(|denial| {
            denial.account == account
                && policy::matches(&denial.action, action)
                && denial.resource.as_deref().is_none_or(|denied| denied == resource)
        })
    }

    /// Decides what becomes of a call. Counts it, so: once per call.
    pub(crate) fn fate(&mut self, site: Site<'_>) -> Fate {
        if let Some(fate) = self.crashes.fate(site) {
            return fate;
        }
        if !self.enabled {
            return Fate::CarryOut;
        }
        for (index, rule) in self.rules.iter_mut().enumerate() {
            if rule.rate <= 0.0 || rule.times == Some(0) || !rule.calls.contain(site) {
                continue;
            }
            let number = index.to_string();
            let about = ["rule", &number, site.account, site.service.prefix(), site.operation, site.subject];
            if rule.rate >= 1.0 || self.draws.next(&about) < rule.rate {
                rule.times = rule.times.map(|left| left - 1);
                return Fate::Hit(rule.fault);
            }
        }
        Fate::CarryOut
    }

    /// Whether the limit of two keys fails to hold this time.
    pub(crate) fn breaks_key_limit(&mut self, account: &str, user: &str) -> bool {
        self.enabled && self.key_limit_race > 0.0 && self.draws.next(&["limit", account, user]) < self.key_limit_race
    }

    /// By how much the answer's `Date` is wrong.
    pub(crate) fn date_off_by(&mut self, site: Site<'_>) -> SignedDuration {
        let Some(wrong) = self.wrong_dates.as_mut().filter(|wrong| self.enabled && wrong.calls.contain(site)) else {
            return SignedDuration::ZERO;
        };
        let about = ["date", site.account, site.service.prefix(), site.operation, site.subject];
        if wrong.times == Some(0) || self.draws.next(&about) >= wrong.rate {
            return SignedDuration::ZERO;
        }
        wrong.times = wrong.times.map(|left| left - 1);
        SignedDuration::from_secs(wrong.off_by_seconds)
    }

    /// How long a new session really lasts, where that is less than it should.
    pub(crate) fn shortened_session(&mut self, account: &str) -> Option<SignedDuration> {
        let short = self.short_sessions.as_ref().filter(|_| self.enabled)?;
        let lasts = SignedDuration::from_secs(short.lasts_seconds);
        (self.draws.next(&["session", account]) < short.rate).then_some(lasts)
    }
}

impl Calls {
    /// The calls of one action, with wildcards.
    pub fn new(action: &str) -> Self {
        Self { action: Some(action.to_owned()), ..Self::default() }
    }

    fn contain(&self, site: Site<'_>) -> bool {
        self.account.as_deref().is_none_or(|account| account == site.account)
            && self.app.as_deref().is_none_or(|app| app == site.app)
            && self.action.as_deref().is_none_or(|action| {
                action == "*" || policy::matches(action, &format!("{}:{}", site.service.prefix(), site.operation))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site<'a>(account: &'a str, app: &'a str, operation: &'a str) -> Site<'a> {
        Site { account, app, service: Service::Iam, operation, subject: "ada" }
    }

    fn throttling(rate: f64) -> Rule {
        Rule { calls: Calls::new("iam:Create*"), fault: Fault::Throttle, rate, times: None }
    }

    #[test]
    fn a_rule_hits_only_the_calls_it_names_and_only_so_often() {
        let mut faults = Faults::new(1);
        faults.add(Rule { times: Some(1), ..throttling(1.0) });
        assert_eq!(faults.fate(site("1", "", "ListUsers")), Fate::CarryOut);
        assert_eq!(faults.fate(site("1", "", "CreateAccessKey")), Fate::Hit(Fault::Throttle));
        assert_eq!(faults.fate(site("1", "", "CreateAccessKey")), Fate::CarryOut);
    }

    #[test]
    fn draws_do_not_depend_on_what_other_callers_do_meanwhile() {
        let fates = |others: bool| {
            let mut faults = Faults::new(42);
            faults.add(throttling(0.5));
            let mut fates = Vec::new();
            for _ in 0..64 {
                if others {
                    faults.fate(site("other", "", "CreateAccessKey"));
                }
                fates.push(faults.fate(site("1", "", "CreateAccessKey")));
            }
            fates
        };
        assert_eq!(fates(false), fates(true));
        let hits = fates(false).iter().filter(|fate| **fate != Fate::CarryOut).count();
        assert!((16..=48).contains(&hits), "{hits} of 64 at a rate of one half");
    }

    #[test]
    fn a_denial_names_account_action_and_resource() {
        let mut faults = Faults::new(1);
        faults.deny("1", "iam:GetAccessKeyLastUsed", Some("ada"));
        faults.deny("2", "iam:Get*", None);
        assert!(faults.denies("1", "iam:GetAccessKeyLastUsed", "ada"));
        assert!(!faults.denies("1", "iam:GetAccessKeyLastUsed", "bob"));
        assert!(faults.denies("2", "iam:GetGroup", "anything"));
        faults.allow_all("2");
        assert!(!faults.denies("2", "iam:GetGroup", "anything"));
    }
}
