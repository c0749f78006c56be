//! What owners have been told, as they read it: from the text of the mails that were accepted.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;

use crate::Stage;

/// One thing that one recipient has been told of one key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Told {
    pub to: String,
    pub user: String,
    /// `None` of a finding about the user.
    pub key: Option<String>,
    pub what: What,
    /// The day that it names, if it does.
    pub date: Option<Date>,
}

/// What it means for the key. One thing has several wordings: a worker that comes after a dead one finds a key with its successor,
/// or inactive, and cannot always say whose doing that was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// It stops working on the date: `replaced`, `will be disabled`, `active again`.
    Stops,
    /// It was replaced, and no longer works.
    Replaced,
    /// It no longer works, and is deleted on the date: `disabled`, `found inactive`.
    Stopped,
    /// It was disabled at once.
    Contained,
    Deleted,
    /// A reminder of what comes.
    Comes,
    Finding,
}

impl What {
    fn new(label: &str, date: Option<Date>) -> Self {
        match (label, date) {
            ("replaced", Some(_)) | ("will be disabled" | "active again", _) => What::Stops,
            ("replaced", None) => What::Replaced,
            ("disabled" | "found inactive", _) => What::Stopped,
            ("disabled at once", _) => What::Contained,
            ("deleted", _) => What::Deleted,
            ("needs attention", _) => What::Finding,
            _ => What::Comes,
        }
    }
}

/// What has been told, and how often.
pub fn told(stage: &Stage) -> BTreeMap<Told, usize> {
    let mut told = BTreeMap::new();
    for (_, item) in all_told(stage) {
        *told.entry(item).or_default() += 1;
    }
    told
}

/// All that has been told, with when SES accepted it; without mails that it will not deliver.
pub fn all_told(stage: &Stage) -> Vec<(Timestamp, Told)> {
    let mails: Vec<_> = stage.world(|world| {
        let delivered = world.mail.outbox().iter().filter(|mail| mail.bounced.is_empty());
        delivered.map(|mail| (mail.at, mail.to.join(","), mail.text.clone().unwrap_or_default())).collect()
    });
    let items =
        mails.iter().flat_map(|(at, to, text)| text.split(RULE).filter_map(move |block| Some((*at, item(to, block)?))));
    items.collect()
}

/// What stands between two items.
const RULE: &str = "\n----------------------------------------------------------------\n";

/// `[STOPS WORKING IN 10 DAYS] deploy: AKIA... replaced`, and what follows it, line by line.
fn item(to: &str, block: &str) -> Option<Told> {
    let (heading, rest) = block.trim_start().strip_prefix('[')?.split_once("] ")?.1.split_once('\n')?;
    let field = |name: &str| rest.lines().find_map(|line| Some(line.strip_prefix(name)?.trim()));
    let user = field("User:")?;
    let key = field("Access key:");
    let label = match key {
        Some(key) => heading.split_once(key)?.1,
        None => heading.split_once(user)?.1,
    };
    let day = |when: &str| when.get(..10).expect("a date").parse::<Date>().expect("a date");
    let date = field("When:").map(day);
    let what = What::new(label.trim(), date);
    Some(Told { to: to.to_owned(), user: user.to_owned(), key: key.map(str::to_owned), what, date })
}
