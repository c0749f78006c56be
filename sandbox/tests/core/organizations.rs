//! Organizations: the tree, pages of twenty, states, and who may ask.

use aws_sdk_organizations::Client;
use aws_sdk_organizations::types::{AccountState as SdkState, AccountStatus};
use sandbox::generate::{self, Shape};
use sandbox::world::{AccountState, MANAGEMENT_ACCOUNT};

use crate::common::{MEMBER, code, member, operator, serve, world};

#[tokio::test]
async fn accounts_come_twenty_to_a_page() {
    let mut world = world();
    generate::organization(&mut world, Shape { accounts: 43, users_per_account: 0 });
    let sandbox = serve(world).await;
    let organizations = Client::new(&operator(&sandbox).await);
    let (mut sizes, mut ids, mut token) = (Vec::new(), Vec::new(), None);
    loop {
        let page = organizations.list_accounts().set_next_token(token).send().await.expect("a page");
        sizes.push(page.accounts().len());
        ids.extend(page.accounts().iter().filter_map(|account| account.id.clone()));
        token = page.next_token;
        if token.is_none() {
            break;
        }
    }
    assert_eq!(sizes, [20, 20, 5]);
    ids.dedup();
    assert_eq!(ids.len(), 45);
}

#[tokio::test]
async fn the_tree_can_be_walked_from_the_root_to_every_account() {
    let mut world = world();
    generate::organization(&mut world, Shape { accounts: 60, users_per_account: 0 });
    let all = world.accounts.len();
    let sandbox = serve(world).await;
    let organizations = Client::new(&operator(&sandbox).await);
    let roots = organizations.list_roots().send().await.expect("roots");
    let mut open = vec![roots.roots()[0].id.clone().expect("an id")];
    let mut found = Vec::new();
    while let Some(parent) = open.pop() {
        let mut accounts = organizations.list_accounts_for_parent().parent_id(&parent).into_paginator().send();
        while let Some(page) = accounts.next().await {
            found.extend(page.expect("a page").accounts.unwrap_or_default().into_iter().filter_map(|found| found.id));
        }
        let mut units = organizations.list_organizational_units_for_parent().parent_id(&parent).into_paginator().send();
        while let Some(page) = units.next().await {
            let units = page.expect("a page").organizational_units.unwrap_or_default();
            open.extend(units.into_iter().filter_map(|unit| unit.id));
        }
    }
    found.sort();
    found.dedup();
    assert_eq!(found.len(), all);
}

#[tokio::test]
async fn accounts_have_a_state_and_on_an_older_endpoint_a_status_alone() {
    let mut world = world();
    world.set_account_state(MEMBER, AccountState::Suspended);
    let sandbox = serve(world).await;
    let organizations = Client::new(&operator(&sandbox).await);
    let describe = || async {
        let described = organizations.describe_account().account_id(MEMBER).send().await.expect("an answer");
        described.account.expect("an account")
    };
    let account = describe().await;
    #[allow(deprecated, reason = "the retired field is what is looked at")]
    let status = account.status.clone();
    assert_eq!((account.state, status), (Some(SdkState::Suspended), None));
    sandbox.with(|world| {
        world.organization.account_state = false;
        world.organization.account_status = true;
    });
    let account = describe().await;
    #[allow(deprecated, reason = "the retired field is what is looked at")]
    let status = account.status.clone();
    assert_eq!((account.state, status), (None, Some(AccountStatus::Suspended)));
}

#[tokio::test]
async fn only_the_management_account_and_those_it_trusts_may_ask() {
    let sandbox = serve(world()).await;
    let organizations = Client::new(&member(&sandbox).await);
    let refused = organizations.list_accounts().send().await.expect_err("a stranger").into_service_error();
    assert!(refused.is_access_denied_exception(), "{refused:?}");
    let described = organizations.describe_organization().send().await.expect("any member may ask this");
    let organization = described.organization.expect("an organization");
    assert_eq!(organization.master_account_id.as_deref(), Some(MANAGEMENT_ACCOUNT));
    sandbox.with(|world| world.organization.delegated.insert(MEMBER.to_owned()));
    organizations.list_accounts().send().await.expect("trusted now");
}

#[tokio::test]
async fn what_does_not_exist_is_refused_by_its_own_name() {
    let sandbox = serve(world()).await;
    let organizations = Client::new(&operator(&sandbox).await);
    let account = organizations.describe_account().account_id("999999999999").send().await;
    assert!(account.expect_err("none").into_service_error().is_account_not_found_exception());
    let parent = organizations.list_accounts_for_parent().parent_id("ou-none-00000000").send().await;
    assert!(parent.expect_err("none").into_service_error().is_parent_not_found_exception());
    let token = organizations.list_accounts().next_token("made-up").send().await;
    assert_eq!(code(token).as_deref(), Some("InvalidInputException"));
}
