//! Mail: who may send, to whom, how much, what is refused, and what lies in the outbox.

use aws_sdk_sesv2::Client;
use aws_sdk_sesv2::operation::send_email::builders::SendEmailFluentBuilder;
use aws_sdk_sesv2::primitives::Blob;
use aws_sdk_sesv2::types::{
    Body, Content, Destination, EmailContent, Message, MessageHeader, MessageTag, RawMessage, SuppressionListReason,
};
use jiff::SignedDuration;
use sandbox::Sandbox;
use sandbox::services::ses::{Knobs, Mail, RefuseAs, Suppressed};
use sandbox::world::MANAGEMENT_ACCOUNT;

use crate::common::{REGION, code, noon, operator, serve, world};

const SENDER: &str = "Key Rotation <rotation@example.com>";

/// A sandbox where `example.com` is verified, and a client.
async fn post() -> (Sandbox, Client) {
    let sandbox = serve(world()).await;
    sandbox.with(|world| world.mail.verify(MANAGEMENT_ACCOUNT, REGION, "example.com"));
    let client = Client::new(&operator(&sandbox).await);
    (sandbox, client)
}

fn content(text: &str) -> Content {
    Content::builder().data(text).charset("UTF-8").build().expect("complete")
}

fn message(subject: &str) -> Message {
    let body = Body::builder().text(content("plain")).html(content("<p>html</p>")).build();
    let header = MessageHeader::builder().name("X-Run").value("run-1").build().expect("complete");
    Message::builder().subject(content(subject)).body(body).headers(header).build()
}

fn mail(client: &Client, to: &str, subject: &str) -> SendEmailFluentBuilder {
    client
        .send_email()
        .from_email_address(SENDER)
        .destination(Destination::builder().to_addresses(to).build())
        .content(EmailContent::builder().simple(message(subject)).build())
}

fn outbox(sandbox: &Sandbox) -> Vec<Mail> {
    sandbox.with(|world| world.mail.outbox().to_vec())
}

#[tokio::test]
async fn a_mail_lies_in_the_outbox_as_it_was_sent() {
    let (sandbox, client) = post().await;
    let tag = MessageTag::builder().name("account").value("200000000001").build().expect("complete");
    let sent = mail(&client, "Ada <ada@example.org>", "Your key is 90 days old")
        .reply_to_addresses("help@example.com")
        .email_tags(tag)
        .send()
        .await
        .expect("sent");
    let outbox = outbox(&sandbox);
    let [mail] = outbox.as_slice() else { panic!("{outbox:?}") };
    assert_eq!(sent.message_id(), Some(mail.message_id.as_str()));
    assert_eq!((mail.from.as_str(), mail.to.as_slice()), (SENDER, ["Ada <ada@example.org>".to_owned()].as_slice()));
    assert_eq!((mail.subject.as_str(), mail.at), ("Your key is 90 days old", noon()));
    assert_eq!((mail.text.as_deref(), mail.html.as_deref()), (Some("plain"), Some("<p>html</p>")));
    assert_eq!(mail.headers, [("X-Run".to_owned(), "run-1".to_owned())]);
    assert_eq!(mail.reply_to, ["help@example.com"]);
    assert_eq!(mail.tags["account"], "200000000001");
}

#[tokio::test]
async fn a_sender_that_is_not_verified_is_refused_and_named() {
    let (sandbox, client) = post().await;
    let refused = mail(&client, "ada@example.org", "s").from_email_address("x@elsewhere.org").send().await;
    let refused = refused.expect_err("not verified").into_service_error();
    assert!(refused.is_message_rejected(), "{refused:?}");
    let text = refused.to_string() + &format!("{refused:?}");
    assert!(text.contains("EU-WEST-1: x@elsewhere.org"), "{text}");
    assert!(outbox(&sandbox).is_empty());
}

#[tokio::test]
async fn a_verified_address_sends_for_itself_alone() {
    let (_sandbox, client) = post().await;
    client.create_email_identity().email_identity("me@elsewhere.org").send().await.expect("verified at once");
    let from = |address: &str| mail(&client, "ada@example.org", "s").from_email_address(address).send();
    from("Me@Elsewhere.org").await.expect("sent");
    assert_eq!(code(from("you@elsewhere.org").await).as_deref(), Some("MessageRejected"));
    from("any@mail.example.com").await.expect("below a verified domain");
}

#[tokio::test]
async fn an_identity_waits_for_its_owner_where_the_knob_says_so() {
    let (sandbox, client) = post().await;
    sandbox.with(|world| world.mail.knobs.verify_at_once = false);
    let made = client.create_email_identity().email_identity("me@elsewhere.org").send().await.expect("made");
    assert!(!made.verified_for_sending_status());
    let again = client.create_email_identity().email_identity("me@elsewhere.org").send().await;
    assert!(again.expect_err("there already").into_service_error().is_already_exists_exception());
    let from = || mail(&client, "ada@example.org", "s").from_email_address("me@elsewhere.org").send();
    assert_eq!(code(from().await).as_deref(), Some("MessageRejected"));
    sandbox.with(|world| world.mail.verify(MANAGEMENT_ACCOUNT, REGION, "me@elsewhere.org"));
    from().await.expect("sent");
    let identity = client.get_email_identity().email_identity("me@elsewhere.org").send().await.expect("there");
    assert!(identity.verified_for_sending_status());
    let nobody = client.get_email_identity().email_identity("nobody@elsewhere.org").send().await;
    assert!(nobody.expect_err("never asked for").into_service_error().is_not_found_exception());
}

