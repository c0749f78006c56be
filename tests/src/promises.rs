//! What owners are promised, over whole lives of keys: read off the sandbox's journal and the mails that were delivered.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use rotation::AccessKeyId;
use rotation::names::version_id;
use sandbox::journal::{Effect, EffectRecord};
use sandbox::world::MANAGEMENT_ACCOUNT;
use sandbox::{Cloud, KeyStatus};
use uuid::Uuid;

use crate::Stage;
use crate::told::{Told, What, all_told};

/// Of the default policy: the install grace, and the recovery grace.
const GRACE: SignedDuration = SignedDuration::from_hours(24 * 10);
/// Tags hold whole seconds.
const WHOLE_SECOND: SignedDuration = SignedDuration::from_secs(1);

/// Users for whom an operator has asked for what needs no notice.
#[derive(Debug, Clone, Default)]
pub struct Requested {
    /// A forced rotation: an inactive key may have to make room.
    pub rotated: BTreeSet<String>,
    /// One that disables the key at once.
    pub contained: BTreeSet<String>,
    /// The latter, with the user that each is about.
    pub leaks: Vec<(Uuid, String)>,
    /// Requests that have not come to their end, and why: they wait, are dead letters, or were kept by no queue for long enough.
    pub unfinished: BTreeMap<Uuid, String>,
}

/// A sentence for each leak response that has not come to its end: what has disabled a key makes a successor, or is a dead letter that
/// says truly why it does not.
pub fn unfinished_leaks(stage: &Stage, requested: &Requested) -> Vec<String> {
    let left_contained = requested.left_contained();
    stage.world(|world| {
        let mut broken = Vec::new();
        for (id, user) in requested.leaks.iter().filter(|(id, _)| has_contained(world, *id)) {
            let keys = &world.user(crate::ACCOUNT, user).holds.keys;
            match requested.unfinished.get(id) {
                Some(why) if why.contains("no active access key") || why.contains("inactive already") => {
                    broken.push(format!("{user}: the request that has disabled a key of it says: {why}"));
                }
                Some(_) => {}
                None if keys.iter().any(|key| key.status == KeyStatus::Active) => {}
                // Its successor was disabled by another.
                None if left_contained.contains(user) => {}
                None => broken.push(format!("{user} was left without a key by a request that is done")),
            }
        }
        broken
    })
}

impl Requested {
    /// Users whose key may have been disabled by a request that has not come to its end.
    pub fn left_contained(&self) -> BTreeSet<String> {
        let unfinished = self.leaks.iter().filter(|(id, _)| self.unfinished.contains_key(id));
        unfinished.map(|(_, user)| user.clone()).collect()
    }

    /// Looks at the queues after messages have been worked on.
    pub fn after_work(&mut self, stage: &Stage) {
        self.unfinished.retain(|_, why| why == EXPIRED);
        self.unfinished.extend(requests_on_queues(stage));
    }

    /// The same after time in which nothing was worked on.
    pub fn after_time(&mut self, stage: &Stage) {
        let left = requests_on_queues(stage);
        for (id, why) in &mut self.unfinished {
            if !left.contains_key(id) {
                EXPIRED.clone_into(why);
            }
        }
    }
}

const EXPIRED: &str = "no queue has kept it for long enough";

fn has_contained(cloud: &Cloud, request: Uuid) -> bool {
    let by = format!(" by={request}");
    cloud.journal.effects().iter().any(|record| {
        matches!(&record.effect, Effect::UserTagged { value, .. } if value.starts_with("disabled=") && value.contains(&by))
    })
}

/// Requests that wait or are dead letters, and why.
fn requests_on_queues(stage: &Stage) -> BTreeMap<Uuid, String> {
    stage.world(|world| {
        let queues = [stage.queue.name(), stage.dead_letters.name()];
        let queues = queues.map(|name| world.queues.queue(MANAGEMENT_ACCOUNT, name).expect("a queue"));
        let request = |body: &str| rotation::Job::parse(body).ok()?.run_id;
        let why = |message: &sandbox::services::sqs::Message| {
            let attribute = message.attributes.get(rotation::dead_letter::attribute::ERROR_MESSAGE);
            attribute.and_then(|attribute| attribute.string_value.clone()).unwrap_or_default()
        };
        let now = world.now();
        let messages = queues.into_iter().flat_map(|queue| {
            let kept = SignedDuration::from_secs(queue.attributes.retention_period.into());
            queue.messages().filter(move |message| now.duration_since(message.sent_at) < kept)
        });
        messages.filter_map(|message| Some((request(&message.body)?, why(message)))).collect()
    })
}

