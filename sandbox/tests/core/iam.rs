//! IAM: limits, pages, tags, groups, the credential report and the account's details.

use aws_sdk_iam::Client;
use aws_sdk_iam::primitives::DateTime;
use aws_sdk_iam::types::{EntityType, ReportStateType, StatusType, Tag};
use jiff::SignedDuration;
use sandbox::world::READ_POLICY;
use sandbox::{KeySpec, KeyStatus, Sandbox};

use crate::common::{MEMBER, code, member, noon, serve, world};

async fn client(sandbox: &Sandbox) -> Client {
    Client::new(&member(sandbox).await)
}

fn tag(key: &str, value: &str) -> Tag {
    Tag::builder().key(key).value(value).build().expect("a tag")
}

#[tokio::test]
async fn a_user_has_two_keys_at_most_active_or_not() {
    let mut world = world();
    world.add_user(MEMBER, "ada");
    let sandbox = serve(world).await;
    let iam = client(&sandbox).await;
    let create = || iam.create_access_key().user_name("ada").send();
    let first = create().await.expect("a key").access_key.expect("a key");
    assert_eq!(first.create_date, Some(DateTime::from_secs(noon().as_second())));
    assert_eq!((first.access_key_id.len(), first.secret_access_key.len()), (20, 40));
    let update = iam.update_access_key().user_name("ada").access_key_id(&first.access_key_id);
    update.status(StatusType::Inactive).send().await.expect("switched off");
    create().await.expect("a second key");
    let error = create().await.expect_err("no third key").into_service_error();
    assert!(error.is_limit_exceeded_exception(), "{error:?}");

    iam.delete_access_key().user_name("ada").access_key_id(&first.access_key_id).send().await.expect("deleted");
    let keys = iam.list_access_keys().user_name("ada").send().await.expect("keys").access_key_metadata;
    assert_eq!(keys.len(), 1);
    assert_eq!(keys[0].status, Some(StatusType::Active));
    let gone = iam.delete_access_key().user_name("ada").access_key_id(&first.access_key_id).send().await;
    assert!(gone.expect_err("gone").into_service_error().is_no_such_entity_exception());
}

#[tokio::test]
async fn the_two_key_limit_can_be_made_to_fail_as_it_does_under_races() {
    let mut world = world();
    world.add_user(MEMBER, "ada");
    world.faults.key_limit_race = 1.0;
    let sandbox = serve(world).await;
    let iam = client(&sandbox).await;
    for _ in 0..3 {
        iam.create_access_key().user_name("ada").send().await.expect("a key");
    }
}

#[tokio::test]
async fn users_come_a_hundred_to_a_page() {
    let mut world = world();
    for number in 0..250 {
        world.add_user(MEMBER, &format!("user-{number:03}"));
    }
    let sandbox = serve(world).await;
    let iam = client(&sandbox).await;
    let (mut sizes, mut names, mut marker) = (Vec::new(), Vec::new(), None);
    loop {
        let page = iam.list_users().set_marker(marker.take()).send().await.expect("a page");
        sizes.push(page.users.len());
        names.extend(page.users.into_iter().map(|user| user.user_name));
        marker = page.marker;
        assert_eq!(page.is_truncated, marker.is_some());
        if marker.is_none() {
            break;
        }
    }
    assert_eq!(sizes, [100, 100, 50]);
    names.dedup();
    assert_eq!(names.len(), 250);
}

#[tokio::test]
async fn group_members_come_a_hundred_to_a_page_and_a_missing_group_is_an_error() {
    let mut world = world();
    for number in 0..120 {
        let name = format!("user-{number:03}");
        world.add_user(MEMBER, &name);
        world.add_group_member(MEMBER, "exempt", &name);
    }
    let sandbox = serve(world).await;
    let iam = client(&sandbox).await;
    let first = iam.get_group().group_name("exempt").send().await.expect("a page");
    assert!(first.is_truncated && first.users.len() == 100);
    let second = iam.get_group().group_name("exempt").set_marker(first.marker).send().await.expect("a page");
    assert!(!second.is_truncated && second.users.len() == 20);
    let error = iam.get_group().group_name("none").send().await.expect_err("no such group").into_service_error();
    assert!(error.is_no_such_entity_exception(), "{error:?}");
}

