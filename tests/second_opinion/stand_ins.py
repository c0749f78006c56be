"""The two stand-ins for AWS, behind one face: the product's own sandbox, and moto, which others wrote.

What AWS's own calls can do is done with them, on both. What they cannot, make a key of some age or let days pass, each does its own
way: the sandbox by its control routes, moto by its objects, which are in this process.
"""

import datetime
import json
import logging
import os
import re
import subprocess
import threading
import urllib.request
from dataclasses import dataclass, field

import boto3
from botocore.config import Config

# The sandbox's region; a young one, so that no client knows an old name for its endpoints.
REGION = "eu-central-2"
SENDER = "key-rotation@example.com"
READ_POLICY = "IAMKeyRotationReadOwnSecret"
MEMBER_ROLE = "asa-iam-key-rotation-lambda-assumed-role"
EXEMPTION_GROUP = "IAMKeyRotationExemptionGroup"

# An instant in a tag's value, as 2026-11-22T10:00:00Z.
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


@dataclass(frozen=True)
class Key:
    """A key to prepare: its age and last use in days."""

    age: int
    used: int | None = None
    active: bool = True


@dataclass(frozen=True)
class Mail:
    """A mail that was accepted. moto keeps one body of a mail: the HTML, if there is any."""

    to: tuple
    subject: str
    body: str


@dataclass
class Clients:
    """boto3's clients of one endpoint; made once, because each takes as long as ten calls."""

    endpoint: str
    operator: tuple
    # botocore's settings, for those made from now on.
    config: Config | None = None
    made: dict = field(default_factory=dict)
    # boto3's sessions make no two clients at once.
    lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, service, credentials=None, region=REGION):
        with self.lock:
            found = self.made.get((service, credentials, region))
            if found is None:
                key, secret, token = credentials or self.operator
                found = self.made[service, credentials, region] = boto3.client(
                    service, region_name=region, endpoint_url=self.endpoint,
                    aws_access_key_id=key, aws_secret_access_key=secret, aws_session_token=token, config=self.config,
                )
            return found


class StandIn:
    """What both have in common."""

    def __init__(self, endpoint, operator):
        self.clients = Clients(endpoint, operator)
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": operator[0],
            "AWS_SECRET_ACCESS_KEY": operator[1],
            "AWS_REGION": REGION,
            "LOG_FORMAT": "json",
        }
        self.members = {}

    def client(self, service, credentials=None, region=REGION):
        return self.clients.get(service, credentials, region)

    def member(self, account):
        """Credentials of the member role of an account, as the worker has them."""
        if account not in self.members:
            arn = f"arn:aws:iam::{account}:role/{MEMBER_ROLE}"
            given = self.client("sts").assume_role(RoleArn=arn, RoleSessionName="second-opinion")["Credentials"]
            self.members[account] = given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"]
        return self.members[account]

    def add_queues(self, name, fifo):
        """A work queue and its dead-letter queue; gives their URLs."""
        suffix = ".fifo" if fifo else ""
        kind = {"FifoQueue": "true"} if fifo else {}
        sqs = self.client("sqs")
        dead = sqs.create_queue(QueueName=f"{name}-dead{suffix}", Attributes=kind)["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        redrive = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 5})
        work = sqs.create_queue(QueueName=f"{name}{suffix}", Attributes={**kind, "RedrivePolicy": redrive})["QueueUrl"]
        return work, dead


# moto takes the status from the headers.
NOBODY_IS_ON_THE_LIST = {"status": "404", "x-amzn-errortype": "NotFoundException"}


class Moto(StandIn):
    """moto's server, on a thread of this process."""

    name = "moto"

    def __init__(self):
        from moto.organizations.utils import PAGINATION_MODEL
        from moto.server import ThreadedMotoServer
        from moto.sesv2.responses import SESV2Response
        from moto.sesv2.urls import url_paths

        # Neither each call nor what moto has not implemented: what comes of that is seen by who calls.
        logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
        # As AWS documents it: 20 accounts a page. moto's are 100.
        PAGINATION_MODEL["list_accounts"]["limit_default"] = 20
        # It has no list of suppressed addresses: nobody is on it.
        url_paths["{0}/v2/email/suppression/addresses/(?P<EmailAddress>[^/]+)$"] = SESV2Response.dispatch
        SESV2Response.get_suppressed_destination = lambda _: (404, NOBODY_IS_ON_THE_LIST, "{}")
        self.server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self.server.start()
        host, port = self.server.get_host_and_port()
        super().__init__(f"http://{host}:{port}", ("test", "test", None))
        self.client("organizations").create_organization(FeatureSet="ALL")
        self.client("sesv2").create_email_identity(EmailIdentity=SENDER)
        self.management = self.client("sts").get_caller_identity()["Account"]
        # Its lists are of plain Python: one at a time.
        self.lock = threading.Lock()

    def close(self):
        self.server.stop()

    def iam(self, account):
        from moto.iam.models import iam_backends

        return iam_backends[account]["aws"]

    def add_account(self, name, email):
        with self.lock:
            made = self.client("organizations").create_account(AccountName=name, Email=email)
            account = made["CreateAccountStatus"]["AccountId"]
        trust = {"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": self.management}, "Action": "sts:AssumeRole"}
        ]}
        # An organization's new account has the role that the management account takes.
        arn = f"arn:aws:iam::{account}:role/OrganizationAccountAccessRole"
        given = self.client("sts").assume_role(RoleArn=arn, RoleSessionName="set-up")["Credentials"]
        credentials = given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"]
        iam = self.client("iam", credentials)
        iam.create_role(RoleName=MEMBER_ROLE, AssumeRolePolicyDocument=json.dumps(trust))
        return account

    def suspend_account(self, account):
        self.client("organizations").close_account(AccountId=account)

    def add_user(self, account, name, tags, groups):
        iam = self.client("iam", self.member(account))
        iam.create_user(UserName=name, Tags=[{"Key": key, "Value": value} for key, value in tags.items()])
        for group in groups:
            if group not in self.iam(account).groups:
                iam.create_group(GroupName=group)
            iam.add_user_to_group(GroupName=group, UserName=name)

    def add_key(self, account, user, key):
        from moto.core.utils import utcnow
        from moto.iam.models import AccessKeyLastUsed

        made = self.client("iam", self.member(account)).create_access_key(UserName=user)["AccessKey"]
        held = self.iam(account).access_keys[made["AccessKeyId"]]
        held.create_date = utcnow() - datetime.timedelta(days=key.age)
        held.status = "Active" if key.active else "Inactive"
        if key.used is not None:
            held.last_used = AccessKeyLastUsed(utcnow() - datetime.timedelta(days=key.used), "s3", "us-east-1")
        return made["AccessKeyId"]

    def pass_time(self, account, queue, by):
        """Everything in the account and on the queue becomes so much older: moto's time is the machine's."""
        from moto.iam.models import AccessKeyLastUsed
        from moto.sqs.models import sqs_backends

        iam = self.iam(account)
        for user in iam.users.values():
            for key in user.access_keys:
                key.create_date -= by
                if key.last_used is not None:
                    used = key.last_used
                    key.last_used = AccessKeyLastUsed(used.timestamp - by, used.service, used.region)
            tags = iam.tagger.list_tags_for_resource(user.arn)["Tags"]
            iam.tagger.tag_resource(user.arn, [{**tag, "Value": INSTANT.sub(lambda at: earlier(at[0], by), tag["Value"])} for tag in tags])
        milliseconds = by // datetime.timedelta(milliseconds=1)
        for message in sqs_backends[self.management][REGION].queues[queue.rpartition("/")[2]]._messages:
            message.visible_at -= milliseconds
            message.sent_timestamp -= milliseconds
            message.body = asked_earlier(message.body, by)

    def secret_access_keys(self, account, user):
        return {key.access_key_id: key.secret_access_key for key in self.iam(account).users[user].access_keys}

    def secret_text(self, account, name, _reader):
        # Not GetSecretValue's default version: see docs/second-opinion.md.
        secrets = self.client("secretsmanager", self.member(account))
        return secrets.get_secret_value(SecretId=name, VersionStage="AWSCURRENT")["SecretString"]

    def mails(self):
        from moto.ses.models import ses_backends

        return [
            Mail(tuple(sum(sent.destinations.values(), [])), sent.subject, sent.body)
            for sent in list(ses_backends[self.management][REGION].sent_messages)
        ]