/// A sentence for each promise that was broken, where nobody but the tool has changed keys:
///
/// - a key is disabled no sooner than the date that its owner was mailed, and the install grace after that mail, which was sent
///   since the key was last made active;
/// - a key is deleted no sooner than the date that its owner was mailed, and the recovery grace after that mail, which was sent
///   since the key was last made inactive;
/// - whoever owns a key that was disabled or deleted has been told so in the end, or that it is active again.
pub fn broken_promises(stage: &Stage, requested: &Requested) -> Vec<String> {
    let told = all_told(stage);
    let effects: Vec<EffectRecord> = stage.world(|world| world.journal.effects().to_vec());
    let orphans = orphans(&effects);
    // Whether a key is active, and since when, by the last call that changed it: one that is carried out twice changes nothing the
    // second time.
    let mut status: BTreeMap<&str, (bool, Timestamp)> = BTreeMap::new();
    let mut broken = Vec::new();
    for EffectRecord { at, effect, .. } in &effects {
        let (user, key, done, announced_as, told_as, needs_no_notice) = match effect {
            Effect::KeyStatusChanged { key, active, .. }
                if status.get(key.as_str()).is_some_and(|was| was.0 == *active) =>
            {
                continue;
            }
            Effect::KeyStatusChanged { key, active: true, .. } => {
                status.insert(key, (true, *at));
                continue;
            }
            Effect::KeyStatusChanged { user, key, active: false } => {
                let told_as: &[What] = &[What::Stopped, What::Contained, What::Replaced, What::Deleted];
                (user, key, "disabled", What::Stops, told_as, &requested.contained)
            }
            Effect::KeyDeleted { user, key, .. } if !orphans.contains(key.as_str()) => {
                (user, key, "deleted", What::Stopped, &[What::Deleted][..], &requested.rotated)
            }
            _ => continue,
        };
        let (_, since) = status.insert(key, (false, *at)).unwrap_or((false, Timestamp::MIN));
        if !needs_no_notice.contains(user) && !is_announced(&told, key, announced_as, since, *at) {
            broken.push(format!("{at} {key} of {user} was {done}, and no mail had said so in time"));
        }
        let is_undone = |restored: &Timestamp| is_told_since(&told, key, &[What::Stops], *restored);
        if !is_told_since(&told, key, told_as, *at)
            && !made_active_after(&effects, key, *at).as_ref().is_some_and(is_undone)
        {
            broken.push(format!("{at} {key} of {user} was {done}, and nobody was told"));
        }
    }
    broken
}

/// When the key was next made active.
fn made_active_after(effects: &[EffectRecord], key: &str, since: Timestamp) -> Option<Timestamp> {
    let made_active = |record: &&EffectRecord| {
        record.at >= since
            && matches!(&record.effect, Effect::KeyStatusChanged { key: of, active: true, .. } if of == key)
    };
    effects.iter().find(made_active).map(|record| record.at)
}

/// Keys that the tool made and that were never published: nobody ever had one.
fn orphans(effects: &[EffectRecord]) -> BTreeSet<&str> {
    let published: BTreeSet<&str> = effects
        .iter()
        .filter_map(|record| match &record.effect {
            Effect::SecretPublished { version, .. } => Some(version.as_str()),
            _ => None,
        })
        .collect();
    let made = effects.iter().filter_map(|record| match &record.effect {
        Effect::KeyCreated { key, .. } => Some(key.as_str()),
        _ => None,
    });
    made.filter(|key| {
        let version = version_id(&AccessKeyId::new(*key).expect("a key id"));
        !published.contains(version.as_str())
    })
    .collect()
}

/// Whether a mail since then has named the day, and the grace has passed since that mail.
fn is_announced(told: &[(Timestamp, Told)], key: &str, what: What, since: Timestamp, at: Timestamp) -> bool {
    let today = at.to_zoned(TimeZone::UTC).date();
    told.iter().any(|(mailed, told)| {
        told.key.as_deref() == Some(key)
            && told.what == what
            && *mailed >= since
            && told.date.is_some_and(|date| date <= today)
            && at.duration_since(*mailed) + WHOLE_SECOND >= GRACE
    })
}

fn is_told_since(told: &[(Timestamp, Told)], key: &str, what: &[What], since: Timestamp) -> bool {
    told.iter().any(|(at, told)| told.key.as_deref() == Some(key) && what.contains(&told.what) && *at >= since)
}
