//! The message on the queue, in both spellings: this tool's own, and the one the Lambdas it replaces were sent.
//!
//! An unknown field is refused, not ignored: a mistyped `ForceRotat` must not turn into a plain scan.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::ids::{AccessKeyId, AccountId, InvalidId, UserName, shown};
use crate::refusal::Refusal;

/// One message: what to do in one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The account to work in.
    pub account: AccountId,
    /// Its name, for mails.
    pub name: Option<String>,
    /// Its address, for mails.
    pub email: Option<String>,
    /// What to do there.
    pub task: Task,
    /// Audit only, even where the worker enforces. A message can tighten, never loosen.
    pub dry_run: bool,
    /// The producer's run, so that logs of one run can be found together.
    pub run_id: Option<Uuid>,
    /// When the producer wrote it.
    pub requested_at: Option<Timestamp>,
}

/// What to do in an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// Bring every user's keys to where policy wants them.
    Account,
    /// The same for one user.
    User(UserName),
    /// Rotate one user now.
    ForceRotate(ForceRotate),
    /// Make a disabled key active again.
    Restore {
        user: UserName,
        /// The key, where the user has more than one inactive.
        access_key_id: Option<AccessKeyId>,
    },
}

/// A request for a forced rotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForceRotate {
    /// Whom it is about.
    pub whom: Whom,
    /// Make the old key inactive before anything else.
    pub disable_old_now: bool,
    /// Rotate although the user is exempt.
    pub override_exemption: bool,
}

impl ForceRotate {
    /// Why nobody can carry it out, whatever the account looks like. `own`: the key that the program signs with which asks this.
    pub fn refusal(&self, own: Option<&AccessKeyId>) -> Option<Refusal> {
        let key = self.whom.access_key_id()?;
        if key.is_temporary() {
            return Some(Refusal::TemporaryKey { key: key.clone() });
        }
        (self.disable_old_now && own == Some(key)).then(|| Refusal::OwnKey { key: key.clone() })
    }
}

/// A user by name, a key by id, or both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whom {
    /// The user's only active key.
    User(UserName),
    /// This key of this user.
    UserAndKey(UserName, AccessKeyId),
    /// This key, whoever has it.
    Key(AccessKeyId),
}

impl Task {
    /// The user it is about, if it is about one.
    pub fn user(&self) -> Option<&UserName> {
        match self {
            Task::Account => None,
            Task::User(user) | Task::Restore { user, .. } => Some(user),
            Task::ForceRotate(request) => request.whom.user(),
        }
    }

    /// Why a worker that only audits does not even say what it would do: whoever restores a key, or reports one as leaked, needs it done
    /// now, and is not to take the answer for it.
    pub fn refusal_in_audit(&self) -> Option<Refusal> {
        let key = self.access_key_id().cloned();
        match self {
            Task::Restore { user, .. } => Some(Refusal::AuditRestoresNothing { user: user.clone(), key }),
            Task::ForceRotate(ForceRotate { whom, disable_old_now: true, .. }) => {
                Some(Refusal::AuditContainsNothing { user: whom.user().cloned(), key })
            }
            Task::Account | Task::User(_) | Task::ForceRotate(_) => None,
        }
    }

    /// The key it names, if it names one.
    pub fn access_key_id(&self) -> Option<&AccessKeyId> {
        match self {
            Task::Account | Task::User(_) => None,
            Task::ForceRotate(request) => request.whom.access_key_id(),
            Task::Restore { access_key_id, .. } => access_key_id.as_ref(),
        }
    }
}

impl Whom {
    /// The user, if named.
    pub fn user(&self) -> Option<&UserName> {
        match self {
            Whom::User(user) | Whom::UserAndKey(user, _) => Some(user),
            Whom::Key(_) => None,
        }
    }

    /// The key, if named.
    pub fn access_key_id(&self) -> Option<&AccessKeyId> {
        match self {
            Whom::Key(key) | Whom::UserAndKey(_, key) => Some(key),
            Whom::User(_) => None,
        }
    }
}

