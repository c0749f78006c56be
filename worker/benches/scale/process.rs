//! The programs as processes, and what a process has used.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use end_to_end::Stage;
use sandbox::serve::{REGION, SENDER};

/// What a process has used so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    /// Seconds of processor time.
    pub(crate) cpu: f64,
    /// The most memory it had, in MiB; 0 once it has ended.
    pub(crate) rss: f64,
}

impl Usage {
    /// Of the process of this id (proc_pid_stat(5), proc_pid_status(5)).
    fn of(process: &str) -> Self {
        /// USER_HZ, on every Linux there is.
        const TICKS_A_SECOND: f64 = 100.0;
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).expect("there is a /proc, with this process");
        // Behind the name, which may hold anything: the 14th and 15th field of all are the 12th and 13th of these.
        let behind_name = stat.rsplit(") ").next().unwrap_or_default();
        let ticks =
            behind_name.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<f64>().expect("a number of ticks"));
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        let peak =
            status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse::<f64>().ok());
        Self { cpu: ticks.sum::<f64>() / TICKS_A_SECOND, rss: peak.unwrap_or_default() / 1024.0 }
    }

    /// Of this process: the sandbox, and looking.
    pub(crate) fn of_the_sandbox() -> Self {
        Self::of("self")
    }
}

/// A running producer or worker; killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Program {
    child: Child,
    usage: Usage,
}

impl Program {
    /// Starts one on a stage, as a deployment would: enforcing, its log (which nobody reads here) at the usual level.
    pub(crate) fn start(directory: &Path, name: &str, arguments: &[&str], stage: &Stage) -> Self {
        let operator = stage.sandbox.operator_credentials();
        let program = directory.join(name);
        let child = Command::new(&program)
            .args(arguments)
            .env_clear()
            .env("AWS_ENDPOINT_URL", stage.sandbox.endpoint())
            .env("AWS_ACCESS_KEY_ID", &operator.access_key_id)
            .env("AWS_SECRET_ACCESS_KEY", &operator.secret_access_key)
            .env("AWS_REGION", REGION)
            .env("QUEUE_URL", stage.queue.as_str())
            .env("DRY_RUN", "false")
            .env("SENDER_EMAIL", SENDER)
            .env("LOG_FORMAT", "json")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let child = child.unwrap_or_else(|error| {
            panic!("{} cannot be started ({error}): cargo build --release --workspace", program.display())
        });
        Self { child, usage: Usage::default() }
    }

    /// What it has used; of a process that has ended, the processor time to its end and the last memory that was seen.
    pub(crate) fn usage(&mut self) -> Usage {
        let now = Usage::of(&self.child.id().to_string());
        self.usage = Usage { cpu: now.cpu, rss: now.rss.max(self.usage.rss) };
        self.usage
    }

    /// How it ended, if it has. Until this says so, `usage` can be asked for.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.usage();
        self.child.try_wait().expect("it was started here")
    }

    /// The last that was seen of it.
    pub(crate) fn last_usage(&self) -> Usage {
        self.usage
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended: then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where cargo has put this build's worker. `producer` stands beside it, once the workspace is built.
pub(crate) fn programs_of_this_build() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_worker")).parent().expect("a file is in a directory").to_owned()
}
