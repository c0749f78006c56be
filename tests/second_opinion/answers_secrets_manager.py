"""Questions to Secrets Manager."""

import json

from desk import Answer, taken
from stand_ins import REGION

A, B, C = (f"{digit * 8}-{digit * 4}-4{digit * 3}-8{digit * 3}-{digit * 12}" for digit in "123")
MOVE = "UpdateSecretVersionStage"
ELSEWHERE = "eu-west-1"


def put(desk, secret, version, value="value", stages=("AWSPENDING",)):
    return desk.secrets.put_secret_value(
        SecretId=secret, ClientRequestToken=version, SecretString=value, VersionStages=list(stages)
    )


def move(desk, secret, to, **removed):
    desk.secrets.update_secret_version_stage(SecretId=secret, VersionStage="AWSCURRENT", MoveToVersionId=to, **removed)


def pending(desk):
    """A secret with a published version A and a pending version B."""
    secret = desk.a_secret(ClientRequestToken=A, SecretString="value")
    put(desk, secret, B, "value of B")
    return secret


def first_pending(desk):
    secret = desk.a_secret()
    put(desk, secret, A)
    return desk.stages(secret)


def put_again(value):
    def ask(desk):
        secret = pending(desk)
        put(desk, secret, B, value)
        return desk.secrets.get_secret_value(SecretId=secret, VersionId=B)["SecretString"]

    return ask


def moved(to, **removed):
    def ask(desk):
        secret = pending(desk)
        move(desk, secret, to, **removed)
        return desk.stages(secret)

    return ask


def still_after(to, **removed):
    """What is published after a move that was refused."""

    def ask(desk):
        secret = pending(desk)
        try:
            move(desk, secret, to, **removed)
        except desk.secrets.exceptions.ClientError:
            return desk.stages(secret)["1"]
        return "not refused"

    return ask


def read_after_a_move(desk):
    secret = pending(desk)
    move(desk, secret, B, RemoveFromVersionId=A)
    return desk.secrets.get_secret_value(SecretId=secret)["SecretString"]


def a_third_version(desk):
    secret = pending(desk)
    move(desk, secret, B, RemoveFromVersionId=A)
    put(desk, secret, C)
    move(desk, secret, C, RemoveFromVersionId=B)
    return desk.stages(secret)


def to_be_deleted(then):
    def ask(desk):
        secret = desk.a_secret(ClientRequestToken=A, SecretString="value")
        desk.secrets.delete_secret(SecretId=secret, RecoveryWindowInDays=7)
        return taken(then(desk, secret))

    return ask


