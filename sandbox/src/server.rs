//! The HTTP server: a loopback port, a task per connection, one lock around the cloud. It stops when its [`Sandbox`] is dropped.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use crate::call::Reply;
use crate::cloud::Cloud;
use crate::control;
use crate::dispatch::{PendingRequest, RequestFate, RequestOutcome, journal_unreadable};
use crate::faults::When;
use crate::wire::answer::{self, Context, HttpResponse};
use crate::wire::request::Request;
use crate::world::Credentials;

/// How often a waiting consumer looks again while the clock runs: messages become visible by time alone.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// How a sandbox starts.
#[derive(Debug)]
pub struct SandboxOptions {
    /// The port; 0 for any that is free.
    pub port: u16,
    /// What is there at the start.
    pub cloud: Cloud,
    /// The longest a long poll waits, in real time; SQS's own limit of 20 s holds besides. Simulated days need no real seconds.
    pub longest_wait: Duration,
}

impl SandboxOptions {
    /// This on any free port.
    pub fn new(cloud: impl Into<Cloud>) -> Self {
        Self { port: 0, cloud: cloud.into(), longest_wait: Duration::from_secs(20) }
    }
}

/// A running sandbox. Dropping it closes its port and every connection.
#[derive(Debug)]
pub struct Sandbox {
    address: SocketAddr,
    shared: Arc<Shared>,
    _stop: DropGuard,
}

#[derive(Debug)]
struct Shared {
    cloud: Mutex<Cloud>,
    changed: Notify,
    longest_wait: Duration,
}

/// The connection is to be closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("closed without an answer, as the sandbox's faults ask")]
struct Closed;

impl Sandbox {
    /// Starts serving, on the runtime it is called in.
    pub async fn start(options: SandboxOptions) -> io::Result<Self> {
        let SandboxOptions { port, mut cloud, longest_wait } = options;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let address = listener.local_addr()?;
        cloud.queues.set_endpoint(format!("http://{address}"));
        let shared = Arc::new(Shared { cloud: Mutex::new(cloud), changed: Notify::new(), longest_wait });
        let stop = CancellationToken::new();
        tokio::spawn(serve(listener, Arc::clone(&shared), stop.clone()));
        Ok(Self { address, shared, _stop: stop.drop_guard() })
    }

    /// The URL to give to clients, as `AWS_ENDPOINT_URL`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Credentials that may do everything in the management account and assume any role that trusts it.
    pub fn operator_credentials(&self) -> Credentials {
        Credentials::operator()
    }

    /// Looks at the cloud, or changes it. Consumers waiting for messages look again afterwards.
    pub fn with<T>(&self, look: impl FnOnce(&mut Cloud) -> T) -> T {
        let result = look(&mut self.shared.lock());
        self.shared.changed.notify_waiters();
        result
    }
}

impl Shared {
    /// A poisoned lock means that a service panicked; its call was cut short, and the cloud is still the one to look at.
    fn lock(&self) -> MutexGuard<'_, Cloud> {
        self.cloud.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>, stop: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                connections.spawn(connection(stream, Arc::clone(&shared)));
            }
            // Out of file descriptors, most likely: those in use will be given back.
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    // Answers are small and awaited: do not hold them back for more.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| answer(&shared, request));
    // An error here is a caller that went away, or a connection closed on purpose.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(shared: &Shared, request: hyper::Request<Incoming>) -> Result<HttpResponse, Closed> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Closed)?.to_bytes();
    if let Some(path) = head.uri.path().strip_prefix("/_sandbox/") {
        let response = control::handle(&mut shared.lock(), &head.method, path, &body);
        shared.changed.notify_waiters();
        return Ok(response);
    }
    match Request::read(&head, &body) {
        Ok(request) => carry_out(shared, request).await,
        Err(unreadable) => {
            let mut cloud = shared.lock();
            let number = journal_unreadable(&mut cloud, unreadable.service, &unreadable.error);
            let context = context(&cloud, unreadable.service, "Unreadable", number);
            Ok(answer::encode(&context, &Err(unreadable.error)))
        }
    }
}

async fn carry_out(shared: &Shared, request: Request) -> Result<HttpResponse, Closed> {
    let pending = PendingRequest::new(&mut shared.lock(), request);
    if pending.latency > Duration::ZERO && pending.fate != (RequestFate::Drop { stall: false }) {
        tokio::time::sleep(pending.latency).await;
    }
    if let Some(held) = &pending.held {
        held.pause(When::Before).await;
    }
    let deadline = Instant::now() + shared.longest_wait;
    let mut wait_until = deadline;
    let response = loop {
        // Registered before looking, so that no change falls in between.
        let changed = shared.changed.notified();
        tokio::pin!(changed);
        changed.as_mut().enable();
        let (outcome, clock_runs) = {
            let mut cloud = shared.lock();
            if cloud.faults.is_dead(&pending.request.app) && pending.fate == RequestFate::Answer {
                return Err(Closed);
            }
            let outcome = match pending.carry_out(&mut cloud) {
                RequestOutcome::Wait(at_most, otherwise) => {
                    wait_until = wait_until.min(Instant::now() + at_most).min(deadline);
                    if Instant::now() < wait_until {
                        RequestOutcome::Wait(at_most, otherwise)
                    } else {
                        pending.end(&mut cloud, otherwise)
                    }
                }
                ended @ (RequestOutcome::Answer(..) | RequestOutcome::Silence) => ended,
            };
            if let RequestOutcome::Answer(reply, number) = outcome {
                break respond(&cloud, &pending, &reply, number);
            }
            (outcome, cloud.clock.is_running())
        };
        if let RequestOutcome::Silence = outcome {
            if pending.may_wake_consumers() {
                shared.changed.notify_waiters();
            }
            if let RequestFate::Drop { stall: true } | RequestFate::Withhold { stall: true } = pending.fate {
                tokio::time::sleep(pending.stall).await;
            }
            return Err(Closed);
        }
        let look_again = if clock_runs { wait_until.min(Instant::now() + LOOK_AGAIN) } else { wait_until };
        tokio::select! {
            () = changed => {}
            () = tokio::time::sleep_until(look_again) => {}
        }
    };
    if pending.may_wake_consumers() {
        shared.changed.notify_waiters();
    }
    if let Some(held) = &pending.held {
        held.pause(When::After).await;
    }
    Ok(response)
}

fn respond(cloud: &Cloud, pending: &PendingRequest, reply: &Reply, number: u64) -> HttpResponse {
    let spoiling = match pending.fate {
        RequestFate::Spoil(spoiling) => Some(spoiling),
        RequestFate::Answer | RequestFate::Refuse(_) | RequestFate::Drop { .. } | RequestFate::Withhold { .. } => None,
    };
    let context = context(cloud, pending.request.service, &pending.request.operation, number);
    let now = context.now + pending.date_off_by;
    answer::encode(&Context { spoiling, now, ..context }, reply)
}

/// The request's id is the call's number in the journal, written as a UUID.
fn context<'a>(cloud: &Cloud, service: crate::call::Service, operation: &'a str, number: u64) -> Context<'a> {
    Context {
        service,
        operation,
        request_id: Uuid::from_u128(number.into()).to_string(),
        now: cloud.now(),
        spoiling: None,
    }
}
