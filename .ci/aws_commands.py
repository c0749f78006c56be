#!/usr/bin/env python3
"""Every command of the AWS CLI in README, docs/ and the stack's outputs is one: the service, the operation, its options.

The CLI of .ci/requirements.txt says what there is. What a command does it does not say.
"""

import pathlib
import re
import shlex
import subprocess
import sys

from awscli.clidriver import create_clidriver

ROOT = pathlib.Path(__file__).resolve().parents[1]

# Of version 2 of the CLI, which is no Python package.
IN_VERSION_2 = {("configure", "import"): {"csv"}, ("logs", "tail"): {"since", "follow"}}


def pages():
    listed = subprocess.run(["git", "ls-files", "*.md", "cloudformation/*.yaml"], cwd=ROOT, text=True, capture_output=True, check=True).stdout
    return [ROOT / name for name in listed.splitlines()]


def written(page):
    """What stands in code blocks and spans; of a template, in its folded texts."""
    text = page.read_text()
    if page.suffix == ".yaml":
        for folded in re.findall(r">-\n((?: {6,}.*\n)+)", text):
            yield re.sub(r"\s+", " ", folded)
        return
    for block in re.findall(r"^ *```(?:sh|bash)?[^\n]*\n(.*?)^ *```", text, flags=re.M | re.S):
        yield from re.sub(r"\\\n\s*", " ", block).splitlines()
    outside = re.sub(r"^ *```.*?^ *```", "", text, flags=re.M | re.S)
    yield from (re.sub(r"\s+", " ", span) for span in re.findall(r"`([^`]+)`", outside) if "\n\n" not in span)


def commands(line):
    """The words of each "aws" command in it, up to what ends a command."""
    for start in re.finditer(r"(?:^|[(;&|]\s*|\bin \$\()aws (?=[a-z0-9-]+ [a-z])", line):
        rest = line[start.end() :]
        lexer = shlex.shlex(rest, posix=True, punctuation_chars="();&|<>")
        lexer.whitespace_split, lexer.commenters = True, "#"
        words = []
        try:
            for word in lexer:
                if set(word) <= set("();&|<>"):
                    break
                words.append(word)
        except ValueError:
            # A quotation that the page leaves open.
            pass
        yield words


class Cli:
    """What there is, by the CLI's own help."""

    def __init__(self):
        top = create_clidriver().create_help_command()
        self.services, self.everywhere = top.command_table, set(top.arg_table)

    def wrong(self, words):
        """What is wrong with a command; nothing, if it is one."""
        service, operation, *rest = words
        if service not in self.services:
            return f"there is no service {service}"
        operation_of_2 = IN_VERSION_2.get((service, operation))
        operations = self.services[service].create_help_command().command_table
        if operation not in operations and not operation_of_2:
            return f"{service} has no {operation}"
        known = self.everywhere | (operation_of_2 or set(operations[operation].create_help_command().arg_table or ()))
        options = [word[2:].partition("=")[0] for word in rest if re.match(r"--[a-z]", word)]
        unknown = [f"--{option}" for option in options if option not in known]
        return f"{service} {operation} has no {', '.join(unknown)}" if unknown else None


def main():
    cli, problems, seen = Cli(), [], 0
    for page in pages():
        for line in written(page):
            for words in commands(line):
                seen += 1
                if wrong := cli.wrong(words):
                    problems.append(f"{page.relative_to(ROOT)}: `aws {' '.join(words)[:100]}`: {wrong}")
    if seen < 20:
        problems.append(f"only {seen} commands were found")
    print("\n".join(problems) or f"{seen} commands of the AWS CLI are such")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
