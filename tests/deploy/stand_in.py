"""An organization's AWS as far as deploy.sh and cleanup.sh see it, in memory, in the place of `aws` and `docker` on the PATH.

It knows what a run of these scripts can be cut off in: operations on a stack set that go on without whoever started them, stack
instances that are behind, stacks that are being changed. Any call can be made to fail: before it has done anything ("before"), with
its answer lost ("after"), or, of the making of a stack, in the middle ("half").

What is asked by --query is answered as the AWS command line's text output would; the expressions themselves are looked at by
tests/second_opinion/deploy.py, with the real command line.
"""

import copy
import pathlib
import re
import socketserver
import threading

# Sends its arguments, writes what it is answered. In bash: it starts in a few milliseconds, and there are thousands of calls.
CLIENT = r"""#!/usr/bin/env bash
[[ "$0 $1" != *"/docker login" ]] || cat >/dev/null
exec 3<>"/dev/tcp/127.0.0.1/$STAND_IN_PORT"
printf '%s\x1f' "${0##*/}" "$@" >&3
printf '\x04' >&3
IFS= read -r -d $'\x04' answer <&3
status=${answer%%$'\x1f'*} answer=${answer#*$'\x1f'}
printf '%s' "${answer%%$'\x1f'*}"
printf '%s' "${answer#*$'\x1f'}" >&2
exit "$status"
"""

MANAGEMENT, DELEGATE = "111111111111", "222222222222"
ORGANIZATION, ROOT = "o-a1b2c3d4e5", "r-abcd"
UNITS = {"ou-abcd-11111111": ["333333333333", "444444444444"], "ou-abcd-22222222": ["555555555555"], "ou-abcd-33333333": []}
# What each is in; what is not here is in the root.
PARENTS = {account: unit for unit, accounts in UNITS.items() for account in accounts} | {"ou-abcd-33333333": "ou-abcd-22222222"}
THROTTLED = "An error occurred (Throttling) when calling the {} operation (reached max retries: 7): Rate exceeded"
CHANGING = {
    "deploy", "create-stack-set", "update-stack-set", "create-stack-instances", "delete-stack-instances", "delete-stack-set",
    "delete-stack", "update-stack", "put-image", "create-email-identity", "activate-organizations-access", "push", "build",
}


class Failed(Exception):
    pass


def option(arguments, name, default=None):
    return arguments[arguments.index(name) + 1] if name in arguments else default


def lines(rows):
    return "".join("\t".join(str(cell) for cell in row) + "\n" for row in rows)


