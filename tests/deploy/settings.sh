#!/usr/bin/env bash
# What is asked of deploy.sh comes about or is refused, every time: its plan, a hundred times over, on a machine that is busy with
# other things. (A script that reads its own answers through a pipe passes when it is quiet, and drops settings when it is not.)
#
# A stand-in for the AWS command line answers at once. What comes of runs that are cut off: runs.py. On a whole AWS of moto's:
# tests/second_opinion/deploy.py.
set -euo pipefail
cd "$(dirname "$0")/../.."
readonly ROUNDS=${DEPLOY_ROUNDS:-100}
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$work"' EXIT

cat > "$work/aws" <<'AWS'
#!/usr/bin/env bash
# An empty account, or with RUNNING a fleet whose settings are in that file.
case "$*" in
"sts get-caller-identity"*) printf '111111111111\tarn:aws:iam::111111111111:user/somebody\n' ;;
"organizations describe-organization"*) printf 'o-a1b2c3d4e5\t111111111111\n' ;;
"organizations list-roots"*) echo r-abcd ;;
"ec2 describe-vpcs"*) echo vpc-1 ;;
"ec2 describe-subnets"*) printf 'subnet-1\tsubnet-2\n' ;;
"cloudformation describe-organizations-access"*) echo ENABLED ;;
"cloudformation describe-stack-set"*) echo "An error occurred (StackSetNotFoundException)" >&2; exit 254 ;;
"logs describe-log-groups"*) ;;
"iam get-role"*) echo "An error occurred (NoSuchEntity)" >&2; exit 254 ;;
"sesv2 get-email-identity"*) echo "An error occurred (NotFoundException)" >&2; exit 254 ;;
"cloudformation describe-stacks"*"-fleet "*StackStatus*) [[ -n ${RUNNING-} ]] && echo UPDATE_COMPLETE || { echo "An error occurred (ValidationError): Stack does not exist" >&2; exit 254; } ;;
"cloudformation describe-stacks"*"-fleet "*) cat "$RUNNING" ;;
"cloudformation describe-stacks"*"-monitoring "*StackStatus*) [[ -n ${MONITORED-} ]] && echo CREATE_COMPLETE || { echo "An error occurred (ValidationError): Stack does not exist" >&2; exit 254; } ;;
"cloudformation describe-stacks"*"-monitoring "*) printf 'NamePrefix\tiam-key-rotation\nDryRunFlag\tTrue\n' ;;
"cloudformation describe-stacks"*) echo "An error occurred (ValidationError): Stack does not exist" >&2; exit 254 ;;
"cloudformation describe-change-set"*StatusReason*) echo CREATE_COMPLETE ;;
"cloudformation describe-change-set"*) printf 'Modify\tWorkerTask\tAWS::ECS::TaskDefinition\tTrue\n' ;;
"cloudformation create-change-set"*) printf '%s\n' "$@" > "${CHANGES:-/dev/null}" ;;
"cloudformation wait"*) [[ -z ${INTERRUPTED-} ]] || kill -TERM "$PPID" ;;
"cloudformation delete-change-set"*) printf '%s\n' "$@" > "${DISCARDED:-/dev/null}" ;;
*) echo "$*: not known here" >&2; exit 255 ;;
esac
AWS
chmod +x "$work/aws"
export PATH=$work:$PATH

die() { printf '%s\n' "$*" >&2; exit 1; }

# plan STATUS OPTION...: a plan must end so; what it said is in $work/said
plan() {
    local expected=$1 status=0
    shift
    cloudformation/deploy.sh eu-west-1 admin@example.com o-a1b2c3d4e5 --plan --image example/image:1 "$@" > "$work/said" 2>&1 || status=$?
    ((status == expected)) || die "deploy.sh --plan $* ended with $status instead of $expected:"$'\n'"$(cat "$work/said")"
}

# hides TEXT: what was said does not have it
hides() {
    local said
    said=$(cat "$work/said")
    [[ $said != *"$1"* ]] || die "it said \"$1\":"$'\n'"$said"
}

# tells TEXT...: what was said has it. Read whole: nothing here looks for text by a pipe either.
tells() {
    local said text
    said=$(cat "$work/said")
    for text; do
        [[ $said == *"$text"* ]] || die "it did not say \"$text\":"$'\n'"$said"
    done
}

line() { printf '  %-30s %s  (%s)' "$1" "$2" "$3"; }

# The machine is busy.
for _ in 1 2 3 4; do
    while :; do :; done &
