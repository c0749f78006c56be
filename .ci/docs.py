#!/usr/bin/env python3
"""What README and docs/ say is so: links lead somewhere, commands and flags exist, settings are those of --help and of the stack.

    cargo build --release --workspace && .ci/docs.py
"""

import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILT = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
PROGRAMS = ("producer", "worker", "sandbox", "demo")

# Settings of the worker that the stack does not set, and why.
NOT_OF_THE_STACK = {
    "LOG_FORMAT": "fixed: CloudWatch's filters read JSON",
    "MAX_CONCURRENT_MESSAGES": "the defaults are what the scaling was worked out for",
    "MAX_CONCURRENT_URGENT_MESSAGES": "the defaults are what the scaling was worked out for",
    "MAX_CONCURRENT_USERS": "IAM's rates are what they are",
    "VISIBILITY_TIMEOUT": "the queue's own, in the same template",
    "MESSAGE_TIMEOUT": "goes with the queue's number of receives",
    "RETRY_DELAY": "goes with the queue's number of receives",
    "MAX_RETRY_DELAY": "goes with the queue's number of receives",
    "STOP_GRACE": "goes with the task's StopTimeout",
    "DRAIN_PATIENCE": "only with --drain, which a service does not use",
}

problems = []


def documents():
    listed = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, text=True, capture_output=True, check=True).stdout
    return [ROOT / name for name in listed.splitlines()]


def slugs(page):
    """The anchors GitHub gives to a page's headings."""
    found, fenced = set(), False
    for line in page.read_text().splitlines():
        fenced ^= line.startswith("```")
        if not fenced and (heading := re.match(r"#+ (.*)", line)):
            text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading[1]).lower()
            found.add(re.sub(r"[^\w\- ]", "", text).replace(" ", "-"))
    return found


def links():
    for page in documents():
        text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
        text = re.sub(r"`[^`\n]*`", "", text)
        targets = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'(?:src|srcset|href)="([^"]+)"', text)
        for target in targets:
            if re.match(r"[a-z]+:", target):
                continue
            path, _, anchor = target.partition("#")
            leads_to = (page.parent / path).resolve() if path else page
            if not leads_to.exists():
                problems.append(f"{page.relative_to(ROOT)}: {target} is not there")
            elif anchor and anchor not in slugs(leads_to):
                problems.append(f"{page.relative_to(ROOT)}: {target}: there is no such heading")


def help_of(*command):
    done = subprocess.run([BUILT / command[0], *command[1:], "--help"], text=True, capture_output=True)
    return done.stdout if done.returncode == 0 else None


def subcommands(text):
    listed = re.search(r"^Commands:\n((?:  .*\n|\n)+)", text, flags=re.M)
    return set(re.findall(r"^  ([a-z-]+)", listed[1], flags=re.M)) if listed else set()


def commands():
    """Every command in a code block or span that begins with one of the programs."""
    known = {}
    for page in documents():
        text = page.read_text().replace("\\\n", " ")
        blocks = [line for block in re.findall(r"^```(?:sh|text)?.*?\n(.*?)^```", text, flags=re.M | re.S) for line in block.splitlines()]
        spans = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S))
        for written in blocks + spans:
            command = re.sub(r"^\s*(?:[A-Z_]+=\S+ )*(?:target/release/)?", "", written)
            command = re.sub(r"^(?:cloudformation/)?operate\.sh \S+ ", "producer ", command)
            words = re.split(r"[|;>#&]| {2,}", command)[0].split()
            if not words or words[0] not in PROGRAMS or len(words) == 1:
                continue
            path = [words.pop(0)]
            while True:
                key = tuple(path)
                known.setdefault(key, help_of(*path))
                if words and words[0] in subcommands(known[key]):
                    path.append(words.pop(0))
                else:
                    break
            if words and re.fullmatch(r"[a-z][a-z-]+", words[0]) and subcommands(known[key]):
                problems.append(f"{page.relative_to(ROOT)}: `{written.strip()}`: {' '.join(path)} has no {words[0]}")
            for flag in re.findall(r"(?<!\S)\[?(--[a-z][a-z-]*)", " ".join(words)):
                # A command understands the settings, too, which the program's own help shows.
                if not re.search(rf"{flag}(?![a-z-])", known[key] + known[tuple(path[:1])]):
                    problems.append(f"{page.relative_to(ROOT)}: `{written.strip()}`: {' '.join(path)} has no {flag}")


def settings_of_help(*command):
    """Variables by --help, with a default where that is a number."""
    text = help_of(*command)
    found = {}
    for entry in re.split(r"\n(?= +(?:-\w, +)?--[a-z])", text):
        entry = re.sub(r"\s+", " ", entry)
        if variable := re.search(r"\[env: ([A-Z_]+)", entry):
            default = re.search(r"\[default: (\d+)\]", entry)
            found[variable[1]] = default and default[1]
    for name in subcommands(text) - {"help"}:
        found |= settings_of_help(*command, name)
    return found


