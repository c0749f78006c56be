#!/usr/bin/env python3
"""deployer-policy.json suffices: for what the scripts call, and for what CloudFormation then calls in the caller's name.

What that is, is AWS's to say: which actions know which resources (the Service Authorization Reference), and what the handlers of each
type of resource call (its schema). Both come with cfn-lint, which is pinned.
"""

import fnmatch
import json
import pathlib
import re
import sys

import cfnlint
import yaml

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "cloudformation"
DATA = pathlib.Path(cfnlint.__file__).parent / "data"

# What deploy.sh makes in the account the policy is for.
DEPLOYED = ("fleet", "image-repository", "kms", "member-role", "monitoring", "org-list-role")

# What handlers call for the sake of properties that no template sets, and why these are not granted.
NOT_NEEDED = {
    "application-autoscaling:*ScheduledAction": "nothing is scaled by the clock",
    "application-autoscaling:UntagResource": "tags are never taken away",
    "cloudwatch:GetMetricData": "nothing is scaled by a forecast",
    "ec2:*SecurityGroup*Ingress": "the tasks' group lets nothing in",
    "ecs:PutAccountSetting*": "the account's settings stay as they are",
    "firehose:TagDeliveryStream": "no log is delivered elsewhere",
    "iam:*GroupPolicy": "the exemption group has no policy",
    "iam:*RolePermissionsBoundary": "no role has one",
    "iam:*UserPolicy": "the templates give users nothing",
    "iam:UpdateGroup": "its name is what it is",
    "kms:CreateGrant": "images are not under a key of their own",
    "kms:RetireGrant": "the same",
    "kms:DisableKey": "the central store's key is never switched off",
    "kms:DisableKeyRotation": "the same",
    "kms:EnableKey": "the same",
    "kms:ScheduleKeyDeletion": "it is kept, as secrets are unreadable without it",
    "kms:UntagResource": "tags are never taken away",
    "lambda:*ProvisionedConcurrencyConfig": "what is scaled is a service of ECS",
    "logs:*IndexPolicy": "no field is indexed",
    "logs:*ResourcePolicy": "nobody else writes logs",
    "logs:CreateLogDelivery": "no log is delivered elsewhere",
    "s3:REST.PUT.OBJECT": "no log is delivered elsewhere",
}


class Template(yaml.SafeLoader):
    """A reference is kept as ("Ref", name); CloudFormation's other short forms mean nothing here."""


Template.add_multi_constructor("!", lambda loader, tag, node: (tag, node.value) if tag == "Ref" else None)


def template(name):
    return yaml.load((FOLDER / f"{name}.yaml").read_text(), Template)


def listed(value):
    return [value] if isinstance(value, str) else value


STATEMENTS = [
    (listed(statement["Action"]), listed(statement["Resource"]))
    for statement in json.loads((FOLDER / "deployer-policy.json").read_text())["Statement"]
]
REFERENCE = json.loads((DATA / "AdditionalSpecs/Policies.json").read_text())


def formats(action):
    """The forms of the ARNs that an action is about; none where it knows no resources."""
    service, _, operation = action.partition(":")
    known = REFERENCE.get(service, {"Actions": {}, "Resources": {}})
    types = known["Actions"].get(operation.lower(), {}).get("Resources", [])
    return [re.sub(r"\$\{\w+\}", "[^:]*", form) for kind in types for form in known["Resources"].get(kind, {}).get("ARNFormats", [])]


def is_about(action, resource):
    return any(re.fullmatch(form, resource) for form in formats(action))


def matches(action, pattern):
    return fnmatch.fnmatchcase(action.lower(), pattern.lower())


def allowed(action):
    """Whether a statement allows it for anything: one on ARNs does so only for what they can be ARNs of."""
    for patterns, resources in STATEMENTS:
        if any(matches(action, pattern) for pattern in patterns):
            if "*" in resources or any(is_about(action, resource) for resource in resources):
                return True
    return False


def of_scripts():
    """Every call of the deployment scripts."""
    other_names = {"sesv2": "ses", "service-quotas": "servicequotas"}
    # operate.sh is for operators.
    for script in sorted(set(FOLDER.glob("*.sh")) - {FOLDER / "operate.sh"}):
        # Called, that is: not told somebody to run.
        for service, command in re.findall(r"(?:^|\$\(|\|\| |change |operation |look \S+ |look_for \S+ (?:\w+|'[^']*') (?:\\\n)?|if |&& |! )\s*aws ([a-z0-9-]+) ([a-z-]+)", script.read_text(), flags=re.M):
            operation = {"get-login-password": "GetAuthorizationToken"}.get(command, "".join(word.capitalize() for word in command.split("-")))
            action = f"{other_names.get(service, service)}:{operation}"
            if command not in ("deploy", "wait") and not allowed(action):
                yield f"it does not allow {action}, which {script.name} calls"


def of_handlers():
    """Every call that making, updating and deleting the stacks leads to."""
    used = {resource["Type"]: name for name in DEPLOYED for resource in template(name)["Resources"].values()}
    found = set()
    for path in (DATA / "schemas/resources").glob("*.json"):
        schema = json.loads(path.read_text())
        kind = schema.get("typeName")
        if kind not in used or not schema.get("handlers"):
            continue
        found.add(kind)
        actions = {action for operation, handler in schema["handlers"].items() if operation != "list" for action in handler["permissions"]}
        for action in sorted(actions):
            if not allowed(action) and not any(matches(action, pattern) for pattern in NOT_NEEDED):
                yield f"it does not allow {action}, which CloudFormation calls for {kind} ({used[kind]}.yaml)"
    for kind in sorted(used.keys() - found):
        yield f"what CloudFormation calls for {kind} is not known"


def on_arns():
    """No action stands in a statement whose resources it does not know: it would not be allowed there."""
    for patterns, resources in STATEMENTS:
        for action in patterns:
            if "*" not in resources and "*" not in action and not any(is_about(action, resource) for resource in resources):
                yield f"{action} is allowed on none of {', '.join(resources)}: it knows no such resource"


def of_names():
    """What IAM is given by name is within the policy's reach."""
    kinds = {"RoleName": ("role", "iam:CreateRole"), "ManagedPolicyName": ("policy", "iam:CreatePolicy"), "GroupName": ("group", "iam:CreateGroup")}
    for name in DEPLOYED:
        whole = template(name)
        for resource in whole["Resources"].values():
            for key, (kind, action) in kinds.items():
                given = resource["Properties"].get(key)
                if not isinstance(given, tuple):
                    continue
                arn = f"arn:PARTITION:iam::FLEET-ACCOUNT:{kind}/{whole['Parameters'][given[1]]['Default']}"
                reach = [pattern for patterns, resources in STATEMENTS if action in patterns for pattern in resources]
                if not any(fnmatch.fnmatchcase(arn, pattern) for pattern in reach):
                    yield f"{arn} of {name}.yaml is out of its reach"


if __name__ == "__main__":
    problems = [*of_scripts(), *of_handlers(), *on_arns(), *of_names()]
    sys.exit("\n".join(f"deployer-policy.json: {problem}" for problem in problems) or 0)
