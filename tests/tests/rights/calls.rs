//! What the product calls: the journal of everything it can do, as actions of the roles it does it with.

use end_to_end::scenario::SCENARIOS;
use end_to_end::{ACCOUNT, OWNER, Stage, USER, secret};
use key_rotation_aws::MemberRole;
use producer::dead_letters::{list, redrive};
use producer::force_rotate::{self, ForceRotateOptions};
use producer::organization::Scope;
use producer::report::{self, ReportOptions};
use producer::request::WaitOptions;
use producer::schedule::{self, Granularity, ScheduleOptions};
use producer::settings::{AccountAccess, OrgListRole};
use producer::status;
use rotation::{AccessKeyId, AccountId};
use sandbox::call::Service;
use sandbox::journal::{CallRecord, Outcome};
use sandbox::serve::REGION;
use sandbox::world::MANAGEMENT_ACCOUNT;
use sandbox::{Clock, KeySpec, World};
use worker::Settings;
use worker::queue::Stop;

use crate::{Rights, Role};

/// A customer-managed key; the sandbox only looks at its shape.
const KMS_KEY: &str = "arn:aws:kms:eu-central-2:999999999999:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const LIST_ROLE: &str = "list-accounts";

/// Every action that is needed, by role.
pub(crate) async fn needed() -> Rights {
    let mut needed = Rights::new();
    for scenario in SCENARIOS {
        let stage = Stage::new().await;
        let job = (scenario.prepare)(&stage);
        stage.send(&job).await;
        let settings = Settings { dead_letter_queue: Some(stage.dead_letters.clone()), ..(scenario.settings)(&stage) };
        stage.work_with(&settings).await;
        collect(&stage, &mut needed);
    }
    audit(&mut needed).await;
    replicas_and_a_secret_scheduled_for_deletion(&mut needed).await;
    central_store(&mut needed).await;
    a_message_to_be_retried_and_one_given_up(&mut needed).await;
    scheduled_runs(&mut needed).await;
    an_operators_requests(&mut needed).await;
    a_report(&mut needed).await;
    needed
}

fn collect(stage: &Stage, needed: &mut Rights) {
    stage.world(|world| {
        for call in world.journal.calls() {
            assert!(!matches!(&call.outcome, Outcome::Refused(code) if code == "NotImplemented"), "{call:?}");
            if let Some(role) = role(call) {
                needed.entry(role).or_default().extend(actions(call.service, &call.operation));
            }
        }
    });
}

/// Who made a call. `None`: the test itself, arranging or looking.
fn role(call: &CallRecord) -> Option<Role> {
    let at_home = call.account == MANAGEMENT_ACCOUNT;
    match call.app.as_str() {
        "worker" if at_home => Some(Role::Worker),
        "worker" => Some(Role::WorkerInAccounts),
        "producer" if call.service == Service::Organizations.prefix() => Some(Role::Lister),
        "producer" if at_home => Some(Role::Producer),
        "producer" => Some(Role::ProducerInAccounts),
        "test" => None,
        other => panic!("{other:?} is nobody known: {call:?}"),
    }
}

/// The actions a call needs, where they are not simply its name (Service Authorization Reference).
fn actions(service: &str, operation: &str) -> Vec<String> {
    let named: &[&str] = match (service, operation) {
        // "No permissions are required to perform this operation."
        ("sts", "GetCallerIdentity") => &[],
        // A batch needs what its single call needs.
        ("sqs", "SendMessageBatch") => &["SendMessage"],
        ("sqs", "DeleteMessageBatch") => &["DeleteMessage"],
        ("sqs", "ChangeMessageVisibilityBatch") => &["ChangeMessageVisibility"],
        // The product creates its secrets with tags.
        ("secretsmanager", "CreateSecret") => &["CreateSecret", "TagResource"],
        (_, operation) => return vec![format!("{service}:{operation}")],
    };
    named.iter().map(|name| format!("{service}:{name}")).collect()
}

/// With a key of one's own, Secrets Manager encrypts and decrypts in the caller's name (its user guide, "Permissions for the
/// KMS key"): calls that no journal of the caller's shows.
fn key_rights(needed: &mut Rights, role: Role) {
    needed.entry(role).or_default().extend(["kms:Decrypt".to_owned(), "kms:GenerateDataKey".to_owned()]);
}