def settings_of_page():
    """Variables by the headings of docs/configuration.md."""
    found, heading = {}, ""
    for line in (ROOT / "docs/configuration.md").read_text().splitlines():
        if line.startswith("## "):
            heading = line[3:]
        elif row := re.match(r"\| (`[A-Z_]+`(?:, `[A-Z_]+`)*) \| ([^|]*) \|", line):
            names = re.findall(r"`([A-Z_]+)`", row[1])
            defaults = [part.strip() for part in row[2].split(", ")] if len(names) > 1 else [row[2].strip()]
            for name, default in zip(names, defaults + [""] * len(names)):
                found.setdefault(heading, {})[name] = default
    return found


def settings():
    page = settings_of_page()
    both = page.get("Both programs", {})
    for program, heading in (("producer", "The producer"), ("worker", "The worker")):
        of_help, of_page = settings_of_help(program), both | page.get(heading, {})
        for name in of_help.keys() - of_page.keys():
            problems.append(f"docs/configuration.md lacks {name}, which {program} --help has")
        for name in of_page.keys() - of_help.keys():
            problems.append(f"docs/configuration.md has {name}, which {program} --help lacks")
        for name in of_help.keys() & of_page.keys():
            if of_help[name] is not None and of_help[name] != of_page[name]:
                problems.append(f"docs/configuration.md says {name} defaults to {of_page[name]}; {program} --help, to {of_help[name]}")


def stack():
    template = (ROOT / "cloudformation/fleet.yaml").read_text()
    for program in ("worker", "producer"):
        task = re.search(rf"^  {program.capitalize()}Task:\n((?:    .*\n|\n)+)", template, flags=re.M)[1]
        of_stack = set(re.findall(r"\{Name: ([A-Z_]+),", task))
        of_help = settings_of_help(program).keys()
        for name in of_stack - of_help:
            problems.append(f"fleet.yaml sets {name}, which {program} does not know")
        if program == "worker":
            for name in of_help - of_stack - NOT_OF_THE_STACK.keys():
                problems.append(f"fleet.yaml cannot set {name} (or say in .ci/docs.py why not)")
            for name in NOT_OF_THE_STACK.keys() - of_help:
                problems.append(f".ci/docs.py excuses {name}, which {program} does not know")


def parameters_of(template):
    text = (ROOT / "cloudformation" / template).read_text()
    return re.findall(r"^  (\w+):\n    Description:", re.search(r"^Parameters:\n(.*?)^\w", text, flags=re.M | re.S)[1], flags=re.M)


def parameters():
    """Which parameter sets a variable is in the last column of its row; and every parameter is somewhere on the page."""
    text = (ROOT / "docs/configuration.md").read_text()
    template = (ROOT / "cloudformation/fleet.yaml").read_text()
    known = set(parameters_of("fleet.yaml"))
    for name in known | set(parameters_of("member-role.yaml")) | set(parameters_of("org-list-role.yaml")):
        if f"`{name}`" not in text:
            problems.append(f"docs/configuration.md does not name the parameter {name}")
    of_template = {}
    for task in re.findall(r"^  (?:Worker|Producer)Task:\n((?:    .*\n|\n)+)", template, flags=re.M):
        _, *entries = re.split(r"\{Name: (?=[A-Z_]+,)", task)
        for entry in entries:
            name, value = entry.split(",", 1)
            refs = re.findall(r"!Ref (\w+)|\$\{(\w+)\}", value)
            of_template.setdefault(name, set()).update({a or b for a, b in refs} & known)
    of_page = {}
    for row in re.findall(r"^\| (`[A-Z_]+`(?:, `[A-Z_]+`)*) \|.*\| ([^|]*)\|$", text, flags=re.M):
        for name in re.findall(r"`([A-Z_]+)`", row[0]):
            of_page.setdefault(name, set()).update(re.findall(r"`([A-Z][A-Za-z]+)`", row[1]))
    for name in of_template.keys() & of_page.keys():
        for missing in of_template[name] - of_page[name]:
            problems.append(f"docs/configuration.md does not say that {missing} sets {name}")
        for wrong in of_page[name] - known:
            problems.append(f"docs/configuration.md says that {wrong} sets {name}: fleet.yaml has no such parameter")
        if not of_page[name] and f"{{Name: {name}, Value: !If" in template:
            problems.append(f"docs/configuration.md does not say which parameter sets {name}")


