//! What an owner is to do, step by step, with the command lines.

use rotation::LastUse;
use rotation::cloudtrail::{CallsOf, LOOKUP_LIMITS, lookup_command};
use rotation::names::Partition;

use super::commands;
use super::fetcher::WhoFetches;
use super::item::{Digest, DigestItem, News};
use super::text::counted;
use super::wording::HelpKind;

/// What a step is for. Each has a short heading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepKind {
    Fetch,
    Install,
    /// Of a key that another one replaces.
    CheckOldKey,
    FindUse,
    SeeCalls,
    /// Of a key that is disabled now.
    Reenable,
    /// Of one that will be.
    ReenableOnceDisabled,
}

impl StepKind {
    pub fn label(self) -> &'static str {
        match self {
            StepKind::Fetch => "Fetch the new key",
            StepKind::Install => "Put the new key in the old one's place",
            StepKind::CheckOldKey => "Check that the old key is no longer used",
            StepKind::FindUse => "See where this key is used",
            StepKind::SeeCalls => "See what this key did",
            StepKind::Reenable => "In an emergency: make this key active again",
            StepKind::ReenableOnceDisabled => "In an emergency, once it is disabled: make it active again",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub kind: StepKind,
    /// What to know for it.
    pub hint: String,
    /// The line to copy, where there is one.
    pub line: Option<String>,
}

/// What to do, in this order; and what only where something has stopped working.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Instructions {
    pub steps: Vec<Step>,
    pub emergency: Option<Step>,
}

/// Which parts there are.
#[derive(Debug, Clone, Copy, Default)]
struct Parts {
    fetch: bool,
    usage: bool,
    /// What the key did: of one that may have leaked.
    calls: bool,
    emergency: Option<EmergencyKeyStatus>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EmergencyKeyStatus {
    Active,
    Disabled,
}

impl Parts {
    fn new(digest: &Digest, item: &DigestItem, help: HelpKind) -> Self {
        let fetch = digest.replacement(item).is_some();
        let calls = item.news == News::Contained;
        let of = |fetch, usage, emergency| Self { fetch, usage, calls, emergency };
        let parts = match help {
            HelpKind::Install => of(fetch, true, Some(EmergencyKeyStatus::Active)),
            HelpKind::InstallOrReenable => of(fetch, true, Some(EmergencyKeyStatus::Disabled)),
            HelpKind::InstallOnly => of(fetch, false, None),
            HelpKind::Usage => of(false, true, Some(EmergencyKeyStatus::Active)),
            HelpKind::UsageOrReenable => of(false, true, Some(EmergencyKeyStatus::Disabled)),
            HelpKind::None => of(false, false, None),
        };
        // In audit mode there is no disabled key to make active again.
        Self { emergency: parts.emergency.filter(|_| !digest.dry_run), ..parts }
    }
}

impl Instructions {
    pub fn new(digest: &Digest, item: &DigestItem, help: HelpKind, partition: Partition) -> Self {
        let Some(key) = &item.key else { return Self::default() };
        let parts = Parts::new(digest, item, help);
        let user = item.user.as_str();
        let fetcher = WhoFetches::new(item, help, parts.emergency == Some(EmergencyKeyStatus::Active));
        let line =
            fetcher.can_fetch().then(|| commands::fetch_secret(&item.secret.location, &digest.account.id, partition));
        let what = format!("{}{}", fetcher.hint(user), smtp(&item.secret.smtp_regions, &key.last_use));
        parts.write(digest, user, key.id.as_str(), &item.secret.location.region, (&what, line))
    }

