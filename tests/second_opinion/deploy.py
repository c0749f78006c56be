#!/usr/bin/env python3
"""Deploys the templates to an AWS of somebody else's making, runs the real programs on what they made, and takes it down again.

moto's server stands in for AWS: CloudFormation, Organizations, IAM, STS, SQS, ECS, ECR, Secrets Manager and SES in one. deploy.sh
and cleanup.sh run as they are; only docker is replaced, by a program that puts an image's name into the stand-in's registry. The
programs get the environment their task definitions give them and credentials of the roles the stacks made.

    pip install -r .ci/requirements.txt
    cargo build --release --workspace
    tests/second_opinion/deploy.py            (BIN=… where the programs are not in target/release)

What moto's CloudFormation does not know is printed at the end: the stack completes without it, so it is not shown here.
"""

import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

import boto3
from moto.events.models import EventPattern

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILT = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
BIN = pathlib.Path(os.environ.get("BIN", BUILT)).resolve()
REGION = "eu-west-1"
ADMIN = "admin@example.org"
PREFIX = "iam-key-rotation"
FLEET, MONITORING, MEMBER, LISTER, IMAGE = (f"{PREFIX}-{name}" for name in ("fleet", "monitoring", "member-role", "list-role", "image"))

# Before the AWS CLI: version 1 asks SQS at an address of its own, whatever AWS_ENDPOINT_URL says.
AWS = f"""#!/usr/bin/env bash
exec {shlex.quote(shutil.which("aws") or "aws")} --endpoint-url "$AWS_ENDPOINT_URL" "$@"
"""

DOCKER = """#!/bin/sh
# In docker's place: "push" puts the tag into the registry, everything else only says what it would do.
set -e
echo "docker $*" >> "$DOCKER_LOG"
if [ "$1" = login ]; then
    cat >/dev/null
elif [ "$1" = push ]; then
    aws ecr put-image --repository-name {prefix} --image-tag "${{2##*:}}" \\
        --image-manifest '{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json"}}' >/dev/null
fi
""".format(prefix=PREFIX)


# moto, with four things put right. Nobody is on a list of suppressed addresses, which it does not have. A stack's parameters are texts: it takes numbers and lists for different from themselves, and so
# an update without changes for one. A stack made by a change set has outputs, too. A stack set says what units it is deployed to.
SERVER = """
from moto.cloudformation import models
Stack = getattr(models, "Stack", None) or models.FakeStack
texts = lambda self: {
    name: ",".join(value) if isinstance(value, list) else str(value)
    for name, value in self.resource_map.resolved_parameters.items()
}
Stack.stack_parameters = property(texts)
Stack.parameter_list = property(lambda self: [
    {"ParameterKey": name, "ParameterValue": value} for name, value in texts(self).items()
])
Backend = models.CloudFormationBackend
execute = Backend.execute_change_set
def with_outputs(self, *arguments, **named):
    execute(self, *arguments, **named)
    for stack in self.stacks.values():
        stack._parse_template()
        stack.output_map = stack._create_output_map()
Backend.execute_change_set = with_outputs
Instances = models.StackInstances
create = Instances.create_instances
def with_units(self, accounts, regions, parameters, deployment_targets, permission_model):
    made = create(self, accounts, regions, parameters, deployment_targets, permission_model)
    self.units = getattr(self, "units", set()) | set(deployment_targets.get("OrganizationalUnitIds", []))
    return made
Instances.create_instances = with_units
models.StackSet.organizational_unit_ids = property(lambda self: sorted(getattr(self.instances, "units", [])))
from moto.sesv2.responses import SESV2Response
from moto.sesv2.urls import url_paths
url_paths["{0}/v2/email/suppression/addresses/(?P<EmailAddress>[^/]+)$"] = SESV2Response.dispatch
SESV2Response.get_suppressed_destination = lambda _: (404, {"status": "404", "x-amzn-errortype": "NotFoundException"}, "{}")
from moto.server import main
main()
"""


def step(text):
    print(f"== {text}", flush=True)


passed = 0


def check(truth, text):
    global passed
    if not truth:
        sys.exit(f"FAILED: {text}")
    passed += 1
    print(f"ok: {text}", flush=True)


