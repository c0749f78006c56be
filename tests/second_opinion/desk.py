"""What the questions of answers.py are asked with: an account of a stand-in, and a fresh user, secret or queue for each."""

import itertools
import uuid
from dataclasses import dataclass
from typing import Any, Callable

# moto answers as AWS does.
AS_AWS = object()


@dataclass(frozen=True)
class Answer:
    """A question, and what is said to it: a value, or the code of a refusal."""

    asked: str
    ask: Callable
    # By AWS's documentation, and so what the sandbox has to say.
    aws: Any
    # The page that says so.
    page: str
    moto: Any = AS_AWS


class Desk:
    """An account, and things in it that nobody else asks about."""

    def __init__(self, aws):
        self.aws = aws
        self.numbers = itertools.count(1)
        self.account = self.an_account()
        self.management = aws.client("sts").get_caller_identity()["Account"]
        self.iam = self.member("iam")
        self.secrets = self.member("secretsmanager")
        self.sts, self.sqs, self.ses = aws.client("sts"), aws.client("sqs"), aws.client("sesv2")
        self.organizations = aws.client("organizations")

    def member(self, service, region=None):
        arguments = (region,) if region else ()
        return self.aws.client(service, self.aws.member(self.account), *arguments)

    def new(self, kind):
        return f"{kind}-{next(self.numbers)}-{uuid.uuid4().hex[:8]}"

    def an_account(self):
        name = self.new("account")
        return self.aws.add_account(name, f"{name}@example.org")

    def a_user(self, keys=0):
        name = self.new("user")
        self.iam.create_user(UserName=name)
        for _ in range(keys):
            self.iam.create_access_key(UserName=name)
        return name

    def a_key(self, user):
        return self.iam.list_access_keys(UserName=user)["AccessKeyMetadata"][0]["AccessKeyId"]

    def a_secret(self, **content):
        name = self.new("secret")
        self.secrets.create_secret(Name=name, **content)
        return name

    def stages(self, secret):
        """Staging labels by the first digit of the version's id."""
        found = self.secrets.describe_secret(SecretId=secret)["VersionIdsToStages"]
        return {version[0]: sorted(stages) for version, stages in found.items()}

    def a_queue(self, fifo=False, **attributes):
        kind = {"FifoQueue": "true"} if fifo else {}
        name = self.new("queue") + (".fifo" if fifo else "")
        return self.sqs.create_queue(QueueName=name, Attributes={**kind, **attributes})["QueueUrl"]

    def arn(self, queue):
        return self.attribute(queue, "QueueArn")

    def attribute(self, queue, name):
        return self.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=[name])["Attributes"].get(name)

    def waiting(self, queue):
        return int(self.attribute(queue, "ApproximateNumberOfMessages"))

    def send(self, queue, body="body", **more):
        return self.sqs.send_message(QueueUrl=queue, MessageBody=body, **more)

    def receive(self, queue, **more):
        return self.sqs.receive_message(QueueUrl=queue, AttributeNames=["All"], MessageAttributeNames=["All"], **more).get("Messages", [])




def taken(_answer):
    """The call was accepted, whatever its answer."""
    return "taken"
