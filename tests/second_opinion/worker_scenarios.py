"""What a worker makes of one message: the scenarios of tests/src/scenario.rs, by the same names, and some more. The endings are written
down here once, and must be those of both stand-ins."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Callable

from stage import ANOTHERS, USER, Ending, used
from stand_ins import EXEMPTION_GROUP, Key


@dataclass(frozen=True)
class Scenario:
    """Prepares the user and sends the message; then a worker with these settings works."""

    name: str
    prepare: Callable
    ending: Ending
    settings: dict = field(default_factory=dict)
    # How it stands while the deletion of a key is announced, which a later delivery carries out.
    meanwhile: Ending | None = None
    # What the worker exits with: 1 where it leaves a message.
    status: int = 0


def published(stage, *keys):
    """A user with these keys, of which the last is published."""
    ids = stage.user(*keys)
    stage.publish(ids[-1])
    return ids


def remembered(stage, word, days_ago, *keys):
    """The same, and this is remembered of the first."""
    ids = published(stage, *keys)
    stage.remember(ids[0], word, days_ago)
    return ids


def day(from_now):
    return (datetime.now(UTC) + timedelta(days=from_now)).strftime("%Y-%m-%d")


# Subjects of mails.
REPLACEMENT = "Action needed by DATE: access key of USER replaced"
NOTICE = "Action needed by DATE: access key of USER will be disabled"
DISABLED = "Stopped working, check by DATE: access key of USER disabled"
FOUND_INACTIVE = "Please check by DATE: access key of USER found inactive"
DELETED = "No action needed: access key of USER deleted"
REPLACED_AT_ONCE = "Action needed now: access key of USER replaced"
CONTAINED = "Action needed now: access key of USER disabled at once"
AUDIT = "Audit only, nothing changed: access key of USER"

RETIRE = {"UNUSED_KEYS": "retire"}
NEW = ("a new key", True, None)
FIRST_SECRET = {"a new key": ["AWSCURRENT", "AWSPENDING"]}
REPLACED = {**FIRST_SECRET, "key 1": ["AWSPREVIOUS"]}
OF_THE_SECOND = {"key 2": ["AWSCURRENT"]}

# Those of tests/src/scenario.rs that are not here, and why.
NOT_HERE = {
    "a key that is to be disabled stays where its owner could not read its successor's secret":
        "another's policy on a secret is arranged behind Secrets Manager's own calls",
    "a key that is to be disabled stays where its successor's secret has another KMS key":
        "a secret of the central store without the store's key is arranged behind Secrets Manager's own calls",
    "a leaked key beside one that a person made just now": "keys that are prepared have an age in whole days",
    "a forced rotation of a key that a person made just now": "keys that are prepared have an age in whole days",
}

OF_SCENARIO_RS = [
    Scenario(
        "a due key gets its first successor",
        lambda stage: (stage.user(used(95)), stage.scan()),
        Ending([("key 1", True, "notified"), NEW], FIRST_SECRET, [REPLACEMENT]),
    ),
    Scenario(
        "a due key whose own secret is published gets a successor",
        lambda stage: (published(stage, used(95)), stage.scan()),
        Ending([("key 1", True, "notified"), NEW], REPLACED, [REPLACEMENT]),
    ),
    Scenario(
        "a due key gets a successor where the secret holds another tool's version",
        lambda stage: (stage.publish(stage.user(used(95))[0], version=ANOTHERS), stage.scan()),
        Ending(
            [("key 1", True, "notified"), NEW],
            {**FIRST_SECRET, "another tool's": ["AWSPREVIOUS"]},
            [REPLACEMENT],
        ),
    ),
    Scenario(
        "an inactive key is deleted and the active one rotated in the same run",
        lambda stage: (stage.remember(stage.user(Key(300, used=20, active=False), used(95))[0], "disabled", 11), stage.scan()),
        Ending([("key 2", True, "notified"), NEW], FIRST_SECRET, [f"{REPLACEMENT}, 1 more"]),
    ),
    Scenario(
        "a replaced key is noticed",
        lambda stage: (stage.user(used(95), used(5)), stage.scan()),
        Ending([("key 1", True, "notified"), ("key 2", True, None)], {}, [NOTICE]),
    ),
    Scenario(
        "a noticed key is disabled",
        lambda stage: (remembered(stage, "notified", 11, used(101), Key(11)), stage.scan()),
        Ending([("key 1", False, "disabled"), ("key 2", True, None)], OF_THE_SECOND, [DISABLED]),
    ),
    Scenario(
        "a disabled key is deleted",
        lambda stage: (remembered(stage, "disabled", 11, Key(111, used=20, active=False), used(21)), stage.scan()),
        Ending([("key 2", True, None)], OF_THE_SECOND, [DELETED]),
    ),
    Scenario(
        "a person's inactive key is adopted",
        lambda stage: (stage.user(used(300, active=False)), stage.scan()),
        Ending([("key 1", False, "disabled")], {}, [FOUND_INACTIVE]),
    ),
    Scenario(
        "a key that a person re-enabled is told about and not disabled",
        lambda stage: (remembered(stage, "disabled", 1, used(101), used(11)), stage.scan()),
        Ending([("key 1", True, "restored"), ("key 2", True, None)], OF_THE_SECOND, [NOTICE]),
    ),
    Scenario(
        "of two due keys the less recently used one is given notice",
        lambda stage: (stage.user(Key(300, used=2), Key(200, used=50)), stage.scan()),
        Ending([("key 1", True, None), ("key 2", True, "notified")], {}, [NOTICE]),
    ),
    Scenario(
        "a never used key is given notice where policy retires it",
        lambda stage: (stage.user(Key(95)), stage.scan()),
        Ending([("key 1", True, "notified")], {}, ["Please check by DATE: access key of USER will be disabled"]),
        RETIRE,
    ),
    Scenario(
        "a never used key is disabled where policy retires it",
        lambda stage: (stage.remember(stage.user(Key(105))[0], "notified", 11), stage.scan()),
        Ending([("key 1", False, "disabled")], {}, [DISABLED]),
        RETIRE,
    ),
    Scenario(
        "a forced rotation of the only key",
        lambda stage: (stage.user(used(5)), stage.force()),
        Ending([("key 1", True, "forced"), NEW], FIRST_SECRET, [REPLACEMENT]),
    ),
    Scenario(
        "a forced rotation that contains first",
        lambda stage: (published(stage, used(5)), stage.force("--disable-old-now")),
        Ending([("key 1", False, "disabled"), NEW], REPLACED, [f"{CONTAINED}, 1 more"]),
    ),
    Scenario(
        "a forced rotation that needs an inactive key's place",
        lambda stage: (stage.user(used(30, active=False), used(5)), stage.force()),
        Ending([("key 2", True, "forced"), NEW], FIRST_SECRET, [f"{REPLACEMENT}, 1 more"]),
        meanwhile=Ending([("key 1", False, None), ("key 2", True, "forced")], announced=["key 1"], waiting=1),
    ),
    Scenario(
        "a leaked key of two active ones, by user and key",
        lambda stage: stage.force("--access-key-id", stage.user(used(50), used(5))[1], "--disable-old-now"),
        Ending([("key 1", True, None), NEW], FIRST_SECRET, [CONTAINED, f"{REPLACED_AT_ONCE}, 1 more"], ["state of key 2"]),
        meanwhile=Ending([("key 1", True, None), ("key 2", False, "disabled")], {}, [CONTAINED], announced=["key 2"], waiting=1),
    ),
    Scenario(
        "a leaked key of two active ones, by nothing but its id",
        lambda stage: stage.leak(stage.user(used(50), used(5))[0]),
        Ending([("key 2", True, None), NEW], FIRST_SECRET, [CONTAINED, f"{REPLACED_AT_ONCE}, 1 more"], ["state of key 1"]),
        meanwhile=Ending([("key 1", False, "disabled"), ("key 2", True, None)], {}, [CONTAINED], announced=["key 1"], waiting=1),
    ),
    Scenario(
        "a leaked key beside an inactive one, by nothing but its id",
        lambda stage: stage.leak(stage.user(used(50, active=False), used(5))[1]),
        Ending([("key 2", False, "disabled"), NEW], FIRST_SECRET, [CONTAINED, f"{REPLACED_AT_ONCE}, 1 more"]),
        meanwhile=Ending([("key 1", False, None), ("key 2", False, "disabled")], {}, [CONTAINED], announced=["key 1"], waiting=1),
    ),
    Scenario(
        "a request that is refused",
        lambda stage: (stage.user(used(50), used(5)), stage.force()),
        Ending([("key 1", True, None), ("key 2", True, None)], dead_letters=["Refused"]),
    ),
    Scenario(
        "a disabled key is restored",
        lambda stage: (
            remembered(stage, "disabled", 1, used(101, active=False), used(11)),
            stage.producer("restore", "--account", stage.account, "--user", USER),
        ),
        Ending([("key 1", True, "restored"), ("key 2", True, None)], OF_THE_SECOND, ["Action needed by DATE: access key of USER active again"]),
    ),
    Scenario(
        "an inactive key that is on no record is restored",
        lambda stage: (
            stage.user(used(101, active=False), used(11)),
            stage.producer("restore", "--account", stage.account, "--user", USER),
        ),
        Ending([("key 1", True, "restored"), ("key 2", True, None)], {}, ["Action needed by DATE: access key of USER active again"]),
    ),
]

BESIDES = [
    Scenario(
        "a disabled key that was used since is not deleted: its record is void",
        lambda stage: (remembered(stage, "disabled", 11, used(111, active=False), used(21)), stage.scan()),
        Ending([("key 1", False, "disabled"), ("key 2", True, None)], OF_THE_SECOND, [FOUND_INACTIVE]),
    ),
    Scenario(
        "a key that a person re-enabled is disabled again after the grace",
        lambda stage: (remembered(stage, "restored", 11, used(111), used(21)), stage.scan()),
        Ending([("key 1", False, "disabled"), ("key 2", True, None)], OF_THE_SECOND, [DISABLED]),
    ),
    Scenario(
        "a noticed key is not disabled while its successor is neither published nor used",
        lambda stage: (stage.remember(stage.user(used(101), Key(11))[0], "notified", 11), stage.scan()),
        # A finding that stands is mailed on Mondays.
        Ending([("key 1", True, "notified"), ("key 2", True, None)], mails=None),
    ),
    Scenario(
        "a noticed key that is in use is not disabled yet where that is put off",
        lambda stage: (remembered(stage, "notified", 11, Key(101, used=0), Key(11)), stage.scan()),
        Ending([("key 1", True, "notified"), ("key 2", True, None)], OF_THE_SECOND, mails=None),
        {"IN_USE_EXTENSION": "30"},
    ),
    Scenario(
        "a key that is not due is left alone",
        lambda stage: (stage.user(used(50)), stage.scan()),
        Ending([("key 1", True, None)]),
    ),
    Scenario(
        "the owner of a key that will be due is warned",
        lambda stage: (stage.user(used(89)), stage.scan()),
        Ending([("key 1", True, None)], mails=["No action needed yet: access key of USER will be replaced on DATE"]),
    ),
    Scenario(
        "in audit mode a due key is told about and left",
        lambda stage: (stage.user(used(95)), stage.scan()),
        Ending([("key 1", True, None)], mails=[f"{AUDIT} would be replaced, first date DATE"]),
        {"DRY_RUN": "true", "AUDIT_RUN_INTERVAL": "7"},
    ),
    Scenario(
        "in audit mode a key whose disabling is due is told about and left",
        lambda stage: (remembered(stage, "notified", 11, used(101), Key(11)), stage.scan()),
        Ending([("key 1", True, "notified"), ("key 2", True, None)], OF_THE_SECOND, [f"{AUDIT} would be disabled, first date DATE"]),
        {"DRY_RUN": "true", "AUDIT_RUN_INTERVAL": "7"},
    ),
    Scenario(
        "in audit mode a key whose deletion is due is told about and left",
        lambda stage: (remembered(stage, "disabled", 11, Key(111, used=20, active=False), used(21)), stage.scan()),
        Ending([("key 1", False, "disabled"), ("key 2", True, None)], OF_THE_SECOND, [f"{AUDIT} would be deleted"]),
        {"DRY_RUN": "true", "AUDIT_RUN_INTERVAL": "7"},
    ),
    Scenario(
        "a message can ask for an audit where the worker enforces",
        lambda stage: (stage.user(used(95)), stage.scan("--dry-run")),
        Ending([("key 1", True, None)], mails=[f"{AUDIT} would be replaced, first date DATE"]),
        {"AUDIT_RUN_INTERVAL": "7"},
    ),
    Scenario(
        "a member of the exemption group is left alone",
        lambda stage: (stage.user(used(95), groups=[EXEMPTION_GROUP]), stage.scan()),
        Ending([("key 1", True, None)]),
    ),
    Scenario(
        "a user with an exemption by tag is left alone",
        lambda stage: (stage.user(used(95), tags={"key-rotation:exempt-until": day(30)}), stage.scan()),
        Ending([("key 1", True, None)], left_over=["key-rotation:exempt-until"]),
    ),
    Scenario(
        "an exemption by tag that is over is none",
        lambda stage: (stage.user(used(95), tags={"key-rotation:exempt-until": day(-2)}), stage.scan()),
        Ending(
            [("key 1", True, "notified"), NEW], FIRST_SECRET,
            [REPLACEMENT], ["key-rotation:exempt-until"],
        ),
    ),
    Scenario(
        "a forced rotation of an exempt user is refused",
        lambda stage: (stage.user(used(95), groups=[EXEMPTION_GROUP]), stage.force()),
        Ending([("key 1", True, None)], dead_letters=["Refused"]),
    ),
    Scenario(
        "a user's own rotation period counts",
        lambda stage: (stage.user(used(40), tags={"key-rotation:rotate-after-days": "30"}), stage.scan()),
        Ending([("key 1", True, "notified"), NEW], FIRST_SECRET, [REPLACEMENT], ["key-rotation:rotate-after-days"]),
    ),
    Scenario(
        "what a sender cannot send starts no clock, and the message is tried again",
        lambda stage: (stage.user(used(95)), stage.scan()),
        Ending([("key 1", True, None), NEW], FIRST_SECRET, waiting=1),
        {"SENDER_EMAIL": "nobody@unverified.example.net", "RETRY_DELAY": "900", "DRAIN_PATIENCE": "0"},
        status=1,
    ),
    Scenario(
        "with mail switched off a notice in the log counts",
        lambda stage: (stage.user(used(95)), stage.scan()),
        Ending([("key 1", True, "notified"), NEW], FIRST_SECRET),
        {"SENDER_EMAIL": None},
    ),
    Scenario(
        "a message that cannot be read is a dead letter",
        lambda stage: (stage.user(used(95)), stage.send("{")),
        Ending([("key 1", True, None)], dead_letters=["MalformedMessage"]),
    ),
    Scenario(
        "a message with a mistyped field is a dead letter and no scan",
        lambda stage: (stage.user(used(95)), stage.send(f'{{"account":"{stage.account}","ForceRotat":"ada"}}')),
        Ending([("key 1", True, None)], dead_letters=["MalformedMessage"]),
    ),
    Scenario(
        "the seed's spelling of a message works",
        lambda stage: (
            stage.user(used(5)),
            stage.send(f'{{"account":"{stage.account}","email":"{stage.email}","name":"{stage.account_name}","ForceRotate":"{USER}"}}'),
        ),
        Ending([("key 1", True, "forced"), NEW], FIRST_SECRET, [REPLACEMENT]),
    ),
    Scenario(
        "a secret that is to be deleted is restored and written",
        lambda stage: (
            published(stage, used(95)),
            stage.member("secretsmanager").delete_secret(SecretId=stage.secret_name(), RecoveryWindowInDays=7),
            stage.scan(),
        ),
        Ending([("key 1", True, "notified"), NEW], REPLACED, [REPLACEMENT]),
    ),
    Scenario(
        "a user without keys is left alone",
        lambda stage: (stage.user(), stage.scan()),
        Ending([]),
    ),
]

SCENARIOS = OF_SCENARIO_RS + BESIDES