    /// For any of several keys: `USER` and `ACCESS_KEY_ID` stand for the names in a table.
    pub fn for_any<'a>(
        digest: &Digest,
        items: impl Iterator<Item = (&'a DigestItem, HelpKind)>,
        partition: Partition,
    ) -> Self {
        let mut all = Parts::default();
        let mut secret = None;
        let mut fetchers = Vec::new();
        for (item, help) in items {
            let parts = Parts::new(digest, item, help);
            fetchers.extend(parts.fetch.then(|| WhoFetches::new(item, help, false)));
            all.fetch |= parts.fetch;
            all.usage |= parts.usage;
            all.calls |= parts.calls;
            all.emergency = all.emergency.or(parts.emergency);
            secret = secret.or(Some(&item.secret));
        }
        let Some(secret) = secret else { return Self::default() };
        let who = format!(
            "{} The user's name goes in the place of USER, with a slash for each comma in it.",
            WhoFetches::hint_for_any(&fetchers, &secret.readers)
        );
        let can_fetch = fetchers.iter().any(|fetcher| fetcher.can_fetch());
        let line = can_fetch.then(|| commands::fetch_secret_of_any(&secret.location, &digest.account.id, partition));
        all.write(digest, "USER", "ACCESS_KEY_ID", &secret.location.region, (&who, line))
    }
}

/// What somebody has to know who sends mail by SES's SMTP interface: its password is another one with each key.
fn smtp(regions: &[String], last_use: &LastUse) -> String {
    match (regions, last_use) {
        ([], LastUse::At { service, .. }) if service == "ses" => {
            " This key was last used with SES. If that was by SMTP, the password derives from the secret access key: have the user tagged with key-rotation:smtp-regions, and it is stored beside the next key; for this one, derive it as SES's documentation says.".to_owned()
        }
        ([], LastUse::At { .. } | LastUse::Never | LastUse::Unknown) => String::new(),
        (regions, _) => format!(
            " SmtpPasswords holds the password of SES's SMTP interface in {}; its user name is AccessKeyId.",
            regions.join(", ")
        ),
    }
}

impl Parts {
    fn write(
        self,
        digest: &Digest,
        user: &str,
        key: &str,
        region: &str,
        (who, fetch): (&str, Option<String>),
    ) -> Instructions {
        let mut steps = Vec::new();
        if self.fetch {
            let install = fetch.as_deref().map(commands::install);
            steps.extend([fetch_step(who, fetch), install_step(key, install)]);
        }
        if self.usage {
            steps.push(Step {
                kind: if self.fetch { StepKind::CheckOldKey } else { StepKind::FindUse },
                hint: "Shows its last use: when, which service, which region.".to_owned(),
                line: Some(commands::last_used(key, region)),
            });
        }
        if self.calls {
            steps.push(calls_step(digest, key, region));
        }
        let emergency = self.emergency.map(|key_is| Step {
            kind: match key_is {
                EmergencyKeyStatus::Disabled => StepKind::Reenable,
                EmergencyKeyStatus::Active => StepKind::ReenableOnceDisabled,
            },
            hint: format!(
                "For whoever may call iam:UpdateAccessKey in the account {}, as its administrators may; others ask them. It works again at once. A replaced key is disabled again, not sooner than {} after its owner has been told.",
                digest.account.id,
                counted(digest.policy.install_grace() as usize, "day", "days"),
            ),
            line: Some(commands::reenable(user, key, region)),
        });
        Instructions { steps, emergency }
    }
}

fn fetch_step(who: &str, line: Option<String>) -> Step {
    let hint = match line {
        Some(_) => format!(
            "{who} It prints JSON: AccessKeyId and SecretAccessKey are the new key; UserName, CreateDate and Status are for information."
        ),
        None => who.to_owned(),
    };
    Step { kind: StepKind::Fetch, hint, line }
}

fn install_step(key: &str, line: Option<String>) -> Step {
    let in_one_line = match line {
        Some(_) => {
            " On a machine with jq and version 2 of the AWS CLI, this line fetches the key and puts it into the profile named after the user, without showing it."
        }
        None => "",
    };
    let hint = format!(
        "Wherever {key} is configured: AccessKeyId as aws_access_key_id (in the environment AWS_ACCESS_KEY_ID), SecretAccessKey as aws_secret_access_key (AWS_SECRET_ACCESS_KEY). Restart what reads them only when it starts.{in_one_line}"
    );
    Step { kind: StepKind::Install, hint, line }
}

fn calls_step(digest: &Digest, key: &str, region: &str) -> Step {
    let hint = format!(
        "For whoever may call cloudtrail:LookupEvents and ec2:DescribeRegions in the account {}: disabling the key does not undo what it was used for. {LOOKUP_LIMITS}",
        digest.account.id,
    );
    Step { kind: StepKind::SeeCalls, hint, line: Some(lookup_command(CallsOf::Key(key), region)) }
}
