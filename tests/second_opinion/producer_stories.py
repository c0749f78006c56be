"""The producer's commands, each as an operator would run it."""

import json
import pathlib
import tempfile
import time

import schemas
from stage import USER, NotShown, expect, same, used
from stand_ins import EXEMPTION_GROUP, Key


def the_whole_organization_is_scheduled_but_for_what_is_excluded_or_not_active(stage):
    # More than a page of accounts, which holds 20.
    accounts = [stage.aws.add_account(f"many {stage.number}-{n}", f"many-{stage.number}-{n}@example.org") for n in range(25)]
    stage.aws.suspend_account(accounts[3])
    pages = stage.aws.client("organizations").get_paginator("list_accounts").paginate()
    listed = {account["Id"]: account for page in pages for account in page["Accounts"]}
    expected = {id for id, account in listed.items() if account["State"] == "ACTIVE"} - {accounts[4]}
    expect(set(accounts) - {accounts[3]} <= expected | {accounts[4]}, "the organization lists the accounts that were made")
    said = json.loads(stage.producer("--json", "schedule", "--exclude-account", accounts[4]))
    same((said["messages"], said["accounts"]), (len(expected), len(expected)), "what the producer says")
    jobs = stage.take_all()
    same(sorted(job["account"] for job in jobs), sorted(expected), "accounts on the queue, each once")
    expect(all(job["email"] == listed[job["account"]]["Email"] for job in jobs), "each with its address")
    same({job["run_id"] for job in jobs}, {said["run_id"]}, "run ids")


def one_root_is_scheduled_as_a_unit_with_everything_below_it(stage):
    organizations = stage.aws.client("organizations")
    root = organizations.list_roots()["Roots"][0]["Id"]
    stage.producer("schedule", "--ou", root, "--exclude-account", stage.management)
    jobs = stage.take_all()
    expect(stage.account in {job["account"] for job in jobs}, "the account is below the root")
    expect(stage.management not in {job["account"] for job in jobs}, "what is excluded is left out")


def per_user_every_user_gets_one_message_and_its_own_work(stage):
    for number in range(105):
        stage.user(*([used(95)] if number % 50 == 0 else []), name=f"user-{number:03}")
    said = json.loads(stage.producer("--json", "schedule", "--account", stage.account, "--granularity", "user"))
    same(said["messages"], 105, "messages")
    same(stage.count(stage.queue), 105, "messages on the queue")
    stage.work()
    rotated = [name for name in stage.before if len(stage.keys(name)) == 2]
    same(rotated, ["user-000", "user-050", "user-100"], "users with a successor")
    same(stage.count(stage.queue), 0, "messages left")


def a_scheduled_run_is_watched_to_its_end(stage):
    stage.user(used(95))
    watching = stage.start("producer", "schedule", "--account", stage.account, "--watch", "--counts-lag-seconds", "1")
    stage.until_sent()
    stage.work()
    stage.finish(watching)
    same(len(stage.keys()), 2, "keys")


def a_leak_goes_to_the_urgent_queue_and_is_waited_for(stage):
    urgent = stage.add_urgent_queue()
    leaked = stage.user(used(5))[0]
    asking = stage.start(
        "producer", "force-rotate", "--access-key-id", leaked, "--disable-old-now", "--wait", "--counts-lag-seconds", "1",
        URGENT_QUEUE_URL=urgent,
    )
    stage.until_sent(urgent)
    same(stage.count(stage.queue), 0, "messages on the work queue")
    stage.work(URGENT_QUEUE_URL=urgent)
    said = stage.finish(asking)
    ending = stage.ending()
    same(ending.keys, [("key 1", False, "disabled"), ("a new key", True, None)], "keys")
    expect(leaked in said, "the answer names the key")
    expect("aws cloudtrail lookup-events" in said, "the answer says how to see what the key did")
    same(stage.count(urgent), 0, "messages left")