def same_parameters():
    """A parameter of several templates takes the same values in all: one that the fleet takes is not refused in every account afterwards."""
    seen = {}
    for template in sorted((ROOT / "cloudformation").glob("*.yaml")):
        section = re.search(r"^Parameters:\n(.*?)^\w", template.read_text(), flags=re.M | re.S)[1]
        for name, body in re.findall(r"^  (\w+):\n((?:    .*\n)+)", section, flags=re.M):
            rules = dict(re.findall(r"^    (Type|AllowedPattern|AllowedValues|MinLength|MinValue|MaxValue): (.*)", body, flags=re.M))
            first, other = seen.setdefault(name, (template.name, rules))
            if other != rules:
                problems.append(f"{name} takes other values in {template.name} than in {first}: {rules} and {other}")


def stop():
    """Wherever workers are stopped by hand they stay stopped: otherwise the next message starts one again. By the names of the stack."""
    template = (ROOT / "cloudformation/fleet.yaml").read_text()
    stopping = re.compile(r"update-service(?:[^`]|\n)*?--desired-count 0")
    for page in documents():
        text = page.read_text()
        for found in stopping.finditer(text):
            before = re.sub(r"\s+", " ", text[max(0, found.start() - 600) : found.start()])
            held = "--resource-id service/iam-key-rotation/iam-key-rotation-worker" in before and "DynamicScalingOutSuspended=true" in before
            if not held:
                problems.append(f"{page.relative_to(ROOT)}: workers that are stopped so are started again: suspend scaling out before that")
    names = ('ResourceId: !Sub "service/${Cluster}/${Workers.Name}"', "ClusterName: !Ref NamePrefix", 'ServiceName: !Sub "${NamePrefix}-worker"')
    for name in names:
        if name not in template:
            problems.append(f"fleet.yaml has other names than the commands that stop workers: not {name}")


def tests_that_noticed():
    """The tests that docs/testing.md names beside the mutants are there: a name that no test has would match none, and pass."""
    rows = re.findall(r"^\| .+? \| `\w+` \| (.+?) \|$", (ROOT / "docs/testing.md").read_text(), re.M)
    sources = "".join((ROOT / name).read_text() for name in subprocess.run(["git", "ls-files", "*.rs"], cwd=ROOT, text=True, capture_output=True, check=True).stdout.split())
    for row in rows:
        name = re.sub(r"[^a-z0-9]+", "_", row.lower().replace("'", ""))
        if f"fn {name}(" not in sources:
            problems.append(f"docs/testing.md: there is no test \"{row}\"")
    if len(rows) < 90:
        problems.append(f"only {len(rows)} tests beside mutants were found")


def run_by_ci():
    """The README's own commands are stages, word for word."""
    stages = (ROOT / ".ci/run").read_text()
    for command in re.findall(r"^(cargo .*)$", (ROOT / "README.md").read_text(), flags=re.M):
        if command not in stages:
            problems.append(f"README.md: `{command}` is run by no stage of .ci/run")


def of_scripts():
    """What is written down for deploy.sh and cleanup.sh they take: the options of their usage, and with --set the parameters of two templates."""
    folder = ROOT / "cloudformation"
    sections = [re.search(r"^Parameters:\n(.*?)^\w", (folder / name).read_text(), flags=re.M | re.S)[1] for name in ("fleet.yaml", "member-role.yaml")]
    parameters = {name for section in sections for name in re.findall(r"^  (\w+):$", section, flags=re.M)}
    usages = {name: subprocess.run([folder / name, "--help"], text=True, capture_output=True, check=True).stdout for name in ("deploy.sh", "cleanup.sh")}
    known = {name: set(re.findall(r"--[a-z][a-z-]*", usage)) for name, usage in usages.items()}
    seen = 0
    for page in documents():
        # A command may go on in the next line, with or without a sign of it in a span.
        text = page.read_text().replace("\\\n", " ")
        for script, rest in re.findall(r"\b(deploy\.sh|cleanup\.sh)((?: [^`\n#;|]*)?)", text):
            options = set(re.findall(r"(?<=[ (])--[a-z][a-z-]*", rest))
            seen += len(options)
            for option in options - known[script]:
                problems.append(f"{page.relative_to(ROOT)}: {script} has no {option}")
        for name in re.findall(r"--set[ \n]'?([A-Za-z]+)=", text):
            seen += 1
            if name not in parameters and name != "NAME":
                problems.append(f"{page.relative_to(ROOT)}: --set {name}=: neither fleet.yaml nor member-role.yaml has it")
    if seen < 40:
        problems.append(f"only {seen} options of deploy.sh and cleanup.sh were found")


def main():
    missing = [program for program in PROGRAMS if not (BUILT / program).exists()]
    if missing:
        sys.exit(f"not built: {', '.join(missing)} (cargo build --release --workspace)")
    for check in (links, commands, settings, stack, parameters, same_parameters, stop, tests_that_noticed, run_by_ci, of_scripts):
        check()
    print("\n".join(sorted(set(problems))) or "links, commands and settings of the documentation are right")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
