#!/usr/bin/env python3
"""Simulates a scheduled run second by second, under the scaling policy that stands in cloudformation/fleet.yaml.

    python3 docs/scaling_simulation.py      (needs PyYAML, which cfn-lint brings along)

What it assumes is in ASSUMED; docs/scaling.md discusses it. The policy's numbers are read from the template, not repeated here.
"""

import math
import pathlib

import yaml

TEMPLATE = pathlib.Path(__file__).resolve().parent.parent / "cloudformation/fleet.yaml"

ASSUMED = {
    "arrivals a second": 100,  # ListAccounts: 20 accounts a page, some five pages a second
    "metrics lag, seconds": 60,  # SQS and Container Insights: a minute's value, known after that minute
    "task start, seconds": 60,  # Fargate: network interface, image of some 40 MB, start
    "calls a second and task": 300,  # half a vCPU, by the measurements of scaling.md; not measured on Fargate
    "seconds a call": 0.08,  # IAM over the ocean
    "seconds a report": 3,  # to generate a credential report; it is waited for up to 7, with the message's place kept
    "users at once in an account": 4,  # to begin with; it takes dozens of users without a sign of throttling to come to 8
    "days of a full scan": 14,  # FULL_SCAN_DAYS
    "messages at once": 16,  # MAX_CONCURRENT_MESSAGES
}
# us-east-1, Linux/x86, USD an hour (AWS Fargate pricing).
VCPU_HOUR, GB_HOUR = 0.04048, 0.004445


# Users of each account with a key, for what a month costs.
USERS = 10


class Loader(yaml.SafeLoader):
    """Takes CloudFormation's short tags as what they stand at."""


def plain(loader, _tag, node):
    if isinstance(node, yaml.ScalarNode):
        return node.value
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_mapping(node, deep=True)


Loader.add_multi_constructor("!", plain)


class Policy:
    """The template's numbers."""

    def __init__(self, template):
        resources, parameters = template["Resources"], template["Parameters"]
        more = resources["MoreWorkers"]["Properties"]["StepScalingPolicyConfiguration"]
        self.cooldown = more["Cooldown"]
        threshold = resources["WorkersLacking"]["Properties"]["Threshold"]
        # (workers lacking at least, workers added), the highest first
        steps = [(threshold + step["MetricIntervalLowerBound"], step["ScalingAdjustment"]) for step in more["StepAdjustments"]]
        self.steps = sorted(steps, reverse=True)
        self.per_worker = int(parameters["MessagesPerWorker"]["Default"])
        self.most = int(parameters["MaxWorkers"]["Default"])
        self.idle_minutes = resources["NothingToDo"]["Properties"]["EvaluationPeriods"]
        task = resources["WorkerTask"]["Properties"]
        self.hour = int(task["Cpu"]) / 1024 * VCPU_HOUR + int(task["Memory"]) / 1024 * GB_HOUR

    def added(self, lacking):
        return next((added for least, added in self.steps if lacking >= least), 0)


def seconds_a_message(users, due):
    """An account's message: five calls of the account's, one for each user whose turn it is, fourteen for one that is due."""
    of_users = users / ASSUMED["days of a full scan"] + 14 * due
    seconds = 5 * ASSUMED["seconds a call"] + ASSUMED["seconds a report"]
    return 5 + of_users, seconds + ASSUMED["seconds a call"] * of_users / ASSUMED["users at once in an account"]


