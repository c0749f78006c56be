//! Secrets: creation, versions and labels, deletion and restoration, replicas, tags, lists.

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::operation::describe_secret::DescribeSecretOutput;
use aws_sdk_secretsmanager::types::{Filter, FilterNameStringType, ReplicaRegionType, StatusType, Tag};
use jiff::SignedDuration;
use sandbox::Sandbox;
use sandbox::faults::StaleReads;
use sandbox::journal::Effect;
use sandbox::services::secretsmanager::{CURRENT, PREVIOUS};
use sandbox::world::MANAGEMENT_ACCOUNT;

use crate::common::{MEMBER, REGION, code, member, noon, operator, serve, world};

const NAME: &str = "Account_200000000001_User_ada_AccessKey";

/// A version id: 36 characters that tell `n`.
fn token(n: u32) -> String {
    format!("00000000-0000-4000-8000-{n:012}")
}

/// A sandbox and a client of the member account's role.
async fn store() -> (Sandbox, Client) {
    let sandbox = serve(world()).await;
    let client = Client::new(&member(&sandbox).await);
    (sandbox, client)
}

/// A sandbox and a client whose credentials outlast a clock that is moved by days.
async fn lasting_store() -> (Sandbox, Client) {
    let sandbox = serve(world()).await;
    let client = Client::new(&operator(&sandbox).await);
    (sandbox, client)
}

async fn describe(client: &Client) -> DescribeSecretOutput {
    client.describe_secret().secret_id(NAME).send().await.expect("described")
}

/// The version that has a label.
async fn holder(client: &Client, stage: &str) -> Option<String> {
    let stages = describe(client).await.version_ids_to_stages?;
    stages.into_iter().find(|(_, labels)| labels.iter().any(|label| label == stage)).map(|(version, _)| version)
}

async fn put(client: &Client, version: u32, stages: &[&str]) -> Vec<String> {
    let stages = stages.iter().map(|stage| (*stage).to_owned()).collect();
    let stored = client
        .put_secret_value()
        .secret_id(NAME)
        .client_request_token(token(version))
        .secret_string(format!("value {version}"))
        .set_version_stages(Some(stages))
        .send()
        .await
        .expect("stored");
    stored.version_stages.unwrap_or_default()
}

async fn create_empty(client: &Client) -> String {
    let made = client.create_secret().name(NAME).send().await.expect("made");
    assert_eq!(made.version_id(), None);
    made.arn.expect("an ARN")
}

#[tokio::test]
async fn a_secret_without_a_value_has_no_version_and_its_first_one_is_published() {
    let (_sandbox, client) = store().await;
    create_empty(&client).await;
    assert_eq!(describe(&client).await.version_ids_to_stages(), None);
    let empty = client.get_secret_value().secret_id(NAME).send().await.expect_err("nothing").into_service_error();
    assert!(empty.is_resource_not_found_exception(), "{empty:?}");
    assert_eq!(put(&client, 1, &["AWSPENDING"]).await, [CURRENT, "AWSPENDING"]);
    assert_eq!(put(&client, 2, &["AWSPENDING"]).await, ["AWSPENDING"]);
    assert_eq!(holder(&client, CURRENT).await, Some(token(1)));
    assert_eq!(holder(&client, "AWSPENDING").await, Some(token(2)));
}

#[tokio::test]
async fn publishing_moves_the_label_and_the_version_before_becomes_previous() {
    let (sandbox, client) = store().await;
    create_empty(&client).await;
    put(&client, 1, &[CURRENT]).await;
    put(&client, 2, &["AWSPENDING"]).await;
    let publish = |from: u32| {
        let call = client.update_secret_version_stage().secret_id(NAME).version_stage(CURRENT);
        call.move_to_version_id(token(2)).remove_from_version_id(token(from)).send()
    };
    publish(1).await.expect("published");
    assert_eq!(holder(&client, CURRENT).await, Some(token(2)));
    assert_eq!(holder(&client, PREVIOUS).await, Some(token(1)));
    let value = client.get_secret_value().secret_id(NAME).send().await.expect("a value");
    assert_eq!((value.secret_string(), value.version_id()), (Some("value 2"), Some(token(2).as_str())));
    let lost = publish(1).await.expect_err("somebody else holds it").into_service_error();
    assert!(lost.is_invalid_parameter_exception(), "{lost:?}");
    let published = sandbox.with(|world| {
        let effects = world.journal.effects().iter().map(|record| record.effect.clone());
        effects.filter(|effect| matches!(effect, Effect::SecretPublished { .. })).collect::<Vec<_>>()
    });
    let effect = |version, from: Option<u32>| Effect::SecretPublished {
        name: NAME.to_owned(),
        version: token(version),
        from: from.map(token),
    };
    assert_eq!(published, [effect(1, None), effect(2, Some(1))]);
}

