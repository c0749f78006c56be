# What deploy.sh and cleanup.sh share. Sourced, not run.
# shellcheck shell=bash
# Names set here are used there.
# shellcheck disable=SC2034

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

say() { printf '%s\n' "$*"; }
step() { printf '\n== %s\n' "$*"; }
# Exit status 2: settings or surroundings are wrong, nothing was done. 1: something failed on the way.
refuse() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 2; }
fail() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }

# Runs a command that changes something; with --plan only shows it.
change() {
    if $PLAN; then
        printf 'would run:'
        printf ' %q' "$@"
        printf '\n'
    else
        "$@"
    fi
}

need() {
    command -v "$1" >/dev/null || refuse "$1 is not installed: $2"
}

need_region() {
    [[ $1 =~ ^[a-z]{2}(-[a-z]+)+-[0-9]+$ ]] || refuse "\"$1\" is not a region, as eu-west-1 is"
    export AWS_REGION=$1 AWS_DEFAULT_REGION=$1 AWS_PAGER=""
}

# Sets ACCOUNT and PARTITION.
need_credentials() {
    local identity
    identity=$(aws sts get-caller-identity --query '[Account,Arn]' --output text 2>&1) ||
        refuse "there are no working AWS credentials: $identity"
    ACCOUNT=${identity%%[[:space:]]*}
    PARTITION=$(cut -d: -f2 <<<"${identity##*[[:space:]]}")
    readonly ACCOUNT PARTITION
}

# Sets ORG_ID_FOUND and MANAGEMENT_ACCOUNT.
need_organization() {
    local found
    found=$(aws organizations describe-organization --query 'Organization.[Id,MasterAccountId]' --output text 2>&1) ||
        refuse "the organization cannot be read from the account $ACCOUNT: $found"
    ORG_ID_FOUND=${found%%[[:space:]]*}
    MANAGEMENT_ACCOUNT=${found##*[[:space:]]}
    readonly ORG_ID_FOUND MANAGEMENT_ACCOUNT
    # StackSets are made by the management account, or by a delegated administrator who says so.
    STACK_SET_CALLER=(--call-as DELEGATED_ADMIN)
    [[ $ACCOUNT != "$MANAGEMENT_ACCOUNT" ]] || STACK_SET_CALLER=(--call-as SELF)
}

# stack_status NAME -> its status, or nothing where there is no such stack
stack_status() {
    local answer
    if answer=$(aws cloudformation describe-stacks --stack-name "$1" --query 'Stacks[0].StackStatus' --output text 2>&1); then
        printf '%s' "$answer"
    elif [[ $answer != *"does not exist"* ]]; then
        fail "the stack $1 cannot be looked at: $answer"
    fi
}

# Deletes a stack and waits for its end.
remove_stack() {
    local name=$1
    if [[ -z $(stack_status "$name") ]]; then
        say "The stack $name is gone already."
        return
    fi
    change aws cloudformation delete-stack --stack-name "$name"
    $PLAN || aws cloudformation wait stack-delete-complete --stack-name "$name" ||
        fail "the stack $name could not be deleted: aws cloudformation describe-stack-events --stack-name $name tells why (an exemption group that has members is not deleted: empty it, or delete the stack and retain the group)"
    $PLAN || say "The stack $name is gone."
}

# output STACK KEY -> an output of a stack
output() {
    aws cloudformation describe-stacks --stack-name "$1" --output text \
        --query "Stacks[0].Outputs[?OutputKey=='$2'].OutputValue | [0]"
}

# stack_set_exists: whether the member role's stack set is there
stack_set_exists() {
    local status
    status=$(aws cloudformation describe-stack-set --stack-set-name "$MEMBER_ROLE_STACK" "${STACK_SET_CALLER[@]}" \
        --query StackSet.Status --output text 2>&1) && [[ $status == ACTIVE ]] && return
    [[ $status == *NotFound* || $status == *"not found"* || $status == DELETED ]] ||
        fail "the stack set $MEMBER_ROLE_STACK cannot be looked at: $status"
    return 1
}

# Waits for the end of an operation on the stack set; shows what failed.
await_stack_set() {
    local operation=$1 status
    $PLAN && return
    while :; do
        status=$(aws cloudformation describe-stack-set-operation --stack-set-name "$MEMBER_ROLE_STACK" \
            "${STACK_SET_CALLER[@]}" --operation-id "$operation" --query StackSetOperation.Status --output text)
        case $status in
        SUCCEEDED) return ;;
        RUNNING | QUEUED | STOPPING) sleep "${KEY_ROTATION_POLL_SECONDS:-10}" ;;
        *)
            aws cloudformation list-stack-set-operation-results --stack-set-name "$MEMBER_ROLE_STACK" \
                "${STACK_SET_CALLER[@]}" --operation-id "$operation" --output text \
                --query "Summaries[?Status!='SUCCEEDED'].[Account,Region,Status,StatusReason]" >&2 || true
            fail "the stack set $MEMBER_ROLE_STACK: the operation $operation ended as $status (above: which accounts, and why)"
            ;;
        esac
    done
}
