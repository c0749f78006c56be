//! What each role can and cannot do, by trying: the templates' policies, deployed with both kinds of store, asked about requests.

mod readers;

use rotation::secret_policy::{SecretPolicy, writers};
use serde_json::{Value, json};

use crate::policy::{Answer, Request};
use crate::{Role, calls};
use end_to_end::deployment::{Deployment, FLEET, HERE, KEY, ORGANIZATION};

const CENTRAL: [(&str, &str); 2] = [("StoreSecretsInCentralAccount", "True"), ("SecretKmsKeyArn", KEY)];
/// The two ways to store secrets.
const STORES: [&[(&str, &str)]; 2] = [&[], &CENTRAL];

const USER: &str = "arn:aws:iam::222222222222:user/teams/ada";
const SECRET: &str =
    "arn:aws:secretsmanager:eu-west-1:222222222222:secret:Account_222222222222_User_ada_AccessKey-AbCdEf";
const CENTRAL_SECRET: &str =
    "arn:aws:secretsmanager:eu-west-1:111111111111:secret:Account_222222222222_User_ada_AccessKey-AbCdEf";
const SOMEBODY_ELSES_SECRET: &str = "arn:aws:secretsmanager:eu-west-1:222222222222:secret:database-AbCdEf";

impl Role {
    fn deployed(self, given: &[(&str, &str)]) -> (String, Vec<Value>) {
        let (file, role) = self.place();
        let account = match self {
            Role::Worker | Role::Producer => FLEET,
            Role::WorkerInAccounts | Role::ProducerInAccounts => HERE,
            Role::Lister => "333333333333",
        };
        let stack = Deployment::new(file, account, given);
        (stack.arn(role), stack.policies_of(role))
    }

    /// What becomes of a request of this role's, with these keys in its context.
    fn tries(self, given: &[(&str, &str)], action: &str, resource: &str, context: &[(&str, &[&str])]) -> Answer {
        let (arn, policies) = self.deployed(given);
        let request = Request::new(&arn, action, resource);
        context.iter().fold(request, |request, (key, values)| request.with(key, values)).by_identity(&policies)
    }
}

