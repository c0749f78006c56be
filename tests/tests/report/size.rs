//! 50,000 keys: how long a report takes, and how large its files are. Printed, and not asserted: machines differ.

use std::time::Instant;

use producer::report::{self, ReportOptions};

use crate::stage::{Folder, access, organization};

const ACCOUNTS: usize = 470;
const USERS: usize = 91;

#[tokio::test]
async fn fifty_thousand_keys_are_reported_on() {
    let (stage, _) = organization(ACCOUNTS, USERS).await;
    let folder = Folder::new();
    let options = ReportOptions { out: folder.0.clone(), ..ReportOptions::default() };
    let began = Instant::now();
    let made = report::run(&stage.connection("producer"), &access(&stage), &options).await.expect("a report");
    println!("{} keys in {:.1} s", made.summary.keys, began.elapsed().as_secs_f64());
    assert!(made.complete && made.summary.keys >= 45_000, "{}", made.coverage);
    // Where the system tells it. The sandbox and its 50,000 keys are in the same process.
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().filter(|line| line.starts_with("VmHWM")).for_each(|line| println!("with the sandbox, {line}"));
    for file in &made.files {
        let bytes = std::fs::metadata(file).expect("it is there").len();
        println!("{}: {:.1} MiB", file.display(), bytes as f64 / f64::from(1 << 20));
    }
    let page = std::fs::metadata(folder.0.join(report::PAGE)).expect("it is there").len();
    assert!(page < 1 << 20, "a page that a browser shows at once, however many keys there are: {page} bytes");
}