fn due() -> KeySpec {
    KeySpec::aged(95).used_days_ago(1)
}

fn settings(stage: &Stage) -> Settings {
    let event_bus = Some("default".to_owned());
    Settings { dead_letter_queue: Some(stage.dead_letters.clone()), event_bus, ..stage.settings() }
}

/// In an account of so many users that it asks for the credential report.
async fn audit(needed: &mut Rights) {
    let stage = Stage::new().await;
    stage.user(&[due()]);
    for number in 0..10 {
        stage.user_named(&format!("idle-{number}"), &[KeySpec::aged(5)]);
    }
    stage.schedule().await;
    stage.work_with(&Settings { dry_run: true, ..settings(&stage) }).await;
    collect(&stage, needed);
}

async fn replicas_and_a_secret_scheduled_for_deletion(needed: &mut Rights) {
    let stage = Stage::new().await;
    let old = stage.user(&[due()]).remove(0);
    end_to_end::scenario::publish(&stage, &old);
    let session = stage.session().await;
    let call = session.secrets_manager().delete_secret().secret_id(secret()).recovery_window_in_days(7);
    call.send().await.expect("the secret is scheduled for deletion");
    let settings = Settings { replication_regions: vec!["eu-west-1".to_owned()], ..settings(&stage) };
    stage.schedule().await;
    stage.work_with(&settings).await;
    assert_eq!(stage.keys().len(), 2, "it was rotated");
    collect(&stage, needed);
}

/// In the central store a first rotation creates the secret, a second one finds it, one finds it scheduled for deletion, and one
/// finds it encrypted with another key.
async fn central_store(needed: &mut Rights) {
    let stage = Stage::new().await;
    stage.user(&[due()]);
    stage.user_named("eve", &[due()]);
    let name = rotation::names::secret_name(&ACCOUNT.parse().expect("an account id"), &"eve".parse().expect("a name"));
    stage.world(|world| {
        let now = world.now();
        world.secrets.arrange(now, MANAGEMENT_ACCOUNT, REGION, &name, "of-an-earlier-tool-0000000000000000", "{}");
    });
    let central = Settings {
        central_store: true,
        central_read_policy: Some("IAMKeyRotationReadOwnSecret".to_owned()),
        kms_key_id: Some(KMS_KEY.to_owned()),
        ..settings(&stage)
    };
    stage.schedule().await;
    stage.work_with(&central).await;
    assert_eq!(stage.keys().len(), 2, "it was rotated");
    for day in 1..=120 {
        stage.pass_days(1);
        if day == 60 {
            let secrets = stage.connection("test").secrets_manager();
            let call = secrets.delete_secret().secret_id(secret()).recovery_window_in_days(30);
            call.send().await.expect("the secret is scheduled for deletion");
            // Its successor is due now.
            stage.world(|world| {
                let created = world.now() - jiff::SignedDuration::from_hours(24 * 95);
                for key in &mut world.user_mut(ACCOUNT, USER).holds.keys {
                    key.created = created;
                }
            });
        }
        stage.schedule().await;
        stage.work_with(&central).await;
    }
    collect(&stage, needed);
    key_rights(needed, Role::Worker);
}

async fn a_message_to_be_retried_and_one_given_up(needed: &mut Rights) {
    let stage = Stage::new().await;
    stage.user(&[due()]);
    stage.world(|world| world.faults.deny(ACCOUNT, "iam:GetAccountAuthorizationDetails", None));
    stage.schedule().await;
    stage.send_body("{}", Some("group".to_owned()), Some("once".to_owned())).await;
    stage.work_with(&settings(&stage)).await;
    assert_eq!((stage.waiting(), stage.dead_letters().await.len()), (1, 1));
    collect(&stage, needed);
}

