//! The HTTP server: a loopback port, a task per connection, one lock around the world. It stops when its [`Sandbox`] is dropped.

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
use crate::control;
use crate::dispatch::{Arrival, Course, Outcoming, journal_unreadable};
use crate::faults::When;
use crate::wire::answer::{self, Context, HttpResponse};
use crate::wire::request::Request;
use crate::world::{Credentials, World};

/// How often a waiting consumer looks again while the clock runs: messages become visible by time alone.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// How a sandbox starts.
#[derive(Debug)]
pub struct SandboxOptions {
    /// The port; 0 for any that is free.
    pub port: u16,
    /// What is there at the start.
    pub world: World,
    /// The longest a long poll waits, in real time; SQS's own limit of 20 s holds besides. Simulated days need no real seconds.
    pub longest_wait: Duration,
}

impl SandboxOptions {
    /// This world on any free port.
    pub fn new(world: World) -> Self {
        Self { port: 0, world, longest_wait: Duration::from_secs(20) }
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
    world: Mutex<World>,
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
        let SandboxOptions { port, mut world, longest_wait } = options;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let address = listener.local_addr()?;
        world.queues.set_endpoint(format!("http://{address}"));
        let shared = Arc::new(Shared { world: Mutex::new(world), changed: Notify::new(), longest_wait });
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

    /// Looks at the world, or changes it. Consumers waiting for messages look again afterwards.
    pub fn with<T>(&self, look: impl FnOnce(&mut World) -> T) -> T {
        let result = look(&mut self.shared.lock());
        self.shared.changed.notify_waiters();
        result
    }
}

impl Shared {
    /// A poisoned lock means that a service panicked; its call was cut short, and the world is still the one to look at.
    fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
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
            let mut world = shared.lock();
            let number = journal_unreadable(&mut world, unreadable.service, &unreadable.error);
            let context = context(&world, unreadable.service, "Unreadable", number);
            Ok(answer::encode(&context, &Err(unreadable.error)))
        }
    }
}

async fn carry_out(shared: &Shared, request: Request) -> Result<HttpResponse, Closed> {
    let arrival = Arrival::new(&mut shared.lock(), request);
    if arrival.latency > Duration::ZERO && arrival.course != (Course::Drop { stall: false }) {
        tokio::time::sleep(arrival.latency).await;
    }
    if let Some(held) = &arrival.held {
        held.pause(When::Before).await;
    }
    let deadline = Instant::now() + shared.longest_wait;
    let mut wait_until = deadline;
    let response = loop {
        // Registered before looking, so that no change falls in between.
        let changed = shared.changed.notified();
        tokio::pin!(changed);
        changed.as_mut().enable();
        let (came_of_it, clock_runs) = {
            let mut world = shared.lock();
            if world.faults.is_dead(&arrival.request.app) && arrival.course == Course::Answer {
                return Err(Closed);
            }
            let came_of_it = match arrival.carry_out(&mut world) {
                Outcoming::Wait(at_most, otherwise) => {
                    wait_until = wait_until.min(Instant::now() + at_most).min(deadline);
                    if Instant::now() < wait_until {
                        Outcoming::Wait(at_most, otherwise)
                    } else {
                        arrival.end(&mut world, otherwise)
                    }
                }
                ended @ (Outcoming::Answer(..) | Outcoming::Silence) => ended,
            };
            if let Outcoming::Answer(reply, number) = came_of_it {
                break respond(&world, &arrival, &reply, number);
            }
            (came_of_it, world.clock.is_running())
        };
        if let Outcoming::Silence = came_of_it {
            if arrival.may_wake_consumers() {
                shared.changed.notify_waiters();
            }
            if let Course::Drop { stall: true } | Course::Withhold { stall: true } = arrival.course {
                tokio::time::sleep(arrival.stall).await;
            }
            return Err(Closed);
        }
        let look_again = if clock_runs { wait_until.min(Instant::now() + LOOK_AGAIN) } else { wait_until };
        tokio::select! {
            () = changed => {}
            () = tokio::time::sleep_until(look_again) => {}
        }
    };
    if arrival.may_wake_consumers() {
        shared.changed.notify_waiters();
    }
    if let Some(held) = &arrival.held {
        held.pause(When::After).await;
    }
    Ok(response)
}

fn respond(world: &World, arrival: &Arrival, reply: &Reply, number: u64) -> HttpResponse {
    let garbled = arrival.course == Course::Garble;
    let context = Context { garbled, ..context(world, arrival.request.service, &arrival.request.operation, number) };
    answer::encode(&context, reply)
}

/// The request's id is the call's number in the journal, written as a UUID.
fn context<'a>(world: &World, service: crate::call::Service, operation: &'a str, number: u64) -> Context<'a> {
    Context {
        service,
        operation,
        request_id: Uuid::from_u128(number.into()).to_string(),
        now: world.now(),
        garbled: false,
    }
}