def a_forced_rotation_that_deletes_a_key_goes_on_by_itself_after_a_minute(stage):
    """Where other scenarios let the minute pass, this one waits for it; with the settings that a worker has by itself."""
    stage.user(used(30, active=False), used(5))
    began = time.monotonic()
    asking = stage.start("producer", "force-rotate", "--account", stage.account, "--user", USER, "--wait", "--counts-lag-seconds", "1")
    stage.until_sent()
    stage.work(RETRY_DELAY=None)
    expect(time.monotonic() - began >= 60, "the minute is waited for")
    said = stage.finish(asking)
    ending = stage.ending()
    same(ending.keys, [("key 2", True, "forced"), ("a new key", True, None)], "keys")
    expect(stage.before[USER][1] in said, "the answer names the key")
    same((ending.left_over, ending.waiting, ending.dead_letters), ([], 0, []), "what is left over")


def a_refusal_is_told_to_who_waits(stage):
    keys = stage.user(used(50), used(5))
    asking = stage.start("producer", "force-rotate", "--account", stage.account, "--user", USER, "--wait", "--counts-lag-seconds", "1")
    stage.until_sent()
    stage.work()
    said = stage.finish(asking, status=1)
    expect(all(key in said for key in keys), f"both keys are named: {said}")
    same(stage.ending().dead_letters, ["Refused"], "dead letters")


def a_restore_is_waited_for(stage):
    ids = stage.user(Key(101, used=20, active=False), used(11))
    stage.publish(ids[1])
    stage.remember(ids[0], "disabled", 1)
    asking = stage.start("producer", "restore", "--account", stage.account, "--user", USER, "--wait", "--counts-lag-seconds", "1")
    stage.until_sent()
    stage.work()
    stage.finish(asking)
    same(stage.keys(), [(ids[0], True), (ids[1], True)], "keys")


def a_request_about_an_account_outside_the_organization_is_refused_and_not_sent(stage):
    stage.producer("force-rotate", "--account", "999999999999", "--user", "ada", status=2)
    same(stage.count(stage.queue), 0, "messages on the queue")


def a_request_about_a_key_that_aws_does_not_know_is_refused_and_not_sent(stage):
    if stage.aws.name == "moto":
        raise NotShown("moto's GetAccessKeyInfo gives an unknown key to whoever asks")
    stage.producer("force-rotate", "--access-key-id", "AKIAAAAAAAAAAAAAAAAA", "--disable-old-now", status=2)
    same(stage.count(stage.queue), 0, "messages on the queue")


def a_queue_that_is_not_there_is_told_by_its_setting(stage):
    nowhere = stage.queue.replace("/work-", "/nowhere-")
    stage.producer("schedule", "--account", stage.account, status=2, QUEUE_URL=nowhere)
    expect("QUEUE_URL" in stage.said[-1], "the setting is named")


def dead_letters_are_listed_by_reason_and_redriven_by_reason(stage):
    stage.user(used(50), used(5))
    stage.send("{")
    stage.force()
    stage.work()
    for _ in range(2):
        listed = json.loads(stage.producer("--json", "dead-letters", "list"))
        found = {group["reason"]: len(group["letters"]) for group in listed["groups"]}
        same(found, {"MalformedMessage": 1, "Refused": 1}, "letters by reason; listing hides none")
    said = json.loads(stage.producer("--json", "dead-letters", "redrive", "--reason", "Refused"))
    same((said["redriven"], said["left"]), (1, 1), "what was redriven")
    same((stage.count(stage.queue), stage.count(stage.dead)), (1, 1), "messages on the work and the dead-letter queue")
    # What was in the way is gone: the request is done now.
    stage.member("iam").delete_access_key(UserName=USER, AccessKeyId=stage.before[USER][0])
    stage.work()
    ending = stage.ending()
    same(ending.keys, [("key 2", True, "forced"), ("a new key", True, None)], "keys")
    same(ending.dead_letters, ["MalformedMessage"], "dead letters")


def the_status_counts_every_queue(stage):
    urgent = stage.add_urgent_queue()
    stage.send("{")
    stage.work()
    stage.scan()
    said = json.loads(stage.producer("--json", "status", URGENT_QUEUE_URL=urgent))
    found = {queue["purpose"]: queue["waiting"] for queue in said["queues"]}
    same(found, {"work": 1, "urgent": 0, "dead-letters": 1}, "messages waiting")