#[tokio::test]
async fn a_label_is_not_taken_from_a_holder_that_is_not_named() {
    let (_sandbox, client) = store().await;
    create_empty(&client).await;
    put(&client, 1, &[CURRENT]).await;
    put(&client, 2, &["AWSPENDING"]).await;
    let publish =
        client.update_secret_version_stage().secret_id(NAME).version_stage(CURRENT).move_to_version_id(token(2));
    let refused = publish.send().await.expect_err("no holder named").into_service_error();
    assert!(refused.is_invalid_parameter_exception(), "{refused:?}");
    assert_eq!(holder(&client, CURRENT).await, Some(token(1)));
}

#[tokio::test]
async fn the_same_token_and_value_twice_is_stored_once_and_another_value_refused() {
    let (_sandbox, client) = store().await;
    create_empty(&client).await;
    put(&client, 1, &[CURRENT]).await;
    put(&client, 2, &[CURRENT]).await;
    assert_eq!(put(&client, 1, &[CURRENT]).await, [PREVIOUS], "a repeat moves no label");
    let other = client.put_secret_value().secret_id(NAME).client_request_token(token(1)).secret_string("other");
    let refused = other.send().await.expect_err("another value").into_service_error();
    assert!(refused.is_resource_exists_exception(), "{refused:?}");
}

#[tokio::test]
async fn a_secret_is_found_by_name_by_its_arn_and_by_the_arn_without_its_end() {
    let (_sandbox, client) = store().await;
    let arn = create_empty(&client).await;
    let (partial, suffix) = arn.rsplit_once('-').expect("a suffix");
    assert_eq!(suffix.len(), 6);
    assert_eq!(partial, format!("arn:aws:secretsmanager:{REGION}:{MEMBER}:secret:{NAME}"));
    for id in [NAME, &arn, partial] {
        let found = client.describe_secret().secret_id(id).send().await.expect("found");
        assert_eq!(found.arn(), Some(arn.as_str()));
    }
    let wrong = format!("{partial}-abcdef");
    let refused = client.describe_secret().secret_id(wrong).send().await.expect_err("not it").into_service_error();
    assert!(refused.is_resource_not_found_exception(), "{refused:?}");
}

#[tokio::test]
async fn a_name_that_looks_like_the_end_of_an_arn_is_not_found_by_its_partial_arn() {
    let (_sandbox, client) = store().await;
    client.create_secret().name("User_abc-defghi").send().await.expect("made");
    let partial = format!("arn:aws:secretsmanager:{REGION}:{MEMBER}:secret:User_abc-defghi");
    let refused = client.describe_secret().secret_id(partial).send().await.expect_err("taken as whole");
    assert!(refused.into_service_error().is_resource_not_found_exception());
    client.describe_secret().secret_id("User_abc-defghi").send().await.expect("found by name");
}

#[tokio::test]
async fn names_take_the_characters_aws_takes_and_exist_once() {
    let (_sandbox, client) = store().await;
    let create = |name: &str| client.create_secret().name(name).secret_string("v").send();
    create("a/b_c+d=e.f@g-h1").await.expect("every character allowed");
    for name in ["a,b", "a b", "", &"x".repeat(513)] {
        let refused = create(name).await;
        assert_eq!(code(refused).as_deref(), Some("InvalidParameterException"), "{name}");
    }
    let refused = create("a/b_c+d=e.f@g-h1").await.expect_err("there already").into_service_error();
    assert!(refused.is_resource_exists_exception(), "{refused:?}");
}

#[tokio::test]
async fn creating_again_with_the_same_token_and_value_is_a_success() {
    let (_sandbox, client) = store().await;
    let create =
        |value: &str| client.create_secret().name(NAME).client_request_token(token(1)).secret_string(value).send();
    let made = create("v").await.expect("made");
    assert_eq!(create("v").await.expect("the same").arn(), made.arn());
    assert_eq!(code(create("w").await).as_deref(), Some("ResourceExistsException"));
}