#[tokio::test]
async fn membership_is_seen_from_the_user_and_from_the_group() {
    let mut world = world();
    world.add_user(MEMBER, "ada");
    let sandbox = serve(world).await;
    let iam = client(&sandbox).await;
    iam.create_group().group_name("exempt").send().await.expect("a group");
    iam.add_user_to_group().group_name("exempt").user_name("ada").send().await.expect("added");
    let groups = async || {
        let details = iam.get_account_authorization_details().filter(EntityType::User).send().await.expect("details");
        details.user_detail_list()[0].group_list().len()
    };
    let members = async || iam.get_group().group_name("exempt").send().await.expect("the group").users.len();
    assert_eq!((groups().await, members().await), (1, 1));
    iam.remove_user_from_group().group_name("exempt").user_name("ada").send().await.expect("removed");
    assert_eq!((groups().await, members().await), (0, 0));
}

#[tokio::test]
async fn tags_keep_to_iam_s_characters_lengths_and_number() {
    let mut world = world();
    world.add_user(MEMBER, "ada");
    let sandbox = serve(world).await;
    let iam = client(&sandbox).await;
    let put = |key: &str, value: &str| iam.tag_user().user_name("ada").tags(tag(key, value)).send();
    put("key-rotation:state:AKIA", "notified=2026-11-22T10:00:00Z").await.expect("allowed");
    put("Größe", "a b/c+d@e").await.expect("letters of any script are allowed");
    for (key, value) in [("a,b", "x"), ("a", "x;y"), ("a", "line\nbreak"), ("", "x")] {
        assert_eq!(code(put(key, value).await).as_deref(), Some("ValidationError"), "{key:?}={value:?}");
    }
    assert_eq!(code(put(&"k".repeat(129), "x").await).as_deref(), Some("ValidationError"));
    assert_eq!(code(put("k", &"v".repeat(257)).await).as_deref(), Some("ValidationError"));
    let reserved = put("aws:x", "x").await.expect_err("reserved").into_service_error();
    assert!(reserved.is_invalid_input_exception(), "{reserved:?}");

    for number in 0..48 {
        put(&format!("tag-{number}"), "x").await.expect("up to fifty");
    }
    let error = put("one-more", "x").await.expect_err("fifty-one").into_service_error();
    assert!(error.is_limit_exceeded_exception(), "{error:?}");
    put("tag-1", "changed").await.expect("one that is there can be changed");
    iam.untag_user().user_name("ada").tag_keys("tag-1").tag_keys("never-there").send().await.expect("untagged");
    let tags = iam.list_user_tags().user_name("ada").send().await.expect("tags").tags;
    assert_eq!(tags.len(), 49);
}

#[tokio::test]
async fn a_tag_whose_key_differs_in_case_alone_replaces_the_first() {
    let mut world = world();
    world.add_user(MEMBER, "ada");
    let sandbox = serve(world).await;
    let iam = client(&sandbox).await;
    let put = |key: &str, value: &str| iam.tag_user().user_name("ada").tags(tag(key, value)).send();
    put("Department", "foo").await.expect("tagged");
    put("department", "bar").await.expect("tagged again");
    let tags = iam.list_user_tags().user_name("ada").send().await.expect("tags").tags;
    assert_eq!(tags, [tag("department", "bar")]);
    let both = iam.tag_user().user_name("ada").tags(tag("A", "x")).tags(tag("a", "y")).send().await;
    assert!(both.expect_err("one key twice").into_service_error().is_invalid_input_exception());
    iam.untag_user().user_name("ada").tag_keys("DEPARTMENT").send().await.expect("untagged");
    assert!(iam.list_user_tags().user_name("ada").send().await.expect("tags").tags.is_empty());
}

