//! Queues themselves: made, found, listed, read and changed.

use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::ProvideErrorMetadata;
use aws_sdk_sqs::types::QueueAttributeName;
use sandbox::world::MANAGEMENT_ACCOUNT;

use crate::common::{REGION, code, operator, serve, world};
use crate::sqs::{advance, bodies, queue, receive, send};

#[tokio::test]
async fn queues_are_made_found_and_listed() {
    let sandbox = serve(world()).await;
    let client = Client::new(&operator(&sandbox).await);
    let create = |name: &str, timeout: &str| {
        client.create_queue().queue_name(name).attributes(QueueAttributeName::VisibilityTimeout, timeout).send()
    };
    let url = create("work-1", "60").await.expect("made").queue_url.expect("a URL");
    assert_eq!(url, format!("{}/{MANAGEMENT_ACCOUNT}/work-1", sandbox.endpoint()));
    assert_eq!(create("work-1", "60").await.expect("the same").queue_url.as_ref(), Some(&url));
    let refused = create("work-1", "61").await.expect_err("another").into_service_error();
    assert!(refused.is_queue_name_exists(), "{refused:?}");
    assert_eq!(code(create("no dots.", "60").await).as_deref(), Some("InvalidParameterValue"));

    create("work-2", "60").await.expect("made");
    let found = client.get_queue_url().queue_name("work-1").send().await.expect("found");
    assert_eq!(found.queue_url.as_ref(), Some(&url));
    let list = client.list_queues().queue_name_prefix("work").max_results(1).send().await.expect("a page");
    assert_eq!(list.queue_urls(), std::slice::from_ref(&url));
    let rest = client.list_queues().queue_name_prefix("work").max_results(1).set_next_token(list.next_token);
    let rest = rest.send().await.expect("the next page");
    assert_eq!((rest.queue_urls().len(), rest.next_token()), (1, None));
}

#[tokio::test]
async fn attributes_that_are_set_are_in_force_and_shown() {
    let (sandbox, client, url) = queue("work", &[]).await;
    client
        .set_queue_attributes()
        .queue_url(&url)
        .attributes(QueueAttributeName::VisibilityTimeout, "5")
        .send()
        .await
        .expect("set");
    let all = client.get_queue_attributes().queue_url(&url).attribute_names(QueueAttributeName::All);
    let all = all.send().await.expect("attributes").attributes.expect("attributes");
    assert_eq!(all[&QueueAttributeName::VisibilityTimeout], "5");
    assert_eq!(all[&QueueAttributeName::QueueArn], format!("arn:aws:sqs:{REGION}:{MANAGEMENT_ACCOUNT}:work"));
    send(&client, &url, "one").await;
    receive(&client, &url).await;
    advance(&sandbox, 5);
    assert_eq!(bodies(&receive(&client, &url).await), ["one"]);
}

#[tokio::test]
async fn a_queue_s_tags_are_put_and_listed() {
    let (_sandbox, client, url) = queue("work", &[]).await;
    client.tag_queue().queue_url(&url).tags("team", "security").send().await.expect("tagged");
    client.tag_queue().queue_url(&url).tags("team", "platform").send().await.expect("one that is there is changed");
    let listed = client.list_queue_tags().queue_url(&url).send().await.expect("a list").tags.expect("tags");
    assert_eq!(listed, [("team".to_owned(), "platform".to_owned())].into());
    for (key, value) in [("aws:x", "reserved".to_owned()), ("long", "v".repeat(257))] {
        let refused = client.tag_queue().queue_url(&url).tags(key, value).send().await;
        assert_eq!(code(refused).as_deref(), Some("InvalidParameterValue"), "{key}");
    }
}

#[tokio::test]
async fn an_operation_that_is_not_there_is_named() {
    let (_sandbox, client, url) = queue("work", &[]).await;
    let refused = client.delete_queue().queue_url(url).send().await.expect_err("not supported");
    let message = refused.into_service_error().message().map(str::to_owned).expect("a message");
    assert!(message.contains("sqs:DeleteQueue is not supported"), "{message}");
}