#[tokio::test]
async fn a_secret_scheduled_for_deletion_refuses_reading_and_writing_until_it_is_restored() {
    let (sandbox, client) = lasting_store().await;
    create_empty(&client).await;
    put(&client, 1, &[CURRENT]).await;
    let deleted = client.delete_secret().secret_id(NAME).recovery_window_in_days(7).send().await.expect("scheduled");
    let due = noon() + SignedDuration::from_hours(7 * 24);
    assert_eq!(deleted.deletion_date().map(|date| date.secs()), Some(due.as_second()));
    assert!(describe(&client).await.deleted_date().is_some());
    let refusals = [
        code(client.put_secret_value().secret_id(NAME).secret_string("v").send().await),
        code(client.get_secret_value().secret_id(NAME).send().await),
        code(client.create_secret().name(NAME).send().await),
        code(client.tag_resource().secret_id(NAME).tags(Tag::builder().key("k").value("v").build()).send().await),
        code(client.delete_secret().secret_id(NAME).send().await),
    ];
    assert_eq!(refusals, [const { Some("InvalidRequestException") }; 5].map(|code| code.map(str::to_owned)));
    client.restore_secret().secret_id(NAME).send().await.expect("restored");
    sandbox.with(|world| world.clock.set(due));
    assert_eq!(put(&client, 2, &[CURRENT]).await, [CURRENT]);
}

#[tokio::test]
async fn a_secret_is_gone_when_its_recovery_window_is_over() {
    let (sandbox, client) = lasting_store().await;
    create_empty(&client).await;
    for days in [6, 31] {
        let refused = client.delete_secret().secret_id(NAME).recovery_window_in_days(days).send().await;
        assert_eq!(code(refused).as_deref(), Some("InvalidParameterException"));
    }
    client.delete_secret().secret_id(NAME).recovery_window_in_days(7).send().await.expect("scheduled");
    sandbox.with(|world| world.clock.advance(SignedDuration::from_hours(7 * 24)));
    assert!(
        sandbox.with(|world| world.secrets.secret(MANAGEMENT_ACCOUNT, REGION, NAME).is_some()),
        "until the next call"
    );
    let gone = client.describe_secret().secret_id(NAME).send().await.expect_err("gone").into_service_error();
    assert!(gone.is_resource_not_found_exception(), "{gone:?}");
    create_empty(&client).await;
    client.delete_secret().secret_id(NAME).force_delete_without_recovery(true).send().await.expect("gone at once");
    create_empty(&client).await;
}

#[tokio::test]
async fn replicas_follow_their_primary_and_cannot_be_changed_themselves() {
    let (sandbox, client) = store().await;
    create_empty(&client).await;
    let region = |name: &str| ReplicaRegionType::builder().region(name).build();
    let replicate =
        |name: &str| client.replicate_secret_to_regions().secret_id(NAME).add_replica_regions(region(name)).send();
    let replicated = replicate("us-east-1").await.expect("replicated");
    assert_eq!(replicated.replication_status()[0].status(), Some(&StatusType::InSync));
    put(&client, 1, &[CURRENT]).await;

    let config = member(&sandbox).await.to_builder().region(aws_config::Region::new("us-east-1")).build();
    let there = Client::new(&config);
    let value = there.get_secret_value().secret_id(NAME).send().await.expect("a value");
    assert_eq!(value.secret_string(), Some("value 1"));
    let copy = describe(&there).await;
    assert_eq!(copy.primary_region(), Some(REGION));
    assert!(copy.arn().expect("an ARN").starts_with("arn:aws:secretsmanager:us-east-1:"));
    let refused = there.put_secret_value().secret_id(NAME).secret_string("v").send().await;
    assert_eq!(code(refused).as_deref(), Some("InvalidRequestException"));

    assert_eq!(code(replicate("us-east-1").await).as_deref(), Some("InvalidParameterException"));
    assert_eq!(code(replicate(REGION).await).as_deref(), Some("InvalidParameterException"));
    assert_eq!(code(replicate("nowhere").await).as_deref(), Some("InvalidParameterException"));
    let kept = client.delete_secret().secret_id(NAME).send().await;
    assert_eq!(code(kept).as_deref(), Some("InvalidRequestException"));
}

