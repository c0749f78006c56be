//! A stage with an organization, and a report on it, read back from the files that were written.

use std::path::PathBuf;

use end_to_end::Stage;
use producer::report::{self, ReportOptions, ReportSummary};
use producer::settings::AccountAccess;
use sandbox::generate::{self, Shape};
use sandbox::{Clock, World};
use serde_json::Value;

/// A generated organization; gives the ids of its member accounts.
pub(crate) async fn organization(accounts: usize, users_per_account: usize) -> (Stage, Vec<String>) {
    let mut world = World::new(1, Clock::frozen_at("2026-03-01T09:00:00Z".parse().expect("a valid time")));
    let accounts = generate::organization(&mut world, Shape { accounts, users_per_account });
    (Stage::with_world(world, true).await, accounts)
}

/// A report, read back.
pub(crate) struct Reported {
    pub(crate) summary: ReportSummary,
    pub(crate) json: Value,
    /// The table's lines, the header first.
    pub(crate) table: Vec<Vec<String>>,
    pub(crate) page: String,
}

impl Reported {
    /// A figure of the summary.
    pub(crate) fn figure(&self, name: &str) -> u64 {
        self.json["summary"][name].as_u64().unwrap_or_else(|| panic!("no figure {name}: {}", self.json["summary"]))
    }

    pub(crate) fn rows(&self, list: &str) -> &[Value] {
        self.json[list].as_array().unwrap_or_else(|| panic!("no list {list}"))
    }

    /// The results of the controls, in order.
    pub(crate) fn results(&self) -> Vec<&str> {
        self.rows("controls").iter().map(|control| control["result"].as_str().expect("a result")).collect()
    }
}

/// Where a report is written, until it has been read back.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(std::env::temp_dir().join(format!("key-report-{}", uuid::Uuid::new_v4())))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn access(stage: &Stage) -> AccountAccess {
    let settings = stage.producer_settings();
    AccountAccess { org_list: settings.org_list, member_role: settings.member_role }
}

/// Makes a report, and reads its files.
pub(crate) async fn report(stage: &Stage, options: ReportOptions) -> Reported {
    let folder = Folder::new();
    let options = ReportOptions { out: folder.0.clone(), ..options };
    let made = report::run(&stage.connection("producer"), &access(stage), &options).await;
    let summary = made.unwrap_or_else(|error| panic!("there is no report: {error}"));
    let read = |name: &str| std::fs::read_to_string(folder.0.join(name)).expect("the file is there");
    Reported {
        summary,
        json: serde_json::from_str(&read(report::DATA)).expect("it is JSON"),
        table: read(report::TABLE).split_terminator("\r\n").map(cells).collect(),
        page: read(report::PAGE),
    }
}

/// The cells of a line (RFC 4180), none of which holds a line break here.
fn cells(line: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut quoted = false;
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        let cell = cells.last_mut().expect("there is one");
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => cell.push(letters.next().expect("a quote")),
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(String::new()),
            other => cell.push(other),
        }
    }
    cells
}