class StandIn:
    """moto's server in a process of its own."""

    def __init__(self, directory):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.endpoint = f"http://127.0.0.1:{port}"
        self.log = directory / "moto.log"
        command = [sys.executable, "-c", SERVER, "-H", "127.0.0.1", "-p", str(port)]
        self.process = subprocess.Popen(command, stdout=self.log.open("w"), stderr=subprocess.STDOUT)
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{self.endpoint}/moto-api/")
                break
            except OSError:
                time.sleep(0.1)
        else:
            sys.exit("moto's server does not start")
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": REGION,
            "KEY_ROTATION_POLL_SECONDS": "1",
            "DOCKER_LOG": str(directory / "docker.log"),
            "PATH": f"{directory}{os.pathsep}{os.environ['PATH']}",
        }

    def client(self, service, credentials=None):
        keys = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
        values = credentials or ("test", "test", None)
        return boto3.client(service, region_name=REGION, endpoint_url=self.endpoint, **dict(zip(keys, values)))

    def assume(self, role):
        answer = self.client("sts").assume_role(RoleArn=role, RoleSessionName="second-opinion")["Credentials"]
        return answer["AccessKeyId"], answer["SecretAccessKey"], answer["SessionToken"]

    def run(self, *command, status=0, **environment):
        done = subprocess.run(
            [str(part) for part in command], env={**self.environment, **environment}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        if done.returncode != status:
            print(done.stdout)
            sys.exit(f"FAILED: {command[0]} ended with {done.returncode}, not {status}")
        return done.stdout

    def deploy(self, organization, *options, status=0):
        return self.run(ROOT / "cloudformation/deploy.sh", REGION, ADMIN, organization, *options, status=status)

    def outputs(self, stack):
        found = self.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]["Outputs"]
        return {output["OutputKey"]: output["OutputValue"] for output in found}

    def program(self, name, *arguments, status=0):
        """Runs a program as its task would: with the task definition's environment and the task role's credentials."""
        definition = self.client("ecs").describe_task_definition(taskDefinition=f"{PREFIX}-{name}")["taskDefinition"]
        container = definition["containerDefinitions"][0]
        # Where AWS::NoValue leaves an entry out, moto leaves nothing in its place.
        variables = {entry["name"]: str(entry["value"]) for entry in container["environment"] if entry}
        # moto's task definitions forget their role; the stack's outputs name it.
        key, secret, token = self.assume(self.outputs(FLEET)[f"{name.capitalize()}RoleArn"])
        credentials = {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret, "AWS_SESSION_TOKEN": token}
        return self.run(BIN / name, *arguments, status=status, **variables, **credentials)


def stacks(aws):
    found = aws.client("cloudformation").describe_stacks()["Stacks"]
    return {stack["StackName"]: stack["StackStatus"] for stack in found if stack["StackName"].startswith(PREFIX)}


def main():
    # To be told to end is to clean up.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    for program in ("producer", "worker"):
        if not (BIN / program).exists():
            sys.exit(f"{BIN / program} is not built: cargo build --release")
    with tempfile.TemporaryDirectory() as directory:
        directory = pathlib.Path(directory)
        for program, script in (("docker", DOCKER), ("aws", AWS)):
            (directory / program).write_text(script)
            (directory / program).chmod(0o755)
        aws = StandIn(directory)
        try:
            story(aws, directory)
        finally:
            aws.process.terminate()
            aws.process.wait()
        unknown = sorted(set(re.findall(r"No Moto CloudFormation support for (\S+)", aws.log.read_text())))
        print("not shown, as moto's CloudFormation does not know them:", ", ".join(unknown))
        print(f"{passed} checks ok")