class Cloud:
    """Everything that lasts. A copy of it is another AWS in the same state."""

    def __init__(self, caller=MANAGEMENT):
        self.caller = caller
        self.stacks = {}
        self.set = None
        self.instances = {}
        # Accounts that a stack cannot be made in, or taken from, with the reason.
        self.blocked = {}
        # Stacks that cannot be deleted.
        self.held = set()
        self.suspended = set()
        self.operations = {}
        self.images = set()
        # Of other stacks than those here.
        self.roles = set()
        self.partition = "aws"
        self.identities = {}
        self.trusted = "ENABLED"
        # Whether the caller may look at single accounts and units.
        self.tells_members = True
        # By queue, how many messages wait and are in flight.
        self.depths = {}
        self.log_groups, self.secrets = [], []
        self.serial = 0

    def copy(self):
        return copy.deepcopy(self)

    def lasting(self):
        """What a later run finds, without what only counts."""
        self.settle()
        stacks = {name: (stack["parameters"], stack["template"]) for name, stack in self.stacks.items() if stack["template"]}
        return copy.deepcopy((stacks, self.set, self.instances, self.images, self.identities, self.trusted))

    def settle(self):
        """Time passes: whatever is under way comes to its end."""
        for operation in list(self.operations):
            self.finish(operation)
        for name in list(self.stacks):
            self.finish_stack(name)

    def accounts_of(self, target):
        members = sorted(account for accounts in UNITS.values() for account in accounts)
        return members if target == ROOT else UNITS[target]

    # ---- stacks

    def make_stack(self, name, parameters, template, status="CREATE_COMPLETE"):
        self.stacks[name] = {"status": status, "parameters": dict(parameters), "template": template, "looks": 0}

    def finish_stack(self, name):
        stack = self.stacks[name]
        stack["looks"] = 0
        if stack["status"] == "DELETE_IN_PROGRESS":
            del self.stacks[name]
        elif stack["status"].endswith("_IN_PROGRESS") and stack["status"] != "REVIEW_IN_PROGRESS":
            stack["status"] = stack["status"].replace("_IN_PROGRESS", "_COMPLETE")

    def describe_stacks(self, arguments):
        name, query = option(arguments, "--stack-name"), option(arguments, "--query")
        if name not in self.stacks:
            raise Failed(f"An error occurred (ValidationError) when calling the DescribeStacks operation: Stack with id {name} does not exist")
        stack = self.stacks[name]
        if query == "Stacks[0].StackStatus":
            answer = stack["status"]
            stack["looks"] += 1
            if stack["looks"] >= 2:
                self.finish_stack(name)
            return answer + "\n"
        if "Parameters" in query:
            return lines(stack["parameters"].items())
        key = re.search(r"OutputKey=='(\w+)'", query)[1]
        account = self.caller
        return {
            "RepositoryUri": f"{account}.dkr.ecr.eu-west-1.amazonaws.com/iam-key-rotation",
            "KeyArn": f"arn:aws:kms:eu-west-1:{account}:key/made-by-the-stack",
            "QueueUrl": "https://sqs/work",
            "UrgentQueueUrl": "https://sqs/urgent",
            "DeadLetterQueueUrl": "https://sqs/dead-letters",
            "NetworkConfiguration": "awsvpcConfiguration={subnets=[subnet-1,subnet-2]}",
        }[key] + "\n"

    def get_template(self, arguments):
        return self.stacks[option(arguments, "--stack-name")]["template"]

    def deploy(self, arguments, half=False):
        name = option(arguments, "--stack-name")
        start = arguments.index("--parameter-overrides") + 1
        parameters = dict(argument.split("=", 1) for argument in arguments[start:])
        template = pathlib.Path(option(arguments, "--template-file")).read_text()
        there = name in self.stacks and self.stacks[name]["status"] != "REVIEW_IN_PROGRESS"
        if half:
            if not there:
                self.make_stack(name, {}, "", "REVIEW_IN_PROGRESS")
            return ""
        if there and (self.stacks[name]["parameters"], self.stacks[name]["template"]) == (parameters, template):
            return f"No changes to deploy. Stack {name} is up to date\n"
        self.make_stack(name, parameters, template, "UPDATE_COMPLETE" if there else "CREATE_COMPLETE")
        return f"Successfully created/updated stack - {name}\n"

    def update_stack(self, arguments):
        name = option(arguments, "--stack-name")
        assert "--use-previous-template" in arguments
        stack = self.stacks[name]
        given = option(arguments, "--parameters")
        named = dict(re.findall(r'"ParameterKey":"(\w+)","ParameterValue":"([^"]*)"', given))
        kept = re.findall(r'"ParameterKey":"(\w+)","UsePreviousValue":true', given)
        assert set(named) | set(kept) == set(stack["parameters"])
        stack["parameters"].update(named)
        stack["status"] = "UPDATE_IN_PROGRESS"
        return "arn:the-stack\n"

    # ---- the stack set

    def need_set(self):
        if self.set is None:
            raise Failed("An error occurred (StackSetNotFoundException) when calling the DescribeStackSet operation: StackSet not found")

    def describe_stack_set(self, arguments):
        self.need_set()
        query = option(arguments, "--query")
        if "OrganizationalUnitIds" in query:
            return "\t".join(sorted(self.set["units"])) + "\n"
        if "Parameters" in query:
            return lines(self.set["parameters"].items())
        return (self.set["template"] if "TemplateBody" in query else "ACTIVE") + "\n"

    def template_and_parameters(self, arguments):
        template = pathlib.Path(option(arguments, "--template-body").removeprefix("file://")).read_text()
        return template, dict(re.findall(r'"ParameterKey":"(\w+)","ParameterValue":"([^"]*)"', option(arguments, "--parameters")))

    def create_stack_set(self, arguments):
        if self.trusted != "ENABLED":
            raise Failed("An error occurred (ValidationError): You must enable organizations access to operate a service managed stack set")
        if self.set is not None:
            raise Failed("An error occurred (NameAlreadyExistsException)")
        template, parameters = self.template_and_parameters(arguments)
        self.set = {"template": template, "parameters": parameters, "units": set()}
        return "the-set\n"

    def start(self, kind, targets):
        if self.operations:
            raise Failed("An error occurred (OperationInProgressException) when calling the operation: Another Operation is in progress")
        self.serial += 1
        self.operations[f"operation-{self.serial}"] = {"kind": kind, "targets": targets, "looks": 0}
        return f"operation-{self.serial}\n"

    def update_stack_set(self, arguments):
        self.need_set()
        self.set["template"], self.set["parameters"] = self.template_and_parameters(arguments)
        for instance in self.instances.values():
            if instance["status"] == "CURRENT":
                instance.update(status="OUTDATED", detail="PENDING")
        return self.start("update", [account for account, found in self.instances.items() if found["status"] != "INOPERABLE"])

    def targets(self, arguments):
        """Units and, where these are named, accounts."""
        if "--accounts" in arguments:
            raise Failed("An error occurred (ValidationError): Accounts are for stack sets with self-managed permissions")
        named = re.match(r"OrganizationalUnitIds=([^=]*?)(?:,Accounts=([0-9,]*),AccountFilterType=INTERSECTION)?$", option(arguments, "--deployment-targets"))
        return named[1].split(","), named[2] and named[2].split(",")

    def create_stack_instances(self, arguments):
        self.need_set()
        units, _ = self.targets(arguments)
        operation = self.start("create", [(unit, account) for unit in units for account in self.accounts_of(unit)])
        self.set["units"].update(units)
        for unit in units:
            for account in self.accounts_of(unit):
                self.instances.setdefault(account, {"unit": unit, "status": "OUTDATED", "detail": "PENDING", "reason": "None", "has": None})
        return operation

    def delete_stack_instances(self, arguments):
        self.need_set()
        units, accounts = self.targets(arguments)
        gone = [account for account, found in self.instances.items() if found["unit"] in units and account in (accounts or self.instances)]
        self.set["units"].difference_update(units)
        return self.start("forget" if "--retain-stacks" in arguments else "delete", gone)

    def finish(self, name):
        operation = self.operations.pop(name)
        for target in operation["targets"]:
            account = target[1] if isinstance(target, tuple) else target
            instance = self.instances[account]
            if operation["kind"] == "forget":
                del self.instances[account]
            elif account in self.suspended:
                instance.update(status="OUTDATED", detail="SKIPPED_SUSPENDED_ACCOUNT")
            elif account in self.blocked:
                status = "INOPERABLE" if operation["kind"] == "delete" else "OUTDATED"
                instance.update(status=status, detail="FAILED", reason=self.blocked[account])
            elif operation["kind"] == "delete":
                del self.instances[account]
            else:
                has = (self.set["template"], dict(self.set["parameters"]))
                instance.update(status="CURRENT", detail="SUCCEEDED", reason="None", has=has)

    def describe_stack_set_operation(self, arguments):
        name = option(arguments, "--operation-id")
        if name not in self.operations:
            return "SUCCEEDED\n"
        self.operations[name]["looks"] += 1
        if self.operations[name]["looks"] >= 2:
            self.finish(name)
        return "RUNNING\n"

    def list_stack_instances(self, arguments):
        self.need_set()
        return lines(
            (account, "eu-west-1", found["status"], found["detail"], found["unit"], found["reason"])
            for account, found in sorted(self.instances.items())
        )

    def delete_stack_set(self, arguments):
        self.need_set()
        if self.instances:
            raise Failed("An error occurred (StackSetNotEmptyException)")
        self.set = None
        return ""

    # ---- the rest

    def member(self, name, of, code):
        if not self.tells_members:
            raise Failed("An error occurred (AccessDeniedException) when calling the operation: not allowed")
        if name not in of:
            raise Failed(f"An error occurred ({code}) when calling the operation: You specified what doesn't exist")
        return name + "\n"

    def list_parents(self, arguments):
        child = option(arguments, "--child-id")
        self.member(child, {MANAGEMENT, DELEGATE, *UNITS}.union(*UNITS.values()), "ChildNotFoundException")
        return PARENTS.get(child, ROOT) + "\n"

    def answer(self, arguments, half):
        program, service, *rest = arguments
        if program == "docker":
            if service == "push":
                self.images.add(rest[0].rsplit(":", 1)[1])
            return ""
        match service, rest[0]:
            case "sts", _:
                return f"{self.caller}\tarn:{self.partition}:iam::{self.caller}:user/somebody\n"
            case "iam", "get-role":
                name = option(arguments, "--role-name")
                if name not in self.roles:
                    raise Failed(f"An error occurred (NoSuchEntity) when calling the GetRole operation: The role with name {name} cannot be found.")
                return f"arn:aws:iam::{self.caller}:role/{name}\n"
            case "organizations", "describe-organization":
                return f"{ORGANIZATION}\t{MANAGEMENT}\n"
            case "organizations", "list-roots":
                return ROOT + "\n"
            case "organizations", "list-parents":
                return self.list_parents(arguments)
            case "organizations", "describe-account":
                return self.member(option(arguments, "--account-id"), {MANAGEMENT, DELEGATE}.union(*UNITS.values()), "AccountNotFoundException")
            case "organizations", "describe-organizational-unit":
                return self.member(option(arguments, "--organizational-unit-id"), UNITS, "OrganizationalUnitNotFoundException")
            case "logs", "describe-log-groups":
                return lines([self.log_groups])
            case "secretsmanager", "list-secrets":
                return lines([name] for name in self.secrets)
            case "sqs", "get-queue-attributes":
                return lines([self.depths.get(option(arguments, "--queue-url").removeprefix("https://sqs/"), (0, 0))])
            case "ec2", "describe-vpcs":
                return "vpc-1\n"
            case "ec2", "describe-subnets":
                return "subnet-1\tsubnet-2\n"
            case "service-quotas", _:
                return "100.0\n"
            case "ecr", "get-login-password":
                return "a-password\n"
            case "ecr", "describe-images":
                tag = option(arguments, "--image-ids").removeprefix("imageTag=")
                if tag not in self.images:
                    raise Failed("An error occurred (ImageNotFoundException) when calling the DescribeImages operation: not found")
                return "sha256:abc\n"
            case "sesv2", "get-account":
                return "True\t50000.0\n"
            case "sesv2", "get-email-identity":
                identity = option(arguments, "--email-identity")
                if identity not in self.identities:
                    raise Failed("An error occurred (NotFoundException) when calling the GetEmailIdentity operation: not found")
                return f"{self.identities[identity]}\n"
            case "sesv2", "create-email-identity":
                identity = option(arguments, "--email-identity")
                if identity in self.identities:
                    raise Failed("An error occurred (AlreadyExistsException) when calling the CreateEmailIdentity operation")
                self.identities[identity] = False
                return "EMAIL_ADDRESS\n"
            case "cloudformation", "describe-organizations-access":
                return self.trusted + "\n"
            case "cloudformation", "activate-organizations-access":
                self.trusted = "ENABLED"
                return ""
            case "cloudformation", "deploy":
                return self.deploy(arguments, half)
            case "cloudformation", "delete-stack":
                name = option(arguments, "--stack-name")
                if name in self.stacks:
                    self.stacks[name]["status"] = "DELETE_IN_PROGRESS"
                return ""
            case "cloudformation", "wait":
                name = option(arguments, "--stack-name")
                if name in self.held and self.stacks[name]["status"] == "DELETE_IN_PROGRESS":
                    self.stacks[name]["status"] = "DELETE_FAILED"
                    raise Failed("Waiter StackDeleteComplete failed: Waiter encountered a terminal failure state")
                if name in self.stacks:
                    self.finish_stack(name)
                return ""
            case "cloudformation", "list-stack-set-operations":
                return lines([operation] for operation in self.operations)
            case "cloudformation", "list-stack-set-operation-results" | "create-change-set" | "delete-change-set":
                return ""
            case "cloudformation", "describe-change-set":
                return "CREATE_COMPLETE\tNone\n" if "Status" in option(arguments, "--query") else "Modify\tWorkerTask\tTask\tTrue\n"
            case "cloudformation", command:
                return getattr(self, command.replace("-", "_"))(arguments)
        raise Failed(f"{arguments}: not known here")


