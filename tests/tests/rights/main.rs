//! The rights in the templates are what the product needs: nothing is missing and nothing unused.
//!
//! What it needs is not written down by anybody: it is what the sandbox's journal shows of a run through every scenario, every
//! command and every kind of store. `calls.txt` is that list for readers.

mod calls;
mod policy;
mod stacks;
mod tasks;
mod what_each_may;

use std::collections::{BTreeMap, BTreeSet};

use end_to_end::template::{self, Statement, Template};
use serde_json::{Value, json};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    /// The workers' task role.
    Worker,
    /// The role workers assume in every account.
    WorkerInAccounts,
    /// The producer's task role.
    Producer,
    /// The role the producer assumes in every account.
    ProducerInAccounts,
    /// The role the producer assumes to list the organization.
    Lister,
}

impl Role {
    const ALL: [Role; 5] =
        [Role::Worker, Role::WorkerInAccounts, Role::Producer, Role::ProducerInAccounts, Role::Lister];

    /// The template it is in, and its logical id there.
    fn place(self) -> (&'static str, &'static str) {
        match self {
            Role::Worker => ("fleet.yaml", "WorkerRole"),
            Role::WorkerInAccounts => ("member-role.yaml", "WorkerRole"),
            Role::Producer => ("fleet.yaml", "ProducerRole"),
            Role::ProducerInAccounts => ("member-role.yaml", "ReadRole"),
            Role::Lister => ("org-list-role.yaml", "OrganizationListRole"),
        }
    }

    fn statements(self) -> Vec<Statement> {
        let (template, role) = self.place();
        Template::read(template).statements_of(role)
    }
}

type Rights = BTreeMap<Role, BTreeSet<String>>;

fn granted() -> Rights {
    let actions =
        |role: Role| role.statements().into_iter().filter(Statement::allows).flat_map(|it| it.actions()).collect();
    Role::ALL.into_iter().map(|role| (role, actions(role))).collect()
}

/// A sentence for each right that is missing or unused.
fn differences(needed: &Rights, granted: &Rights) -> Vec<String> {
    let none = BTreeSet::new();
    let mut told = Vec::new();
    for role in Role::ALL {
        let (needed, granted) = (needed.get(&role).unwrap_or(&none), granted.get(&role).unwrap_or(&none));
        told.extend(needed.difference(granted).map(|action| format!("{role:?} lacks {action}")));
        told.extend(granted.difference(needed).map(|action| format!("{role:?} may {action} and never does")));
    }
    told
}

#[tokio::test]
async fn every_right_that_is_needed_is_granted_and_none_besides() {
    let needed = calls::needed().await;
    let mut granted = granted();
    assert_eq!(differences(&needed, &granted), Vec::<String>::new());

    // And the comparison sees every single one: take any right away, or add any, and it says so.
    for role in Role::ALL {
        for action in needed[&role].clone() {
            granted.get_mut(&role).expect("every role has rights").remove(&action);
            assert_eq!(differences(&needed, &granted), [format!("{role:?} lacks {action}")]);
            granted.get_mut(&role).expect("every role has rights").insert(action);
        }
        granted.get_mut(&role).expect("every role has rights").insert("iam:PutUserPolicy".to_owned());
        assert_eq!(differences(&needed, &granted), [format!("{role:?} may iam:PutUserPolicy and never does")]);
        granted.get_mut(&role).expect("every role has rights").remove("iam:PutUserPolicy");
    }

    // The list for readers. To renew it: UPDATE_CALLS=1.
    let list: String =
        needed.iter().flat_map(|(role, actions)| actions.iter().map(move |a| format!("{role:?} {a}\n"))).collect();
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rights/calls.txt");
    if std::env::var_os("UPDATE_CALLS").is_some() {
        std::fs::write(file, &list).expect("the list can be written");
    }
    assert_eq!(std::fs::read_to_string(file).expect("the list is there"), list, "renew it with UPDATE_CALLS=1");
}

#[test]
fn the_permissions_page_names_every_call_that_is_made() {
    let page = include_str!("../../../docs/permissions.md");
    let sections: Vec<&str> = page.split("\n## ").collect();
    let of =
        |program: &str| sections.iter().filter(|section| section.starts_with(program)).copied().collect::<String>();
    let (worker, producer) = (of("Worker: "), of("Producer: "));
    let is_named = |section: &str, action: &str| {
        let operation = action.split_once(':').expect("service and operation").1;
        section.contains(action) || section.contains(&format!("`{operation}`"))
    };
    for line in include_str!("calls.txt").lines() {
        let (role, action) = line.split_once(' ').expect("a role and an action");
        let section = if role.starts_with("Worker") { &worker } else { &producer };
        assert!(is_named(section, action), "docs/permissions.md does not say that {role} calls {action}");
    }
    assert!(!is_named(&producer, "iam:CreateAccessKey") && !is_named(&worker, "sts:GetAccessKeyInfo"));
}

