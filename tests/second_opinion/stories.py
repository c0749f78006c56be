"""What takes more than one message or more than one user, each told step by step."""

import json

from stage import USER, Ending, NotShown, expect, same, used, version_of
from stand_ins import EXEMPTION_GROUP, READ_POLICY, REGION, Key
from worker_scenarios import CONTAINED


def a_key_nobody_touches_is_replaced_then_disabled_then_deleted(stage):
    stage.user(Key(80))

    def after(days):
        stage.pass_time(days=days)
        stage.scan()
        stage.work()
        return [(key, active) for key, active, _ in stage.ending().keys]

    same(after(1), [("key 1", True)], "on day 81")
    same(after(9), [("key 1", True), ("a new key", True)], "on day 90")
    same(after(9), [("key 1", True), ("a new key", True)], "on day 99")
    same(after(1), [("key 1", False), ("a new key", True)], "on day 100")
    same(after(9), [("key 1", False), ("a new key", True)], "on day 109")
    same(after(1), [("a new key", True)], "on day 110")
    ending = stage.ending()
    same(ending.left_over, [], "tags that are left over")
    same((ending.waiting, ending.dead_letters), (0, []), "messages that are left")


def of_all_users_of_an_account_the_exempt_are_left_and_the_others_served(stage):
    names = [f"user-{number:02}" for number in range(30)]
    for number, name in enumerate(names):
        stage.user(used(95), name=name, groups=[EXEMPTION_GROUP] if number < 12 else [])
    stage.scan()
    stage.work()
    for number, name in enumerate(names):
        same(len(stage.keys(name)), 1 if number < 12 else 2, f"keys of {name}")
        same(bool(stage.tags(name)), number >= 12, f"whether {name} has tags")
        same(bool(stage.versions(name)), number >= 12, f"whether {name} has a secret")
    same(len(stage.mails()), 1, "mails to the account")
    same(stage.count(stage.queue), 0, "messages left")


def in_audit_mode_nothing_is_changed_whatever_is_due(stage):
    stage.user(used(95))
    stage.user(used(300), used(200), name="two")
    stage.user(Key(300, active=False), name="off")
    stage.remember(stage.user(Key(111, used=20, active=False), used(95), name="over")[0], "disabled", 11, user="over")

    def everything():
        return [(name, stage.keys(name), stage.tags(name), stage.versions(name)) for name in stage.before]

    before = everything()
    stage.scan()
    stage.work(DRY_RUN="true", AUDIT_RUN_INTERVAL="7")
    same(everything(), before, "keys, tags and secrets")
    same(len(stage.mails()), 1, "mails that say what would be done")
    same(stage.count(stage.queue), 0, "messages left")


def a_message_that_comes_twice_changes_nothing_more(stage):
    stage.user(used(95))
    stage.scan()
    body = stage.peek()
    stage.work()
    first = stage.ending()
    stage.send(body)
    stage.work()
    same(stage.ending(), first, "after the second time")


def a_leak_response_that_comes_twice_is_recognised_as_done(stage):
    stage.leak(stage.user(used(50), used(5))[0])
    body = stage.peek()
    stage.wait_a_minute(Ending([("key 1", False, "disabled"), ("key 2", True, None)], {}, [CONTAINED], announced=["key 1"], waiting=1))
    stage.work()
    first = stage.ending()
    same([key for key, _, _ in first.keys], ["key 2", "a new key"], "keys after the first time")
    stage.send(body)
    stage.work()
    second = stage.ending()
    same((second.keys, second.stages, second.dead_letters), (first.keys, first.stages, []), "after the second time")


def a_notice_that_was_refused_is_sent_again_and_only_then_counts(stage):
    stage.user(used(95))
    stage.scan()
    stage.work(status=1, SENDER_EMAIL="nobody@unverified.example.net", DRAIN_PATIENCE="0")
    first = stage.ending()
    same((first.keys, first.mails, first.waiting), ([("key 1", True, None), ("a new key", True, None)], [], 1), "at first")
    stage.work()
    second = stage.ending()
    same(second.keys, [("key 1", True, "notified"), ("a new key", True, None)], "with a sender that may send")
    same((len(second.mails), second.waiting, second.dead_letters), (1, 0, []), "with a sender that may send")
    same(second.stages, first.stages, "versions of the secret")


def an_owner_named_by_a_tag_is_told_of_its_own_user_and_the_account_of_all(stage):
    leader = f"leader-{stage.number}@example.org"
    stage.user(used(95), name="deploy", tags={"owner": leader})
    stage.user(used(95), name="backup")
    stage.scan()
    stage.work(RESOURCE_OWNER_TAG="owner")
    told = [mail for mail in stage.aws.mails() if leader in mail.to]
    same((len(told), len(stage.mails())), (1, 1), "mails to the owner and to the account")
    expect("deploy" in told[0].body and "backup" not in told[0].body, "the owner is told of its own user alone")
    expect("deploy" in stage.mails()[0].body and "backup" in stage.mails()[0].body, "the account is told of both")


def a_secret_is_replicated_to_the_regions_that_are_named(stage):
    stage.user(used(95))
    stage.scan()
    stage.work(CREDENTIAL_REPLICATION_REGIONS="eu-west-1,us-east-1")
    found = stage.member("secretsmanager").describe_secret(SecretId=stage.secret_name())
    same(sorted(replica["Region"] for replica in found["ReplicationStatus"]), ["eu-west-1", "us-east-1"], "replicas")
    replica = stage.member("secretsmanager", "eu-west-1").describe_secret(SecretId=found["ARN"].replace(REGION, "eu-west-1"))
    same(replica["PrimaryRegion"], REGION, "the replica's primary region")
    same(stage.ending().keys, [("key 1", True, "notified"), ("a new key", True, None)], "keys")


