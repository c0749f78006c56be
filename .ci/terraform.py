#!/usr/bin/env python3
"""The Terraform example gives each stack parameters that its template has, and all that it has no default for. What the fleet's template
has in common with the roles' is passed on to them, so that both sides of a trust are always the same.

Where Terraform and its AWS provider are at hand, "terraform validate" as well (see .ci/run); this needs neither.
"""

import pathlib
import re
import sys

import hcl2
import yaml

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "cloudformation"


class Template(yaml.SafeLoader):
    """CloudFormation's short forms, as !Ref, mean nothing here."""


Template.add_multi_constructor("!", lambda loader, tag, node: None)


def parameters_of(template):
    """By name: whether there is a default."""
    parameters = yaml.load((FOLDER / template).read_text(), Template)["Parameters"]
    return {name: "Default" in parameter for name, parameter in parameters.items()}


def keys(expression, values):
    """The keys of a map: those written out, and those of the locals that are merged into it."""
    if isinstance(expression, dict):
        return {key for key in expression if not key.startswith("__")}
    # What is passed on by its name is looked at by `alike`.
    if not isinstance(expression, str) or re.match(r"\$?\{+ *for ", expression):
        return set()
    found = set(re.findall(r"[{,]\s*(\w+) = ", expression))
    for name in re.findall(r"local\.(\w+)", expression):
        found |= keys(values[name], values)
    return found


def stacks(example):
    for resource in example["resource"]:
        for kind, named in resource.items():
            if kind.strip('"') in ("aws_cloudformation_stack", "aws_cloudformation_stack_set"):
                yield from named.items()


def problems():
    example = hcl2.loads((FOLDER / "terraform/main.tf").read_text())
    found = list(stacks(example))
    if len(found) < 4:
        yield f"only {len(found)} stacks were found in the example"
    for name, stack in found:
        template = re.search(r"([\w-]+\.yaml)", stack["template_body"])[1]
        given, known = keys(stack["parameters"], example["locals"][0]), parameters_of(template)
        for wrong in sorted(given - known.keys()):
            yield f"{name}: {template} has no parameter {wrong}"
        for missing in sorted(key for key, has_default in known.items() if not has_default and key not in given):
            yield f"{name}: {template} needs {missing}"


def alike():
    """The lists of what is passed on are what the templates have in common."""
    text, fleet = (FOLDER / "terraform/main.tf").read_text(), parameters_of("fleet.yaml").keys()
    for name, template in (("alike_in_members", "member-role.yaml"), ("alike_in_list_role", "org-list-role.yaml")):
        listed = set(re.findall(r'"(\w+)"', re.search(rf"{name} *= \[(.*?)\]", text, flags=re.S)[1]))
        # The organization is every stack's own variable.
        for wrong in sorted(listed ^ ((fleet & parameters_of(template).keys()) - {"AWSOrgID"})):
            yield f"{name}: {wrong} is listed and not in both fleet.yaml and {template}, or in both and not listed"


def paced():
    """Every operation on many accounts has its preferences; without, they are done one at a time."""
    for resource in hcl2.loads((FOLDER / "terraform/main.tf").read_text())["resource"]:
        for kind, named in resource.items():
            for name, properties in named.items():
                if "stack_set" in kind and "operation_preferences" not in properties:
                    yield f"{name}: {kind} has no operation_preferences"


def one_for_each_unit():
    """What a stack set's instances are deployed to cannot be changed in place: a list of units that grows would have all of them made anew."""
    for resource in hcl2.loads((FOLDER / "terraform/main.tf").read_text())["resource"]:
        for kind, named in resource.items():
            for name, properties in named.items():
                if "stack_set_instance" in kind and properties["deployment_targets"][0]["organizational_unit_ids"] != ["${each.value}"]:
                    yield f"{name}: {kind} is not one for each unit"


if __name__ == "__main__":
    sys.exit("\n".join([*problems(), *alike(), *paced(), *one_for_each_unit()]) or 0)
