# The member role's stack set: what there is of it, what is made of it. Sourced, not run.
# shellcheck shell=bash
# What is not set here is set by common.sh and by whoever sources this.
# shellcheck disable=SC2034,SC2154

# Sets SET_STATUS (empty: there is none), SET_INSTANCES (account, region, status, status in detail, unit, reason, one a line) and
# SET_UNITS (what it is deployed to: units, or the root, one a line).
look_at_stack_set() {
    local of_set of_instances
    SET_INSTANCES="" SET_UNITS=""
    look_for SET_STATUS StackSetNotFoundException aws cloudformation describe-stack-set \
        --stack-set-name "$MEMBER_ROLE_STACK" "${STACK_SET_CALLER[@]}" --query StackSet.Status --output text
    [[ $SET_STATUS == ACTIVE ]] || SET_STATUS=""
    [[ -n $SET_STATUS ]] || return 0
    look of_set aws cloudformation describe-stack-set --stack-set-name "$MEMBER_ROLE_STACK" "${STACK_SET_CALLER[@]}" \
        --query 'StackSet.OrganizationalUnitIds[]' --output text
    look SET_INSTANCES aws cloudformation list-stack-instances --stack-set-name "$MEMBER_ROLE_STACK" "${STACK_SET_CALLER[@]}" \
        --query 'Summaries[].[Account,Region,Status,StackInstanceStatus.DetailedStatus,OrganizationalUnitId,StatusReason]' --output text
    # A unit without accounts has no instance, and is a target all the same.
    of_instances=$(cut -f5 <<<"$SET_INSTANCES")
    SET_UNITS=$(tr -s '[:space:]' '\n' <<<"$of_set $of_instances" | { grep -E '^(r|ou)-' || true; } | LC_ALL=C sort -u)
}

# parameters_of_set: fills SETTINGS with name and value of the stack set's parameters, one a line
parameters_of_set() {
    look SETTINGS aws cloudformation describe-stack-set --stack-set-name "$MEMBER_ROLE_STACK" "${STACK_SET_CALLER[@]}" \
        --query 'StackSet.Parameters[].[ParameterKey,ParameterValue]' --output text
}

# instances_with STATUS...: of SET_INSTANCES those in one of these states, without accounts that are closed
instances_with() {
    local account where status detail rest wanted
    while IFS=$'\t' read -r account where status detail rest; do
        for wanted; do
            if [[ $account =~ ^[0-9]{12}$ && $status == "$wanted" && $detail != SKIPPED_SUSPENDED_ACCOUNT ]]; then
                printf '%s\t%s\t%s\t%s\t%s\n' "$account" "$where" "$status" "$detail" "$rest"
            fi
        done
    done <<<"$SET_INSTANCES"
}

# Waits for the end of an operation on the stack set. Sets OPERATION_STATUS.
await_operation() {
    while :; do
        look OPERATION_STATUS aws cloudformation describe-stack-set-operation --stack-set-name "$MEMBER_ROLE_STACK" \
            "${STACK_SET_CALLER[@]}" --operation-id "$1" --query StackSetOperation.Status --output text
        case $OPERATION_STATUS in
        RUNNING | QUEUED | STOPPING) sleep "${KEY_ROTATION_POLL_SECONDS:-10}" ;;
        *) return ;;
        esac
    done
}

# Waits for what an earlier run, or AWS by itself, is at: there is one operation at a time. How that ends shows in the instances.
await_other_operations() {
    local running operation
    ! $PLAN || return 0
    look running aws cloudformation list-stack-set-operations --stack-set-name "$MEMBER_ROLE_STACK" "${STACK_SET_CALLER[@]}" \
        --query "Summaries[?Status=='RUNNING' || Status=='QUEUED' || Status=='STOPPING'].[OperationId]" --output text
    for operation in $running; do
        say "Waiting for the operation $operation of the stack set, which is under way."
        await_operation "$operation"
    done
}

# operation COMMAND...: starts an operation on the stack set and waits for its end; shows what failed
operation() {
    local id
    if $PLAN; then
        change "$@"
        return
    fi
    STATUS=1
    # The CLI gives each call an operation id of its own, so that a retry of it starts nothing twice.
    id=$("$@" --query OperationId --output text 2>"$SCRATCH/said") ||
        fail "the stack set $MEMBER_ROLE_STACK: ${*:3:1} was refused, or it is not known whether it began: $(<"$SCRATCH/said")"
    await_operation "$id"
    if [[ $OPERATION_STATUS != SUCCEEDED ]]; then
        aws cloudformation list-stack-set-operation-results --stack-set-name "$MEMBER_ROLE_STACK" \
            "${STACK_SET_CALLER[@]}" --operation-id "$id" --output text \
            --query "Summaries[?Status!='SUCCEEDED'].[Account,Region,Status,StatusReason]" >&2 || true
        fail "the stack set $MEMBER_ROLE_STACK: the operation $id ended as $OPERATION_STATUS (above: which accounts, and why)"
    fi
}