#[tokio::test]
async fn a_malformed_recipient_is_a_bad_request() {
    let (_sandbox, client) = post().await;
    for to in ["nobody", "two@", "a b@example.org", "x@y.org\r\nBcc: z@y.org"] {
        let refused = mail(&client, to, "s").send().await.expect_err(to).into_service_error();
        assert!(refused.is_bad_request_exception(), "{to}: {refused:?}");
    }
}

#[tokio::test]
async fn a_line_break_in_the_subject_is_refused() {
    let (sandbox, client) = post().await;
    let refused = mail(&client, "ada@example.org", "hello\r\nBcc: all@example.org").send().await;
    assert!(refused.expect_err("two lines").into_service_error().is_bad_request_exception());
    assert!(outbox(&sandbox).is_empty());
}

#[tokio::test]
async fn more_than_the_sending_rate_is_throttled_until_the_second_is_over() {
    let (sandbox, client) = post().await;
    sandbox.with(|world| world.mail.knobs.max_send_rate = Some(2));
    let send = || mail(&client, "ada@example.org", "s").send();
    send().await.expect("first");
    send().await.expect("second");
    let refused = send().await.expect_err("third").into_service_error();
    assert!(refused.is_too_many_requests_exception(), "{refused:?}");
    sandbox.with(|world| world.clock.advance(SignedDuration::from_secs(1)));
    send().await.expect("a second later");
}

#[tokio::test]
async fn the_daily_quota_holds_for_a_day() {
    let (sandbox, client) = post().await;
    sandbox.with(|world| world.mail.knobs.max_24_hour_send = Some(1));
    let send = || mail(&client, "ada@example.org", "s").send();
    send().await.expect("first");
    assert_eq!(code(send().await).as_deref(), Some("TooManyRequestsException"));
    sandbox.with(|world| world.clock.advance(SignedDuration::from_hours(24)));
    send().await.expect("a day later");
}

#[tokio::test]
async fn everything_is_refused_in_the_way_the_knob_says() {
    let (sandbox, client) = post().await;
    for (way, expected) in [
        (RefuseAs::MessageRejected, "MessageRejected"),
        (RefuseAs::SendingPaused, "SendingPausedException"),
        (RefuseAs::AccountSuspended, "AccountSuspendedException"),
        (RefuseAs::TooManyRequests, "TooManyRequestsException"),
        (RefuseAs::ServerError, "InternalServiceErrorException"),
    ] {
        sandbox.with(|world| world.mail.knobs.refuse_all = Some(way));
        assert_eq!(code(mail(&client, "ada@example.org", "s").send().await).as_deref(), Some(expected));
    }
    sandbox.with(|world| world.mail.knobs = Knobs::default());
    mail(&client, "ada@example.org", "s").send().await.expect("sent");
}

#[tokio::test]
async fn mail_to_a_suppressed_address_is_accepted_and_bounces_or_is_refused() {
    let (sandbox, client) = post().await;
    let put =
        client.put_suppressed_destination().email_address("Ada@example.org").reason(SuppressionListReason::Bounce);
    put.send().await.expect("suppressed");
    let listed = client.get_suppressed_destination().email_address("ada@example.org").send().await.expect("listed");
    let listed = listed.suppressed_destination().expect("a destination");
    assert_eq!(listed.last_update_time().secs(), noon().as_second());
    mail(&client, "ada@example.org", "s").send().await.expect("accepted");
    assert_eq!(outbox(&sandbox)[0].bounced, ["ada@example.org"]);
    sandbox.with(|world| world.mail.knobs.suppressed = Suppressed::Refuse);
    assert_eq!(code(mail(&client, "ada@example.org", "s").send().await).as_deref(), Some("MessageRejected"));
    mail(&client, "bob@example.org", "s").send().await.expect("sent");
    let not_listed = client.get_suppressed_destination().email_address("bob@example.org").send().await;
    assert!(not_listed.expect_err("not listed").into_service_error().is_not_found_exception());
}

#[tokio::test]
async fn without_production_access_recipients_are_checked_too() {
    let (sandbox, client) = post().await;
    sandbox.with(|world| world.mail.knobs.production_access = false);
    assert_eq!(code(mail(&client, "ada@example.org", "s").send().await).as_deref(), Some("MessageRejected"));
    mail(&client, "ada@example.com", "s").send().await.expect("a verified domain");
}

#[tokio::test]
async fn a_configuration_set_must_be_there() {
    let (sandbox, client) = post().await;
    let send = || mail(&client, "ada@example.org", "s").configuration_set_name("notices").send();
    assert!(send().await.expect_err("no such set").into_service_error().is_not_found_exception());
    sandbox.with(|world| world.mail.knobs.configuration_sets.push("notices".into()));
    send().await.expect("sent");
    assert_eq!(outbox(&sandbox)[0].configuration_set.as_deref(), Some("notices"));
}

#[tokio::test]
async fn a_raw_mail_brings_its_own_headers() {
    let (sandbox, client) = post().await;
    let raw = "From: rotation@example.com\r\nTo: ada@example.org\r\nSubject: Raw\r\n\r\nbody\r\n";
    let raw = RawMessage::builder().data(Blob::new(raw)).build().expect("complete");
    client.send_email().content(EmailContent::builder().raw(raw).build()).send().await.expect("sent");
    let outbox = outbox(&sandbox);
    assert_eq!(
        (outbox[0].subject.as_str(), outbox[0].to.as_slice()),
        ("Raw", ["ada@example.org".to_owned()].as_slice())
    );
    assert!(outbox[0].raw.as_deref().is_some_and(|raw| raw.ends_with("body\r\n")));
}