class Sandbox(StandIn):
    """The product's sandbox, a process of its own."""

    name = "sandbox"

    def __init__(self, program):
        command = [str(program), "serve", "--port", "0", "--accounts", "0", "--users-per-account", "0", "--region", REGION]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        exported = {}
        for line in self.process.stdout:
            name, _, value = line.removeprefix("export ").strip().partition("=")
            exported[name] = value
            if name == "SENDER_EMAIL":
                break
        else:
            raise RuntimeError("the sandbox does not start")
        super().__init__(exported["AWS_ENDPOINT_URL"], (exported["AWS_ACCESS_KEY_ID"], exported["AWS_SECRET_ACCESS_KEY"], None))
        self.accounts = iter(range(111111111111, 999999999999))

    def close(self):
        self.process.terminate()
        self.process.wait()

    def control(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.environment['AWS_ENDPOINT_URL']}/_sandbox/{path}", data)
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def add_account(self, name, email):
        return self.control("accounts", {"id": str(next(self.accounts)), "name": name, "email": email})["id"]

    def suspend_account(self, account):
        self.control("accounts", {"id": account, "state": "SUSPENDED"})

    def add_user(self, account, name, tags, groups):
        self.control("users", {"account": account, "name": name, "tags": tags, "groups": groups})

    def add_key(self, account, user, key):
        spec = {"account": account, "user": user, "age_days": key.age, "last_used_days_ago": key.used}
        return self.control("keys", {**spec, "status": "Active" if key.active else "Inactive"})["access_key_id"]

    def pass_time(self, _account, _queue, by):
        # Sessions end as time passes.
        self.members.clear()
        self.control("clock", {"advance_seconds": by // datetime.timedelta(seconds=1)})

    def secret_access_keys(self, account, user):
        keys = self.control("state")["accounts"][account]["users"][user]["keys"]
        return {key["id"]: key["secret_access_key"] for key in keys}

    def secret_text(self, account, name, reader):
        # The secret's policy lets nobody read it but the user: so with the user's own key.
        secrets = self.client("secretsmanager", reader)
        return secrets.get_secret_value(SecretId=name)["SecretString"]

    def mails(self):
        return [Mail(tuple(mail["to"]), mail["subject"], mail["html"] or mail["text"]) for mail in self.control("outbox")["outbox"]]


def earlier(instant, by):
    """An instant of a tag, so much earlier."""
    spelling = "%Y-%m-%dT%H:%M:%SZ"
    return (datetime.datetime.strptime(instant, spelling) - by).strftime(spelling)


def asked_earlier(body, by):
    """A message that was asked for so much earlier."""
    job = json.loads(body)
    asked = datetime.datetime.fromisoformat(job["requested_at"]) - by
    return json.dumps({**job, "requested_at": asked.isoformat()})
