"""The stage of a scenario: an account and its queues on a stand-in, the real programs let loose on them, and what has become of all
of it in the end, in words that do not depend on ids or days."""

import json
import os
import pathlib
import re
import subprocess
import time
import uuid
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta

import schemas
from stand_ins import SENDER, INSTANT, Key

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILT = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
BIN = pathlib.Path(os.environ.get("BIN", BUILT)).resolve()

# Seconds after which a program is taken to hang.
LONGEST = 120
# An ordinary name with every awkward character in it.
USER = "ada,b+l=o.v@e_l-ace"
# The namespace of version ids (rotation/src/names.rs), fixed for ever.
VERSIONS = uuid.UUID("6f1a4c62-2c0f-5a39-9a58-5b8f3a0d7c11")
# The version of a secret that another tool wrote, and a key it could be of.
ANOTHERS = "11111111-2222-4333-8444-555555555555"
# Tags of a user that are about one of its keys, whose id is the rest.
STATE = "key-rotation:state:"
DELETION = "key-rotation:delete:"
SECRET_FIELDS = {"AccessKeyId", "CreateDate", "SecretAccessKey", "Status", "UserName"}


class Broken(Exception):
    """Something is not as it must be."""


class NotShown(Exception):
    """The stand-in cannot show this, for this reason."""


def expect(truth, text):
    if not truth:
        raise Broken(text)


def same(found, wanted, what):
    expect(found == wanted, f"{what}: {found!r}, expected {wanted!r}")


@dataclass
class Ending:
    """What became of a user and its message."""

    # Its keys, oldest first: which, active or not, what is remembered of it.
    keys: list
    # Staging labels of the secret's versions, by the key each is of; empty without a secret.
    stages: dict = field(default_factory=dict)
    # Subjects of mails; None where they depend on the day of the week.
    mails: list | None = field(default_factory=list)
    # Tags of this tool that are not the state of a key that is there.
    left_over: list = field(default_factory=list)
    # Keys that are there, whose deletion is announced.
    announced: list = field(default_factory=list)
    # Kinds of dead letters.
    dead_letters: list = field(default_factory=list)
    # Messages left on the queue, visible or not.
    waiting: int = 0

    def differences(self, expected):
        pairs = ((name.name, getattr(self, name.name), getattr(expected, name.name)) for name in fields(self))
        return [f"{name}: {found!r}, expected {wanted!r}" for name, found, wanted in pairs if wanted not in (found, None)]