def run(policy, messages, users, due):
    calls, seconds = seconds_a_message(users, due)
    rate = min(ASSUMED["messages at once"] / seconds, ASSUMED["calls a second and task"] / calls)
    waiting, done, asked, starting, running = 0.0, 0.0, 0, [], 0
    history, quiet, cooled, most, worker_seconds, drained = [], 0, 0, 0, 0, None
    for second in range(24 * 3600):
        waiting += min(ASSUMED["arrivals a second"], max(0, messages - done - waiting))
        running += sum(1 for at in starting if at <= second)
        starting = [at for at in starting if at > second]
        worked = min(waiting, rate * running)
        waiting, done = waiting - worked, done + worked
        if drained is None and messages - done < 0.5:
            drained = second
            waiting = 0
        worker_seconds += running + len(starting)
        most = max(most, running)
        history.append((waiting, asked))
        if second % 60 == 0 and second >= ASSUMED["metrics lag, seconds"]:
            seen, seen_asked = history[second - ASSUMED["metrics lag, seconds"]]
            lacking = math.ceil(seen / policy.per_worker) - seen_asked
            if lacking >= 1 and second >= cooled:
                new = min(policy.added(lacking), policy.most - asked)
                asked += new
                starting += [second + ASSUMED["task start, seconds"]] * new
                cooled = second + policy.cooldown
            quiet = quiet + 1 if seen == 0 and done > 0 else 0
            if quiet >= policy.idle_minutes:
                return drained, most, worker_seconds / 3600
    return drained, most, worker_seconds / 3600


def monthly_costs(policy, accounts):
    """What a month costs in USD, by item: 30 runs, users with one key each, replaced every 90 days."""
    rotations = accounts * USERS * 30 / 90
    _, _, hours = run(policy, accounts, USERS, USERS / 90)
    producer_hours = 30 * (2 + accounts / 1250) / 60  # two minutes, and eight more for 10,000 accounts
    return {
        "workers": 30 * hours * policy.hour,
        "producer, a quarter vCPU": producer_hours * (0.25 * VCPU_HOUR + 0.5 * GB_HOUR),
        "SQS, three requests a message": 30 * accounts * 3 * 0.50 / 1e6,
        "logs, 2 kB a message": 30 * accounts * 2e3 / 2**30 * 0.57,
        "mail, four a rotated key": 4 * rotations * 0.10 / 1e3,
        "calls of Secrets Manager, one a message, five a rotation": (30 * accounts + 5 * rotations) * 0.05 / 1e4,
        "secrets, one a user": accounts * USERS * 0.40,
    }


def main():
    template = yaml.load(TEMPLATE.read_text(), Loader)
    policy = Policy(template)
    print(f"one worker for {policy.per_worker} messages, at most {policy.most}; a worker costs {policy.hour:.4f} USD an hour\n")
    print("| accounts | users each | due each | drained after | workers at most | worker hours | USD a month (30 runs) |")
    print("|---:|---:|---:|---:|---:|---:|---:|")
    for accounts in (100, 1000, 10000):
        for users, due in ((10, 0), (100, 0), (100, 1), (100, 20)):
            drained, most, hours = run(policy, accounts, users, due)
            minutes = f"{drained / 60:.0f} min" if drained else "more than a day"
            print(f"| {accounts} | {users} | {due} | {minutes} | {most} | {hours:.2f} | {30 * hours * policy.hour:.2f} |")
    print("\nThe same 10,000 accounts of 100 users, one due each, if one worker were meant for:\n")
    print("| messages | drained after | workers at most | worker hours |")
    print("|---:|---:|---:|---:|")
    for per_worker in (100, 300, 1000, 3000, 10000):
        policy.per_worker = per_worker
        drained, most, hours = run(policy, 10000, 100, 1)
        print(f"| {per_worker} | {drained / 60:.0f} min | {most} | {hours:.2f} |")
    print(f"\nA month, for accounts of {USERS} users with a key each:\n")
    sizes = (100, 1000, 10000)
    print("| USD | " + " | ".join(f"{accounts:,} accounts" for accounts in sizes) + " |")
    print("|---|" + "---:|" * len(sizes))
    costs = [monthly_costs(Policy(template), accounts) for accounts in sizes]
    for item in costs[0]:
        print(f"| {item} | " + " | ".join(f"{cost[item]:,.2f}" for cost in costs) + " |")


if __name__ == "__main__":
    main()
