#!/usr/bin/env python3
"""The report beside a peer's: Cloud Custodian, which others wrote, looks for the same keys, on both stand-ins. What the two see
differently has to be what is written down here, with the reason.

    pip install -r tests/second_opinion/peer.txt      (in a virtual environment of its own: it wants another boto3 than .ci/requirements.txt)
    cargo build --release --workspace
    tests/second_opinion/peer.py                      (CUSTODIAN=… where its program is not on the PATH, BIN=… for the programs)
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Callable

from stage import BIN, LONGEST, used
from stand_ins import EXEMPTION_GROUP, Key, Moto, Sandbox

CUSTODIAN = os.environ.get("CUSTODIAN", "custodian")

# Whose keys are compared: the keys, and how the user is tagged.
USERS = {
    "young": [used(10)],
    "of-90-days": [used(90)],
    "of-95-days": [used(95)],
    "of-99-days": [used(99)],
    "of-100-days": [used(100)],
    "never-used": [Key(150)],
    "idle": [Key(60, used=50)],
    "off": [Key(300, used=200, active=False)],
    "replaced": [Key(300, used=60, active=False), used(10)],
    "two": [Key(300, used=50), used(10)],
    "without": [],
    "exempt": [used(400)],
    "protected": [used(400)],
    "slow": [used(150)],
}
TAGS = {"protected": {"key-rotation:protected": "true"}, "slow": {"key-rotation:rotate-after-days": "300"}}
GROUPS = {"exempt": [EXEMPTION_GROUP]}

# Custodian goes by age alone; the report leaves out who is exempt, and lets a user have a period of its own.
LEFT_ALONE = {"exempt 400", "protected 400"}
OWN_PERIOD = {"slow 150"}


@dataclass(frozen=True)
class Question:
    """Which keys, or which users, and who alone names them."""

    asked: str
    # Custodian's filters: https://cloudcustodian.io/docs/aws/resources/iam-user.html
    filters: list
    # Which keys of the report these are, and by which of its figures they are counted.
    ours: Callable
    figure: Callable
    # Whether the report looks at each user, or at IAM's credential report.
    live: bool = True
    # Of Custodian's answer, the users alone.
    users: bool = False
    custodian_alone: set = field(default_factory=set)
    report_alone: set = field(default_factory=set)


ACTIVE = {"type": "access-key", "key": "Status", "value": "Active"}
# Of the users of the credential report: who has a key that is active. The next filter may be met by the user's other key.
REPORTED_ACTIVE = {"type": "credential", "key": "access_keys.active", "value": True}


def aged(op, days):
    return {"type": "access-key", "match-operator": "and", "key": "CreateDate", "value_type": "age", "value": days, "op": op}


def reported_aged(what, days):
    return {"type": "credential", "key": f"access_keys.{what}", "value_type": "age", "value": days, "op": "ge"}


def active(key):
    return key["status"] == "active"


def unused(key, days):
    since = key["last_used"] or key["created"]
    return active(key) and key["usage"] != "unknown" and age(since) >= days


QUESTIONS = [
    Question(
        "active keys at the inactive period", [ACTIVE, aged("ge", 100)],
        lambda key: key["state"] == "overdue", lambda summary: summary["overdue"],
        custodian_alone=LEFT_ALONE | OWN_PERIOD,
    ),
    Question(
        "active keys at the rotation period", [ACTIVE, aged("ge", 90)],
        lambda key: key["state"] in ("due", "overdue"), lambda summary: summary["due"] + summary["overdue"],
        custodian_alone=LEFT_ALONE | OWN_PERIOD,
    ),
    Question(
        "active keys older than 90 days, whoever has them", [ACTIVE, aged("gt", 90)],
        lambda key: active(key) and key["age_days"] > 90, lambda summary: summary["active"] - summary["within_90_days"],
        # 90 days and some seconds: the report counts whole days.
        custodian_alone={"of-90-days 90"},
    ),
    Question(
        "the same by the credential report", [REPORTED_ACTIVE, reported_aged("last_rotated", 100)],
        lambda key: key["state"] == "overdue", lambda summary: summary["overdue"], live=False, users=True,
        # One key of "replaced" is active, the other one is old.
        custodian_alone={"exempt", "protected", "slow", "replaced"},
    ),
    Question(
        "active keys unused for 45 days", [REPORTED_ACTIVE, reported_aged("last_used_date", 45)],
        lambda key: unused(key, 45), lambda summary: summary["unused_45_days"], live=False, users=True,
        # One key of "replaced" is active, the other one is unused. A key that was never used has no date of its last use; the
        # report counts from its creation.
        custodian_alone={"replaced"}, report_alone={"never-used"},
    ),
    Question(
        "users with two active keys",
        [ACTIVE, {"type": "value", "key": 'length("c7n:matched-keys")', "op": "gt", "value": 1}],
        lambda key: key["user"] == "two", lambda summary: 2 * summary["users_with_two_active_keys"],
    ),
]


def age(instant):
    return (datetime.now(UTC) - datetime.fromisoformat(instant)).days


def with_users(aws):
    """An account with the users; gives the environment for its member role."""
    account = aws.add_account("peer", "peer@example.org")
    for name, keys in USERS.items():
        aws.add_user(account, name, TAGS.get(name, {}), GROUPS.get(name, []))
        for key in keys:
            aws.add_key(account, name, key)
    key, secret, token = aws.member(account)
    return {**aws.environment, "AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret, "AWS_SESSION_TOKEN": token}


def run(environment, *command):
    done = subprocess.run([str(part) for part in command], env=environment, text=True, capture_output=True, timeout=LONGEST)
    if done.returncode != 0:
        sys.exit(f"FAILED: {' '.join(map(str, command))} ended with {done.returncode}\n{done.stdout}{done.stderr}")


def report(environment, place, live):
    run(environment, BIN / "producer", "report", "--this-account", "--out", place, *(["--live"] if live else []))
    return json.loads((place / "report.json").read_text())


def by_custodian(environment, place):
    """The users that Custodian finds, by question."""
    policies = [
        {"name": f"question-{number}", "resource": "iam-user", "filters": question.filters}
        for number, question in enumerate(QUESTIONS)
    ]
    file = place / "policies.json"
    file.write_text(json.dumps({"policies": policies}))
    environment = {**environment, "AWS_DEFAULT_REGION": environment["AWS_REGION"], "HOME": str(place)}
    run(environment, CUSTODIAN, "run", "--cache-period", "0", "--output-dir", place, file)
    return [json.loads((place / policy["name"] / "resources.json").read_text()) for policy in policies]


def differences(question, found, reported):
    """What is not as it is written down."""
    keys = [key for key in reported["keys"] if question.ours(key)]
    if question.users:
        theirs, ours = {user["UserName"] for user in found}, {key["user"] for key in keys}
    else:
        theirs = {f"{user['UserName']} {age(key['CreateDate'])}" for user in found for key in user["c7n:matched-keys"]}
        ours = {f"{key['user']} {key['age_days']}" for key in keys}
    if not theirs & ours:
        yield "they have nothing in common"
    if theirs - ours != question.custodian_alone:
        yield f"Custodian alone names {sorted(theirs - ours)}, expected {sorted(question.custodian_alone)}"
    if ours - theirs != question.report_alone:
        yield f"the report alone names {sorted(ours - theirs)}, expected {sorted(question.report_alone)}"
    counted = question.figure(reported["summary"])
    if len(keys) != counted:
        yield f"the report counts {counted} and lists {len(keys)}"


def main():
    # To be told to end is to clean up.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    if not shutil.which(CUSTODIAN):
        sys.exit(f"{CUSTODIAN} is not there: pip install -r tests/second_opinion/peer.txt, and name its program in CUSTODIAN")
    wrong = 0
    for opened in (lambda: Sandbox(BIN / "sandbox"), Moto):
        with closing(opened()) as aws, tempfile.TemporaryDirectory() as place:
            place = pathlib.Path(place)
            environment = with_users(aws)
            # First the report, so that there is a credential report for Custodian, too.
            reports = {live: report(environment, place / f"live-{live}", live) for live in (False, True)}
            for question, found in zip(QUESTIONS, by_custodian(environment, place), strict=True):
                for difference in differences(question, found, reports[question.live]):
                    wrong += 1
                    print(f"FAILED: {aws.name}, {question.asked}: {difference}")
    print(f"{len(QUESTIONS)} questions to Cloud Custodian and to the report, on both stand-ins: {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