/// What an action is about, and what it comes with, where the product does it.
fn typical(role: Role, action: &str) -> (String, Vec<(&'static str, &'static [&'static str])>) {
    let queue = |name: &str| format!("arn:aws:sqs:eu-west-1:{FLEET}:iam-key-rotation{name}.fifo");
    let of_organization: (&str, &[&str]) = ("aws:ResourceOrgID", &[ORGANIZATION]);
    let own_tag: (&str, &[&str]) = ("aws:TagKeys", &["key-rotation:state:AKIAIOSFODNN7EXAMPLE"]);
    let (service, operation) = action.split_once(':').expect("service and operation");
    match (service, operation, role) {
        ("sqs", "SendMessage", Role::Worker) => (queue("-dead-letters"), vec![]),
        ("sqs", "ChangeMessageVisibility" | "DeleteMessage" | "ReceiveMessage", Role::Producer) => {
            (queue("-dead-letters"), vec![])
        }
        ("sqs", _, _) => (queue(""), vec![]),
        ("sts", "AssumeRole", Role::Worker) => (Role::WorkerInAccounts.deployed(&[]).0, vec![of_organization]),
        ("sts", "AssumeRole", _) => (Role::ProducerInAccounts.deployed(&[]).0, vec![of_organization]),
        ("ses", ..) => {
            let sender = format!("arn:aws:ses:eu-west-1:{FLEET}:identity/example.com");
            (sender, vec![("ses:FromAddress", &["admin@example.com"])])
        }
        ("events", ..) => (format!("arn:aws:events:eu-west-1:{FLEET}:event-bus/default"), vec![]),
        ("kms", ..) => (KEY.to_owned(), vec![("kms:ViaService", &["secretsmanager.eu-west-1.amazonaws.com"])]),
        ("secretsmanager", "ListSecrets", _) => ("*".to_owned(), vec![]),
        ("secretsmanager", "TagResource", Role::Worker) => (CENTRAL_SECRET.to_owned(), vec![own_tag]),
        ("secretsmanager", _, Role::Worker) => (CENTRAL_SECRET.to_owned(), vec![]),
        ("secretsmanager", "TagResource", _) => (SECRET.to_owned(), vec![own_tag]),
        ("secretsmanager", ..) => (SECRET.to_owned(), vec![]),
        ("iam", "TagUser" | "UntagUser", _) => (USER.to_owned(), vec![own_tag]),
        ("iam", "AttachUserPolicy", _) => {
            let policy: &[&str] = &["arn:aws:iam::222222222222:policy/IAMKeyRotationReadOwnSecret"];
            (USER.to_owned(), vec![("iam:PolicyARN", policy)])
        }
        ("iam", "GetGroup", _) => ("arn:aws:iam::222222222222:group/IAMKeyRotationExemptionGroup".to_owned(), vec![]),
        ("iam", ..) => (USER.to_owned(), vec![]),
        ("organizations", "DescribeAccount", _) => {
            (format!("arn:aws:organizations::333333333333:account/{ORGANIZATION}/{HERE}"), vec![])
        }
        ("organizations", "ListAccountsForParent" | "ListOrganizationalUnitsForParent", _) => {
            (format!("arn:aws:organizations::333333333333:ou/{ORGANIZATION}/ou-abcd-11111111"), vec![])
        }
        _ => ("*".to_owned(), vec![]),
    }
}

#[tokio::test]
async fn every_call_the_product_makes_is_allowed_in_one_of_the_stores() {
    for (role, actions) in calls::needed().await {
        for action in actions {
            let (resource, context) = typical(role, &action);
            let answers = STORES.map(|store| role.tries(store, &action, &resource, &context));
            assert!(answers.contains(&Answer::Allowed), "{role:?} {action} {resource}: {answers:?}");
        }
    }
}

/// What would make whoever has a role an administrator, or let it read what it stores.
const NEVER: [(&str, &str); 22] = [
    ("iam:PutUserPolicy", USER),
    ("iam:AttachUserPolicy", USER),
    ("iam:CreateUser", USER),
    ("iam:DeleteUser", USER),
    ("iam:UpdateUser", USER),
    ("iam:CreateLoginProfile", USER),
    ("iam:UpdateLoginProfile", USER),
    ("iam:DeactivateMFADevice", USER),
    ("iam:AddUserToGroup", "arn:aws:iam::222222222222:group/Administrators"),
    ("iam:RemoveUserFromGroup", "arn:aws:iam::222222222222:group/IAMKeyRotationExemptionGroup"),
    ("iam:CreatePolicyVersion", "arn:aws:iam::222222222222:policy/IAMKeyRotationReadOwnSecret"),
    ("iam:PutRolePolicy", "arn:aws:iam::222222222222:role/asa-iam-key-rotation-lambda-assumed-role"),
    ("iam:UpdateAssumeRolePolicy", "arn:aws:iam::222222222222:role/asa-iam-key-rotation-lambda-assumed-role"),
    ("iam:PassRole", "arn:aws:iam::222222222222:role/admin"),
    ("sts:AssumeRole", "arn:aws:iam::222222222222:role/OrganizationAccountAccessRole"),
    ("secretsmanager:DeleteSecret", SECRET),
    ("secretsmanager:DeleteResourcePolicy", SECRET),
    ("secretsmanager:PutSecretValue", SOMEBODY_ELSES_SECRET),
    ("secretsmanager:PutResourcePolicy", SOMEBODY_ELSES_SECRET),
    ("kms:CreateGrant", KEY),
    ("organizations:LeaveOrganization", "*"),
    ("sqs:PurgeQueue", "arn:aws:sqs:eu-west-1:111111111111:iam-key-rotation.fifo"),
];

#[test]
fn no_role_can_make_itself_an_administrator_or_take_what_is_not_its_own() {
    for role in Role::ALL {
        for store in STORES {
            for (action, resource) in NEVER {
                let context: &[(&str, &[&str])] = &[
                    ("aws:ResourceOrgID", &[ORGANIZATION]),
                    ("iam:PolicyARN", &["arn:aws:iam::aws:policy/AdministratorAccess"]),
                ];
                let answer = role.tries(store, action, resource, context);
                assert_ne!(answer, Answer::Allowed, "{role:?} {action} {resource}");
            }
        }
    }
}

/// The worker writes the secret's resource policy, and could let itself in by it; a deny of its own wins over that.
#[test]
fn no_role_that_touches_secrets_can_read_one_whatever_else_allows_it() {
    let everything = json!({"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]});
    for role in [Role::Worker, Role::WorkerInAccounts, Role::Producer, Role::ProducerInAccounts] {
        for store in STORES {
            let (arn, mut policies) = role.deployed(store);
            policies.push(everything.clone());
            for action in ["secretsmanager:GetSecretValue", "secretsmanager:BatchGetSecretValue"] {
                for resource in [SECRET, CENTRAL_SECRET, SOMEBODY_ELSES_SECRET] {
                    let answer = Request::new(&arn, action, resource).by_identity(&policies);
                    assert_eq!(answer, Answer::Denied, "{role:?} {action} {resource}");
                }
            }
        }
    }
}

/// The secret's own policy, beside an identity that may do everything.
#[test]
fn nobody_but_the_worker_changes_a_users_secret_neither_an_administrator_nor_the_accounts_root() {
    const CHANGES: [&str; 7] = [
        "DeleteResourcePolicy",
        "DeleteSecret",
        "PutResourcePolicy",
        "PutSecretValue",
        "RotateSecret",
        "UpdateSecret",
        "UpdateSecretVersionStage",
    ];
    let session = |arn: &str| arn.replace(":iam:", ":sts:").replace(":role/", ":assumed-role/") + "/task-1";
    let own = (Role::WorkerInAccounts, vec![Role::WorkerInAccounts.deployed(&[]).0], SECRET);
    let central = (Role::Worker, writers(&session(&Role::Worker.deployed(&[]).0)), CENTRAL_SECRET);
    for ((role, writers, secret), store) in [own, central].into_iter().zip(STORES) {
        let policy = SecretPolicy { owner: USER, readers: &[], writers: &writers, last_attempt: None }.document();
        let worker = role.deployed(store).0;
        for change in CHANGES {
            let action = format!("secretsmanager:{change}");
            for account in [HERE, FLEET] {
                for by in [
                    format!("arn:aws:iam::{account}:root"),
                    format!("arn:aws:iam::{account}:role/Administrator"),
                    format!("arn:aws:iam::{account}:user/{}", worker.rsplit('/').next().expect("a name")),
                    format!("{worker}-2"),
                    USER.to_owned(),
                    Role::ProducerInAccounts.deployed(store).0,
                ] {
                    let answer = Request::new(&by, &action, secret).by_resource(&policy);
                    assert_eq!(answer, Answer::Denied, "{change} by {by}");
                }
            }
            assert_eq!(Request::new(&worker, &action, secret).by_resource(&policy), Answer::NotAllowed, "{change}");
        }
        // What the worker does, its own policies allow it.
        for change in ["PutResourcePolicy", "PutSecretValue", "UpdateSecretVersionStage"] {
            let answer = role.tries(store, &format!("secretsmanager:{change}"), secret, &[]);
            assert_eq!(answer, Answer::Allowed, "{change}");
        }
    }
}

#[test]
fn a_protected_user_cannot_be_changed_in_any_way() {
    let everything = json!({"Statement": [{"Effect": "Allow", "Action": "iam:*", "Resource": "*"}]});
    let (arn, mut policies) = Role::WorkerInAccounts.deployed(&CENTRAL);
    policies.push(everything);
    let changes = ["AttachUserPolicy", "CreateAccessKey", "DeleteAccessKey", "TagUser", "UntagUser", "UpdateAccessKey"];
    for change in changes {
        for value in ["true", "false", ""] {
            let request = Request::new(&arn, &format!("iam:{change}"), USER);
            assert_eq!(request.by_identity(&policies), Answer::Allowed, "{change} of a user that is not protected");
            let request = request.with(&format!("aws:ResourceTag/{}", rotation::names::PROTECTED_TAG), &[value]);
            assert_eq!(request.by_identity(&policies), Answer::Denied, "{change}, protected = \"{value}\"");
        }
    }
}

#[test]
fn the_worker_can_write_its_own_tags_and_no_others() {
    let tries = |keys: &[&str]| Role::WorkerInAccounts.tries(&[], "iam:TagUser", USER, &[("aws:TagKeys", keys)]);
    assert_eq!(tries(&["key-rotation:state:AKIA", "key-rotation:intent:1"]), Answer::Allowed);
    for other in [rotation::names::PROTECTED_TAG, "key-rotation:exempt-until", "key-rotation:rotate-after-days", "team"]
    {
        assert_eq!(tries(&[other]), Answer::NotAllowed, "{other}");
        assert_eq!(tries(&["key-rotation:state:AKIA", other]), Answer::NotAllowed, "{other} beside its own");
    }
    // A request without keys is no way around.
    assert_eq!(Role::WorkerInAccounts.tries(&[], "iam:UntagUser", USER, &[]), Answer::NotAllowed);
}

#[test]
fn mail_is_sent_from_the_configured_sender_only() {
    // SES asks for the right on a configuration set as well, also on one that is merely the identity's default
    // (github.com/medplum/medplum/pull/10102).
    for of in ["identity/example.com", "configuration-set/the-identitys-default"] {
        let resource = format!("arn:aws:ses:eu-west-1:{FLEET}:{of}");
        let tries = |given: &[(&str, &str)], from: &str| {
            Role::Worker.tries(given, "ses:SendEmail", &resource, &[("ses:FromAddress", &[from])])
        };
        assert_eq!(tries(&[], "admin@example.com"), Answer::Allowed, "{of}");
        assert_eq!(tries(&[], "ceo@example.com"), Answer::NotAllowed, "{of}");
        let sender = [("SenderEmailAddress", "keys@example.com")];
        assert_eq!(tries(&sender, "keys@example.com"), Answer::Allowed, "{of}");
        assert_eq!(tries(&sender, "admin@example.com"), Answer::NotAllowed, "{of}");
    }
}

#[test]
fn roles_in_accounts_are_assumed_by_their_one_role_of_the_fleet_and_by_nobody_else() {
    let (worker, producer) = (Role::Worker.deployed(&[]).0, Role::Producer.deployed(&[]).0);
    for (role, by) in
        [(Role::WorkerInAccounts, &worker), (Role::ProducerInAccounts, &producer), (Role::Lister, &producer)]
    {
        let (file, name) = role.place();
        let stack = Deployment::new(file, HERE, &[]);
        let trust = stack.document(name, "AssumeRolePolicyDocument");
        // A role's trust policy has no resource: the role is what it is about.
        let trust = with_resource(trust);
        let tries = |by: &str, organization: &str, id: &str| {
            let request = Request::new(by, "sts:AssumeRole", "the role").with("aws:PrincipalOrgID", &[organization]);
            if id.is_empty() { request } else { request.with("sts:ExternalId", &[id]) }.by_resource(&trust)
        };
        assert_eq!(tries(by, ORGANIZATION, "key-rotation"), Answer::Allowed, "{role:?}");
        assert_eq!(tries(by, "o-somebodyelse", "key-rotation"), Answer::NotAllowed, "{role:?}");
        assert_eq!(tries(by, ORGANIZATION, "guessed"), Answer::NotAllowed, "{role:?}");
        assert_eq!(tries(by, ORGANIZATION, ""), Answer::NotAllowed, "{role:?}");
        for other in [
            &format!("arn:aws:iam::{FLEET}:user/admin"),
            &format!("arn:aws:iam::{FLEET}:role/iam-key-rotation-worker-2"),
            &format!("arn:aws:iam::{HERE}:role/iam-key-rotation-worker"),
            if by == &worker { &producer } else { &worker },
        ] {
            assert_eq!(tries(other, ORGANIZATION, "key-rotation"), Answer::NotAllowed, "{role:?} by {other}");
        }
    }
}

#[test]
fn an_operator_that_is_named_may_look_into_accounts_and_list_them_and_may_change_nothing() {
    let operators = "arn:aws:iam::111111111111:role/aws-reserved/sso.amazonaws.com/*/AWSReservedSSO_KeyOps_*";
    let operator = "arn:aws:iam::111111111111:role/aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_KeyOps_1a2b";
    let namesake = "arn:aws:iam::222222222222:role/aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_KeyOps_1a2b";
    let named: &[(&str, &str)] = &[("OperatorRoleArns", operators)];
    for (role, given, by, answer) in [
        (Role::ProducerInAccounts, named, operator, Answer::Allowed),
        (Role::Lister, named, operator, Answer::Allowed),
        (Role::ProducerInAccounts, named, &Role::Producer.deployed(&[]).0, Answer::Allowed),
        (Role::Lister, named, &Role::Producer.deployed(&[]).0, Answer::Allowed),
        (Role::WorkerInAccounts, named, operator, Answer::NotAllowed),
        (Role::ProducerInAccounts, named, namesake, Answer::NotAllowed),
        (Role::ProducerInAccounts, named, "arn:aws:iam::111111111111:role/Administrator", Answer::NotAllowed),
        (Role::ProducerInAccounts, &[], operator, Answer::NotAllowed),
        (Role::Lister, &[], operator, Answer::NotAllowed),
    ] {
        let (file, name) = role.place();
        let trust = with_resource(Deployment::new(file, HERE, given).document(name, "AssumeRolePolicyDocument"));
        let request = Request::new(by, "sts:AssumeRole", "the role").with("aws:PrincipalOrgID", &[ORGANIZATION]);
        assert_eq!(request.with("sts:ExternalId", &["key-rotation"]).by_resource(&trust), answer, "{role:?} by {by}");
    }
}

fn with_resource(mut document: Value) -> Value {
    for statement in document["Statement"].as_array_mut().expect("statements") {
        statement["Resource"] = json!("*");
    }
    document
}

#[test]
fn messages_are_put_on_the_queues_by_the_named_roles_only() {
    let operators = "arn:aws:iam::111111111111:role/aws-reserved/sso.amazonaws.com/*/AWSReservedSSO_KeyOps_*";
    let stack = |given: &[(&str, &str)]| Deployment::new("fleet.yaml", FLEET, given);
    let tries = |given: &[(&str, &str)], policy: &str, by: &str| {
        let queue = stack(given).arn(if policy.starts_with("Dead") { "DeadLetterQueue" } else { "WorkQueue" });
        Request::new(by, "sqs:SendMessage", &queue).by_resource(&stack(given).document(policy, "PolicyDocument"))
    };
    let (worker, producer) = (Role::Worker.deployed(&[]).0, Role::Producer.deployed(&[]).0);
    let admin = "arn:aws:iam::111111111111:role/Administrator";
    let operator = "arn:aws:iam::111111111111:role/aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_KeyOps_1a2b";
    let (work, dead) = ("RequestsComeFromTheProducer", "DeadLettersComeFromWorkers");
    // Not denied here, and allowed by the role's own policy.
    assert_eq!(tries(&[], work, &producer), Answer::NotAllowed);
    assert_eq!(tries(&[], dead, &worker), Answer::NotAllowed);
    // Denied, whatever the caller's own policies allow.
    for by in [admin, operator, &worker, "arn:aws:iam::111111111111:user/somebody"] {
        assert_eq!(tries(&[], work, by), Answer::Denied, "{by}");
    }
    for by in [admin, operator, &producer] {
        assert_eq!(tries(&[], dead, by), Answer::Denied, "{by}");
    }
    let named = [("OperatorRoleArns", operators)];
    assert_eq!(tries(&named, work, operator), Answer::NotAllowed);
    assert_eq!(tries(&named, work, &producer), Answer::NotAllowed);
    assert_eq!(tries(&named, work, admin), Answer::Denied);
    // With the rules of exposed keys workers move reports to other message groups of the urgent queue.
    let reports = [("ExposedKeys", "True"), ("OperatorRoleArns", operators)];
    for given in [&reports[..1], &reports] {
        for by in [&worker, &producer] {
            assert_eq!(tries(given, work, by), Answer::NotAllowed, "{by}");
        }
        assert_eq!(tries(given, work, admin), Answer::Denied);
    }
    assert_eq!(tries(&reports, work, operator), Answer::NotAllowed);
    let sends = |given: &[(&str, &str)], queue: &str| {
        Role::Worker.tries(given, "sqs:SendMessage", &stack(given).arn(queue), &[])
    };
    assert_eq!(sends(&reports, "UrgentQueue"), Answer::Allowed);
    assert_eq!(sends(&reports, "WorkQueue"), Answer::NotAllowed);
    // And nobody without TLS.
    let plain = Request::new(&producer, "sqs:SendMessage", &stack(&[]).arn("WorkQueue"));
    let plain = plain.with("aws:SecureTransport", &["false"]);
    assert_eq!(plain.by_resource(&stack(&[]).document(work, "PolicyDocument")), Answer::Denied);
}

#[test]
fn alarms_and_events_reach_the_topic_and_events_meet_no_condition() {
    let stack = Deployment::new("fleet.yaml", FLEET, &[]);
    let policy = stack.document("AlarmsPolicy", "PolicyDocument");
    let publish = |by: &str| Request::new(by, "sns:Publish", &stack.arn("Alarms"));
    assert_eq!(publish("events.amazonaws.com").by_resource(&policy), Answer::Allowed);
    let alarm = |account: &str| format!("arn:aws:cloudwatch:eu-west-1:{account}:alarm:iam-key-rotation-dead-letters");
    let of = |account: &str| publish("cloudwatch.amazonaws.com").with("aws:SourceArn", &[&alarm(account)]);
    assert_eq!(of(FLEET).by_resource(&policy), Answer::Allowed);
    assert_eq!(of("999999999999").by_resource(&policy), Answer::NotAllowed);
    assert_eq!(publish("arn:aws:iam::999999999999:user/somebody").by_resource(&policy), Answer::NotAllowed);
    let statements = policy["Statement"].as_array().expect("statements");
    let of_events = |it: &&Value| it["Principal"]["Service"] == "events.amazonaws.com" || it["Effect"] == "Deny";
    assert!(statements.iter().filter(of_events).all(|statement| statement["Condition"].is_null()), "{policy}");
}

#[test]
fn with_the_tag_guard_only_the_rotation_writes_what_it_remembers_and_only_stewards_steer_it() {
    let stewards = "arn:aws:iam::*:role/Security,arn:aws:iam::*:role/OrganizationAccountAccessRole";
    let guard = Deployment::new("tag-guard.yaml", "333333333333", &[("StewardRoleArns", stewards)]);
    let guard = [guard.document("TagGuard", "Content")];
    let tries = |by: &str, action: &str, keys: &[&str]| {
        Request::new(by, action, USER).with("aws:TagKeys", keys).by_identity(&guard)
    };
    let rotation = Role::WorkerInAccounts.deployed(&[]).0;
    let steward = "arn:aws:iam::222222222222:role/Security";
    let itself = "arn:aws:iam::222222222222:user/teams/ada";
    let namesake = "arn:aws:iam::222222222222:role/mine/asa-iam-key-rotation-lambda-assumed-role";
    let (state, intent) = ("key-rotation:state:AKIA", "key-rotation:intent:1");
    // A service control policy allows nothing by itself: what it does not deny is for others to allow.
    for action in ["iam:TagUser", "iam:UntagUser", "iam:CreateUser"] {
        for key in [state, intent, "KEY-Rotation:STATE:AKIA", "key-rotation:reminded"] {
            assert_eq!(tries(&rotation, action, &[key]), Answer::NotAllowed, "{action} {key}");
            for by in [itself, steward, namesake] {
                assert_eq!(tries(by, action, &[key]), Answer::Denied, "{action} {key} by {by}");
                assert_eq!(tries(by, action, &["team", key]), Answer::Denied, "{action} {key} by {by}");
            }
        }
        for key in steering_tags().iter().map(String::as_str).chain(["Key-Rotation:Exempt-Until"]) {
            assert_eq!(tries(steward, action, &[key]), Answer::NotAllowed, "{action} {key}");
            for by in [itself, &rotation, namesake] {
                assert_eq!(tries(by, action, &[key]), Answer::Denied, "{action} {key} by {by}");
            }
        }
        assert_eq!(tries(itself, action, &["team"]), Answer::NotAllowed);
    }
    assert_eq!(Request::new(itself, "iam:CreateUser", USER).by_identity(&guard), Answer::NotAllowed);
    // Nor is anybody exempted by a group but by a steward; other groups are nobody's concern.
    for action in ["iam:AddUserToGroup", "iam:RemoveUserFromGroup", "iam:UpdateGroup"] {
        for (group, others) in [
            ("IAMKeyRotationExemptionGroup", Answer::Denied),
            ("teams/IAMKeyRotationExemptionGroup", Answer::Denied),
            ("developers", Answer::NotAllowed),
        ] {
            let group = format!("arn:aws:iam::222222222222:group/{group}");
            let tries = |by: &str| Request::new(by, action, &group).by_identity(&guard);
            assert_eq!((tries(steward), tries(itself)), (Answer::NotAllowed, others), "{action} {group}");
        }
    }
    // Nor can the role be taken over; nor can one of those be made or taken over that may change it.
    let administrator = "arn:aws:iam::222222222222:role/Administrator";
    let stack_sets = "arn:aws:iam::222222222222:role/stacksets-exec-1a2b";
    let roles = [
        rotation.as_str(),
        "arn:aws:iam::222222222222:role/stacksets-exec-x",
        "arn:aws:iam::222222222222:role/stacksets-exec-x/with-a-path",
        steward,
        "arn:aws:iam::222222222222:role/OrganizationAccountAccessRole",
    ];
    for action in
        ["iam:CreateRole", "iam:UpdateAssumeRolePolicy", "iam:PutRolePolicy", "iam:AttachRolePolicy", "iam:DeleteRole"]
    {
        for role in roles {
            let tries = |by: &str| Request::new(by, action, role).by_identity(&guard);
            for by in [itself, administrator, "arn:aws:iam::222222222222:root"] {
                assert_eq!(tries(by), Answer::Denied, "{action} {role} by {by}");
            }
            assert_eq!(tries(steward), Answer::NotAllowed, "{action} {role}");
            assert_eq!(tries(stack_sets), Answer::NotAllowed, "{action} {role}");
        }
        // Other roles are nobody's concern.
        let other = Request::new(administrator, action, "arn:aws:iam::222222222222:role/app").by_identity(&guard);
        assert_eq!(other, Answer::NotAllowed, "{action}");
    }
    // Organizations' quotas: "Maximum size of a policy", 5,120 characters for a service control policy. Stewards are in it four times.
    assert!(guard[0].to_string().len() < 4_000, "{}", guard[0].to_string().len());
}

/// The tags of users that the product reads and never writes, by the list of all its names: a new one is here, too.
fn steering_tags() -> Vec<String> {
    let names = include_str!("../../../rotation/src/names.rs");
    let constants = names.lines().filter_map(|line| line.strip_prefix("pub const ")?.split_once("_TAG: &str = \""));
    let of_users =
        constants.filter(|(name, _)| !name.starts_with("SECRET_") && !["REMINDED", "LAST_RUN"].contains(name));
    let tags: Vec<_> = of_users.map(|(_, value)| value.trim_end_matches("\";").to_owned()).collect();
    assert!(tags.len() >= 5, "{tags:?}");
    tags
}
