//! Who may do what with a user's secret, by trying: each principal, each call, both stores.

mod changes;
mod leak;
mod readers;
mod smtp;

use end_to_end::secrets::{reads, user};
use end_to_end::{ACCOUNT, Stage, secret};
use key_rotation_aws::{Connection, MemberRole};
use rotation::readers::{ReaderPattern, Readers};
use sandbox::KeySpec;
use sandbox::serve::REGION;
use sandbox::world::MANAGEMENT_ACCOUNT;
use worker::Settings;

/// As the templates have it.
const BREAK_GLASS: &str = "arn:aws:iam::{account}:role/IAMKeyRotationBreakGlass";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Store {
    /// Each account's own.
    Own,
    Central,
}

impl Store {
    const BOTH: [Store; 2] = [Store::Own, Store::Central];

    /// The account that secrets are in.
    fn account(self) -> &'static str {
        match self {
            Store::Own => ACCOUNT,
            Store::Central => MANAGEMENT_ACCOUNT,
        }
    }

    /// With a reader of every user's, and some that tags may name.
    fn with_readers(self, stage: &Stage) -> Settings {
        let read = |texts: &[&str]| texts.iter().map(|text| ReaderPattern::new(text).expect("a reader")).collect();
        let readers = Readers { always: read(&[BREAK_GLASS]), allowed: read(&["arn:aws:iam::{account}:role/ci-*"]) };
        Settings { readers, ..self.settings(stage) }
    }

    fn settings(self, stage: &Stage) -> Settings {
        match self {
            Store::Own => stage.settings(),
            Store::Central => stage.central_settings(),
        }
    }
}

fn secret_arn(stage: &Stage, store: Store) -> String {
    stage.world(|world| world.secrets.secret(store.account(), REGION, &secret()).expect("the secret").arn.clone())
}

fn due() -> KeySpec {
    KeySpec::aged(95).used_days_ago(1)
}

/// Whoever has assumed this role, which is there to be assumed.
async fn role(stage: &Stage, account: &str, name: &str) -> Connection {
    stage.world(|world| {
        world.add_role(account, name);
    });
    let role = MemberRole { name: name.to_owned(), external_id: None };
    let account = account.parse().expect("an account id");
    role.connect(&stage.connection("test"), &account, "test").await.expect("the role can be assumed")
}