def the_report_is_as_its_schema_says_with_something_in_every_list(stage):
    keys = stage.user(used(105), Key(3))
    stage.publish(keys[1])
    stage.remember(keys[0], "notified", 2)
    stage.user(used(200), name="exempt", groups=[EXEMPTION_GROUP])
    stage.user(used(95), name="tagged", tags={"key-rotation:rotate-after-days": "soon"})
    stage.user(Key(101), name="hidden", tags={"key-rotation:state:AKIAIOSFODNN7EXAMPLE": "notified=2026-02-27T09:00:00Z"})
    intent = {"key-rotation:intent:11111111-2222-4333-8444-555555555555": "2026-02-27T09:00:00Z for=AKIAIOSFODNN7EXAMPLE"}
    stage.user(used(95), name="interrupted", tags=intent)
    stage.aws.suspend_account(stage.aws.add_account("closed", "closed@example.org"))
    complete = stage.aws.name == "moto"
    if not complete:
        stage.aws.control("deny", {"account": stage.account, "action": "iam:ListAccessKeys", "resource": "hidden"})
        gone = stage.aws.add_account("out of reach", "out-of-reach@example.org")
        stage.aws.control("deny", {"account": gone, "action": "iam:*"})
    with tempfile.TemporaryDirectory() as place:
        stage.producer("report", "--out", place, status=0 if complete else 1)
        report = json.loads((pathlib.Path(place) / "report.json").read_text())
    same(list(schemas.errors(schemas.REPORT, report)), [], "what is wrong by the schema")
    expected = {"controls", "accounts", "not_active", "findings", "exempt", "successors_not_installed", "keys", "ages"}
    filled = {name for name, rows in report.items() if isinstance(rows, list) and rows}
    same(filled, expected | (set() if complete else {"users_not_read"}), "lists with something in them")
    expect(report["forecast"]["unforeseeable"], "the forecast names who cannot be foreseen")
    same(report["complete"], complete, "whether everything was read")


def a_users_status_says_whether_its_new_key_has_been_installed(stage):
    for name, new, installed in (("gone-over", used(3), "yes"), ("not-yet", Key(3), "not_yet")):
        previous, successor = stage.user(used(95), new, name=name)
        stage.publish(successor, user=name)
        said = json.loads(stage.producer("--json", "status", "--account", stage.account, "--user", name))
        found = [(key["access_key_id"], key["published"], key["installed"]) for key in said["keys"]]
        same(found, [(previous, False, None), (successor, True, installed)], f"keys of {name}: id, published, installed")


STORIES = [
    # First, for others go on while it waits.
    a_forced_rotation_that_deletes_a_key_goes_on_by_itself_after_a_minute,
    the_whole_organization_is_scheduled_but_for_what_is_excluded_or_not_active,
    one_root_is_scheduled_as_a_unit_with_everything_below_it,
    per_user_every_user_gets_one_message_and_its_own_work,
    a_scheduled_run_is_watched_to_its_end,
    a_leak_goes_to_the_urgent_queue_and_is_waited_for,
    a_refusal_is_told_to_who_waits,
    a_restore_is_waited_for,
    a_request_about_an_account_outside_the_organization_is_refused_and_not_sent,
    a_request_about_a_key_that_aws_does_not_know_is_refused_and_not_sent,
    a_queue_that_is_not_there_is_told_by_its_setting,
    dead_letters_are_listed_by_reason_and_redriven_by_reason,
    the_status_counts_every_queue,
    a_users_status_says_whether_its_new_key_has_been_installed,
    the_report_is_as_its_schema_says_with_something_in_every_list,
]

# Counts of the whole organization hold only while nobody else adds accounts.
the_report_is_as_its_schema_says_with_something_in_every_list.alone = True
the_whole_organization_is_scheduled_but_for_what_is_excluded_or_not_active.alone = True
