# What deploy.sh and cleanup.sh share. Sourced, not run.
# shellcheck shell=bash
# Names set here are used there.
# shellcheck disable=SC2034

# Before anything that an older one cannot read. macOS has 3.2.
if ((BASH_VERSINFO[0] < 4 || (BASH_VERSINFO[0] == 4 && BASH_VERSINFO[1] < 3))); then
    printf '%s: it takes bash 4.3 or newer, and this is %s. On macOS: brew install bash\n' "${0##*/}" "$BASH_VERSION" >&2
    exit 2
fi

# Names of stacks; they begin with the fleet's own prefix.
readonly PREFIX=${KEY_ROTATION_PREFIX:-iam-key-rotation}
readonly IMAGE_STACK=$PREFIX-image
readonly KMS_STACK=$PREFIX-kms
readonly LIST_ROLE_STACK=$PREFIX-list-role
readonly FLEET_STACK=$PREFIX-fleet
readonly MONITORING_STACK=$PREFIX-monitoring
# The same name in the management account (a stack) and everywhere else (a stack set).
readonly MEMBER_ROLE_STACK=$PREFIX-member-role

PLAN=false
# The exit status of a failure. 2: nothing was done. 1: something may have been done.
STATUS=2

SCRATCH=$(mktemp -d)
trap 'rm -rf "$SCRATCH"' EXIT
# What no sentence was written for is a failure, too.
set -E
trap 'fail "$BASH_COMMAND: ended with $?"' ERR

say() { printf '%s\n' "$*"; }
step() { printf '\n== %s\n' "$*"; }
fail() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit "$STATUS"; }

# look NAME COMMAND...: its answer, in the variable NAME. A look-up that fails ends the run: what is not known is not "not there".
# In a subshell, as in $(…), it would end that alone.
look() {
    local -n answer_of_look=$1
    shift
    answer_of_look=$("$@" 2>"$SCRATCH/said") || fail "it cannot be looked up: $(<"$SCRATCH/said") (${*:1:3})"
}

# look_for NAME "CODE[ TEXT]" COMMAND...: as look; where the command fails with this code, and a message that has the text, there is no
# such thing, and NAME is empty.
look_for() {
    local -n answer_of_look_for=$1
    local code=${2%% *} text=${2#"${2%% *}"}
    shift 2
    answer_of_look_for=$("$@" 2>"$SCRATCH/said") || {
        [[ $(<"$SCRATCH/said") == *"($code)"*"$text"* ]] || fail "it cannot be looked up: $(<"$SCRATCH/said") (${*:1:3})"
        answer_of_look_for=""
    }
}

# Runs a command that changes something; with --plan only shows it.
change() {
    if $PLAN; then
        printf 'would run:'
        printf ' %q' "$@"
        printf '\n'
    else
        STATUS=1
        "$@" || fail "this failed: ${*:1:3}"
    fi
}

need() {
    command -v "$1" >/dev/null || fail "$1 is not installed: $2"
}

is_region() { [[ $1 =~ ^[a-z]{2,4}(-[a-z]+)+-[0-9]+$ ]]; }

need_region() {
    is_region "$1" || fail "\"$1\" is not a region, as eu-west-1 is"
    export AWS_REGION=$1 AWS_DEFAULT_REGION=$1 AWS_PAGER=""
    # An organization's other users throttle, too.
    export AWS_RETRY_MODE=${AWS_RETRY_MODE:-standard} AWS_MAX_ATTEMPTS=${AWS_MAX_ATTEMPTS:-8}
}

# Sets ACCOUNT and PARTITION.
need_credentials() {
    local identity
    look identity aws sts get-caller-identity --query '[Account,Arn]' --output text
    ACCOUNT=${identity%%[[:space:]]*}
    PARTITION=$(cut -d: -f2 <<<"${identity##*[[:space:]]}")
    readonly ACCOUNT PARTITION
}

# Sets ORG_ID_FOUND and MANAGEMENT_ACCOUNT.
need_organization() {
    local organization
    look organization aws organizations describe-organization --query 'Organization.[Id,MasterAccountId]' --output text
    ORG_ID_FOUND=${organization%%[[:space:]]*}
    MANAGEMENT_ACCOUNT=${organization##*[[:space:]]}
    readonly ORG_ID_FOUND MANAGEMENT_ACCOUNT
    # StackSets are made by the management account, or by a delegated administrator who says so.
    STACK_SET_CALLER=(--call-as DELEGATED_ADMIN)
    [[ $ACCOUNT != "$MANAGEMENT_ACCOUNT" ]] || STACK_SET_CALLER=(--call-as SELF)
}

# stack_status NAME STACK: its status, in the variable NAME; empty where there is no such stack
stack_status() {
    look_for "$1" 'ValidationError does not exist' \
        aws cloudformation describe-stacks --stack-name "$2" --query 'Stacks[0].StackStatus' --output text
}

# Deletes a stack and waits for its end.
remove_stack() {
    local name=$1 status
    stack_status status "$name"
    if [[ -z $status ]]; then
        say "The stack $name is gone already."
        return
    fi
    change aws cloudformation delete-stack --stack-name "$name"
    if ! $PLAN; then
        aws cloudformation wait stack-delete-complete --stack-name "$name" ||
            fail "the stack $name is not gone: aws cloudformation describe-stack-events --region $AWS_REGION --stack-name $name tells why (what is still in use is not deleted: a group that has members, a policy that users have, a security group that another refers to, as that of VPC endpoints does that were made before ClientCidr: docs/deployment.md, taking it down)"
        say "The stack $name is gone."
    fi
}

# tell_logs: the commands that delete a fleet's logs, which stay when its stack is deleted
tell_logs() {
    printf "\n   aws logs delete-log-group --region $AWS_REGION --log-group-name %s" "/$PREFIX/worker" "/$PREFIX/producer"
}

# output NAME STACK KEY: an output of a stack, in the variable NAME
output() {
    look "$1" aws cloudformation describe-stacks --stack-name "$2" --output text \
        --query "Stacks[0].Outputs[?OutputKey=='$3'].OutputValue | [0]"
    [[ ${!1} != None ]] || fail "the stack $2 has no output $3"
}