/// Why a message body is not a job.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidJob {
    /// Not JSON, not an object, an unknown or ill-typed field.
    #[error("the message is not a JSON object this tool understands: {0}")]
    Malformed(String),
    /// A name in it is not one.
    #[error("the message's field \"{field}\" is wrong: {source}")]
    Name { field: &'static str, source: InvalidId },
    /// A field that is not what it should be.
    #[error("the message's field \"{field}\" is wrong: {why}")]
    Field { field: &'static str, why: String },
    /// Fields that contradict each other.
    #[error("the message contradicts itself: {0}")]
    Contradiction(&'static str),
}

/// The message as it is spelled on the queue.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    account: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    user: Option<String>,
    #[serde(default, alias = "ForceRotate")]
    force_rotate: Option<String>,
    #[serde(default)]
    access_key_id: Option<String>,
    #[serde(default)]
    disable_old_now: bool,
    #[serde(default)]
    override_exemption: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    restore: Option<String>,
    #[serde(default, alias = "dryrun")]
    dry_run: Option<bool>,
    #[serde(default)]
    run_id: Option<String>,
    #[serde(default)]
    requested_at: Option<String>,
}

impl Job {
    /// A job with nothing but what to do where.
    pub fn new(account: AccountId, task: Task) -> Self {
        Self { account, name: None, email: None, task, dry_run: false, run_id: None, requested_at: None }
    }

    /// Reads a message body.
    ///
    /// # Errors
    /// [`InvalidJob`]: one sentence that names the field and what is wrong with it. Trying again will not help.
    pub fn parse(body: &str) -> Result<Self, InvalidJob> {
        // The parser would take an array for the fields in order.
        if !body.trim_start_matches([' ', '\t', '\r', '\n']).starts_with('{') {
            return Err(InvalidJob::Malformed(format!("it begins with \"{}\"", shown(body, 32))));
        }
        let wire: Wire = serde_json::from_str(body).map_err(malformed)?;
        let account =
            AccountId::new(wire.account.clone()).map_err(|source| InvalidJob::Name { field: "account", source })?;
        let run_id = field("run_id", wire.run_id.as_deref(), "it must be a UUID", |text| text.parse().ok())?;
        let requested_at =
            field("requested_at", wire.requested_at.as_deref(), "it must be an RFC 3339 time", |text| {
                text.parse().ok()
            })?;
        Ok(Self {
            task: task(&wire)?,
            account,
            name: wire.name.filter(|name| !name.is_empty()),
            email: wire.email.filter(|email| !email.is_empty()),
            dry_run: wire.dry_run.unwrap_or(false),
            run_id,
            requested_at,
        })
    }

    /// Writes a message body.
    pub fn to_body(&self) -> String {
        let mut wire = Wire {
            account: self.account.to_string(),
            name: self.name.clone(),
            email: self.email.clone(),
            user: None,
            force_rotate: None,
            access_key_id: None,
            disable_old_now: false,
            override_exemption: false,
            restore: None,
            dry_run: self.dry_run.then_some(true),
            run_id: self.run_id.map(|id| id.to_string()),
            requested_at: self.requested_at.map(|time| time.to_string()),
        };
        match &self.task {
            Task::Account => {}
            Task::User(user) => wire.user = Some(user.to_string()),
            Task::ForceRotate(request) => {
                wire.force_rotate = request.whom.user().map(UserName::to_string);
                wire.access_key_id = request.whom.access_key_id().map(AccessKeyId::to_string);
                wire.disable_old_now = request.disable_old_now;
                wire.override_exemption = request.override_exemption;
            }
            Task::Restore { user, access_key_id } => {
                wire.restore = Some(user.to_string());
                wire.access_key_id = access_key_id.as_ref().map(AccessKeyId::to_string);
            }
        }
        serde_json::to_string(&wire).expect("strings and booleans always serialize")
    }

    /// The message group: what is asked for an account (or for one user of it) is worked on in order, one after the other.
    pub fn group(&self) -> String {
        let of_user = || self.user().map(|user| format!("{}/{user}", self.account));
        self.own_group().or_else(of_user).unwrap_or_else(|| self.account.to_string())
    }

    /// The group that a leak response has to itself, because containing a key waits for nothing: by its run's id, without which it would
    /// be in a group with others.
    pub fn own_group(&self) -> Option<String> {
        let is_leak = matches!(&self.task, Task::ForceRotate(ForceRotate { disable_old_now: true, .. }));
        self.run_id.filter(|_| is_leak).map(|run_id| format!("{}/{run_id}", self.account))
    }

    /// What scheduled work it asks for, and who is told: of several messages that ask for the same, doing the newest does them all. `None`
    /// for an operator's request, which is carried out for its own sake.
    pub fn scheduled_work(&self) -> Option<String> {
        let mode = if self.dry_run { "audit" } else { "as configured" };
        let told = self.email.as_deref().unwrap_or("nobody by name");
        match &self.task {
            Task::Account => Some(format!("{} {mode}, told {told}", self.account)),
            Task::User(user) => Some(format!("{}/{user} {mode}, told {told}", self.account)),
            Task::ForceRotate(_) | Task::Restore { .. } => None,
        }
    }

    /// Whether an operator asks for something to be done now, and waits for it.
    pub fn is_operators_request(&self) -> bool {
        match self.task {
            Task::ForceRotate(_) | Task::Restore { .. } => true,
            Task::Account | Task::User(_) => false,
        }
    }

    /// The user the job is about, if it is about one.
    pub fn user(&self) -> Option<&UserName> {
        self.task.user()
    }
}

/// The parser's words repeat what it stumbled over, which may be megabytes.
#[expect(clippy::needless_pass_by_value, reason = "handed to map_err")]
fn malformed(error: serde_json::Error) -> InvalidJob {
    InvalidJob::Malformed(shown(&error.to_string(), 300))
}

fn task(wire: &Wire) -> Result<Task, InvalidJob> {
    let user = name("user", wire.user.as_deref(), UserName::new)?;
    let force = name("force_rotate", wire.force_rotate.as_deref(), UserName::new)?;
    let restore = name("restore", wire.restore.as_deref(), UserName::new)?;
    let key = name("access_key_id", wire.access_key_id.as_deref(), AccessKeyId::new)?;
    let options = wire.disable_old_now || wire.override_exemption;
    let whom = match (user, force, restore, key) {
        (None, Some(user), None, None) => Whom::User(user),
        (None, Some(user), None, Some(key)) => Whom::UserAndKey(user, key),
        (None, None, None, Some(key)) => Whom::Key(key),
        (_, None, None, None) | (None, None, Some(_), _) if options => {
            return Err(InvalidJob::Contradiction(
                "disable_old_now and override_exemption belong to a forced rotation: name its user in force_rotate, or its key in access_key_id",
            ));
        }
        (None, None, None, None) => return Ok(Task::Account),
        (Some(user), None, None, None) => return Ok(Task::User(user)),
        (None, None, Some(user), access_key_id) => {
            return Ok(Task::Restore { user, access_key_id });
        }
        (Some(_), ..) => {
            return Err(InvalidJob::Contradiction(
                "user asks for an ordinary look at one user: it cannot stand beside force_rotate, restore or access_key_id",
            ));
        }
        (None, Some(_), Some(_), _) => {
            return Err(InvalidJob::Contradiction("force_rotate and restore cannot stand together"));
        }
    };
    let (disable_old_now, override_exemption) = (wire.disable_old_now, wire.override_exemption);
    Ok(Task::ForceRotate(ForceRotate { whom, disable_old_now, override_exemption }))
}

fn name<T>(
    field: &'static str,
    text: Option<&str>,
    checked: impl Fn(String) -> Result<T, InvalidId>,
) -> Result<Option<T>, InvalidJob> {
    text.map(|text| checked(text.to_owned()).map_err(|source| InvalidJob::Name { field, source })).transpose()
}

fn field<T>(
    field: &'static str,
    text: Option<&str>,
    why: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, InvalidJob> {
    match text {
        None => Ok(None),
        Some(text) => match parse(text) {
            Some(value) => Ok(Some(value)),
            None => Err(InvalidJob::Field { field, why: format!("{why}, not \"{}\"", shown(text, 64)) }),
        },
    }
}
