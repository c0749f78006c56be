#!/usr/bin/env python3
"""Calls the product makes, at their edges, put to both stand-ins, and what AWS's documentation says of each.

The sandbox has to answer as AWS does. moto answers as it does: where that is something else, it is written down here, so that a version
of moto that answers otherwise is noticed, too. The table in docs/second-opinion.md is made of this list, and must be up to date.

    tests/second_opinion/answers.py            checks both stand-ins and the table
    tests/second_opinion/answers.py --table    prints the table
"""

import signal
import sys
from contextlib import closing

from botocore.config import Config
from botocore.exceptions import ClientError

from answers_iam import IAM
from answers_others import ORGANIZATIONS, SECRETS_MANAGER, SES, SQS, STS
from desk import AS_AWS, Desk
from stage import BIN, ROOT
from stand_ins import Moto, Sandbox

SERVICES = {
    "IAM": IAM, "STS": STS, "Organizations": ORGANIZATIONS, "Secrets Manager": SECRETS_MANAGER, "SQS": SQS, "SES": SES,
}
PAGE = ROOT / "docs/second-opinion.md"
# One try, and nothing is checked before it is sent: what is asked is what the service says.
AS_IT_IS = Config(retries={"total_max_attempts": 1}, parameter_validation=False)


def told(answer, desk):
    try:
        return answer.ask(desk)
    except ClientError as refused:
        return refused.response["Error"]["Code"]


def table():
    lines = ["| service | asked | AWS, the sandbox | moto | by AWS's page |", "|---|---|---|---|---|"]
    for service, answers in SERVICES.items():
        lines += [
            f"| {service} | {answer.asked} | {spelled(answer.aws)} | {spelled(answer.moto)} | {answer.page} |"
            for answer in answers if answer.moto is not AS_AWS
        ]
    return "\n".join(lines)


def spelled(said):
    if isinstance(said, str) and " " not in said and said[0].isupper():
        return f"`{said}`"
    return str(said)


def main():
    if sys.argv[1:] == ["--table"]:
        print(table())
        return 0
    # To be told to end is to clean up.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    wrong = asked = 0
    with closing(Sandbox(BIN / "sandbox")) as sandbox, closing(Moto()) as moto:
        for aws in (sandbox, moto):
            aws.clients.config = AS_IT_IS
            aws.clients.made.clear()
            desk = Desk(aws)
            for service, answers in SERVICES.items():
                for answer in answers:
                    expected = answer.aws if aws is sandbox or answer.moto is AS_AWS else answer.moto
                    found = told(answer, desk)
                    asked += 1
                    if found != expected:
                        wrong += 1
                        print(f"FAILED: {aws.name}, {service}, {answer.asked}: {found!r}, expected {expected!r} (AWS: {answer.aws!r})")
    if table() not in PAGE.read_text():
        wrong += 1
        print(f"FAILED: the table in {PAGE.relative_to(ROOT)} is not the one that --table prints")
    different = sum(answer.moto is not AS_AWS for answers in SERVICES.values() for answer in answers)
    print(f"{asked // 2} questions to both: the sandbox has to answer as AWS does; moto is known not to in {different}; {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
