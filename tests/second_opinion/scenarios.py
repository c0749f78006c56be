#!/usr/bin/env python3
"""The end-to-end scenarios, against two stand-ins for AWS: the product's own sandbox, and moto, which others wrote. The same
preparation, the same real programs, the same ending, written down once.

    pip install -r .ci/requirements.txt
    cargo build --release --workspace
    tests/second_opinion/scenarios.py [PART OF A NAME]     (BIN=… where the programs are not in target/release)

Where the two differ, and who is right: docs/second-opinion.md.
"""

import itertools
import re
import signal
import sys
import time
import traceback
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, nullcontext
from functools import partial

import producer_stories
import schemas
import stories
from stage import BIN, ROOT, Broken, NotShown, Stage, expect
from stand_ins import Moto, Sandbox
from worker_scenarios import NOT_HERE, OF_SCENARIO_RS, SCENARIOS

# A worker that drains its queue mostly waits.
AT_ONCE = 8


def of_one_message(scenario, stage):
    scenario.prepare(stage)
    if scenario.meanwhile:
        stage.wait_a_minute(scenario.meanwhile)
    stage.work(status=scenario.status, **scenario.settings)
    different = stage.ending().differences(scenario.ending)
    expect(not different, "; ".join(different))


def not_those_of_scenario_rs():
    """What differs between the names in tests/src/scenario.rs and those here."""
    theirs = set(re.findall(r'^        name: "(.+)",$', (ROOT / "tests/src/scenario.rs").read_text(), re.MULTILINE))
    ours = {scenario.name for scenario in OF_SCENARIO_RS} | NOT_HERE.keys()
    return sorted(theirs ^ ours)


def everything():
    """Name, what to do on a stage, and whether nobody may play beside it."""
    for story in producer_stories.STORIES + stories.STORIES:
        yield story.__name__.replace("_", " "), story, getattr(story, "alone", False)
    for scenario in SCENARIOS:
        yield scenario.name, partial(of_one_message, scenario), False


def play(opened, number, fifo, act):
    """Plays one on a stand-in, opened for it: gives the verdict, why, and the kinds of events that were logged."""
    stage = None
    try:
        with opened() as aws:
            stage = Stage(aws, number, fifo)
            act(stage)
            stage.check_nothing_leaked()
        return "ok", "", stage.events
    except NotShown as reason:
        return "not shown", str(reason), set()
    except Broken as broken:
        return "FAILED", "\n".join([str(broken), *stage.said]), set()
    except Exception:
        return "FAILED", "\n".join([traceback.format_exc(), *(stage.said if stage else [])]), set()


@contextmanager
def no_more_of(pool):
    """Where something breaks off, what has not begun is not begun any more."""
    try:
        yield
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise


def main():
    # To be told to end is to clean up.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    for program in ("producer", "worker", "sandbox"):
        if not (BIN / program).exists():
            sys.exit(f"{BIN / program} is not built: cargo build --release --workspace")
    if different := not_those_of_scenario_rs():
        sys.exit(f"only in one of tests/src/scenario.rs and worker_scenarios.py: {'; '.join(different)}")
    part = sys.argv[1] if sys.argv[1:] else ""
    began = time.monotonic()
    verdicts = Counter()
    events = set()
    with closing(Moto()) as moto:
        # moto is one for all. The sandbox has one clock for all its accounts, and starts at once: one for each.
        stand_ins = {"sandbox": lambda: closing(Sandbox(BIN / "sandbox")), "moto": lambda: nullcontext(moto)}
        numbers = itertools.count(1)
        for beside, at_once in ((False, AT_ONCE), (True, 1)):
            chosen = [(name, act) for name, act, alone in everything() if part in name and alone == beside]
            with ThreadPoolExecutor(at_once) as pool, no_more_of(pool):
                played = [
                    (aws, f"{name} ({aws}, {kind})", pool.submit(play, opened, next(numbers), kind == "FIFO", act))
                    for name, act in chosen
                    for kind in ("FIFO", "standard")
                    for aws, opened in stand_ins.items()
                ]
                for aws, title, result in played:
                    verdict, why, logged = result.result()
                    events |= logged
                    verdicts[aws, verdict] += 1
                    print(": ".join(filter(None, [verdict, title, why])), flush=True)
    print(f"{len(list(everything()))} scenarios, each on FIFO and on standard queues, in {time.monotonic() - began:.0f} s:")
    for aws in ("sandbox", "moto"):
        told = (f"{count} {verdict}" for (name, verdict), count in sorted(verdicts.items(), reverse=True) if name == aws)
        print(f"  {aws}: {', '.join(told)}")
    unseen = set() if part else schemas.KINDS - events
    if unseen:
        print(f"FAILED: of the events in docs/event.schema.json none of these was logged: {', '.join(sorted(unseen))}")
    sys.exit(1 if unseen or any(verdict == "FAILED" for _, verdict in verdicts) else 0)


if __name__ == "__main__":
    main()