class Stage:
    """An account and its queues."""

    def __init__(self, aws, number, fifo=True):
        self.aws = aws
        self.number = number
        self.management = aws.client("sts").get_caller_identity()["Account"]
        self.email = f"owner-{number}@example.org"
        self.account_name = f"account {number}"
        self.account = aws.add_account(self.account_name, self.email)
        self.queue, self.dead = aws.add_queues(f"work-{number}", fifo)
        self.fifo = fifo
        # Ids of the keys that were prepared, by user, oldest first.
        self.before = {}
        self.said = []
        # Kinds of events that the programs have logged.
        self.events = set()
        # Its secret keys, wherever they must not turn up.
        self.secrets = set()

    # ---- preparing ----

    def user(self, *keys, name=USER, tags=None, groups=()):
        self.aws.add_user(self.account, name, tags or {}, groups)
        self.before[name] = [self.aws.add_key(self.account, name, key) for key in keys]
        return self.before[name]

    def remember(self, key, word, days_ago, user=USER):
        at = (datetime.now(UTC) - timedelta(days=days_ago)).strftime("%Y-%m-%dT%H:%M:%SZ")
        tag = {"Key": f"{STATE}{key}", "Value": f"{word}={at}"}
        self.member("iam").tag_user(UserName=user, Tags=[tag])

    def publish(self, key, version=None, user=USER):
        """Stores a published version that its owner can read, as an earlier rotation would have."""
        value = json.dumps({"AccessKeyId": key, "SecretAccessKey": "earlier"})
        secrets, name = self.member("secretsmanager"), self.secret_name(user)
        secrets.create_secret(Name=name, ClientRequestToken=version or version_of(key), SecretString=value)
        policy = owner_policy(self.account, f"arn:aws:iam::{self.account}:user/{user}")
        secrets.put_resource_policy(SecretId=name, ResourcePolicy=json.dumps(policy))

    # ---- acting ----

    def member(self, service, region=None):
        arguments = (region,) if region else ()
        return self.aws.client(service, self.aws.member(self.account), *arguments)

    def start(self, program, *arguments, **settings):
        """Starts a program; a setting of None is one that is not set."""
        environment = {
            **self.aws.environment, "QUEUE_URL": self.queue, "SENDER_EMAIL": SENDER, "RETRY_DELAY": "1",
            "METRICS_NAMESPACE": "iam-key-rotation", **settings
        }
        return subprocess.Popen(
            [str(BIN / program), *arguments], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={name: value for name, value in environment.items() if value is not None},
        )

    def finish(self, process, status=0):
        """Waits for its end; gives what it printed. With a status of failure, what it complained of as well."""
        try:
            printed, logged = process.communicate(timeout=LONGEST)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        command = " ".join([pathlib.Path(process.args[0]).name, *process.args[1:]])
        self.said.append(f"$ {command} -> {process.returncode}\n{printed}{logged}")
        same(process.returncode, status, f"the exit status of {command}")
        kinds, wrong = schemas.check_log(logged)
        expect(not wrong, "\n".join(wrong))
        self.events |= kinds
        return printed if status == 0 else printed + logged

    def run(self, program, *arguments, status=0, **settings):
        return self.finish(self.start(program, *arguments, **settings), status)

    def producer(self, *arguments, **settings):
        return self.run("producer", *arguments, **settings)

    def work(self, **settings):
        return self.run("worker", "--drain", **{"DRY_RUN": "false", **settings})

    def scan(self, *arguments):
        self.producer("schedule", "--account", self.account, *arguments)

    def force(self, *arguments):
        self.producer("force-rotate", "--account", self.account, "--user", USER, *arguments)

    def leak(self, key):
        """A leaked key, of which nothing is known but its id."""
        self.producer("force-rotate", "--access-key-id", key, "--disable-old-now")

    def send(self, body):
        """Puts any body on the queue."""
        kind = {"MessageGroupId": "any", "MessageDeduplicationId": str(uuid.uuid4())} if self.fifo else {}
        self.aws.client("sqs").send_message(QueueUrl=self.queue, MessageBody=body, **kind)

    def add_urgent_queue(self):
        """A queue for operators' requests, with the dead letters of the work queue."""
        sqs = self.aws.client("sqs")
        redrive = sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=["RedrivePolicy"])["Attributes"]
        kind = {"FifoQueue": "true"} if self.fifo else {}
        suffix = ".fifo" if self.fifo else ""
        return sqs.create_queue(QueueName=f"urgent-{self.number}{suffix}", Attributes={**kind, **redrive})["QueueUrl"]

    def until_sent(self, queue=None):
        """Waits for a message to be on the queue."""
        wanted = time.monotonic() + LONGEST
        while self.count(queue or self.queue) == 0:
            expect(time.monotonic() < wanted, "nothing is sent")
            time.sleep(0.05)

    def peek(self):
        """The body of the message on the queue, which stays there."""
        [message] = self.aws.client("sqs").receive_message(QueueUrl=self.queue, VisibilityTimeout=0)["Messages"]
        return message["Body"]

    def take_all(self):
        """Takes every message off the queue; gives their bodies, parsed."""
        sqs, jobs = self.aws.client("sqs"), []
        while messages := sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                jobs.append(json.loads(message["Body"]))
                sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
        return jobs

    def pass_time(self, **by):
        """Lets time go by; as timedelta is told how much."""
        self.aws.pass_time(self.account, self.queue, timedelta(**by))

    def wait_a_minute(self, meanwhile):
        """A request that has to delete a key announces that; until a minute has passed, this is how it stands. Then the minute is over."""
        # Half a minute after the first delivery the message is not there yet.
        for when in ("at once", "half a minute later"):
            self.work(status=1, DRAIN_PATIENCE="0")
            different = self.ending().differences(meanwhile)
            expect(not different, f"{when}: {'; '.join(different)}")
            self.pass_time(seconds=30)
        # RETRY_DELAY, and what clocks do not agree on.
        self.pass_time(seconds=10)

    # ---- looking ----

    def secret_name(self, user=USER):
        return f"Account_{self.account}_User_{user.replace(',', '/')}_AccessKey"

    def keys(self, user=USER):
        """The keys of a user, oldest first: id and whether it is active."""
        found = self.member("iam").list_access_keys(UserName=user)["AccessKeyMetadata"]
        found.sort(key=lambda key: key["CreateDate"])
        return [(key["AccessKeyId"], key["Status"] == "Active") for key in found]

    def tags(self, user=USER):
        return {tag["Key"]: tag["Value"] for tag in self.member("iam").list_user_tags(UserName=user)["Tags"]}

    def called(self, key, user=USER):
        return f"key {self.before[user].index(key) + 1}" if key in self.before[user] else "a new key"

    def versions(self, user=USER):
        """Staging labels by version id. A version without any is as good as gone, says AWS; moto still tells it."""
        secrets = self.member("secretsmanager")
        try:
            found = secrets.describe_secret(SecretId=self.secret_name(user))
        except secrets.exceptions.ResourceNotFoundException:
            return {}
        return {version: sorted(stages) for version, stages in found.get("VersionIdsToStages", {}).items() if stages}

    def mails(self):
        return [mail for mail in self.aws.mails() if self.email in mail.to]

    def subjects(self):
        """What the account's owner was told, without user, days and account."""
        short = (mail.subject.removesuffix(f" - {self.account_name} ({self.account})") for mail in self.mails())
        return sorted(re.sub(r"\d{4}-\d\d-\d\d", "DATE", subject).replace(USER, "USER") for subject in short)

    def letters(self):
        """Dead letters: body and attributes."""
        received = self.aws.client("sqs").receive_message(
            QueueUrl=self.dead, MessageAttributeNames=["All"], MaxNumberOfMessages=10, VisibilityTimeout=0
        )
        return [
            (letter["Body"], {name: value["StringValue"] for name, value in letter["MessageAttributes"].items()})
            for letter in received.get("Messages", [])
        ]

    def count(self, queue):
        found = self.aws.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
        names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed")
        return sum(int(found[name]) for name in names)

    def ending(self, user=USER):
        keys, tags = self.keys(user), self.tags(user)
        known = {version_of(key): self.called(key, user) for key, _ in keys}
        known |= {version_of(key): self.called(key, user) for key in self.before[user]} | {ANOTHERS: "another tool's"}
        versions = self.versions(user)
        for version, stages in versions.items():
            if "AWSCURRENT" in stages and known.get(version) == "a new key":
                self.check_secret(user, version, [key for key, _ in keys if version_of(key) == version][0])
        self.secrets.update(self.aws.secret_access_keys(self.account, user).values())
        letters = self.letters()
        for _, attributes in letters:
            expect({"ErrorKind", "ErrorMessage", "Attempts"} <= set(attributes), f"a dead letter says why: {attributes}")
        return Ending(
            keys=[(self.called(key, user), active, word(tags, key)) for key, active in keys],
            stages={known.get(version, version): stages for version, stages in versions.items()},
            mails=self.subjects(),
            left_over=sorted(self.tag_name(tag, user) for tag in tags if of_the_tool(tag) and not of_any(tag, keys)),
            announced=[self.called(key, user) for key, _ in keys if f"{DELETION}{key}" in tags],
            dead_letters=sorted(attributes["ErrorKind"] for _, attributes in letters),
            waiting=self.count(self.queue),
        )

    def tag_name(self, tag, user):
        for prefix, what in ((STATE, "state"), (DELETION, "deletion")):
            if tag.startswith(prefix):
                return f"{what} of {self.called(tag.removeprefix(prefix), user)}"
        return tag

    def check_secret(self, user, version, key):
        """The published secret is whole, its key works, and nobody but the user is let at it."""
        held = self.aws.secret_access_keys(self.account, user)[key]
        credentials = key, held, None
        text = self.aws.secret_text(self.account, self.secret_name(user), credentials)
        value = json.loads(text)
        expect(set(value) == SECRET_FIELDS, f"the secret's fields are {sorted(value)}")
        expect(value["AccessKeyId"] == key and version == version_of(key), f"the secret is of {value['AccessKeyId']}")
        expect(value["SecretAccessKey"] == held, "the secret access key in the secret is not the key's")
        expect(value["UserName"] == user and value["Status"] == "Active", "the secret's user and status")
        expect(INSTANT.fullmatch(value["CreateDate"]), f"the secret's CreateDate is {value['CreateDate']}")
        arn = f"arn:aws:iam::{self.account}:user/{user}"
        caller = self.aws.client("sts", credentials).get_caller_identity()["Arn"]
        expect(caller == arn, f"the published key is {caller}'s")
        policy = self.member("secretsmanager").get_resource_policy(SecretId=self.secret_name(user))["ResourcePolicy"]
        allowed = [rule for rule in json.loads(policy)["Statement"] if rule["Effect"] == "Allow"]
        expect([rule["Principal"] for rule in allowed] == [{"AWS": arn}], f"the secret can be read by {allowed}")
        denied = [rule for rule in json.loads(policy)["Statement"] if "secretsmanager:PutResourcePolicy" in rule["Action"]]
        expect([rule["Condition"] for rule in denied] == [{"ArnNotLike": {"aws:PrincipalArn": [writer(self.account)]}}],
               f"the secret can be changed by others than its writer: {denied}")

    def check_nothing_leaked(self):
        """No secret access key in what was mailed, logged, printed or left as a dead letter."""
        told = [mail.body + mail.subject for mail in self.mails()] + self.said + [str(self.letters())]
        expect(not any(secret in text for secret in self.secrets for text in told), "a secret access key was told")


