#!/usr/bin/env python3
"""The Terraform example gives each stack parameters that its template has, and all that it has no default for.

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


if __name__ == "__main__":
    sys.exit("\n".join(problems()) or 0)
