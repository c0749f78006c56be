//! One request, step by step under the cloud's lock: faults first, then credentials, rights, the service, the journal.

use std::time::Duration;

use jiff::SignedDuration;

use crate::authorize;
use crate::call::{Answer, ApiError, Call, Caller, Params, Principal, Reply, Service};
use crate::cloud::Cloud;
use crate::faults::{Fate, Fault, Held, Site};
use crate::journal::{CallRecord, Outcome, is_mutating};
use crate::refusal;
use crate::wire::answer::Spoiling;
use crate::wire::request::Request;
use crate::world::{Refused, World};

/// A request that has come in, and what is to become of it.
#[derive(Debug)]
pub(crate) struct PendingRequest {
    pub(crate) request: Request,
    pub(crate) fate: RequestFate,
    pub(crate) latency: Duration,
    pub(crate) stall: Duration,
    pub(crate) held: Option<Held>,
    /// By how much the answer's `Date` is wrong.
    pub(crate) date_off_by: SignedDuration,
    account: String,
    session: String,
    subject: String,
}

/// What is to become of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestFate {
    /// Carry it out and answer.
    Answer,
    Refuse(Refusal),
    /// Carry nothing out and close the connection, at once or when the caller has waited long enough.
    Drop {
        stall: bool,
    },
    /// Carry it out and answer so that it is of no use.
    Spoil(Spoiling),
    /// Carry it out and close the connection, at once or when the caller has waited long enough.
    Withhold {
        stall: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    Throttled,
    ServerError,
    Concurrent,
}

/// What came of a request.
#[derive(Debug)]
pub(crate) enum RequestOutcome {
    /// To be answered so; the number is the call's in the journal.
    Answer(Reply, u64),
    /// Nothing there yet: ask again later. Not journalled until it ends.
    Wait(Duration, Reply),
    /// Not to be answered.
    Silence,
}

impl PendingRequest {
    /// Decides what becomes of a request. Counts it for the faults, so: once per request.
    pub(crate) fn new(cloud: &mut Cloud, request: Request) -> Self {
        let (account, session) = match cloud.caller(&request.access_key_id, request.token.as_deref()) {
            Ok(Caller { account, principal: Principal::Role { session, .. }, .. }) => (account, session),
            Ok(Caller { account, principal: Principal::Operator | Principal::User(_), .. }) => (account, String::new()),
            Err(Refused::Invalid | Refused::Expired) => (String::new(), String::new()),
        };
        let subject = subject(cloud, &request);
        let site = Site {
            account: &account,
            app: &request.app,
            service: request.service,
            operation: &request.operation,
            subject: &subject,
        };
        let now = cloud.now();
        let fault = match (cloud.faults.fate(site), cloud.faults.exceeds_a_limit(site, now)) {
            (Fate::CarryOut, true) => Fate::Hit(Fault::Throttle),
            (fate, _) => fate,
        };
        let held = cloud.faults.held(site);
        let date_off_by = cloud.faults.date_off_by(site);
        let fate = match fault {
            Fate::CarryOut => RequestFate::Answer,
            Fate::DeadBefore | Fate::Hit(Fault::DropBefore) => RequestFate::Drop { stall: false },
            Fate::DiesAfter | Fate::Hit(Fault::LoseAnswer) => RequestFate::Withhold { stall: false },
            Fate::Hit(Fault::GarbleAnswer) => RequestFate::Spoil(Spoiling::Garble),
            Fate::Hit(Fault::ProxyAnswer) => RequestFate::Spoil(Spoiling::Replace),
            Fate::Hit(Fault::LoseMarker) => RequestFate::Spoil(Spoiling::LoseMarker),
            Fate::Hit(Fault::StallBefore) => RequestFate::Drop { stall: true },
            Fate::Hit(Fault::StallAfter) => RequestFate::Withhold { stall: true },
            Fate::Hit(Fault::Throttle) => RequestFate::Refuse(Refusal::Throttled),
            Fate::Hit(Fault::ServerError) => RequestFate::Refuse(Refusal::ServerError),
            Fate::Hit(Fault::Concurrent) => RequestFate::Refuse(Refusal::Concurrent),
        };
        let (latency, stall) = (cloud.faults.latency, cloud.faults.stall);
        Self { request, fate, latency, stall, held, date_off_by, account, session, subject }
    }