#[test]
fn a_right_removed_from_or_added_to_a_template_is_seen() {
    let (file, role) = Role::WorkerInAccounts.place();
    let text = Template::text(file);
    let actions = |text: &str| -> BTreeSet<String> {
        let statements = Template::parse(text).statements_of(role);
        statements.iter().filter(|it| it.allows()).flat_map(Statement::actions).collect()
    };
    let before = actions(&text);
    let less = actions(&text.replacen("                  - iam:CreateAccessKey\n", "", 1));
    assert_eq!(before.difference(&less).collect::<Vec<_>>(), ["iam:CreateAccessKey"]);
    let more = actions(&text.replacen("- iam:GetUser\n", "- iam:GetUser\n                  - iam:DeleteUser\n", 1));
    assert_eq!(more.difference(&before).collect::<Vec<_>>(), ["iam:DeleteUser"]);
}

#[test]
fn nobody_may_write_inline_policies_read_a_secret_or_do_everything_of_a_service() {
    for role in Role::ALL {
        for statement in role.statements().iter().filter(|it| it.allows()) {
            assert!(statement.resources().count() > 0, "{statement:?}");
            for action in statement.actions() {
                assert!(!action.contains('*'), "{role:?} {action}");
                let forbidden =
                    ["iam:PutUserPolicy", "secretsmanager:GetSecretValue", "secretsmanager:BatchGetSecretValue"];
                assert!(!forbidden.contains(&action.as_str()), "{role:?} {action}");
            }
        }
    }
}

#[test]
fn secrets_are_touched_by_the_name_pattern_only() {
    let mut seen = 0;
    for role in Role::ALL {
        for statement in role.statements().into_iter().filter(Statement::allows) {
            // Listing knows no resources, and shows names and tags alone.
            let is_touch =
                |action: &String| action.starts_with("secretsmanager:") && action != "secretsmanager:ListSecrets";
            if statement.actions().iter().any(is_touch) {
                for resource in statement.resources() {
                    assert!(
                        resource.contains(":secret:Account_") && resource.ends_with("_User_*_AccessKey*"),
                        "{resource}"
                    );
                    seen += 1;
                }
            }
        }
    }
    assert!(seen >= 4, "{seen}");
}

#[test]
fn users_are_tagged_with_the_products_own_tags_only() {
    let statements = Role::WorkerInAccounts.statements();
    let tagging: Vec<_> = statements
        .iter()
        .filter(|it| it.allows() && it.actions().iter().any(|a| a.ends_with("tagUser") || a.ends_with("TagUser")))
        .collect();
    let [statement] = tagging.as_slice() else { panic!("{tagging:?}") };
    assert_eq!(
        *statement.condition(),
        json!({
            "ForAllValues:StringLike": {"aws:TagKeys": [
                rotation::names::REMINDED_TAG,
                format!("{}*", rotation::names::STATE_TAG_PREFIX),
                format!("{}*", rotation::names::DELETE_TAG_PREFIX),
                format!("{}*", rotation::names::INTENT_TAG_PREFIX),
            ]},
            "Null": {"aws:TagKeys": "false"},
        })
    );
}

#[test]
fn a_protected_user_is_denied_every_change_however_the_worker_errs() {
    let statements = Role::WorkerInAccounts.statements();
    // In AWS's own table of actions, generating a credential report is one that reads.
    let reads = ["Get", "List", "GenerateCredentialReport"];
    let is_change =
        |action: &String| action.starts_with("iam:") && !reads.iter().any(|read| action[4..].starts_with(read));
    let changes: BTreeSet<String> =
        statements.iter().filter(|it| it.allows()).flat_map(Statement::actions).filter(is_change).collect();
    let denied: Vec<_> = statements.iter().filter(|it| !it.allows() && !it.condition().is_null()).collect();
    let [deny] = denied.as_slice() else { panic!("{denied:?}") };
    assert_eq!(deny.actions(), changes);
    assert_eq!(deny.resources().collect::<Vec<_>>(), ["*"]);
    let tag = format!("aws:ResourceTag/{}", rotation::names::PROTECTED_TAG);
    assert_eq!(*deny.condition(), json!({"Null": {tag: "false"}}));
}

