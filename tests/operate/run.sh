#!/usr/bin/env bash
# operate.sh against a stand-in for the AWS CLI that answers as ECS and CloudWatch Logs do: what the task is started with, what is shown, and
# how it ends. What it cannot show is AWS itself.
# Called by its name.
# shellcheck disable=SC2329
set -euo pipefail
cd "$(dirname "$0")/../.."
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
export PATH=$place:$PATH PLACE=$place KEY_ROTATION_POLL_SECONDS=0

cat > "$place/aws" <<'STAND_IN'
#!/usr/bin/env bash
printf '%s\n' "$1 $2" >> "$PLACE/calls"
case "$1 $2" in
"cloudformation describe-stacks") cat "$PLACE/network" || { echo "Stack with id iam-key-rotation-fleet does not exist" >&2; exit 254; } ;;
"ecs run-task")
    while (($#)); do [[ $1 != --overrides ]] || printf '%s' "$2" > "$PLACE/overrides"; shift; done
    cat "$PLACE/started"
    ;;
"ecs describe-tasks")
    # One line of them a question; one that says "throttled" is an error.
    line=$(head -n 1 "$PLACE/states")
    (($(wc -l < "$PLACE/states") == 1)) || sed -i 1d "$PLACE/states"
    [[ $line != throttled ]] || exit 254
    printf '%s\n' "$line"
    ;;
"logs filter-log-events")
    # A line more at each question; at first there is no stream.
    seen=$(grep -c '^logs' "$PLACE/calls")
    ((seen > 1)) || exit 254
    head -n $((seen - 1)) "$PLACE/log"
    ;;
*) exit 254 ;;
esac
STAND_IN
chmod +x "$place/aws"

# runs STATES ARGUMENT...: operate.sh with tasks that go through these states; its status in `status`
runs() {
    printf '%b\n' "$1" > "$place/states"
    shift
    : > "$place/calls"
    status=0
    cloudformation/operate.sh eu-west-1 "$@" > "$place/out" 2> "$place/err" || status=$?
}
reset() {
    echo 'awsvpcConfiguration={subnets=[subnet-1],securityGroups=[sg-1],assignPublicIp=DISABLED}' > "$place/network"
    printf 'arn:aws:ecs:eu-west-1:111111111111:task/iam-key-rotation/0a1b\tNone\n' > "$place/started"
    printf 'first\nsecond\nthird\n' > "$place/log"
}

failed=0
check() {
    if [[ $2 == "$3" ]]; then echo "ok: $1"; else printf 'FAILED: %s\n  wanted: %s\n  got:    %s\n' "$1" "$3" "$2"; failed=1; fi
}

reset
runs 'PROVISIONING\tNone\tNone\nthrottled\nRUNNING\tNone\tNone\nSTOPPED\t1\tEssential container in task exited' \
    restore --account 123456789012 --user 'a"b\c' --wait
check "it ends as the command ends" "$status" 1
check "each line is shown once" "$(cat "$place/out")" "$(cat "$place/log")"
check "the command is the producer's, word for word" "$(python3 -c 'import json, sys; print(json.load(sys.stdin)["containerOverrides"][0]["command"])' < "$place/overrides")" \
    "['/usr/local/bin/producer', 'restore', '--account', '123456789012', '--user', 'a\"b\\\\c', '--wait']"
check "how to follow it is said with its region" "$(grep -c 'aws logs tail --region eu-west-1 --follow /iam-key-rotation/producer' "$place/err")" 1
check "it is started once" "$(grep -c run-task "$place/calls")" 1

runs 'STOPPED\t0\tEssential container in task exited' status
check "done is 0" "$status" 0
runs 'STOPPED\tNone\tCannotPullContainerError: no such image' status
check "a task that never ran is not done" "$status" 3
check "and why is said" "$(grep -c 'no such image' "$place/err")" 1

runs 'None\nNone\nRUNNING\tNone\tNone\nNone\nSTOPPED\t0\tEssential container in task exited' status
check "a task that is not known yet is waited for" "$status" 0
runs 'RUNNING\tNone\tNone\nNone' status
check "one that has been forgotten is not waited for for ever" "$status $(grep -c 'does not know the task' "$place/err")" "3 1"
runs 'RUNNING\tNone\tNone\nthrottled' status
check "questions that get no answer end it" "$status $(grep -c describe-tasks "$place/calls")" "3 61"
check "and it is said that the task may still run" "$(grep -c 'it may still run' "$place/err")" 1

printf 'None\tRESOURCE:FARGATE\n' > "$place/started"
runs 'STOPPED\t0\tx' status
check "a task that was not started is not waited for" "$status $(grep -c describe-tasks "$place/calls")" "3 0"
: > "$place/network"
runs 'STOPPED\t0\tx' status
check "without the stack's answer nothing is started" "$status $(grep -c run-task "$place/calls")" "2 0"
rm "$place/network"
runs 'STOPPED\t0\tx' status
check "nor without the stack" "$status $(grep -c run-task "$place/calls")" "2 0"
check "and that it may be elsewhere is said" "$(grep -c 'iam-key-rotation-fleet cannot be read in eu-west-1 .*another region.* Nothing was done' "$place/err")" 1
reset
# wrong ARGUMENTS SAYS
wrong() {
    status=0
    # shellcheck disable=SC2086 # several words
    cloudformation/operate.sh $1 > "$place/out" 2> "$place/err" || status=$?
    check "\"operate.sh $1\" is no use of it, and why is said" "$status $(cat "$place/out" "$place/err")" "2 operate.sh: $2"
}
wrong "" "it takes REGION and a command of the producer's; --help has examples"
wrong status '"status" is not a region, as eu-west-1 is; --help has examples'
wrong "nowhere status" '"nowhere" is not a region, as eu-west-1 is; --help has examples'
wrong eu-west-1 "which command of the producer's? --help has examples"
exit "$failed"
