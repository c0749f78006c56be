#!/usr/bin/env bash
# Runs one of the producer's commands as a task of the fleet, which has the settings and the rights; shows what it says, and ends as it ends.
# Needs the AWS CLI, and of rights: cloudformation:DescribeStacks, ecs:RunTask and ecs:DescribeTasks, iam:PassRole, logs:FilterLogEvents.
set -euo pipefail

usage() {
    cat <<'USAGE'
Usage: operate.sh REGION COMMAND [ARGUMENT]...

  operate.sh eu-west-1 force-rotate --access-key-id AKIA... --disable-old-now --wait
  operate.sh eu-west-1 restore --account 123456789012 --user alice --wait
  operate.sh eu-west-1 status
  operate.sh eu-west-1 dead-letters list

COMMAND and what follows are the producer's own (producer --help). With credentials of the fleet's
account.

Exit status: the command's own (0 done; 1 some or all of the work failed; 2 usage or settings
wrong), also 2 where there is no fleet and nothing was done, or 3: it cannot be said whether it ran
to its end.
USAGE
}

fail() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 3; }
refuse() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 2; }

case ${1:-} in
-h | --help) usage; exit 0 ;;
esac
(($# > 0)) || refuse "it takes REGION and a command of the producer's; --help has examples"
[[ $1 =~ ^[a-z]{2,4}(-[a-z]+)+-[0-9]+$ ]] || refuse "\"$1\" is not a region, as eu-west-1 is; --help has examples"
(($# > 1)) || refuse "which command of the producer's? --help has examples"
region=$1
export AWS_REGION=$1 AWS_DEFAULT_REGION=$1 AWS_PAGER=""
shift
prefix=${KEY_ROTATION_PREFIX:-iam-key-rotation}

# The words as a list in JSON, as the task's command.
command='"/usr/local/bin/producer"'
for word in "$@"; do
    word=${word//\\/\\\\}
    command+=",\"${word//\"/\\\"}\""
done

network=$(aws cloudformation describe-stacks --stack-name "$prefix-fleet" --output text \
    --query "Stacks[0].Outputs[?OutputKey=='NetworkConfiguration'].OutputValue") ||
    refuse "the fleet's stack $prefix-fleet cannot be read in $region (above: why); is it in another region, or under another KEY_ROTATION_PREFIX? Nothing was done"
[[ $network == awsvpc* ]] || refuse "the stack $prefix-fleet has no output NetworkConfiguration: update it first (deploy.sh). Nothing was done"

# Without a retry of the CLI's own: a request that went through unheard would be made twice.
started=$(AWS_MAX_ATTEMPTS=1 aws ecs run-task --cluster "$prefix" --task-definition "$prefix-producer" --launch-type FARGATE \
    --network-configuration "$network" --overrides "{\"containerOverrides\":[{\"name\":\"producer\",\"command\":[$command]}]}" \
    --output text --query '[tasks[0].taskArn, failures[0].reason]') || fail "the task could not be started, or it is not known whether it was"
read -r task reason <<<"$started"
[[ $task == arn:* ]] || fail "the task was not started: $reason"
id=${task##*/}

# What it has said so far goes to stdout, once.
shown=0
show() {
    local lines
    # No log yet, or no answer just now: what is missing is shown the next time.
    lines=$(aws logs filter-log-events --log-group-name "/$prefix/producer" --log-stream-names "producer/producer/$id" \
        --output text --query 'events[].[message]' 2>/dev/null) || return 0
    [[ -n $lines ]] || return 0
    tail -n "+$((shown + 1))" <<<"$lines"
    shown=$(wc -l <<<"$lines")
}

printf 'task %s; should this be interrupted, it goes on: aws logs tail --region %s --follow /%s/producer\n' "$id" "$region" "$prefix" >&2
before=""
unknown=0
unanswered=0
while :; do
    # One question that gets no answer is no end; five minutes of them are, as when credentials have expired. One that is answered with no
    # such task may be, if it stays so: just after its start ECS may not know a task yet, and it forgets one within an hour of its end.
    answer=$(aws ecs describe-tasks --cluster "$prefix" --tasks "$task" --output text \
        --query 'tasks[0].[lastStatus, containers[0].exitCode, stoppedReason]') || answer="unanswered None None"
    read -r status code reason <<<"$answer"
    [[ $status == "$before" ]] || printf '%s\n' "$status" >&2
    before=$status
    show
    [[ $status != STOPPED ]] || break
    if [[ $status == None ]]; then unknown=$((unknown + 1)); else unknown=0; fi
    ((unknown < 24)) || fail "ECS does not know the task any more, nor how it ended; what it said is in the log /$prefix/producer"
    if [[ $status == unanswered ]]; then unanswered=$((unanswered + 1)); else unanswered=0; fi
    ((unanswered < 60)) || fail "what became of the task cannot be found out (see above); it may still run"
    sleep "${KEY_ROTATION_POLL_SECONDS:-5}"
done
[[ $code =~ ^[0-9]+$ ]] || fail "the task ended without an answer: $reason"
# Lines reach the log some seconds after they were written.
sleep "${KEY_ROTATION_POLL_SECONDS:-5}"
show
exit "$code"
