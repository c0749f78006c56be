//! One request, step by step under the world's lock: faults first, then credentials, rights, the service, the journal.

use std::time::Duration;

use crate::authorize;
use crate::call::{Answer, ApiError, Call, Params, Principal, Reply, Service};
use crate::faults::{Fate, Fault, Held, Site};
use crate::journal::{CallRecord, Outcome, is_mutating};
use crate::services::{self, refusal};
use crate::wire::request::Request;
use crate::world::{Refused, World};

/// A request that has come in, and what is to become of it.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) request: Request,
    pub(crate) course: Course,
    pub(crate) latency: Duration,
    pub(crate) stall: Duration,
    pub(crate) held: Option<Held>,
    account: String,
    subject: String,
}

/// What is to become of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Course {
    /// Carry it out and answer.
    Answer,
    /// Refuse it.
    Refuse(Refusal),
    /// Carry nothing out and close the connection, at once or when the caller has waited long enough.
    Drop { stall: bool },
    /// Carry it out and answer so that nobody can read it.
    Garble,
    /// Carry it out and close the connection, at once or when the caller has waited long enough.
    Withhold { stall: bool },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    Throttled,
    ServerError,
}

/// What came of a request.
#[derive(Debug)]
pub(crate) enum Outcoming {
    /// To be answered so; the number is the call's in the journal.
    Answer(Reply, u64),
    /// Nothing there yet: ask again later. Not journalled until it ends.
    Wait(Duration, Reply),
    /// Not to be answered.
    Silence,
}

impl Arrival {
    /// Decides what becomes of a request. Counts it for the faults, so: once per request.
    pub(crate) fn new(world: &mut World, request: Request) -> Self {
        let account = match world.caller(&request.access_key_id, request.token.as_deref()) {
            Ok(caller) => caller.account,
            Err(Refused::Invalid | Refused::Expired) => String::new(),
        };
        let subject = subject(world, &request);
        let site = Site {
            account: &account,
            app: &request.app,
            service: request.service,
            operation: &request.operation,
            subject: &subject,
        };
        let fate = world.faults.fate(site);
        let held = world.faults.held(site);
        let course = match fate {
            Fate::CarryOut => Course::Answer,
            Fate::DeadBefore | Fate::Hit(Fault::DropBefore) => Course::Drop { stall: false },
            Fate::DiesAfter | Fate::Hit(Fault::LoseAnswer) => Course::Withhold { stall: false },
            Fate::Hit(Fault::GarbleAnswer) => Course::Garble,
            Fate::Hit(Fault::StallBefore) => Course::Drop { stall: true },
            Fate::Hit(Fault::StallAfter) => Course::Withhold { stall: true },
            Fate::Hit(Fault::Throttle) => Course::Refuse(Refusal::Throttled),
            Fate::Hit(Fault::ServerError) => Course::Refuse(Refusal::ServerError),
        };
        let (latency, stall) = (world.faults.latency, world.faults.stall);
        Self { request, course, latency, stall, held, account, subject }
    }

    /// Carries the request out as decided.
    pub(crate) fn carry_out(&self, world: &mut World) -> Outcoming {
        let reply = match self.course {
            Course::Drop { .. } => {
                self.journal(world, Outcome::Dropped);
                return Outcoming::Silence;
            }
            Course::Refuse(Refusal::Throttled) => Err(refusal::throttled(self.request.service)),
            Course::Refuse(Refusal::ServerError) => Err(refusal::server_error(self.request.service)),
            Course::Answer | Course::Garble | Course::Withhold { .. } => self.ask(world),
        };
        match (self.course, reply) {
            (Course::Withhold { .. }, _) => {
                self.journal(world, Outcome::Unanswered);
                Outcoming::Silence
            }
            (_, Ok(Answer::Wait { at_most, otherwise })) => Outcoming::Wait(at_most, Ok(Answer::Json(otherwise))),
            (_, reply) => self.end(world, reply),
        }
    }

    /// Ends a request with this reply.
    pub(crate) fn end(&self, world: &mut World, reply: Reply) -> Outcoming {
        let outcome = match &reply {
            Ok(_) => Outcome::Done,
            Err(error) => Outcome::Refused(error.code.clone()),
        };
        self.journal(world, outcome);
        Outcoming::Answer(reply, world.journal.total())
    }

    /// Whether carrying it out can have given a waiting consumer something to receive.
    pub(crate) fn may_wake_consumers(&self) -> bool {
        self.request.service == Service::Sqs && is_mutating(&self.request.operation)
    }

    fn ask(&self, world: &mut World) -> Reply {
        let request = &self.request;
        let caller =
            world.caller(&request.access_key_id, request.token.as_deref()).map_err(|refused| match refused {
                Refused::Invalid => refusal::invalid_credentials(request.service),
                Refused::Expired => refusal::expired_credentials(request.service),
            })?;
        if let Principal::User(_) = caller.principal {
            world.use_key(&request.access_key_id, request.service.prefix(), &request.region);
        }
        let call = Call {
            service: request.service,
            operation: request.operation.clone(),
            region: request.region.clone(),
            caller,
            params: request.params.clone(),
        };
        authorize::authorize(world, &call, &self.subject)?;
        services::handle(world, &call)
    }

    fn journal(&self, world: &mut World, outcome: Outcome) {
        let at = world.now();
        world.journal.call(CallRecord {
            seq: 0,
            at,
            account: self.account.clone(),
            access_key_id: self.request.access_key_id.clone(),
            app: self.request.app.clone(),
            service: self.request.service.prefix(),
            operation: self.request.operation.clone(),
            subject: self.subject.clone(),
            outcome,
            mutating: is_mutating(&self.request.operation),
        });
    }
}

/// What a call is about: the user a key belongs to where only the key is named, otherwise the first of the parameters that name
/// things.
fn subject(world: &World, request: &Request) -> String {
    const NAMING: [&str; 13] = [
        "UserName",
        "SecretId",
        "GroupName",
        "QueueUrl",
        "QueueName",
        "RoleArn",
        "Name",
        "AccessKeyId",
        "AccountId",
        "ParentId",
        "ChildId",
        "EmailIdentity",
        "EmailAddress",
    ];
    let text = |name: &str| match &request.params {
        Params::Query(form) => form.get(name).map(String::as_str),
        Params::Json(document) => document.get(name).and_then(|value| value.as_str()),
    };
    let named = NAMING.iter().find_map(|name| text(name)).unwrap_or_default();
    // A queue goes by its name: its URL begins with a port, which is another in every run of the same seed.
    let named = if named.starts_with("http://") { named.rsplit('/').next().unwrap_or_default() } else { named };
    world.key_owners.get(named).map_or(named, |owner| &owner.user).to_owned()
}

/// The refusal of a request that could not be read counts as a call of nobody.
pub(crate) fn journal_unreadable(world: &mut World, service: Service, error: &ApiError) -> u64 {
    let at = world.now();
    world.journal.call(CallRecord {
        seq: 0,
        at,
        account: String::new(),
        access_key_id: String::new(),
        app: String::new(),
        service: service.prefix(),
        operation: String::new(),
        subject: String::new(),
        outcome: Outcome::Refused(error.code.clone()),
        mutating: false,
    });
    world.journal.total()
}