# choose_units UNIT...: where the member role is to be besides where it is. Sets MISSING_UNITS and ALL_UNITS. Before anything is done.
choose_units() {
    local unit
    mapfile -t ALL_UNITS < <(printf '%s' "${SET_UNITS:+$SET_UNITS$'\n'}")
    MISSING_UNITS=()
    if (($# == 0 && ${#ALL_UNITS[@]} == 0)); then
        look unit aws organizations list-roots --query 'Roots[0].Id' --output text
        [[ $unit == r-* ]] || fail "the organization's root cannot be read: give --ou"
        set -- "$unit"
    fi
    for unit; do
        # The root has all of them.
        if [[ $'\n'$SET_UNITS$'\n' != *$'\n'"$unit"$'\n'* && $SET_UNITS != r-* && $SET_UNITS != *$'\n'r-* ]]; then
            MISSING_UNITS+=("$unit")
            ALL_UNITS+=("$unit")
        fi
    done
}

# choose_run UNIT...: which units scheduled runs take: those with the member role, as an account without it is a dead letter of every run.
choose_run() {
    if [[ ! -v asked[RunIn] ]] && { (($# > 0)) || [[ ! -v running[RunIn] ]]; }; then
        case " ${ALL_UNITS[*]}" in
        *" r-"*) ask RunIn "" ;;
        *) ask RunIn "$(IFS=,; printf '%s' "${ALL_UNITS[*]}")" ;;
        esac
    fi
}

# deploy_stack_set: the member role in every account of ALL_UNITS. What an earlier run began, this one finishes. Sets BEHIND: the
# instances that are not as the stack set is, in the end.
deploy_stack_set() {
    local current
    local what=(--template-body "file://$here/member-role.yaml" --capabilities CAPABILITY_NAMED_IAM
        --permission-model SERVICE_MANAGED --auto-deployment "Enabled=true,RetainStacksOnAccountRemoval=false")
    # Roles are global: one region does. A tenth of the accounts may fail before the rest is left alone, and one in any case (a percentage
    # is rounded down, to none). Where there is no instance yet, half of them: how many there will be is not known here.
    local tenth=$(($(awk 'NF { found++ } END { print found + 0 }' <<<"$SET_INSTANCES") / 10))
    local pace=(--operation-preferences "FailureToleranceCount=$((tenth > 1 ? tenth : 1)),MaxConcurrentPercentage=25")
    local first=(--operation-preferences "FailureTolerancePercentage=50,MaxConcurrentPercentage=25")
    local set=(--stack-set-name "$MEMBER_ROLE_STACK" "${STACK_SET_CALLER[@]}") changed=false
    if [[ -z $SET_STATUS ]]; then
        settle "the stack set $MEMBER_ROLE_STACK" member-role.yaml none
        change aws cloudformation create-stack-set "${set[@]}" "${what[@]}" --parameters "$(json_parameters)" \
            --description "IAM access key rotation: roles in every account" --query StackSetId --output text
        changed=true
    else
        await_other_operations
        look_at_stack_set
        settle "the stack set $MEMBER_ROLE_STACK" member-role.yaml parameters_of_set
        look current aws cloudformation describe-stack-set "${set[@]}" --query 'StackSet.TemplateBody' --output text
        # An update without changes tries again where one failed or was stopped (StackSets' user guide, retrying failed operations).
        if [[ $current != "$(<"$here/member-role.yaml")" || -n $(instances_with OUTDATED) ]] || ! agrees parameters_of_set; then
            operation aws cloudformation update-stack-set "${set[@]}" "${what[@]}" --parameters "$(json_parameters)" "${pace[@]}"
            changed=true
        fi
    fi
    if ((${#MISSING_UNITS[@]} > 0)); then
        operation aws cloudformation create-stack-instances "${set[@]}" "${first[@]}" --regions "$region" \
            --deployment-targets "OrganizationalUnitIds=$(IFS=,; printf '%s' "${MISSING_UNITS[*]}")"
        changed=true
    fi
    $changed || say "No changes to the stack set $MEMBER_ROLE_STACK."
    $PLAN || confirm "the stack set $MEMBER_ROLE_STACK" parameters_of_set
    $PLAN || look_at_stack_set
    BEHIND=$(instances_with OUTDATED INOPERABLE)
}