done

for ((round = 1; round <= ROUNDS; round++)); do
    days=$((10 + round))
    plan 0 --set ResourceOwnerTag=owner --set "RotationPeriod=$days" --set InactivePeriod=36500 --set CreateExemptionGroup=No
    tells "$(line ResourceOwnerTag owner "asked for")" "$(line RotationPeriod "$days" "asked for")" \
        "$(line CreateExemptionGroup No "asked for")" "ResourceOwnerTag=owner" "RotationPeriod=$days"
done
echo "ok: $ROUNDS plans, every setting in every one of them"

plan 2 --set ResourceOwnerTags=owner
tells "has a parameter ResourceOwnerTags"
plan 2 --set =owner
plan 2 --enforce --set DryRunFlag=True
tells 'DryRunFlag is asked for twice: as "False" and as "True"'
plan 2 --set AdminEmailAddress=other@example.com
tells "AdminEmailAddress is asked for twice"
plan 2 --set CpuArchitecture=arm64
tells "it must be X86_64 or ARM64"
plan 2 --sender nobody
tells '"nobody" is not a mail address'
echo "ok: what cannot be meant is refused"

plan 0 --sender keys@example.com --alarms oncall@example.com --reply-to help@example.com --external-id 'a,b=c@d'
tells "$(line AdminEmailAddress admin@example.com "asked for")" "$(line SenderEmailAddress keys@example.com "asked for")" \
    "$(line AlarmEmailAddress oncall@example.com "asked for")" "$(line ReplyToEmailAddress help@example.com "asked for")" \
    "$(line ExternalId 'a,b=c@d' "asked for")" "== The sender keys@example.com"
echo "ok: sender, administrator, alarms and replies have addresses of their own"

plan 0
hides iam-key-rotation-monitoring
plan 0 --monitoring --enforce --everywhere
tells "Settings of iam-key-rotation-monitoring:" "$(line DryRunFlag False "asked for")" "monitoring.yaml"
plan 2 --monitoring --no-monitoring
tells "do not go together"
plan 0 --no-monitoring
tells "The stack iam-key-rotation-monitoring is gone already."
echo "ok: alarms, queries and dashboard are made where they are asked for"

# Of a running fleet: what is not named stays, what is named changes, and the plan shows what would come of it.
printf '%s\t%s\n' ExternalId kept RotationPeriod 60 CpuArchitecture ARM64 DryRunFlag False StoreSecretsInCentralAccount False AssignPublicIp DISABLED > "$work/running"
export RUNNING=$work/running CHANGES=$work/changes
plan 0 --set InactivePeriod=75
tells "$(line RotationPeriod 60 "as it is")" "$(line InactivePeriod 75 "asked for")" "$(line ExternalId kept "asked for")" \
    "would change in iam-key-rotation-fleet" "WorkerTask"
changes=$(cat "$CHANGES")
for setting in '"RotationPeriod","ParameterValue":"60"' '"InactivePeriod","ParameterValue":"75"' '"DryRunFlag","ParameterValue":"False"'; do
    [[ $changes == *"$setting"* ]] || die "the change set lacks $setting"
done
echo "ok: the plan of a running fleet is a change set with what is and what is asked for"

INTERRUPTED=yes DISCARDED=$work/discarded plan 143
[[ $(cat "$work/discarded") == *$'--stack-name\niam-key-rotation-fleet\n--change-set-name\nplan-'* ]] || die "an interrupted plan leaves its change set"
echo "ok: a plan that is interrupted leaves no change set"

plan 0
tells "$(line AssignPublicIp DISABLED "as it is")"
plan 0 --public-ip
tells "$(line AssignPublicIp ENABLED "asked for")"
plan 0 --vpc vpc-2 --subnets subnet-3
tells "$(line AssignPublicIp DISABLED "asked for")"
echo "ok: public addresses are given to a running fleet where they are asked for"

export MONITORED=yes
plan 0
tells "Settings of iam-key-rotation-monitoring:" "would change in iam-key-rotation-monitoring"
[[ $(cat "$CHANGES") == *'"DryRunFlag","ParameterValue":"False"'* ]] || die "the alarm on overdue keys would stay silent"
plan 0 --no-monitoring
tells "would run: aws cloudformation delete-stack --stack-name iam-key-rotation-monitoring"
hides "Settings of iam-key-rotation-monitoring:"
echo "ok: what monitoring there is goes along with the fleet, and goes when that is asked for"