/// A stage whose clock runs, with a role that lists the organization, and the producer's settings for it.
async fn organization() -> (Stage, producer::Settings) {
    let mut world = World::new(1, Clock::running_from("2026-03-01T09:00:00Z".parse().expect("a valid time")));
    world.add_account(ACCOUNT, "prod", OWNER);
    world.add_role(MANAGEMENT_ACCOUNT, LIST_ROLE);
    let stage = Stage::with_world(world, true).await;
    let mut settings = stage.producer_settings();
    let account = AccountId::new(MANAGEMENT_ACCOUNT).expect("an account id");
    settings.org_list =
        Some(OrgListRole { account, role: MemberRole { name: LIST_ROLE.to_owned(), external_id: None } });
    let urgent = stage.world(|world| {
        let now = world.now();
        world.queues.create_queue(now, REGION, MANAGEMENT_ACCOUNT, "urgent.fifo", &[("FifoQueue", "true")])
    });
    settings.urgent_queue = Some(urgent.expect("a new queue").parse().expect("a queue's URL"));
    (stage, settings)
}

async fn scheduled_runs(needed: &mut Rights) {
    let (stage, settings) = organization().await;
    stage.user(&[due()]);
    let connection = stage.connection("producer");
    let unit = stage.world(|world| {
        let root = world.organization.root.clone();
        let unit = world.add_unit(&root, "workloads");
        world.move_account(ACCOUNT, &unit);
        unit
    });
    let everything = ScheduleOptions::default();
    let a_unit_by_user = ScheduleOptions {
        scope: Scope { units: vec![unit.parse().expect("a unit's id")], ..Scope::default() },
        granularity: Granularity::User,
        ..ScheduleOptions::default()
    };
    for options in [everything, a_unit_by_user] {
        let report = schedule::run(&connection, &settings, &options).await.expect("it is scheduled");
        assert!(report.messages > 0);
    }
    status::run(&connection, &settings).await.expect("the queues can be looked at");
    collect(&stage, needed);
}

async fn an_operators_requests(needed: &mut Rights) {
    let (stage, settings) = organization().await;
    let key = stage.user(&[due()]).remove(0);
    let connection = stage.connection("producer");
    let request = ForceRotateOptions {
        account: None,
        user: None,
        access_key_id: Some(AccessKeyId::new(key).expect("a key id")),
        disable_old_now: false,
        override_exemption: false,
        dry_run: false,
        wait: WaitOptions { wait: true, wait_timeout: 60, counts_lag_seconds: 0 },
    };
    let mut worker_settings = self::settings(&stage);
    worker_settings.urgent_queue = settings.urgent_queue.clone();
    worker_settings.drain = false;
    let stop = Stop::default();
    let own = stage.connection("worker");
    let work = worker::run(&worker_settings, &own, stop.clone());
    let follow = async {
        let report = force_rotate::run(&connection, &settings, &request).await;
        stop.ask();
        report
    };
    let (worked, followed) = tokio::join!(work, follow);
    worked.expect("the worker starts");
    assert!(followed.expect("the request is sent").outcome.is_some(), "it was followed to its end");

    stage.send_body("{}", Some("group".to_owned()), Some("once".to_owned())).await;
    stage.work_with(&self::settings(&stage)).await;
    let everything = list::ListOptions { filter: list::Filter::default(), limit: 100, show_addresses: false };
    let listed = list::run(&connection, &settings, &everything).await.expect("they can be listed");
    assert_eq!(listed.groups.len(), 1);
    let sent_back = redrive::run(&connection, &settings, &redrive::RedriveOptions::default()).await;
    assert_eq!(sent_back.expect("they can be sent back").redriven, 1);
    collect(&stage, needed);
}

/// With a rotation under way, whose keys are looked at live.
async fn a_report(needed: &mut Rights) {
    let (stage, settings) = organization().await;
    stage.user(&[due()]);
    stage.schedule().await;
    stage.work_with(&self::settings(&stage)).await;
    let access = AccountAccess { org_list: settings.org_list, member_role: settings.member_role };
    // The management account's sessions would be taken for the producer at home.
    let scope = Scope { accounts: vec![ACCOUNT.parse().expect("an account id")], ..Scope::default() };
    let out = std::env::temp_dir().join(format!("key-report-{}", uuid::Uuid::new_v4()));
    let options = ReportOptions { scope, out: out.clone(), ..ReportOptions::default() };
    let made = report::run(&stage.connection("producer"), &access, &options).await.expect("a report");
    assert!(made.complete && made.summary.successors_not_installed == 1, "{made}");
    std::fs::remove_dir_all(out).expect("it was written");
    collect(&stage, needed);
}