class StandIn:
    """Serves one Cloud at a time, and writes down what it is asked for."""

    def __init__(self, directory):
        self.cloud, self.calls, self.fail_at, self.fault = Cloud(), [], None, "before"
        for program in ("aws", "docker"):
            (directory / program).write_text(CLIENT)
            (directory / program).chmod(0o755)
        stand_in = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                told = b""
                while not told.endswith(b"\x04"):
                    part = self.request.recv(1 << 16)
                    if not part:
                        return
                    told += part
                status, out, error = stand_in.call(told[:-2].decode().split("\x1f"))
                self.request.sendall(f"{status}\x1f{out}\x1f{error}\x04".encode())

        self.server = socketserver.TCPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def call(self, arguments):
        index = len(self.calls)
        self.calls.append(arguments)
        fault = self.fault if index == self.fail_at else None
        said = THROTTLED.format(arguments[2] if len(arguments) > 2 else arguments[1]) + "\n"
        if fault == "before":
            return 254, "", said
        try:
            out = self.cloud.answer(arguments, fault == "half")
        except Failed as failed:
            return 254, "", f"{failed}\n"
        if fault == "after" and arguments[2] in ("deploy", "update-stack"):
            # CloudFormation goes on by itself.
            self.cloud.stacks[option(arguments, "--stack-name")]["status"] = "UPDATE_IN_PROGRESS"
        return (0, out, "") if fault is None else (254, "", said)


def changes(arguments):
    """Whether a call changes something."""
    return len(arguments) > 1 and (arguments[1] in CHANGING if arguments[0] == "docker" else arguments[2] in CHANGING)