#[tokio::test]
async fn names_are_not_distinguished_by_case_and_answers_spell_them_as_they_were_made() {
    let mut world = world();
    world.add_user(MEMBER, "Ada");
    world.add_group_member(MEMBER, "Exempt", "Ada");
    let sandbox = serve(world).await;
    let iam = client(&sandbox).await;
    let again = iam.create_user().user_name("ADA").send().await;
    assert!(again.expect_err("it is there").into_service_error().is_entity_already_exists_exception());
    let user = iam.get_user().user_name("ada").send().await.expect("the user").user.expect("the user");
    assert_eq!(user.user_name, "Ada");
    iam.tag_user().user_name("aDA").tags(tag("k", "v")).send().await.expect("tagged");
    assert_eq!(iam.list_user_tags().user_name("Ada").send().await.expect("tags").tags.len(), 1);
    let made = iam.create_access_key().user_name("ADA").send().await.expect("a key").access_key.expect("a key");
    assert_eq!(made.user_name, "Ada");
    let group = iam.get_group().group_name("exempt").send().await.expect("the group");
    assert_eq!((group.group.map(|group| group.group_name), group.users.len()), (Some("Exempt".to_owned()), 1));
}

#[tokio::test]
async fn a_user_is_made_once() {
    let sandbox = serve(world()).await;
    let iam = client(&sandbox).await;
    let create = || iam.create_user().user_name("ada").path("/people/").send();
    create().await.expect("made");
    assert!(create().await.expect_err("there").into_service_error().is_entity_already_exists_exception());
}

#[tokio::test]
async fn a_key_of_another_account_is_not_told_from_one_that_does_not_exist() {
    let sandbox = serve(world()).await;
    let iam = client(&sandbox).await;
    let unknown = iam.get_access_key_last_used().access_key_id("AKIAAAAAAAAAAAAAAAAA").send().await;
    assert_eq!(code(unknown).as_deref(), Some("AccessDenied"));
}

#[tokio::test]
async fn the_credential_report_is_generated_once_and_kept_for_four_hours() {
    let mut world = world();
    world.add_user(MEMBER, "ada");
    world.add_user(MEMBER, "b,ob");
    world.add_key(MEMBER, "ada", &KeySpec::aged(100).used_days_ago(2));
    world.add_key(MEMBER, "ada", &KeySpec::aged(50).inactive());
    let sandbox = serve(world).await;
    let iam = client(&sandbox).await;
    let generate = || async { iam.generate_credential_report().send().await.expect("an answer").state };
    let missing = iam.get_credential_report().send().await.expect_err("none yet").into_service_error();
    assert!(missing.is_credential_report_not_present_exception(), "{missing:?}");
    assert_eq!(generate().await, Some(ReportStateType::Started));
    assert_eq!(generate().await, Some(ReportStateType::Complete));

    let report = iam.get_credential_report().send().await.expect("a report");
    let csv = String::from_utf8(report.content.expect("content").into_inner()).expect("text");
    let lines: Vec<&str> = csv.lines().collect();
    assert!(lines[0].starts_with("user,arn,user_creation_time,password_enabled"));
    assert!(lines[1].starts_with("<root_account>,"));
    assert_eq!(lines[0].split(',').count(), lines[1].split(',').count());
    assert_eq!(lines[0].split(',').count(), lines[2].split(',').count());
    assert!(lines[2].starts_with("ada,"));
    assert!(
        lines[2].contains(",true,2026-08-14T12:00:00+00:00,2026-11-20T12:00:00+00:00,us-east-1,s3,false,2026-10-03T12:00:00+00:00,N/A,N/A,N/A,"),
        "{}",
        lines[2]
    );
    assert!(lines[3].starts_with("\"b,ob\","), "{}", lines[3]);

    sandbox.with(|world| world.clock.advance(SignedDuration::from_hours(4)));
    let iam = client(&sandbox).await;
    let expired = iam.get_credential_report().send().await.expect_err("too old").into_service_error();
    assert!(expired.is_credential_report_expired_exception(), "{expired:?}");
}