def story(aws, directory):
    organizations = aws.client("organizations")
    organization = organizations.create_organization(FeatureSet="ALL")["Organization"]["Id"]
    account = organizations.create_account(AccountName="prod", Email="owner@example.org")["CreateAccountStatus"]["AccountId"]
    root = organizations.list_roots()["Roots"][0]["Id"]
    # moto deploys a stack set aimed at the root to the management account as well, which AWS does not: hence a unit.
    unit = organizations.create_organizational_unit(ParentId=root, Name="workloads")["OrganizationalUnit"]["Id"]
    organizations.move_account(AccountId=account, SourceParentId=root, DestinationParentId=unit)

    step("deploy.sh refuses early, and --plan changes nothing")
    said = aws.deploy("o-zzzzzzzzzz", status=2)
    check("not to o-zzzzzzzzzz" in said, "another organization's id is refused")
    said = aws.deploy(organization, "--set", "RotationPeriode=80", status=2)
    check("has a parameter RotationPeriode" in said, "a mistyped parameter is refused")
    said = aws.deploy(organization, "--ou", unit, "--set", "EnforceIn=" + root, "--plan", status=2)
    check(f"{root} is not within RunIn={unit}" in said, "to enforce in more than the runs take is refused")
    aws.deploy(organization, "--ou", unit, "--set", f"EnforceIn={account}", "--plan")
    check(not stacks(aws), "the plan made nothing")

    # Enforcing from the start: moto fails at updating a stack with a resource whose condition does not hold.
    step("deploy.sh from nothing")
    aws.deploy(organization, "--ou", unit, "--enforce", "--everywhere", "--monitoring")
    made = stacks(aws)
    check(set(made) >= {FLEET, MONITORING, MEMBER, LISTER, IMAGE}, "all stacks are made")
    check(all(status.endswith("_COMPLETE") and "ROLLBACK" not in status for status in made.values()), f"they are complete: {made}")
    check((directory / "docker.log").read_text().count("docker push") == 1, "the image was pushed")
    member = aws.assume(f"arn:aws:iam::{account}:role/OrganizationAccountAccessRole")
    roles = {role["RoleName"] for role in aws.client("iam", member).list_roles()["Roles"]}
    check("asa-iam-key-rotation-lambda-assumed-role" in roles, "the stack set made the role in the member account")

    step("which ends of tasks reach the alarm topic")
    rule = EventPattern.load(aws.client("events").describe_rule(Name=f"{PREFIX}-task-failed")["EventPattern"])
    cluster = aws.client("ecs").describe_clusters(clusters=[PREFIX])["clusters"][0]["clusterArn"]
    producer, worker = f"family:{PREFIX}-producer", f"service:{PREFIX}-worker"
    # ECS lists containers; here the one is told as itself, since moto does not look into lists of objects, as EventBridge does.
    for group, code, container, reaches, what in [
        (producer, "EssentialContainerExited", {"exitCode": 1}, True, "a run of the producer that failed"),
        (producer, "EssentialContainerExited", {"exitCode": 0}, False, "a run of the producer that did not fail"),
        (producer, "TaskFailedToStart", {"name": "producer"}, True, "a run of the producer that never started"),
        (worker, "TaskFailedToStart", {"name": "worker"}, True, "a worker that never started"),
        (worker, "EssentialContainerExited", {"exitCode": 1}, True, "a worker that failed"),
        (worker, "ServiceSchedulerInitiated", {"exitCode": 0}, False, "a worker that was no longer needed"),
    ]:
        detail = {"clusterArn": cluster, "lastStatus": "STOPPED", "group": group, "stopCode": code, "containers": container}
        event = {"source": "aws.ecs", "detail-type": "ECS Task State Change", "detail": detail}
        check(rule.matches_event(event) == reaches, f"{what} {'reaches it' if reaches else 'does not'}")

    step("deploy.sh again")
    said = aws.deploy(organization, "--ou", unit)
    changed = [line for line in said.splitlines() if "Successfully" in line]
    check(not changed, f"no stack was changed: {changed}")
    check("No changes to the stack set" in said, "the stack set was not changed")
    check((directory / "docker.log").read_text().count("docker push") == 1, "the image was not built again")

    step("deploy.sh for another unit, as well")
    second = organizations.create_account(AccountName="test", Email="test@example.org")["CreateAccountStatus"]["AccountId"]
    other = organizations.create_organizational_unit(ParentId=root, Name="tests")["OrganizationalUnit"]["Id"]
    organizations.move_account(AccountId=second, SourceParentId=root, DestinationParentId=other)
    # The fleet's parameters stay as they are: what a change set changed is no previous value to moto afterwards.
    aws.deploy(organization, "--ou", other, "--set", f"RunIn={unit}")
    names = {found["Account"] for found in aws.client("cloudformation").list_stack_instances(StackSetName=MEMBER)["Summaries"]}
    check(names == {account, second}, f"the member role is in both units' accounts: {names}")

    step("deploy.sh REGION --audit, and back")
    flags = []
    for mode in (["--audit"], ["--enforce", "--everywhere"]):
        aws.run(ROOT / "cloudformation/deploy.sh", REGION, *mode, DOCKER_LOG="/nonexistent/docker")
        for stack in (FLEET, MONITORING):
            found = aws.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]["Parameters"]
            flags += [parameter["ParameterValue"] for parameter in found if parameter["ParameterKey"] == "DryRunFlag"]
    check(flags == ["True", "True", "False", "False"], "the mode is changed, without docker")

    step("deploy.sh --plan of what is running")
    said = aws.deploy(organization, "--build", "--plan", "--set", "CpuArchitecture=ARM64", "--alarms", "oncall@example.org")
    check("would change in " + FLEET in said, "the change set of the fleet is shown")
    check("docker build --platform linux/arm64" in said, "the image would be built for the tasks' architecture")
    check(re.search(r"RotationPeriod +90 +\(as it is\)", said), "what is not named stays as it is")
    left = aws.client("cloudformation").list_change_sets(StackName=FLEET)["Summaries"]
    check(not [found for found in left if found["ChangeSetName"].startswith("plan-")], "no change set is left behind")
    check(not re.search(r"ARM64|oncall", json.dumps(aws.outputs(FLEET))), "nothing was changed")

    step("producer and worker on what was made: audit")
    iam = aws.client("iam", member)
    iam.create_user(UserName="ada")
    old = iam.create_access_key(UserName="ada")["AccessKey"]["AccessKeyId"]
    aws.program("producer", "schedule", "--dry-run")
    aws.program("worker", "--drain")
    queue = aws.outputs(FLEET)
    left = aws.client("sqs").get_queue_attributes(QueueUrl=queue["QueueUrl"], AttributeNames=["All"])["Attributes"]
    check(left["ApproximateNumberOfMessages"] == "0", "the queue is worked off")
    dead = aws.client("sqs").receive_message(
        QueueUrl=queue["DeadLetterQueueUrl"], MessageAttributeNames=["All"], MaxNumberOfMessages=10
    ).get("Messages", [])
    for letter in dead:
        print(letter["Body"], letter.get("MessageAttributes"))
    check(not dead, "there are no dead letters")
    check(len(iam.list_access_keys(UserName="ada")["AccessKeyMetadata"]) == 1, "in audit mode nothing is changed")

    step("and a rotation")
    aws.program("producer", "force-rotate", "--account", account, "--user", "ada")
    aws.program("worker", "--drain")
    keys = {key["AccessKeyId"]: key["Status"] for key in iam.list_access_keys(UserName="ada")["AccessKeyMetadata"]}
    check(len(keys) == 2 and set(keys.values()) == {"Active"}, f"there is a successor: {keys}")
    secret = f"Account_{account}_User_ada_AccessKey"
    value = json.loads(aws.client("secretsmanager", member).get_secret_value(SecretId=secret)["SecretString"])
    check(value["AccessKeyId"] in set(keys) - {old}, "its secret is published in the member account")
    tags = {tag["Key"]: tag["Value"] for tag in iam.list_user_tags(UserName="ada")["Tags"]}
    check(tags.get(f"key-rotation:state:{old}", "").startswith("forced="), f"its owner was told: {tags}")

    step("cleanup.sh")
    aws.run(ROOT / "cloudformation/cleanup.sh", REGION, status=2)
    check(stacks(aws), "it does not go ahead without a yes")
    aws.run(ROOT / "cloudformation/cleanup.sh", REGION, "--plan")
    check(stacks(aws), "its plan removes nothing")
    # moto does not know EmptyOnDelete.
    ecr = aws.client("ecr")
    images = ecr.list_images(repositoryName=PREFIX)["imageIds"]
    ecr.batch_delete_image(repositoryName=PREFIX, imageIds=images)
    aws.run(ROOT / "cloudformation/cleanup.sh", REGION, "--yes")
    check(not stacks(aws), "no stack is left")
    sets = aws.client("cloudformation").list_stack_sets()["Summaries"]
    check(all(found["Status"] == "DELETED" for found in sets), "no stack set is left")
    check(not aws.client("sqs").list_queues().get("QueueUrls"), "no queue is left")
    left = {role["RoleName"] for keys in (None, member) for role in aws.client("iam", keys).list_roles()["Roles"]}
    check(not any("key-rotation" in name for name in left), "no role is left, here or in the member account")
    check(not aws.client("ecr").describe_repositories()["repositories"], "no repository is left")
    check(aws.client("secretsmanager", member).describe_secret(SecretId=secret), "the user's secret is left")
    aws.run(ROOT / "cloudformation/cleanup.sh", REGION, "--yes")
    check(True, "cleanup.sh again finds nothing to do")


if __name__ == "__main__":
    main()
