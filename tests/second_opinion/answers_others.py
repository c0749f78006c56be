"""Questions to STS, Organizations and SES."""

import json

from answers_secrets_manager import SECRETS_MANAGER
from answers_sqs import SQS
from desk import Answer, taken
from stand_ins import MEMBER_ROLE, SENDER

LIST = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iam:ListUsers", "Resource": "*"}]}


def assume(role=MEMBER_ROLE, **more):
    def ask(desk):
        arn = f"arn:aws:iam::{desk.account}:role/{role}"
        return taken(desk.sts.assume_role(**{"RoleArn": arn, "RoleSessionName": "second-opinion", **more}))

    return ask


def beyond_its_session_policy(desk):
    user = desk.a_user()
    given = desk.sts.assume_role(
        RoleArn=f"arn:aws:iam::{desk.account}:role/{MEMBER_ROLE}", RoleSessionName="second-opinion", Policy=json.dumps(LIST)
    )["Credentials"]
    credentials = given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"]
    return taken(desk.aws.client("iam", credentials).create_access_key(UserName=user))


def caller(desk, credentials):
    return taken(desk.aws.client("sts", credentials).get_caller_identity())


def inactive_key(desk):
    key = desk.iam.create_access_key(UserName=desk.a_user())["AccessKey"]
    desk.iam.update_access_key(UserName=key["UserName"], AccessKeyId=key["AccessKeyId"], Status="Inactive")
    return caller(desk, (key["AccessKeyId"], key["SecretAccessKey"], None))


def own_key(desk):
    key = desk.iam.create_access_key(UserName=desk.a_user())["AccessKey"]
    arn = desk.aws.client("sts", (key["AccessKeyId"], key["SecretAccessKey"], None)).get_caller_identity()["Arn"]
    return arn == f"arn:aws:iam::{desk.account}:user/{key['UserName']}"


def key_info(desk):
    key = desk.a_key(desk.a_user(keys=1))
    return desk.sts.get_access_key_info(AccessKeyId=key)["Account"] == desk.account


STS = [
    Answer(
        "a role that is not there", assume("none"), "AccessDenied", "AssumeRole; the User Guide's troubleshooting of roles",
        "taken",
    ),
    Answer("a session of 60 seconds", assume(DurationSeconds=60), "ValidationError", "AssumeRole: 900 at least", "taken"),
    Answer(
        "a session of more than 12 hours", assume(DurationSeconds=43201), "ValidationError", "AssumeRole: 43,200 at most",
        "taken",
    ),
    Answer("a session name with a space", assume(RoleSessionName="a b"), "ValidationError", "AssumeRole: pattern", "taken"),
    Answer("a call beyond the session's policy", beyond_its_session_policy, "AccessDenied", "AssumeRole: Policy", "taken"),
    Answer("who calls, with a user's key", own_key, True, "GetCallerIdentity"),
    Answer("who calls, with a key that is inactive", inactive_key, "InvalidClientTokenId", "Common errors", "taken"),
    Answer(
        "who calls, with a key that nobody has", lambda desk: caller(desk, ("AKIANOBODYNOBODYNOBO", "x", None)),
        "InvalidClientTokenId", "Common errors", "taken",
    ),
    Answer("whose account a key is of", key_info, True, "GetAccessKeyInfo"),
    Answer(
        "whose account a key is of that nobody has",
        lambda desk: taken(desk.sts.get_access_key_info(AccessKeyId="AKIAAAAAAAAAAAAAAAAA")),
        "ValidationError", "not documented; AWS does not answer with the caller's", "taken",
    ),
]


def accounts(desk, **more):
    desk.an_account(), desk.an_account()
    return desk.organizations.list_accounts(**more)


def two_accounts(desk):
    answer = accounts(desk, MaxResults=2)
    return len(answer["Accounts"]), bool(answer.get("NextToken"))


def state(desk):
    return desk.organizations.describe_account(AccountId=desk.account)["Account"]["State"]


def as_a_member(desk):
    return taken(desk.member("organizations").list_accounts())


ORGANIZATIONS = [
    Answer(
        "an account that is not there", lambda desk: desk.organizations.describe_account(AccountId="999999999999"),
        "AccountNotFoundException", "DescribeAccount",
    ),
    Answer("an account's state", state, "ACTIVE", "Account: State"),
    Answer("two accounts of more", two_accounts, (2, True), "ListAccounts"),
    Answer(
        "21 accounts at once", lambda desk: taken(accounts(desk, MaxResults=21)), "InvalidInputException",
        "ListAccounts: 20 at most", "taken",
    ),
    Answer(
        "a page by a token that was never given", lambda desk: accounts(desk, NextToken="nonsense"), "InvalidInputException",
        "ListAccounts", "InvalidToken",
    ),
    Answer(
        "accounts of a unit that is not there",
        lambda desk: desk.organizations.list_accounts_for_parent(ParentId="ou-abcd-12345678"),
        "ParentNotFoundException", "ListAccountsForParent",
    ),
    Answer("accounts, asked by a member", as_a_member, "AccessDeniedException", "ListAccounts", "taken"),
]


def mail(to=("owner@example.org",), sender=SENDER, **more):
    content = {"Simple": {"Subject": {"Data": "subject"}, "Body": {"Text": {"Data": "text"}}}}

    def ask(desk):
        return taken(desk.ses.send_email(FromEmailAddress=sender, Destination={"ToAddresses": list(to)}, Content=content, **more))

    return ask


def identity(desk):
    return desk.ses.get_email_identity(EmailIdentity=SENDER)["VerifiedForSendingStatus"]


SES = [
    Answer("a mail", mail(), "taken", "SendEmail"),
    Answer("a mail to a name and an address", mail(['"L, Ada" <ada@example.org>']), "taken", "SendEmail"),
    Answer("a mail from a sender that is not verified", mail(sender="x@nowhere.example"), "MessageRejected", "SendEmail"),
    Answer("a mail to nobody", mail([]), "BadRequestException", "SendEmail", "taken"),
    Answer(
        "a mail to what is no address", mail(["nonsense"]), "BadRequestException", "SendEmail: errors", "InvalidParameterValue",
    ),
    Answer(
        "a mail by a configuration set that is not there", mail(ConfigurationSetName="none"), "NotFoundException", "SendEmail",
        "taken",
    ),
    Answer("whether a sender that can send is verified", identity, True, "GetEmailIdentity", False),
]