#[tokio::test]
async fn a_credential_report_takes_a_while_and_shows_what_was_when_it_was_begun() {
    let mut world = world();
    world.add_user(MEMBER, "ada");
    world.faults.report_generation = SignedDuration::from_secs(5);
    let sandbox = serve(world).await;
    let iam = client(&sandbox).await;
    let generate = || async { iam.generate_credential_report().send().await.expect("an answer").state };
    assert_eq!(generate().await, Some(ReportStateType::Started));
    assert_eq!(generate().await, Some(ReportStateType::Inprogress));
    let early = iam.get_credential_report().send().await.expect_err("not yet").into_service_error();
    assert!(early.is_credential_report_not_ready_exception(), "{early:?}");

    sandbox.with(|world| {
        world.add_user(MEMBER, "bob");
        world.clock.advance(SignedDuration::from_secs(5));
    });
    assert_eq!(generate().await, Some(ReportStateType::Complete));
    let report = iam.get_credential_report().send().await.expect("a report");
    let csv = String::from_utf8(report.content.expect("content").into_inner()).expect("text");
    assert!(csv.contains("\nada,") && !csv.contains("\nbob,"), "{csv}");
}

#[tokio::test]
async fn switching_a_key_resets_the_report_s_last_rotated_but_not_its_creation() {
    let mut world = world();
    world.add_user(MEMBER, "ada");
    let key = world.add_key(MEMBER, "ada", &KeySpec::aged(100));
    world.set_key_status(MEMBER, "ada", &key, KeyStatus::Inactive);
    let sandbox = serve(world).await;
    let iam = client(&sandbox).await;
    iam.generate_credential_report().send().await.expect("started");
    let report = iam.get_credential_report().send().await.expect("a report");
    let csv = String::from_utf8(report.content.expect("content").into_inner()).expect("text");
    assert!(csv.contains(",false,2026-11-22T12:00:00+00:00,N/A,N/A,N/A,"), "{csv}");
    let keys = iam.list_access_keys().user_name("ada").send().await.expect("keys").access_key_metadata;
    assert_eq!(keys[0].create_date, Some(DateTime::from_secs(noon().as_second() - 100 * 86_400)));
}

#[tokio::test]
async fn account_details_give_every_user_s_tags_and_groups_up_to_a_thousand_to_a_page() {
    let mut world = world();
    for number in 0..150 {
        let name = format!("user-{number:03}");
        world.add_user(MEMBER, &name);
        world.tag_user(MEMBER, &name, "Owner", "o@example.com");
    }
    world.add_group_member(MEMBER, "exempt", "user-007");
    let sandbox = serve(world).await;
    let iam = client(&sandbox).await;
    let details = || iam.get_account_authorization_details().filter(EntityType::User);
    let first = details().send().await.expect("a page");
    assert!(first.is_truncated && first.user_detail_list().len() == 100);
    let all = details().max_items(1000).send().await.expect("a page");
    assert!(!all.is_truncated && all.user_detail_list().len() == 150);
    let seventh = &all.user_detail_list()[7];
    assert_eq!(seventh.user_name.as_deref(), Some("user-007"));
    assert_eq!(seventh.group_list(), ["exempt"]);
    assert_eq!(seventh.tags()[0].key, "Owner");
    assert!(all.group_detail_list().is_empty());
    let refused = details().max_items(1001).send().await;
    assert_eq!(code(refused).as_deref(), Some("ValidationError"));
}

#[tokio::test]
async fn managed_policies_are_attached_if_they_are_there() {
    let mut world = world();
    world.add_user(MEMBER, "ada");
    let sandbox = serve(world).await;
    let iam = client(&sandbox).await;
    let arn = format!("arn:aws:iam::{MEMBER}:policy/{READ_POLICY}");
    for missing in [format!("arn:aws:iam::{MEMBER}:policy/none"), arn.replace(MEMBER, "999999999999")] {
        let refused = iam.attach_user_policy().user_name("ada").policy_arn(missing).send().await;
        assert!(refused.expect_err("not there").into_service_error().is_no_such_entity_exception());
    }
    iam.attach_user_policy().user_name("ada").policy_arn(&arn).send().await.expect("attached");
    let attached = iam.list_attached_user_policies().user_name("ada").send().await.expect("policies");
    assert_eq!(attached.attached_policies()[0].policy_name.as_deref(), Some(READ_POLICY));
}

#[tokio::test]
async fn an_operation_the_sandbox_does_not_know_is_named() {
    let sandbox = serve(world()).await;
    let error = client(&sandbox).await.list_roles().send().await.expect_err("unknown").into_service_error();
    assert!(error.to_string().contains("iam:ListRoles") || format!("{error:?}").contains("iam:ListRoles"), "{error:?}");
}