def version_of(key):
    return str(uuid.uuid5(VERSIONS, key))


def word(tags, key):
    """What is remembered of a key."""
    state = tags.get(f"{STATE}{key}")
    return state and state.partition("=")[0]


def writer(account):
    """Who writes the secrets of an account's users."""
    return f"arn:aws:iam::{account}:role/asa-iam-key-rotation-lambda-assumed-role"


def owner_policy(account, arn):
    """Only the user itself may read its secret, and only the member role change it."""
    read = "secretsmanager:GetSecretValue"
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "OwnerReads", "Effect": "Allow", "Principal": {"AWS": arn},
                "Action": [read, "secretsmanager:DescribeSecret"], "Resource": "*",
            },
            {
                "Sid": "NobodyElseReads", "Effect": "Deny", "Principal": {"AWS": "*"}, "Action": read, "Resource": "*",
                "Condition": {"StringNotEquals": {"aws:PrincipalArn": arn}},
            },
            {
                "Sid": "NobodyElseChanges", "Effect": "Deny", "Principal": {"AWS": "*"}, "Resource": "*",
                "Action": ["secretsmanager:DeleteResourcePolicy", "secretsmanager:PutResourcePolicy"],
                "Condition": {"ArnNotLike": {"aws:PrincipalArn": [writer(account)]}},
            },
        ],
    }


def of_the_tool(tag):
    """But for the day of the last reminder, which stays on the user."""
    return tag.startswith("key-rotation:") and tag != "key-rotation:reminded"


def of_any(tag, keys):
    return any(tag.endswith(key) for key, _ in keys)


def used(days, **more):
    """A key in use."""
    return Key(days, used=1, **more)