#[tokio::test]
async fn replication_fails_where_another_secret_has_the_name() {
    let (sandbox, client) = store().await;
    let config = member(&sandbox).await.to_builder().region(aws_config::Region::new("us-east-1")).build();
    Client::new(&config).create_secret().name(NAME).secret_string("other").send().await.expect("made");
    let region = ReplicaRegionType::builder().region("us-east-1").build();
    let made = client.create_secret().name(NAME).secret_string("v").add_replica_regions(region).send().await;
    assert_eq!(made.expect("made").replication_status()[0].status(), Some(&StatusType::Failed));
    let there = sandbox
        .with(|world| world.secrets.secret(MEMBER, "us-east-1", NAME).and_then(|secret| secret.primary_region.clone()));
    assert_eq!(there, None);
}

#[tokio::test]
async fn describing_a_secret_shows_the_tags_that_were_put() {
    let (_sandbox, client) = store().await;
    create_empty(&client).await;
    let tag = |key: &str| Tag::builder().key(key).value("v").build();
    let put = |key: &str| client.tag_resource().secret_id(NAME).tags(tag(key)).send();
    put("owner").await.expect("tagged");
    assert_eq!(code(put("aws:x").await).as_deref(), Some("InvalidParameterException"));
    assert_eq!(describe(&client).await.tags(), [tag("owner")]);
}

#[tokio::test]
async fn lists_are_paged_and_filtered_by_the_beginning_of_the_name() {
    let (sandbox, client) = store().await;
    for name in ["a-1", "a-2", "a-3", "b-1"] {
        client.create_secret().name(name).secret_string("v").send().await.expect("made");
    }
    client.delete_secret().secret_id("a-3").send().await.expect("scheduled");
    let filter = || Filter::builder().key(FilterNameStringType::Name).values("a-").build();
    let page =
        |token: Option<String>| client.list_secrets().filters(filter()).max_results(1).set_next_token(token).send();
    let first = page(None).await.expect("a page");
    assert_eq!(first.secret_list()[0].name(), Some("a-1"));
    let second = page(first.next_token).await.expect("a page");
    assert_eq!((second.secret_list()[0].name(), second.next_token()), (Some("a-2"), None));
    let all = client.list_secrets().include_planned_deletion(true).send().await.expect("all");
    assert_eq!(all.secret_list().len(), 4);
    let elsewhere = Client::new(&operator(&sandbox).await);
    assert!(elsewhere.list_secrets().send().await.expect("none").secret_list().is_empty());
    assert!(sandbox.with(|world| world.secrets.secret(MANAGEMENT_ACCOUNT, REGION, "a-1").is_none()));
}

#[tokio::test]
async fn looks_lag_behind_writes_where_that_is_switched_on() {
    let (sandbox, client) = store().await;
    create_empty(&client).await;
    put(&client, 1, &[CURRENT]).await;
    sandbox.with(|world| {
        world.faults.stale_reads = Some(StaleReads { seconds: 10, reads: None, rate: 1.0, operation: None });
    });
    put(&client, 2, &[CURRENT]).await;
    assert_eq!(holder(&client, CURRENT).await, Some(token(1)), "what was current before");
    // Whether a label may be moved is decided by what is, not by what is seen.
    let swap = client.update_secret_version_stage().secret_id(NAME).version_stage(CURRENT);
    let swap = swap.move_to_version_id(token(1)).remove_from_version_id(token(1));
    assert_eq!(code(swap.send().await).as_deref(), Some("InvalidParameterException"), "version 2 has it");
    sandbox.with(|world| world.clock.advance(SignedDuration::from_secs(11)));
    assert_eq!(holder(&client, CURRENT).await, Some(token(2)));
}

#[tokio::test]
async fn a_new_secret_may_not_be_there_yet_where_reads_lag() {
    let (sandbox, client) = store().await;
    sandbox.with(|world| {
        world.faults.stale_reads = Some(StaleReads { seconds: 10, reads: Some(2), rate: 1.0, operation: None });
    });
    create_empty(&client).await;
    let look = client.describe_secret().secret_id(NAME).send().await;
    assert_eq!(code(look).as_deref(), Some("ResourceNotFoundException"), "not there yet");
    let write = client.tag_resource().secret_id(NAME).tags(Tag::builder().key("a").value("b").build()).send().await;
    assert_eq!(code(write).as_deref(), Some("ResourceNotFoundException"), "nor to be changed");
    describe(&client).await;
}