    /// Carries the request out as decided.
    pub(crate) fn carry_out(&self, cloud: &mut Cloud) -> RequestOutcome {
        let reply = match self.fate {
            RequestFate::Drop { .. } => {
                self.journal(cloud, Outcome::Dropped);
                return RequestOutcome::Silence;
            }
            RequestFate::Refuse(Refusal::Throttled) => Err(refusal::throttled(self.request.service)),
            RequestFate::Refuse(Refusal::ServerError) => Err(refusal::server_error(self.request.service)),
            RequestFate::Refuse(Refusal::Concurrent) => Err(refusal::concurrent()),
            RequestFate::Answer | RequestFate::Spoil(_) | RequestFate::Withhold { .. } => self.ask(cloud),
        };
        match (self.fate, reply) {
            (RequestFate::Withhold { .. }, _) => {
                self.journal(cloud, Outcome::Unanswered);
                RequestOutcome::Silence
            }
            (_, Ok(Answer::Wait { at_most, otherwise })) => RequestOutcome::Wait(at_most, Ok(Answer::Json(otherwise))),
            (_, reply) => self.end(cloud, reply),
        }
    }

    /// Ends a request with this reply.
    pub(crate) fn end(&self, cloud: &mut Cloud, reply: Reply) -> RequestOutcome {
        let outcome = match &reply {
            Ok(_) => Outcome::Done,
            Err(error) => Outcome::Refused(error.code.clone()),
        };
        self.journal(cloud, outcome);
        RequestOutcome::Answer(reply, cloud.journal.total())
    }

    /// Whether carrying it out can have given a waiting consumer something to receive.
    pub(crate) fn may_wake_consumers(&self) -> bool {
        self.request.service == Service::Sqs && is_mutating(&self.request.operation)
    }

    fn ask(&self, cloud: &mut Cloud) -> Reply {
        let request = &self.request;
        let caller =
            cloud.caller(&request.access_key_id, request.token.as_deref()).map_err(|refused| match refused {
                Refused::Invalid => refusal::invalid_credentials(request.service),
                Refused::Expired => refusal::expired_credentials(request.service),
            })?;
        if let Principal::User(_) = caller.principal {
            cloud.use_key(&request.access_key_id, request.service.prefix(), &request.region);
        }
        let call = Call {
            service: request.service,
            operation: request.operation.clone(),
            region: request.region.clone(),
            caller,
            params: request.params.clone(),
        };
        authorize::authorize(cloud, &call, &self.subject)?;
        cloud.handle(&call)
    }

    fn journal(&self, cloud: &mut Cloud, outcome: Outcome) {
        let at = cloud.now();
        cloud.journal.call(CallRecord {
            seq: 0,
            at,
            account: self.account.clone(),
            access_key_id: self.request.access_key_id.clone(),
            session: self.session.clone(),
            app: self.request.app.clone(),
            service: self.request.service.prefix(),
            operation: self.request.operation.clone(),
            subject: self.subject.clone(),
            named_key_id: parameter(&self.request, "AccessKeyId").unwrap_or_default().to_owned(),
            outcome,
            mutating: is_mutating(&self.request.operation),
        });
    }
}

/// What a call is about: the user a key belongs to where only the key is named, otherwise the first of the parameters that name
/// things.
fn subject(world: &World, request: &Request) -> String {
    const NAMING: [&str; 12] = [
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
        "EmailIdentity",
        "EmailAddress",
    ];
    let named = NAMING.iter().find_map(|name| parameter(request, name)).unwrap_or_default();
    // A queue goes by its name: its URL begins with a port, which is another in every run of the same seed.
    let named = if named.starts_with("http://") { named.rsplit('/').next().unwrap_or_default() } else { named };
    world.key_owners.get(named).map_or(named, |owner| &owner.user).to_owned()
}

fn parameter<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    match &request.params {
        Params::Query(form) => form.get(name).map(String::as_str),
        Params::Json(document) => document.get(name).and_then(|value| value.as_str()),
    }
}

/// The refusal of a request that could not be read counts as a call of nobody.
pub(crate) fn journal_unreadable(cloud: &mut Cloud, service: Service, error: &ApiError) -> u64 {
    let at = cloud.now();
    cloud.journal.call(CallRecord {
        seq: 0,
        at,
        account: String::new(),
        access_key_id: String::new(),
        session: String::new(),
        app: String::new(),
        service: service.prefix(),
        operation: String::new(),
        subject: String::new(),
        named_key_id: String::new(),
        outcome: Outcome::Refused(error.code.clone()),
        mutating: false,
    });
    cloud.journal.total()
}
