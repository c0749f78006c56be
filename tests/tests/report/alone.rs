//! One account with ordinary credentials: nothing deployed, no queue, no role, no AWS Organizations.

use producer::organization::Scope;
use producer::report::ReportOptions;
use sandbox::KeySpec;
use sandbox::call::Service;
use sandbox::world::{MANAGEMENT_ACCOUNT, MEMBER_ROLE};

use crate::stage::{organization, report};

#[tokio::test]
async fn ones_own_account_is_reported_on_without_a_role_and_without_the_organization() {
    let (stage, accounts) = organization(2, 5).await;
    stage.world(|world| {
        world.add_user(MANAGEMENT_ACCOUNT, "ada");
        world.add_key(MANAGEMENT_ACCOUNT, "ada", &KeySpec::aged(120).used_days_ago(1));
        world.faults.deny(MANAGEMENT_ACCOUNT, "organizations:*", None);
        world.faults.deny(MANAGEMENT_ACCOUNT, "sts:AssumeRole", None);
        world.faults.deny(MANAGEMENT_ACCOUNT, "sqs:*", None);
    });
    let reported = report(&stage, ReportOptions { this_account: true, ..ReportOptions::default() }).await;
    assert_eq!(reported.summary.coverage, "Complete: the account was read.");
    assert_eq!((reported.figure("accounts_read"), reported.figure("overdue")), (1, 1));
    assert_eq!(reported.rows("accounts")[0]["id"], MANAGEMENT_ACCOUNT);
    assert!(accounts.iter().all(|account| !reported.page.contains(account.as_str())));
    stage.world(|world| {
        for (service, operation) in [
            (Service::Sts, "AssumeRole"),
            (Service::Organizations, "ListAccounts"),
            (Service::Organizations, "DescribeAccount"),
            (Service::Sqs, "GetQueueAttributes"),
        ] {
            let calls = world.journal.calls().filter(|call| call.app == "producer");
            let made = calls.filter(|call| call.service == service.prefix() && call.operation == operation);
            assert_eq!(made.count(), 0, "{operation}");
        }
    });
}

/// How often the role of an account was assumed.
fn assumed_in(stage: &end_to_end::Stage, account: &str) -> usize {
    stage.world(|world| {
        let calls = world.journal.calls().filter(|call| call.app == "producer" && call.operation == "AssumeRole");
        calls.filter(|call| call.subject.contains(&format!(":{account}:role/"))).count()
    })
}

#[tokio::test]
async fn among_other_accounts_ones_own_is_read_without_a_role_which_it_need_not_have() {
    let (stage, accounts) = organization(2, 5).await;
    stage.world(|world| {
        world.remove_role(MANAGEMENT_ACCOUNT, MEMBER_ROLE);
        world.add_user(MANAGEMENT_ACCOUNT, "ada");
        world.add_key(MANAGEMENT_ACCOUNT, "ada", &KeySpec::aged(120).used_days_ago(1));
    });
    let whole = report(&stage, ReportOptions::default()).await;
    assert_eq!(whole.summary.coverage, "Complete: all 3 accounts were read.");
    let scope = Scope { accounts: vec![MANAGEMENT_ACCOUNT.parse().expect("an id")], ..Scope::default() };
    let named = report(&stage, ReportOptions { scope, ..ReportOptions::default() }).await;
    assert_eq!((named.figure("accounts_read"), named.figure("overdue")), (1, 1));
    assert_eq!((assumed_in(&stage, MANAGEMENT_ACCOUNT), assumed_in(&stage, &accounts[0])), (0, 1));
}

#[tokio::test]
async fn a_named_account_is_reported_on_where_the_organization_cannot_be_read_and_that_is_said() {
    let (stage, accounts) = organization(2, 5).await;
    stage.world(|world| world.faults.deny(MANAGEMENT_ACCOUNT, "organizations:*", None));
    let scope = Scope { accounts: vec![accounts[0].parse().expect("an id")], ..Scope::default() };
    let reported = report(&stage, ReportOptions { scope, ..ReportOptions::default() }).await;
    assert_eq!(reported.figure("accounts_read"), 1);
    let [remark] = reported.summary.remarks.as_slice() else { panic!("{:?}", reported.summary.remarks) };
    assert!(remark.contains("is taken as it was named"), "{remark}");
}