def in_the_central_store_a_secret_is_the_fleets_and_its_user_gets_the_policy_to_read_it(stage):
    stage.user(used(95))
    if stage.aws.name == "moto":
        # The sandbox's accounts have it, as they have the member role.
        document = {"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": "*"}
        ]}
        stage.member("iam").create_policy(PolicyName=READ_POLICY, PolicyDocument=json.dumps(document))
    stage.scan()
    key = f"arn:aws:kms:{REGION}:{stage.management}:key/11111111-2222-3333-4444-555555555555"
    stage.work(STORE_SECRETS_IN_CENTRAL_ACCOUNT="true", SECRET_KMS_KEY_ID=key, CENTRAL_SECRET_READ_POLICY=READ_POLICY)
    same(stage.versions(), {}, "versions in the user's account")
    found = stage.aws.client("secretsmanager").describe_secret(SecretId=stage.secret_name())
    same(found["KmsKeyId"], key, "the KMS key")
    new = [key for key, _ in stage.keys() if key not in stage.before[USER]]
    same(len(new), 1, "new keys")
    same(found["VersionIdsToStages"].keys(), {version_of(new[0])}, "versions in the fleet's account")
    attached = stage.member("iam").list_attached_user_policies(UserName=USER)["AttachedPolicies"]
    same([policy["PolicyName"] for policy in attached], [READ_POLICY], "policies of the user")


def a_user_named_in_another_case_is_the_one_that_is_there(stage):
    if stage.aws.name == "moto":
        raise NotShown("to moto, names that differ in case alone are two")
    stage.user(used(5))
    stage.producer("force-rotate", "--account", stage.account, "--user", USER.upper())
    stage.work()
    ending = stage.ending()
    same(ending.keys, [("key 1", True, "forced"), ("a new key", True, None)], "keys")
    same(ending.stages, {"a new key": ["AWSCURRENT", "AWSPENDING"]}, "versions of the secret by its own name")
    stage.user(used(5), name="exempt", groups=[EXEMPTION_GROUP])
    stage.producer("force-rotate", "--account", stage.account, "--user", "Exempt")
    stage.work()
    same(len(stage.keys("exempt")), 1, "keys of an exempt user")
    same(stage.ending().dead_letters, ["Refused"], "dead letters")


def an_account_whose_role_cannot_be_assumed_is_a_dead_letter_at_once(stage):
    if stage.aws.name == "moto":
        raise NotShown("moto lets anybody assume any role, whether it exists or not")
    stage.user(used(95))
    stage.scan()
    stage.work(IAM_ASSUMED_ROLE_NAME="nobody")
    same(stage.ending().keys, [("key 1", True, None)], "keys")
    same((stage.ending().dead_letters, stage.count(stage.queue)), (["RoleRefused"], 0), "dead letters, messages left")


def a_user_that_cannot_be_read_is_told_and_the_others_are_served(stage):
    if stage.aws.name == "moto":
        raise NotShown("moto refuses nothing")
    stage.user(used(95))
    stage.user(used(95), name="hidden")
    stage.aws.control("deny", {"account": stage.account, "action": "iam:ListAccessKeys", "resource": "hidden"})
    stage.scan()
    stage.work(status=1, DRAIN_PATIENCE="0", RETRY_DELAY="900")
    same(len(stage.keys()), 2, "keys of the other user")
    expect("failed" in stage.events, "the user is told of")


def a_message_that_cannot_be_read_is_kept_byte_for_byte(stage):
    bodies = ["{", '{"account":"11112222333"}', f'{{"account":"{stage.account}","dry_run":"perhaps"}}', "\u00e4 \u2603 <xml/>"]
    for body in bodies:
        stage.send(body)
    stage.work()
    letters = stage.letters()
    same(sorted(body for body, _ in letters), sorted(bodies), "bodies")
    same({attributes["ErrorKind"] for _, attributes in letters}, {"MalformedMessage"}, "kinds")
    expect(all(attributes["ErrorMessage"].strip() for _, attributes in letters), "each says why")
    same(stage.count(stage.queue), 0, "messages left")


STORIES = [
    a_key_nobody_touches_is_replaced_then_disabled_then_deleted,
    of_all_users_of_an_account_the_exempt_are_left_and_the_others_served,
    in_audit_mode_nothing_is_changed_whatever_is_due,
    a_message_that_comes_twice_changes_nothing_more,
    a_leak_response_that_comes_twice_is_recognised_as_done,
    a_notice_that_was_refused_is_sent_again_and_only_then_counts,
    an_owner_named_by_a_tag_is_told_of_its_own_user_and_the_account_of_all,
    a_secret_is_replicated_to_the_regions_that_are_named,
    in_the_central_store_a_secret_is_the_fleets_and_its_user_gets_the_policy_to_read_it,
    a_user_named_in_another_case_is_the_one_that_is_there,
    an_account_whose_role_cannot_be_assumed_is_a_dead_letter_at_once,
    a_user_that_cannot_be_read_is_told_and_the_others_are_served,
    a_message_that_cannot_be_read_is_kept_byte_for_byte,
]