def policy(principal, effect="Allow"):
    statement = {"Effect": effect, "Principal": principal, "Action": "secretsmanager:GetSecretValue", "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def with_policy(text, **more):
    def ask(desk):
        return taken(desk.secrets.put_resource_policy(
            SecretId=desk.a_secret(SecretString="value"), ResourcePolicy=text.replace("ACCOUNT", desk.account), **more
        ))

    return ask


def read_in_spite_of_a_deny(desk):
    secret = desk.a_secret(SecretString="value")
    desk.secrets.put_resource_policy(SecretId=secret, ResourcePolicy=policy("*", "Deny"))
    return taken(desk.secrets.get_secret_value(SecretId=secret))


def replicated(region, *, write=False):
    def ask(desk):
        secret = desk.a_secret(SecretString="value")
        desk.secrets.replicate_secret_to_regions(SecretId=secret, AddReplicaRegions=[{"Region": region}])
        there = desk.member("secretsmanager", region)
        if write:
            return taken(there.put_secret_value(SecretId=secret, SecretString="other"))
        return there.describe_secret(SecretId=secret)["PrimaryRegion"] == REGION

    return ask


def status_of_a_missing_secret(desk):
    try:
        desk.secrets.describe_secret(SecretId="none")
    except desk.secrets.exceptions.ResourceNotFoundException as missing:
        return missing.response["ResponseMetadata"]["HTTPStatusCode"]


SECRETS_MANAGER = [
    Answer(
        "a secret that is not there", lambda desk: desk.secrets.describe_secret(SecretId="none"), "ResourceNotFoundException",
        "DescribeSecret",
    ),
    Answer("the HTTP status where a secret is not there", status_of_a_missing_secret, 400, "DescribeSecret: errors", 404),
    Answer(
        "a secret made without a value, read", lambda desk: desk.secrets.get_secret_value(SecretId=desk.a_secret()),
        "ResourceNotFoundException", "GetSecretValue",
    ),
    Answer(
        "a secret made twice", lambda desk: desk.secrets.create_secret(Name=desk.a_secret()), "ResourceExistsException",
        "CreateSecret",
    ),
    Answer(
        "a name with a comma", lambda desk: taken(desk.secrets.create_secret(Name=desk.new("a,b"))),
        "InvalidParameterException", "CreateSecret: Name", "taken",
    ),
    Answer(
        "labels of a first version stored as AWSPENDING", first_pending, {"1": ["AWSCURRENT", "AWSPENDING"]}, "PutSecretValue",
    ),
    Answer("the same version and value stored again", put_again("value of B"), "value of B", "PutSecretValue: idempotent"),
    Answer(
        "another value stored under the same version id", put_again("another"), "ResourceExistsException",
        "PutSecretValue: ClientRequestToken", "another",
    ),
    Answer(
        "labels after AWSCURRENT was moved", moved(B, RemoveFromVersionId=A),
        {"1": ["AWSPREVIOUS"], "2": ["AWSCURRENT", "AWSPENDING"]}, MOVE,
    ),
    Answer(
        "the published value after AWSCURRENT was moved, no version named", read_after_a_move, "value of B",
        "GetSecretValue: AWSCURRENT by default", "value",
    ),
    Answer(
        "labels after a third version was published", a_third_version,
        {"2": ["AWSPREVIOUS"], "3": ["AWSCURRENT", "AWSPENDING"]}, "DescribeSecret: only versions with labels",
        {"1": [], "2": ["AWSPREVIOUS"], "3": ["AWSCURRENT", "AWSPENDING"]},
    ),
    Answer(
        "AWSCURRENT moved off a version that has it not", moved(B, RemoveFromVersionId=B), "InvalidParameterException", MOVE,
    ),
    Answer("AWSCURRENT moved without saying from where", moved(B), "InvalidParameterException", MOVE),
    Answer(
        "AWSCURRENT moved to a version that is not there", moved(C, RemoveFromVersionId=A), "ResourceNotFoundException",
        f"{MOVE}: errors", "InvalidParameterException",
    ),
    Answer(
        "labels of the published version after a move to one that is not there", still_after(C, RemoveFromVersionId=A),
        ["AWSCURRENT"], MOVE, [],
    ),
    Answer(
        "AWSCURRENT moved off a version that is not there", moved(B, RemoveFromVersionId=C), "ResourceNotFoundException",
        f"{MOVE}: errors; which, is not documented", "InvalidParameterException",
    ),
    Answer(
        "a value for a secret that is to be deleted", to_be_deleted(lambda desk, secret: put(desk, secret, B)),
        "InvalidRequestException", "PutSecretValue", "taken",
    ),
    Answer(
        "a policy for a secret that is to be deleted",
        to_be_deleted(lambda desk, secret: desk.secrets.put_resource_policy(SecretId=secret, ResourcePolicy=policy({"AWS": desk.account}))),
        "InvalidRequestException", "PutResourcePolicy", "taken",
    ),
    Answer(
        "a secret made where one is to be deleted", to_be_deleted(lambda desk, secret: desk.secrets.create_secret(Name=secret)),
        "InvalidRequestException", "CreateSecret", "ResourceExistsException",
    ),
    Answer(
        "a secret that is to be deleted, restored",
        to_be_deleted(lambda desk, secret: desk.secrets.restore_secret(SecretId=secret)), "taken", "RestoreSecret",
    ),
    Answer(
        "a policy that lets everybody read, where that is blocked", with_policy(policy("*"), BlockPublicPolicy=True),
        "PublicPolicyException", "PutResourcePolicy", "taken",
    ),
    Answer(
        "a policy that is no JSON", with_policy("{nonsense"), "MalformedPolicyDocumentException", "PutResourcePolicy", "taken",
    ),
    Answer(
        "a policy for a user that is not there", with_policy(policy({"AWS": "arn:aws:iam::ACCOUNT:user/none"})),
        "MalformedPolicyDocumentException", "PutResourcePolicy", "taken",
    ),
    Answer(
        "a secret read in spite of its policy", read_in_spite_of_a_deny, "AccessDeniedException",
        "Secrets Manager User Guide: resource-based policies", "taken",
    ),
    Answer("a replica in the secret's own region", replicated(REGION), "InvalidParameterException", "ReplicateSecretToRegions"),
    Answer("a replica looked at", replicated(ELSEWHERE), True, "DescribeSecret: PrimaryRegion"),
    Answer(
        "a replica written to", replicated(ELSEWHERE, write=True), "InvalidRequestException", "PutSecretValue",
        "InvalidParameterException",
    ),
]
