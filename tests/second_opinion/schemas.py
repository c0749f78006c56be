"""What the programs write for machines, held against the documented schemas by a validator that others wrote."""

import json
import pathlib

from jsonschema import Draft202012Validator

HERE = pathlib.Path(__file__).resolve().parent
DOCS = HERE.parents[1] / "docs"


def validator(file):
    schema = json.loads(file.read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


REPORT = validator(DOCS / "report.schema.json")
EVENTS = validator(DOCS / "event.schema.json")
# AWS's rules for lines that are metrics as well.
METRICS = validator(HERE / "embedded_metrics.schema.json")

KEY_EVENTS = set(EVENTS.schema["$defs"]["key_event"]["properties"]["event"]["enum"])
# Every kind of event that the schema knows: of keys, and sums, each of which has a definition of its own.
KINDS = KEY_EVENTS | {name for name in EVENTS.schema["$defs"] if {"$ref": f"#/$defs/{name}"} in EVENTS.schema["oneOf"]} - {"key_event"}


def errors(wanted, value):
    """What is wrong with a value, and where. Of several schemas that it could be of, what is wrong by each."""
    for error in wanted.iter_errors(value):
        for inner in error.context or [error]:
            yield f"{inner.json_path}: {inner.message}"


def check_log(logged):
    """The kinds of events in a log, and what is wrong with its lines."""
    kinds, wrong = set(), []
    for line in logged.splitlines():
        try:
            said = json.loads(line)
        except ValueError:
            wrong.append(f"no JSON: {line}")
            continue
        if said["target"] in ("event", "summary") and "event" in said:
            kinds.add(said["event"])
            wrong += [f"{error}: {line}" for error in errors(EVENTS, said)]
        if "_aws" in said:
            wrong += [f"{error}: {line}" for error in errors(METRICS, said)]
    return kinds, wrong
