#!/usr/bin/env python3
"""deploy.sh and cleanup.sh, whatever is cut off, refused or there already, on a stand-in for AWS (stand_in.py).

Of each run below every single call is made to fail, one after the other. Then either nothing was done and the exit status says so, or
running it again ends where a run without a failure ends; and no setting that was not asked for is ever another.

    tests/deploy/runs.py [part of a name]      (BASH=… with another bash)
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
from stand_in import DELEGATE, MANAGEMENT, ORGANIZATION, ROOT, Cloud, StandIn, changes, option  # noqa: E402

SCRIPTS = pathlib.Path(__file__).resolve().parents[2] / "cloudformation"
BASH = os.environ.get("BASH", "bash")
FLEET, MEMBER, LISTER, IMAGE, KMS, MONITORING = (
    f"iam-key-rotation-{name}" for name in ("fleet", "member-role", "list-role", "image", "kms", "monitoring")
)
# The third is in the second.
UNIT, OTHER, INNER = "ou-abcd-11111111", "ou-abcd-22222222", "ou-abcd-33333333"
ALL = ("eu-west-1", "admin@example.com", ORGANIZATION)
KEY = f"arn:aws:kms:eu-west-1:{MANAGEMENT}:key/our-own"
OLD = "an older version's template"


class World:
    def __init__(self, directory):
        self.aws = StandIn(directory)
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "KEY_ROTATION_", "IMAGE_"))}
        self.environment |= {
            "PATH": f"{directory}{os.pathsep}{os.environ['PATH']}", "STAND_IN_PORT": str(self.aws.port), "KEY_ROTATION_POLL_SECONDS": "0",
        }

    def run(self, cloud, command, fail_at=None, fault="before"):
        """The exit status; what was said is in `said`, the calls are in `calls`."""
        self.aws.cloud, self.aws.calls, self.aws.fail_at, self.aws.fault = cloud, [], fail_at, fault
        done = subprocess.run(
            [*BASH.split(), SCRIPTS / command[0], *command[1:]], env=self.environment, text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=30,
        )
        self.said, self.calls = re.sub(r"^  [A-Z]\w+ {2,}.*\n", "", done.stdout, flags=re.M), self.aws.calls
        return done.returncode

    def expect(self, status, cloud, *command, says=()):
        found = self.run(cloud, command)
        assert found == status, f"{' '.join(command)} ended with {found}, not {status}:\n{self.said}"
        for text in says:
            assert text in self.said, f"it did not say {text!r}:\n{self.said}"

    def deploy(self, cloud, *options, status=0, says=(), arguments=ALL):
        self.expect(status, cloud, "deploy.sh", *arguments, *options, says=says)

    def refused(self, cloud, *options, says, arguments=ALL):
        """With exit status 2, and nothing is done."""
        before = cloud.lasting()
        self.deploy(cloud, *options, status=2, says=(says,), arguments=arguments)
        assert cloud.lasting() == before and not any(map(changes, self.calls)), "something was done"


def deployed(world, *options, caller=MANAGEMENT):
    """An organization with a fleet of an older version that enforces, with settings that are not the defaults."""
    cloud = Cloud(caller)
    world.deploy(cloud, "--image", "example/old:1", "--monitoring", "--enforce", "--everywhere", "--set", "RotationPeriod=60", "--set", "InactivePeriod=75",
                 "--set", "ResourceOwnerTag=owner", "--set", "OrgListRole=our-list-role", "--set", "CreateExemptionGroup=No", *options)
    for stack in cloud.stacks.values():
        stack["template"] = OLD
    cloud.set["template"] = OLD
    return cloud


def settings_of(cloud):
    return {name: dict(stack["parameters"]) for name, stack in cloud.stacks.items()}


# ---- every call fails once ----------------------------------------------------------------------------------------------


# What is found out for people to read; they read that it could not be.
SAID_AS_UNKNOWN = [["describe-organizations-access"], ["get-account"], ["get-service-quota"], ["list-secrets"]]


def each_call_fails_once(world, name, start, command, asked=()):
    """`asked`: parameters that may change."""
    whole = start.copy()
    world.expect(0, whole, *command)
    calls, ends, runs = list(world.calls), whole.lasting(), 0
    before = settings_of(start)
    faults = [(index, "before") for index in range(len(calls))]
    faults += [(index, "after") for index, call in enumerate(calls) if changes(call) and call[0] == "aws"]
    faults += [(index, "half") for index, call in enumerate(calls) if "deploy" in call]
    for index, fault in faults:
        what = f"{name}: call {index} ({' '.join(calls[index][:4])}…) fails {fault}"
        cloud = start.copy()
        status = world.run(cloud, command, index, fault)
        runs += 1
        first = world.said
        assert status in (0, 1, 2), f"{what}: ended with {status}:\n{first}"
        if calls[index][2:3] in SAID_AS_UNKNOWN:
            assert "cannot be found out from here: An error occurred (Throttling)" in first and "ended with" not in first, f"{what}: {first}"
        if fault == "before" and calls[index][2:3] not in SAID_AS_UNKNOWN:
            assert status != 0 and ("Rate exceeded" in first or calls[index][0] == "docker"), f"{what}: it went on, as if that had been an answer:\n{first}"
        if status == 2:
            assert cloud.lasting() == start.lasting(), f"{what}: ended with 2, and something was done:\n{first}"
            continue
        for stack, parameters in before.items():
            for parameter, value in parameters.items():
                found = cloud.stacks.get(stack, {"parameters": {}})["parameters"].get(parameter, value)
                assert found == value or parameter in asked, f"{what}: {stack} had {parameter}={value} and has {found}:\n{first}"
        for _ in range(3):
            if status == 0:
                break
            status = world.run(cloud, command)
            runs += 1
        assert status == 0, f"{what}: run again it ended with {status}:\n{first}\n---- again:\n{world.said}"
        assert cloud.lasting() == ends, f"{what}: it ended elsewhere:\n{first}\n---- again:\n{world.said}"
    return f"{len(faults)} failures, {runs} runs"


def a_first_deployment_that_is_cut_off_anywhere_is_finished_by_the_next(world):
    cloud = Cloud()
    cloud.trusted = "DISABLED"
    return each_call_fails_once(world, "first", cloud, ("deploy.sh", *ALL, "--ou", UNIT, "--monitoring", "--central-store", "--set", "EnforceIn=333333333333"))


def an_upgrade_that_is_cut_off_anywhere_loses_no_setting(world):
    command = ("deploy.sh", *ALL, "--build", "--ou", OTHER, "--set", "RotationPeriod=70")
    return each_call_fails_once(world, "upgrade", deployed(world, "--ou", UNIT), command, asked=("RotationPeriod", "ImageUri", "RunIn"))


def a_delegated_administrators_update_that_is_cut_off_anywhere_loses_no_setting(world):
    start = deployed(world, caller=DELEGATE)
    return each_call_fails_once(world, "delegated", start, ("deploy.sh", *ALL, "--set", "MaxWorkers=5"), asked=("MaxWorkers",))


def an_audit_that_is_cut_off_anywhere_is_finished_by_the_next(world):
    return each_call_fails_once(world, "audit", deployed(world), ("deploy.sh", "eu-west-1", "--audit"), asked=("DryRunFlag",))


def a_cleanup_that_is_cut_off_anywhere_is_finished_by_the_next(world):
    return each_call_fails_once(world, "cleanup", deployed(world), ("cleanup.sh", "eu-west-1", "--yes"))


def a_plan_changes_nothing_whatever_fails(world):
    start = deployed(world)
    command = ("deploy.sh", *ALL, "--plan", "--build", "--ou", ROOT)
    world.expect(0, start.copy(), *command)
    calls = list(world.calls)
    for index in [None, *range(len(calls))]:
        cloud = start.copy()
        status = world.run(cloud, command, index)
        assert status in (0, 2), f"call {index} ({calls[index]}) fails: ended with {status}:\n{world.said}"
        assert not any(map(changes, world.calls)) and cloud.lasting() == start.lasting(), world.said
    return f"{len(calls)} failures"


# ---- the stack set ------------------------------------------------------------------------------------------------------


def accounts_with_the_role(cloud):
    return {account for account, found in cloud.instances.items() if found["status"] == "CURRENT"}


def another_unit_is_added_and_none_is_taken_away(world):
    cloud = Cloud()
    world.deploy(cloud, "--image", "i:1", "--ou", UNIT)
    assert accounts_with_the_role(cloud) == {"333333333333", "444444444444"}
    world.deploy(cloud, "--ou", OTHER, says=(f"({UNIT} {OTHER})",))
    assert accounts_with_the_role(cloud) == {"333333333333", "444444444444", "555555555555"}
    world.deploy(cloud, says=("No changes to the stack set", f"({UNIT} {OTHER})"))
    world.deploy(cloud, "--ou", ROOT)
    assert cloud.set["units"] == {UNIT, OTHER, ROOT}
    world.deploy(cloud, "--ou", UNIT, says=("No changes to the stack set",))


def an_account_that_failed_is_named_and_tried_again(world):
    cloud = Cloud()
    cloud.blocked["444444444444"] = "a policy of the organization denies iam:CreateRole"
    world.deploy(cloud, "--image", "i:1", status=1, says=("444444444444", cloud.blocked["444444444444"], "run this again"))
    assert FLEET in cloud.stacks, "one account holds nothing else up"
    cloud.blocked.clear()
    world.deploy(cloud)
    assert "444444444444" in accounts_with_the_role(cloud)
    cloud.suspended.add("444444444444")
    cloud.set["template"] = OLD
    world.deploy(cloud)
    world.deploy(cloud, says=("No changes to the stack set",))


def roles_come_before_the_fleet(world):
    for cloud in (deployed(world), Cloud()):
        world.deploy(cloud, "--image", "i:2")
        steps = [(call[2], option(call, "--stack-name")) for call in world.calls if changes(call)]
        fleet = steps.index(("deploy", FLEET))
        before = {command for command, _ in steps[:fleet]} | {stack for _, stack in steps[:fleet]}
        assert {LISTER, MEMBER} < before and {"update-stack-set", "create-stack-instances"} & before, steps


def what_is_left_in_an_account_is_said_and_removed_by_the_next_cleanup(world):
    cloud = deployed(world)
    cloud.blocked["555555555555"] = "Cannot delete a policy attached to entities."
    world.expect(1, cloud, "cleanup.sh", "eu-west-1", "--yes", says=("555555555555", "Cannot delete a policy attached", "Not all is gone"))
    assert set(cloud.instances) == {"555555555555"} and cloud.set is not None and not cloud.stacks
    assert f"OrganizationalUnitIds=UNIT,Accounts=ACCOUNT" in world.said, world.said
    cloud.blocked.clear()
    world.expect(0, cloud, "cleanup.sh", "eu-west-1", "--yes")
    assert cloud.set is None


def logs_and_secrets_stay_and_are_named(world):
    cloud = deployed(world)
    world.expect(0, cloud, "cleanup.sh", "eu-west-1", "--plan", says=("export them first",))
    assert "delete-log-group" not in world.said, world.said
    template = (SCRIPTS / "fleet.yaml").read_text()
    cloud.stacks[FLEET]["template"] = template
    cloud.secrets = ["Account_111111111111_User_ada_AccessKey", "Account_111111111111_User_ben_AccessKey"]
    for option_ in ("--plan", "--yes"):
        world.expect(0, cloud, "cleanup.sh", "eu-west-1", option_, says=(
            *cloud.secrets, "the only copy of a key", "aws logs delete-log-group --region eu-west-1 --log-group-name /iam-key-rotation/worker"))
    assert not any(word.startswith("delete") and call[1] in ("logs", "secretsmanager") for call in world.calls for word in call[2:3]), world.calls
    assert template.count("AWS::Logs::LogGroup\n    DeletionPolicy: Retain") == template.count("AWS::Logs::LogGroup") == 2
    cloud.log_groups = ["/iam-key-rotation/worker", "/iam-key-rotation/producer"]
    world.refused(cloud, "--image", "i:1", says="(/iam-key-rotation/worker, /iam-key-rotation/producer)")
    assert "aws logs delete-log-group --region eu-west-1 --log-group-name /iam-key-rotation/producer" in world.said, world.said
    world.deploy(deployed(world))


def a_fleet_that_cannot_be_deleted_is_left_with_the_likely_reasons(world):
    cloud = deployed(world)
    cloud.held.add(FLEET)
    world.expect(1, cloud, "cleanup.sh", "eu-west-1", "--yes", says=(f"the stack {FLEET} is not gone", "describe-stack-events --region eu-west-1", "a security group that another refers to"))
    assert cloud.stacks[FLEET]["status"] == "DELETE_FAILED" and cloud.set is not None
    cloud.held.clear()
    world.expect(0, cloud, "cleanup.sh", "eu-west-1", "--yes")
    assert not cloud.stacks


def an_account_that_is_closed_holds_up_no_cleanup(world):
    cloud = deployed(world)
    cloud.suspended.add("444444444444")
    world.expect(0, cloud, "cleanup.sh", "eu-west-1", "--yes", says=("AWS has suspended 444444444444", "exposed-keys, tag-guard"))
    assert cloud.set is None and not cloud.stacks
    kept = [option(call, "--deployment-targets") for call in world.calls if "--retain-stacks" in call]
    assert kept == [f"OrganizationalUnitIds={ROOT},Accounts=444444444444,AccountFilterType=INTERSECTION"], kept


def a_cleanup_in_the_wrong_place_does_not_say_that_all_is_gone(world):
    cloud = Cloud()
    cloud.roles.add("iam-key-rotation-worker")
    world.expect(2, cloud, "cleanup.sh", "us-east-1", "--yes", says=("its workers' role", "in another region", "Nothing was removed"))
    assert not any(map(changes, world.calls))
    # What an interrupted cleanup left is removed, whosever that role is.
    cloud.make_stack(IMAGE, {}, "")
    world.expect(0, cloud, "cleanup.sh", "eu-west-1", "--yes")
    assert not cloud.stacks
    world.expect(0, Cloud(), "cleanup.sh", "eu-west-1", "--yes", says=("Nothing of iam-key-rotation is in the account",))


def of_a_few_accounts_one_may_fail_before_the_rest_is_left_alone(world):
    cloud = deployed(world)
    world.deploy(cloud)
    assert "FailureToleranceCount=1" in next(option(call, "--operation-preferences") for call in world.calls if "update-stack-set" in call)


def what_the_stack_set_refuses_is_said_as_that(world):
    cloud = deployed(world)
    world.expect(0, cloud.copy(), "deploy.sh", *ALL)
    refused = next(index for index, call in enumerate(world.calls) if "update-stack-set" in call)
    assert world.run(cloud, ("deploy.sh", *ALL), refused) == 1
    assert "update-stack-set was refused" in world.said and "cannot be looked up" not in world.said, world.said


def scheduled_runs_take_the_units_that_have_the_role(world):
    def run_in():
        return cloud.stacks[FLEET]["parameters"]["RunIn"]

    cloud = Cloud()
    world.deploy(cloud, "--image", "i:1", "--ou", UNIT)
    assert run_in() == UNIT
    world.deploy(cloud)
    assert run_in() == UNIT
    world.deploy(cloud, "--ou", OTHER)
    assert run_in() == f"{UNIT},{OTHER}"
    world.deploy(cloud, "--set", f"RunIn={OTHER}")
    world.deploy(cloud)
    assert run_in() == OTHER
    world.deploy(cloud, "--ou", ROOT)
    assert run_in() == ""


# ---- what comes next ----------------------------------------------------------------------------------------------------


def what_comes_next_is_one_account_and_then_the_mode(world):
    cloud = Cloud()
    world.deploy(cloud, "--image", "i:1", says=(
        "mails what would happen to owners", f"in one account first: deploy.sh {' '.join(ALL)} --set EnforceIn=ACCOUNT; a day later: deploy.sh eu-west-1 --enforce"))
    world.deploy(cloud, "--set", "AuditMails=administrator", says=("mails admin@example.com alone",))
    world.deploy(cloud, "--set", "EnforceIn=333333333333", says=("a day after EnforceIn was set: deploy.sh eu-west-1 --enforce. It enforces in 333333333333",))
    world.deploy(cloud, "--enforce")
    world.deploy(cloud, "--monitoring", says=("this changes keys in 333333333333, and audits all others",))
    assert "When they are right" not in world.said and "audit mode changes nothing" not in world.said, world.said


def a_fleet_that_runs_in_another_region_is_not_made_twice(world):
    cloud = Cloud()
    cloud.roles.add("iam-key-rotation-worker")
    world.refused(cloud, "--image", "i:1", says="does a fleet run in another region?")
    cloud = Cloud()
    cloud.roles.add("asa-iam-key-rotation-list-accounts-role")
    world.refused(cloud, "--image", "i:1", says="another name: --set OrgListRole=NAME")
    world.deploy(cloud, "--image", "i:1", "--set", "OrgListRole=our-list-role")


def in_china_where_there_are_no_such_stack_sets_nothing_is_made(world):
    for region in ("cn-north-1", "cn-northwest-1"):
        for options in (("--image", "i:1"), ("--image", "i:1", "--plan"), ("--enforce",)):
            cloud = Cloud()
            cloud.partition = "aws-cn"
            world.refused(cloud, *options, arguments=(region, *ALL[1:]), says=f"cannot deploy to {region}. Nothing was done. The templates can be used by hand")


def in_china_a_fleet_that_was_made_by_hand_enforces_once_the_log_is_notice_enough(world):
    cloud, china = Cloud(), ("cn-north-1",)
    world.deploy(cloud, "--image", "i:1")
    cloud.partition = "aws-cn"
    world.refused(cloud, "--enforce", "--everywhere", arguments=china, says=f"update the stack {FLEET} by hand, with NoticesInLog=True")
    cloud.stacks[FLEET]["parameters"]["NoticesInLog"] = "True"
    world.deploy(cloud, "--enforce", "--everywhere", arguments=china)
    assert cloud.stacks[FLEET]["parameters"]["DryRunFlag"] == "False"
    world.deploy(cloud, "--audit", arguments=china)
    world.refused(cloud, "--image", "i:2", arguments=(*china, *ALL[1:]), says="cannot deploy to cn-north-1")


# ---- what people are told -----------------------------------------------------------------------------------------------


def an_address_of_a_verified_domain_is_not_verified_again(world):
    for identities, sender, verified in (
        ({"example.com": True}, "keys@example.com", True),
        ({"example.com": True}, "keys@mail.example.com", True),
        ({"keys@mail.example.com": False, "example.com": True}, "keys@mail.example.com", True),
        ({"mail.example.com": False, "example.com": True}, "keys@mail.example.com", False),
        ({"ample.com": True}, "keys@example.com", False),
    ):
        cloud = Cloud()
        cloud.identities = dict(identities)
        world.deploy(cloud, "--image", "i:1", "--sender", sender, says=("Verified in SES." if verified else f"Follow the link in SES's mail to {sender}",))
        assert (sender in cloud.identities) == (sender in identities or not verified), cloud.identities


def a_question_to_ses_that_fails_ends_a_run_before_anything_is_done(world):
    cloud = Cloud()
    world.expect(0, cloud.copy(), "deploy.sh", *ALL, "--image", "i:1")
    for index in [index for index, call in enumerate(world.calls) if "get-email-identity" in call]:
        assert world.run(cloud, ("deploy.sh", *ALL, "--image", "i:1"), index) == 2, world.said
        assert not any(map(changes, world.calls)), world.said


def a_command_that_is_told_names_the_region(world):
    cloud = Cloud()
    cloud.make_stack(FLEET, {}, "", "ROLLBACK_COMPLETE")
    world.refused(cloud, says=f"aws cloudformation delete-stack --region eu-west-1 --stack-name {FLEET}, first")
    cloud = deployed(world)
    command = ("deploy.sh", *ALL, "--set", "MaxWorkers=5")
    world.expect(0, cloud.copy(), *command)
    making = next(index for index, call in enumerate(world.calls) if call[2] == "deploy")
    assert world.run(cloud, command, making) == 1
    assert "describe-stack-events --region eu-west-1 --stack-name" in world.said, world.said


def what_is_missing_on_the_command_line_is_said(world):
    for arguments in ((), ALL[:1], ALL[:2]):
        world.refused(Cloud(), arguments=arguments, says="it takes REGION ADMIN_EMAIL ORG_ID, or REGION with --audit or --enforce")
    world.refused(Cloud(), "--audit", arguments=(), says="it takes REGION ADMIN_EMAIL ORG_ID")
    world.expect(2, Cloud(), "cleanup.sh", "--yes", says=("it takes REGION",))
    assert not world.calls


# ---- the mode, and the image --------------------------------------------------------------------------------------------


def the_mode_alone_touches_nothing_else(world):
    cloud = deployed(world)
    before, instances = settings_of(cloud), dict(cloud.instances)
    for arguments, options, flag in (
        (ALL[:1], ["--audit"], "True"), (ALL[:1], ["--enforce", "--everywhere"], "False"), (ALL, ["--audit"], "True"),
    ):
        world.deploy(cloud, *options, arguments=arguments, says=(f"{FLEET} has DryRunFlag={flag}", "Some minutes"))
        for stack in (FLEET, MONITORING):
            assert cloud.stacks[stack]["parameters"] == before[stack] | {"DryRunFlag": flag}
        assert all(stack["template"] == OLD for stack in cloud.stacks.values()), "no template is another"
        asked = {(call[1], call[2]) for call in world.calls}
        wanted = {("sts", "get-caller-identity")} | {("cloudformation", name) for name in ("describe-stacks", "update-stack", "wait")}
        if "--enforce" in options:
            wanted.add(("sqs", "get-queue-attributes"))
        assert asked == wanted, asked
    assert cloud.instances == instances
    world.deploy(cloud, "--audit", says=("already", "DynamicScalingOutSuspended=true"))
    assert not any(map(changes, world.calls))
    world.deploy(cloud, "--enforce", "--everywhere", "--plan", says=("WorkerTask",))
    assert not any(map(changes, world.calls))
    world.refused(cloud, "--audit", arguments=("eu-west-1", "other@example.com", ORGANIZATION), says="not other@example.com")
    world.refused(cloud, "--audit", arguments=("eu-west-1", "admin@example.com", "o-zzzzzzzzzz"), says="not o-zzzzzzzzzz's")
    world.refused(Cloud(), "--audit", arguments=ALL[:1], says="no fleet")
    cloud.stacks[FLEET]["status"] = "UPDATE_ROLLBACK_FAILED"
    world.refused(cloud, "--audit", arguments=ALL[:1], says="is in the state UPDATE_ROLLBACK_FAILED")
    assert "--desired-count 0" in world.said, "what stops workers whatever the stack is in"


def every_account_is_enforced_in_only_where_that_is_said(world):
    audits = Cloud()
    world.refused(audits, "--image", "i:1", "--enforce", says="EVERY account that the schedule reaches")
    world.refused(audits, "--image", "i:1", "--set", "DryRunFlag=False", says="add --everywhere")
    world.refused(audits, "--image", "i:1", "--everywhere", says="--everywhere goes with --enforce")
    world.deploy(audits, "--image", "i:1")
    world.refused(audits, "--enforce", arguments=ALL[:1], says="add --everywhere")
    world.refused(audits, "--audit", "--everywhere", arguments=ALL[:1], says="--everywhere goes with --enforce")
    world.deploy(audits.copy(), "--enforce", "--everywhere", arguments=ALL[:1], says=("EVERY account",))
    world.deploy(audits, "--set", "EnforceIn=333333333333")
    world.refused(audits, "--enforce", "--everywhere", arguments=ALL[:1], says="EnforceIn=333333333333: to enforce in all accounts")
    world.deploy(audits, "--enforce", arguments=ALL[:1], says=("Keys will be changed in: 333333333333.",))
    # An empty variable is not "everywhere" either.
    world.refused(audits, "--set", "EnforceIn=", says="add --everywhere")
    world.deploy(audits, "--set", "EnforceIn=", "--everywhere")
    world.deploy(audits, "--set", "MaxWorkers=5")
    world.deploy(audits, "--enforce", arguments=ALL[:1], says=("already",))


def what_waits_from_before_is_not_carried_out(world):
    cloud = Cloud()
    world.deploy(cloud, "--image", "i:1", "--set", "EnforceIn=333333333333")
    cloud.depths = {"dead-letters": (3, 0)}
    world.deploy(cloud, "--enforce", "--plan", arguments=ALL[:1], says=("3 dead letters are there",))
    for queue in ("work", "urgent"):
        for depth in ((2, 0), (0, 2)):
            cloud.depths[queue] = depth
            for arguments in (ALL, ALL[:1]):
                world.refused(cloud, "--enforce", arguments=arguments, says=f"2 messages are on the queues")
            assert f"of https://sqs/{queue}" in world.said and "3 dead letters are there" in world.said, world.said
            world.deploy(cloud, "--enforce", "--plan", arguments=ALL[:1], says=("2 messages are on the queues", "Nothing was changed"))
        del cloud.depths[queue]
    world.deploy(cloud, "--enforce", arguments=ALL[:1], says=("3 dead letters are there", "DryRunFlag=False"))
    # A fleet that enforces is at work.
    cloud.depths["work"] = (5, 5)
    world.deploy(cloud, "--enforce", "--set", "MaxWorkers=5")


def help_fits_a_terminal(world):
    for script in ("deploy.sh", "cleanup.sh", "operate.sh"):
        world.expect(0, Cloud(), script, "--help", says=("Usage: ", "Exit status: "))
        assert not [line for line in world.said.splitlines() if len(line) > 100], world.said


def the_image_that_runs_stays_unless_another_is_asked_for(world):
    cloud = deployed(world)
    world.deploy(cloud, "--enforce", "--set", "MaxWorkers=5")
    assert cloud.stacks[FLEET]["parameters"]["ImageUri"] == "example/old:1"
    assert not any(call[0] == "docker" for call in world.calls)
    world.refused(cloud, "--set", "CpuArchitecture=ARM64", says="--build")
    world.refused(cloud, "--image", "i:2", "--set", "ImageUri=i:3", says="asked for twice")
    world.refused(cloud, "--image", "i:2", "--build", says="do not go together")
    world.deploy(cloud, "--set", "CpuArchitecture=ARM64", "--build")
    built = cloud.stacks[FLEET]["parameters"]["ImageUri"]
    assert re.fullmatch(r".*/iam-key-rotation:[0-9a-f]{16}-arm64", built), built
    build = next(call for call in world.calls if call[:2] == ["docker", "build"])
    assert re.fullmatch(r"KEY_ROTATION_COMMIT=([0-9a-f]{40}(-dirty)?)?", option(build, "--build-arg")), build
    world.deploy(cloud, "--build")
    assert not any(call[:2] == ["docker", "build"] for call in world.calls), "the same sources are built once"
    world.deploy(cloud, "--rebuild")
    assert cloud.stacks[FLEET]["parameters"]["ImageUri"].startswith(f"{built}-"), "built again, under another tag"
    build = next(call for call in world.calls if call[:2] == ["docker", "build"])
    assert "--pull" in build, build
    world.environment["IMAGE_URI"] = "left/over:1"
    world.deploy(cloud, "--set", "MaxWorkers=6")
    assert cloud.stacks[FLEET]["parameters"]["ImageUri"].startswith(f"{built}-")
    assert not any(call[0] == "docker" for call in world.calls)
    cloud = Cloud()
    world.deploy(cloud)
    assert cloud.stacks[FLEET]["parameters"]["ImageUri"] == world.environment.pop("IMAGE_URI")


def without_the_sources_an_image_has_to_be_named(world):
    with tempfile.TemporaryDirectory() as directory:
        script = str(shutil.copytree(SCRIPTS, pathlib.Path(directory, "cloudformation")) / "deploy.sh")
        world.expect(2, Cloud(), script, *ALL, says=("a release's archive has none): give --image URI",))
        world.expect(0, Cloud(), script, *ALL, "--image", "i:1")


# ---- settings -----------------------------------------------------------------------------------------------------------


def an_option_without_a_value_is_refused(world):
    for name in ("--image", "--vpc", "--subnets", "--ou", "--external-id", "--role-name", "--sender", "--reply-to", "--alarms", "--set"):
        for arguments in ((name, ""), (name,), (name, "--plan")):
            world.refused(Cloud(), *arguments, says=f"{name} needs a value")
    world.refused(Cloud(), "--ou", "prod", says="is not an organizational unit")


def a_value_that_a_template_does_not_take_is_refused_before_anything_is_done(world):
    for cloud in (Cloud(), deployed(world)):
        for setting, says in (
            ("RotationPeriod=ninety", "it must be a number"), ("RotationPeriod=", "it must be a number"),
            ("CreateExemptionGroup=Maybe", "one of: Yes No"), ("UnusedKeys=keep", "one of: rotate retire"), ("DryRunFlag=true", "one of: True False"),
            ("RotationPeriod=0", "at least 1"), ("AuditRunInterval=32", "at most 31"), ("FullScanDays=0", "at least 1"),
            ("RecoveryGracePeriod=99999", "at most 36500"),
            ("LogRetentionDays=2", "one of: 1 3 5"), ("StoreSecretsInCentralAccount=yes", "True or False"),
            ("EnforceIn=123456789012, 123456789013", 'EnforceIn="123456789012, 123456789013", with a space: it must be empty, or ids of'),
            ("EnforceIn=123456789012", "EnforceIn=123456789012: 123456789012 is not in the organization"),
            (f"EnforceIn=333333333333,{UNIT}x", f"{UNIT}x is not in the organization"), ("EnforceIn=r-zzzz", "r-zzzz is not in the organization"),
            ("RunIn=ou-abcd-99999999", "ou-abcd-99999999 is not in the organization"),
            ("CredentialReplicationRegions=eu-west-1", "names eu-west-1, where the secrets are already"),
            ("CredentialReplicationRegions=us-east-1,us-east-1", "names us-east-1 twice"), ("CredentialReplicationRegions=europe", '"europe" is not a region'),
            ("SecretReaders=arn:aws:iam::*:role/x", "a wildcard would let in other accounts"), ("SecretReaders=arn:aws:iam::{account}:user/x", "not the ARN of a role"),
            ("SecretReaders=arn:aws-cn:iam::{account}:role/x", "not the ARN of a role"), ("SecretReadersAllowed=arn:aws:iam::{account}:role/*", "begin with a fixed text"),
            ("SecretReadersAllowed=arn:aws:iam::{account}:role/{user}*", "does not go together with {user}"),
            (f"SecretReaders=arn:aws:iam::{MANAGEMENT}:role/x", "Write {account} for the account"),
            ("SecretReaders=" + ",".join(["arn:aws:iam::{account}:role/x"] * 11), "names 11 roles"),
            ("ScheduleExpression=daily", "it must be cron("), ("ScheduleExpression=cron(0 6 * * *)", "it must be cron("),
            ("ScheduleExpression=at(2027-01-01T06:00:00)", "it must be cron("), ("ScheduleExpression=cron(0 6 * * * *)", "must be ?"),
            ("ScheduleExpression=rate(7 days)", "AuditRunInterval=DAYS"), ("ScheduleExpression=rate(49 hours)", "AuditRunInterval=DAYS"),
            ("ScheduleExpression=cron(0 6 ? * MON-FRI *)", "AuditRunInterval=DAYS"), ("ScheduleExpression=rate(32 days)", "once in 31 days"),
            ("ScheduleExpression=cron(0 25 * * ? *)", "the hour cannot be 25: it must be from 0 to 23"), ("ScheduleExpression=cron(60 6 * * ? *)", "the minute cannot be 60"),
            ("ScheduleExpression=cron(0 6,24 * * ? *)", "the hour cannot be 24"), ("ScheduleExpression=cron(0 08-30/2 * * ? *)", "the hour cannot be 30"),
            ("ScheduleExpression=cron(0 6 0 * ? *)", "the day of the month cannot be 0"), ("ScheduleExpression=cron(0 6 * 13 ? *)", "the month cannot be 13"),
            ("ScheduleExpression=cron(0 6 ? * 0-6 *)", "the day of the week cannot be 0"), ("ScheduleExpression=cron(0 99999999999999999999 * * ? *)", "from 0 to 23"),
            ("ScheduleExpression=cron(0 6 * * ? 2020)", "the year must be *"), ("ScheduleExpression=cron(0 6 * * ? 2026-2199)", "the year must be *"),
            ("ScheduleTimeZone=Central European Time", "as Europe/Berlin or UTC"), ("ReadRoleName=asa-iam-key-rotation-lambda-assumed-role", "need two names"),
            ("EnforceIn=12345", "it must be empty, or ids of organizational units and accounts"), ("RunIn=123456789012", "it must be of the form (r-"),
            ("ExcludeAccounts=ou-abcd-11111111", "ids of accounts"), ("ExternalId=a b", "2 to 1224 letters"),
            ("OperatorRoleArns=*", "ARNs of roles"), ("BreakGlassRoleName=a/b", "of the form"),
        ):
            world.refused(cloud, "--image", "i:1", "--set", setting, says=says)


def a_value_that_a_template_takes_is_not_refused(world):
    role = f"arn:aws:iam::{MANAGEMENT}:role/aws-reserved/sso.amazonaws.com/*/AWSReservedSSO_keys_*"
    for setting in (f"EnforceIn=333333333333,{UNIT},{ROOT}", "ExcludeAccounts=333333333333,444444444444", f"RunIn={UNIT},{OTHER}", "ExternalId=",
                    "SecretReaders=arn:aws:iam::{account}:role/aws-reserved/sso.amazonaws.com/*/AWSReservedSSO_KeyOps_*,arn:aws:iam::{account}:role/of-{user}",
                    "CredentialReplicationRegions=us-east-1,us-gov-west-1", "ScheduleExpression=rate(24 hours)", "ScheduleExpression=cron(30 4 ? * * *)",
                    "ScheduleExpression=cron(0/45 08,20 * * ? *)", "ScheduleExpression=cron(59 23 1-31 * ? *)", "ScheduleExpression=cron(*/90 0-23/30 ? * 1-7 *)",
                    "ScheduleTimeZone=America/Argentina/Buenos_Aires", "ScheduleTimeZone=Etc/GMT+5",
                    "ExternalId=a_b+c=d,e.f@g:h/i-j", f"OperatorRoleArns={role},{role}", "EnforceIn="):
        world.deploy(Cloud(), "--image", "i:1", "--plan", "--set", setting)
    # Java's patterns that mean the same to settings.sh (check_pattern): these escapes, in these places, and nothing that POSIX does not know.
    for template in SCRIPTS.glob("*.yaml"):
        for pattern in re.findall(r"^    AllowedPattern: (.*)", template.read_text(), flags=re.M):
            sets, rest = re.findall(r"\[[^]]*\]", pattern), re.sub(r"\[[^]]*\]", "", pattern)
            assert pattern[0] == pattern[-1] == '"' and not re.search(r"\(\?|[*+?}][?+]", rest), f"{template.name}: {pattern}"
            escapes = set(re.findall(r"\\\\?(.)", "".join(sets))), set(re.findall(r"\\\\?(.)", rest))
            assert escapes[0] <= {"w", "s"} and escapes[1] <= {"."}, f"{template.name}: {pattern}"


def settings_that_the_workers_would_refuse_together_are_refused_before_anything_is_done(world):
    # The fleet that runs has periods of its own: 60 and 75.
    for cloud, settings, says in (
        (Cloud(), ("InactivePeriod=90",), "InactivePeriod=90 must be more than RotationPeriod=90"),
        (Cloud(), ("RotationPeriod=7",), "PendingActionWarnPeriod=7 must be less than RotationPeriod=7"),
        (Cloud(), ("MinWorkers=11",), "MinWorkers=11 must not be more than MaxWorkers=10"),
        (deployed(world), ("RotationPeriod=75",), "InactivePeriod=75 must be more than RotationPeriod=75"),
        (Cloud(), ("StoreSecretsInCentralAccount=True", f"SecretKmsKeyArn={KEY}", "CredentialReplicationRegions=us-east-1"), "does not go together with the central store"),
        (Cloud(), ("StoreSecretsInCentralAccount=True", f"SecretKmsKeyArn={KEY.replace('eu-west-1', 'us-east-1')}"), "a key of the region eu-west-1"),
        (Cloud(), ("ScheduleExpression=rate(7 days)", "AuditRunInterval=6"), "AuditRunInterval=6"),
        (deployed(world), ("PendingActionWarnPeriod=60",), "PendingActionWarnPeriod=60 must be less than RotationPeriod=60"),
    ):
        world.refused(cloud, "--image", "i:1", *(word for setting in settings for word in ("--set", setting)), says=says)
    world.deploy(Cloud(), "--image", "i:1", "--set", "RotationPeriod=80", "--set", "InactivePeriod=90")
    world.deploy(Cloud(), "--image", "i:1", "--set", "ScheduleExpression=rate(7 days)", "--set", "AuditRunInterval=7")
    world.deploy(Cloud(), "--image", "i:1", "--central-store", "--set", f"SecretReaders=arn:aws:iam::{MANAGEMENT}:role/x")


def a_cron_expression_may_name_days_in_every_way_that_the_scheduler_knows(world):
    for days in ("15W * ?", "L * ?", "? 1-12/2 MON-FRI", "? * 6L", "? * 7#5", "31 JAN,12 ?"):
        world.deploy(Cloud(), "--image", "i:1", "--plan", "--set", f"ScheduleExpression=cron(0 6 {days} *)", "--set", "AuditRunInterval=31")


def a_time_zone_is_one_where_this_machine_knows_them(world):
    with tempfile.TemporaryDirectory() as directory:
        world.environment["TZDIR"] = directory
        # A machine that knows none.
        world.deploy(Cloud(), "--image", "i:1", "--plan", "--set", "ScheduleTimeZone=Europe/Berlin")
        for name in ("UTC", "Europe/Berlin"):
            path = pathlib.Path(directory, name)
            path.parent.mkdir(exist_ok=True)
            path.touch()
        world.deploy(Cloud(), "--image", "i:1", "--plan", "--set", "ScheduleTimeZone=Europe/Berlin")
        for wrong in ("Europe/Berlim", "Europe"):
            world.refused(Cloud(), "--image", "i:1", "--set", f"ScheduleTimeZone={wrong}", says=f"ScheduleTimeZone={wrong}: there is no such time zone in {directory}")
        # What runs is AWS's to know.
        cloud = deployed(world)
        cloud.stacks[FLEET]["parameters"]["ScheduleTimeZone"] = "US/Eastern"
        world.deploy(cloud)
        del world.environment["TZDIR"]


def an_account_that_is_left_out_is_not_one_to_enforce_in(world):
    both = ("--set", f"EnforceIn={UNIT},555555555555", "--set", "ExcludeAccounts=333333333333,555555555555")
    world.refused(Cloud(), "--image", "i:1", *both, says="555555555555 is in both EnforceIn=")
    cloud = Cloud()
    world.deploy(cloud, "--image", "i:1", "--set", "EnforceIn=333333333333,444444444444", "--set", "ExcludeAccounts=555555555555")
    world.refused(cloud, "--set", "ExcludeAccounts=444444444444", says="444444444444 is in both EnforceIn=")
    # What runs holds no upgrade up.
    cloud.stacks[FLEET]["parameters"]["ExcludeAccounts"] = "444444444444"
    world.deploy(cloud, "--set", "MaxWorkers=5")


def what_is_enforced_in_is_within_the_units_of_the_runs(world):
    def parents():
        return [option(call, "--child-id") for call in world.calls if "list-parents" in call]

    for unit, places in ((OTHER, ("555555555555", OTHER, INNER, MANAGEMENT, f"{INNER},555555555555,{MANAGEMENT}")), (UNIT, ("333333333333,444444444444",))):
        for place in places:
            world.deploy(Cloud(), "--image", "i:1", "--plan", "--ou", unit, "--set", f"EnforceIn={place}")
            assert len(parents()) == len(set(parents())), parents()
    world.deploy(Cloud(), "--image", "i:1", "--plan", "--set", f"EnforceIn=333333333333,{INNER},{ROOT}")
    assert not parents(), "runs take all"
    for unit, place, at in ((OTHER, "333333333333", "333333333333"), (OTHER, f"{INNER},{UNIT}", UNIT), (INNER, "555555555555", "555555555555"), (OTHER, ROOT, ROOT), (INNER, OTHER, OTHER)):
        world.refused(Cloud(), "--image", "i:1", "--ou", unit, "--set", f"EnforceIn={place}", says=f"EnforceIn={place}: {at} is not within RunIn={unit}")
    cloud = Cloud()
    world.deploy(cloud, "--image", "i:1", "--ou", UNIT, "--ou", OTHER, "--set", "EnforceIn=333333333333")
    world.refused(cloud, "--set", f"RunIn={OTHER}", says=f"333333333333 is not within RunIn={OTHER}")
    # Nobody is asked about what stays.
    world.deploy(cloud, "--set", "MaxWorkers=5")
    assert not parents()
    cloud.tells_members = False
    world.deploy(cloud, "--set", "EnforceIn=555555555555", says=("EnforceIn: 555555555555 within RunIn cannot be found out from here: An error occurred (AccessDenied",))


def whether_an_account_is_in_the_organization_may_stay_unknown(world):
    cloud = Cloud()
    cloud.tells_members = False
    world.deploy(cloud, "--image", "i:1", "--set", "EnforceIn=123456789012", says=("EnforceIn: 123456789012 in the organization cannot be found out from here: An error occurred (AccessDenied",))
    # What runs has is not asked about again: an account that has left since holds no upgrade up.
    cloud.tells_members = True
    world.deploy(cloud, "--set", "MaxWorkers=5")


def another_exemption_group_exempts_nobody_by_mistake(world):
    cloud = deployed(world)
    world.refused(cloud, "--set", "IAMExemptionGroup=Other", says="members of IAMKeyRotationExemptionGroup would not be exempt")
    world.deploy(cloud, "--set", "IAMExemptionGroup=IAMKeyRotationExemptionGroup")
    world.deploy(cloud, "--set", "IAMExemptionGroup=Other", "--set", "CreateExemptionGroup=No")
    world.deploy(Cloud(), "--image", "i:1", "--set", "IAMExemptionGroup=Other")


def a_setting_that_was_emptied_stays_empty(world):
    cloud = deployed(world, "--set", "ExternalId=")
    world.deploy(cloud)
    assert {stack["parameters"]["ExternalId"] for name, stack in cloud.stacks.items() if name in (FLEET, MEMBER, LISTER)} == {""}


def replies_go_to_several_addresses(world):
    cloud = Cloud()
    world.deploy(cloud, "--image", "i:1", "--reply-to", "help@example.com,desk@example.com")
    assert cloud.stacks[FLEET]["parameters"]["ReplyToEmailAddress"] == "help@example.com,desk@example.com"
    world.refused(Cloud(), "--reply-to", "help@example.com,desk", says='"desk" is not a mail address')
    world.refused(Cloud(), "--sender", "a@example.com,b@example.com", says="is not a mail address")


def what_a_delegated_administrator_is_to_do_by_hand_keeps_its_settings(world):
    cloud = deployed(world, caller=DELEGATE)
    world.deploy(cloud)
    for command, setting in ((LISTER, "OrgListRole=our-list-role"), (MEMBER, "CreateExemptionGroup=No")):
        line = next(line for line in world.said.splitlines() if "With credentials of" in line and f"--stack-name {command}" in line)
        assert setting in line, line
    for template in ("org-list-role.yaml", "member-role.yaml"):
        assert f"--template-file {SCRIPTS / template} " in world.said, world.said
    world.deploy(cloud, "--plan", says=(f"--stack-name {LISTER}", f"--stack-name {MEMBER}"))


def the_key_of_the_central_store_is_never_exchanged_unasked(world):
    own, other = (f"arn:aws:kms:eu-west-1:{MANAGEMENT}:key/{name}" for name in ("our-own", "another"))
    central = ("--set", "StoreSecretsInCentralAccount=True")
    cloud = Cloud()
    world.deploy(cloud, "--image", "i:1", *central, "--set", f"SecretKmsKeyArn={own}")

    def key():
        of_set = (cloud.set["parameters"]["StoreSecretsInCentralAccount"], cloud.set["parameters"]["SecretKmsKeyArn"])
        of_fleet = cloud.stacks[FLEET]["parameters"]
        assert of_set == (of_fleet["StoreSecretsInCentralAccount"], of_fleet["SecretKmsKeyArn"])
        return of_set

    for options in ((), ("--set", f"SecretKmsKeyArn={own}"), (*central, "--set", f"SecretKmsKeyArn={own}")):
        world.deploy(cloud, *options)
        assert key() == ("True", own) and KMS not in cloud.stacks
    world.refused(cloud, "--central-store", says="the store has one")
    world.refused(cloud, "--set", "StoreSecretsInCentralAccount=False", "--set", f"SecretKmsKeyArn={own}", says="is for the central store")
    world.deploy(cloud, "--set", f"SecretKmsKeyArn={other}")
    assert key() == ("True", other)
    world.deploy(cloud, "--set", "StoreSecretsInCentralAccount=False")
    assert key() == ("False", "")
    world.refused(cloud, *central, says="takes a key")
    world.deploy(cloud, "--central-store")
    made = key()
    world.deploy(cloud)
    assert made == key() == ("True", f"arn:aws:kms:eu-west-1:{MANAGEMENT}:key/made-by-the-stack")
    world.deploy(cloud, "--set", "StoreSecretsInCentralAccount=False")
    world.deploy(cloud)
    assert key() == ("False", "") and KMS in cloud.stacks, "it stays another's way to what is stored"


STORIES = [story for name, story in list(globals().items()) if getattr(story, "__module__", "") == "__main__" and name not in (
    "World", "deployed", "settings_of", "each_call_fails_once", "accounts_with_the_role", "main")]


def main():
    with tempfile.TemporaryDirectory() as directory:
        world = World(pathlib.Path(directory))
        wanted = [story for story in STORIES if not sys.argv[1:] or sys.argv[1] in story.__name__]
        for story in wanted:
            try:
                figures = story(world)
            except AssertionError as failed:
                sys.exit(f"FAILED: {story.__name__.replace('_', ' ')}\n{failed}")
            print(f"ok: {story.__name__.replace('_', ' ')}{f' ({figures})' if figures else ''}", flush=True)


if __name__ == "__main__":
    main()