#[test]
fn only_the_policy_for_reading_ones_own_secret_can_be_attached() {
    let statements = Role::WorkerInAccounts.statements();
    let attaching: Vec<_> =
        statements.iter().filter(|it| it.allows() && it.actions().contains("iam:AttachUserPolicy")).collect();
    let [statement] = attaching.as_slice() else { panic!("{attaching:?}") };
    assert_eq!(*statement.condition(), json!({"ArnEquals": {"iam:PolicyARN": {"Ref": "CentralSecretReadPolicy"}}}));
    let policy = Template::read("member-role.yaml");
    let read = &policy.resource("CentralSecretReadPolicy")["Properties"]["PolicyDocument"]["Statement"][0];
    let resource = read["Resource"]["Fn::Sub"].as_str().expect("a pattern");
    assert!(
        resource.ends_with(":secret:Account_${AWS::AccountId}_User_${!aws:username}_AccessKey-??????"),
        "{resource}"
    );
}

#[test]
fn the_producers_own_role_cannot_touch_iam() {
    let statements = Role::Producer.statements();
    assert!(statements.iter().flat_map(Statement::actions).all(|action| !action.starts_with("iam:")));
    for statement in Role::ProducerInAccounts.statements().into_iter().filter(Statement::allows) {
        for action in statement.actions() {
            let (_, operation) = action.split_once(':').expect("service and operation");
            // A credential report is made to be read, and nothing else is changed by it.
            let reads = ["Get", "List", "Describe", "GenerateCredentialReport"];
            assert!(reads.iter().any(|read| operation.starts_with(read)), "{action} is no reading");
        }
    }
}

#[test]
fn the_workers_role_in_accounts_lets_in_one_role_of_the_fleet_and_those_that_read_the_producers_and_its_operators() {
    let arn =
        |role: &str| json!({"Fn::Sub": format!("arn:${{AWS::Partition}}:iam::${{FleetAccount}}:role/${{{role}}}")});
    let producer_or_operators = json!({"Fn::If": [
        "HasOperators",
        {"Fn::Split": [",", {"Fn::Sub": "arn:${AWS::Partition}:iam::${FleetAccount}:role/${ProducerRoleName},${OperatorRoleArns}"}]},
        arn("ProducerRoleName"),
    ]});
    for (file, role, principal) in [
        ("member-role.yaml", "WorkerRole", json!({"ArnEquals": {"aws:PrincipalArn": arn("WorkerRoleName")}})),
        ("member-role.yaml", "ReadRole", json!({"ArnLike": {"aws:PrincipalArn": producer_or_operators}})),
        ("org-list-role.yaml", "OrganizationListRole", json!({"ArnLike": {"aws:PrincipalArn": producer_or_operators}})),
    ] {
        let template = Template::read(file);
        let trust = &template.resource(role)["Properties"]["AssumeRolePolicyDocument"]["Statement"];
        assert_eq!(trust.as_array().map(Vec::len), Some(1));
        assert_eq!(
            trust[0]["Principal"],
            json!({"AWS": {"Fn::Sub": "arn:${AWS::Partition}:iam::${FleetAccount}:root"}})
        );
        let mut expected = principal;
        expected["StringEquals"] = json!({
            "aws:PrincipalOrgID": {"Ref": "AWSOrgID"},
            "sts:ExternalId": {"Fn::If": ["HasExternalId", {"Ref": "ExternalId"}, {"Ref": "AWS::NoValue"}]},
        });
        assert_eq!(trust[0]["Condition"], expected, "{file} {role}");
    }
}

#[test]
fn no_template_names_a_partition() {
    for file in template::ALL {
        let template = Template::read(file);
        let mut found = Vec::new();
        template.each_text(|text| {
            let any = ["arn:${AWS::Partition}:", "arn:*:"];
            if text.starts_with("arn:") && !any.iter().any(|start| text.starts_with(start)) {
                found.push(text.to_owned());
            }
        });
        assert_eq!(found, Vec::<String>::new(), "{file}");
    }
}

#[test]
fn enforcement_is_off_unless_it_is_asked_for() {
    let fleet = Template::read("fleet.yaml");
    assert_eq!(fleet.whole()["Parameters"]["DryRunFlag"]["Default"], Value::from("True"));
}
