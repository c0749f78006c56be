//! A worker process: started with the environment a deployment gives it, sent signals, and never left behind.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use end_to_end::Stage;
use sandbox::serve::{REGION, SENDER};

/// How often something that another process does is looked for.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// What a worker logs once it is about to receive.
const UP: &str = "the worker starts";

/// Numbers the log files of one run.
static STARTED: AtomicUsize = AtomicUsize::new(0);

/// What a process can be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// SIGSTOP: it stands still wherever it is, and knows nothing of it.
    Freeze,
    /// SIGCONT: it goes on from there.
    Thaw,
    /// SIGTERM, as ECS and systemd send it.
    Terminate,
    /// SIGINT, as a terminal sends it.
    Interrupt,
}

impl Signal {
    /// Its name, as POSIX's `kill -s` takes it.
    fn name(self) -> &'static str {
        match self {
            Signal::Freeze => "STOP",
            Signal::Thaw => "CONT",
            Signal::Terminate => "TERM",
            Signal::Interrupt => "INT",
        }
    }
}

/// A worker process. Killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts an enforcing worker on a stage, with these settings besides.
    pub(crate) fn start(stage: &Stage, settings: &[(&str, &str)]) -> Self {
        Self::on(stage, &[], settings)
    }

    /// Starts one that ends once the queue is empty or has nothing to give at once.
    pub(crate) fn drain(stage: &Stage, settings: &[(&str, &str)]) -> Self {
        Self::on(stage, &["--drain"], &[&[("DRAIN_PATIENCE", "0")], settings].concat())
    }

    fn on(stage: &Stage, arguments: &[&str], settings: &[(&str, &str)]) -> Self {
        let operator = stage.sandbox.operator_credentials();
        let endpoint = stage.sandbox.endpoint();
        let environment = [
            ("AWS_ENDPOINT_URL", endpoint.as_str()),
            ("AWS_ACCESS_KEY_ID", operator.access_key_id.as_str()),
            ("AWS_SECRET_ACCESS_KEY", operator.secret_access_key.as_str()),
            ("AWS_REGION", REGION),
            ("QUEUE_URL", stage.queue.as_str()),
            ("DRY_RUN", "false"),
            ("SENDER_EMAIL", SENDER),
            ("RUST_LOG", "warn,worker::run=info"),
        ];
        Self::spawn(arguments, &[&environment, settings].concat())
    }

    /// Starts one with these arguments and nothing but this environment.
    pub(crate) fn spawn(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("processes");
        fs::create_dir_all(&directory).expect("a directory for logs can be made");
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let log = directory.join(format!("worker-{}-{number}.log", std::process::id()));
        let child = Command::new(env!("CARGO_BIN_EXE_worker"))
            .args(arguments)
            .env_clear()
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).expect("a log file can be made"))
            .spawn()
            .expect("the worker's binary can be started");
        Self { child, log }
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        // The shell's own `kill`: there is no other way to send a signal without unsafe code or one more crate.
        let command = format!("kill -s {} {}", signal.name(), self.child.id());
        let sent = Command::new("sh").args(["-c", &command]).status();
        assert!(sent.expect("a shell can be run").success(), "{signal:?} could not be sent: {}", self.log());
    }

    /// Freezes it, and waits until every thread of it stands still.
    pub(crate) async fn freeze(&self) {
        self.signal(Signal::Freeze);
        while !self.is_frozen() {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Whether every thread of it is stopped: state `T`, the first field behind the name (proc_pid_stat(5)). Where there is no
    /// `/proc` the signal is believed.
    fn is_frozen(&self) -> bool {
        let Ok(threads) = fs::read_dir(format!("/proc/{}/task", self.child.id())) else { return true };
        threads.flatten().all(|thread| {
            let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
            stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('T'))
        })
    }

    /// SIGKILL: it ends wherever it is, without a chance to do anything about it.
    pub(crate) fn kill(&mut self) {
        assert!(self.is_running(), "the worker had ended by itself: {}", self.log());
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it was started here");
    }

    /// Whether it has not ended.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("it was started here").is_none()
    }

    /// Waits for its end; gives its exit status, `None` where a signal ended it.
    pub(crate) async fn ended(&mut self) -> Option<i32> {
        until("the worker has ended", || !self.is_running()).await;
        self.child.wait().expect("it was started here").code()
    }

    /// Tells it to stop, and waits until it has. A signal that comes before it is up would just end it.
    pub(crate) async fn stop(mut self) {
        until("the worker is up", || self.log().contains(UP)).await;
        self.signal(Signal::Terminate);
        assert_eq!(self.ended().await, Some(0), "told to stop, a worker exits 0: {}", self.log());
    }

    /// What it wrote to stderr.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended: then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if !std::thread::panicking() {
            let _ = fs::remove_file(&self.log);
        }
    }
}

/// Waits until what is asked for is so. A worker that is wrong keeps the test waiting, which says so after a while.
pub(crate) async fn until(what: &str, mut so: impl FnMut() -> bool) {
    /// Far more looks than anything here takes on a slow machine: a minute's.
    const LOOKS: usize = 30_000;
    for _ in 0..LOOKS {
        if so() {
            return;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    panic!("waited in vain until {what}");
}
