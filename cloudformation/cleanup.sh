#!/usr/bin/env bash
# Removes what deploy.sh made. See "usage" below, and docs/deployment.md.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$here/common.sh"
# shellcheck source-path=SCRIPTDIR source=stack_set.sh
source "$here/stack_set.sh"

# Read as a whole before it runs: that may take hours, in which this checkout may become another.
{

usage() {
    cat <<'USAGE'
Usage: cleanup.sh REGION [options]

Removes the fleet, the roles in every account and the image. It can be run again at any time: what
is gone already is passed over. It leaves what users still need: their secrets, the central store's
KMS key, tags on users, and the sender's identity in SES; the fleet's logs, which say what was done
to which key; and stacks made by hand: exposed-keys.yaml, exposed-keys-member.yaml, tag-guard.yaml,
vpc-endpoints.yaml. Dead letters, the queries and the dashboard go.

With the member role goes the only role that may change or delete the secrets in its account
(docs/operations.md, deleting a secret). Two things of an account are not removed while they are in
use: an exemption group that has members, and, with the central store, the policy by which users
read their secrets, IAMKeyRotationReadOwnSecret. What is left there, and why, is said account by
account.

  --plan   show what would be done; change nothing
  --yes    do not ask

Exit status: 0 done; 1 something is left, or failed on the way: run it again; 2 nothing was done:
what the message names is wrong, or could not be looked up.
USAGE
}

# look_for_anything: where nothing is left to remove, this may be the wrong place. Roles are global: the workers' is there while a fleet is,
# in whatever region. (The central store's key stays after a cleanup; it is where the fleet was.)
look_for_anything() {
    local stack status role
    [[ -z $SET_STATUS ]] || return 0
    for stack in "$FLEET_STACK" "$MONITORING_STACK" "$MEMBER_ROLE_STACK" "$LIST_ROLE_STACK" "$IMAGE_STACK"; do
        stack_status status "$stack"
        [[ -z $status ]] || return 0
    done
    if [[ -z $kms_status ]]; then
        look_for role NoSuchEntity aws iam get-role --role-name iam-key-rotation-worker --query Role.Arn --output text
        [[ -z $role ]] ||
            fail "nothing of $PREFIX is in the account $ACCOUNT, region $region, but its workers' role $role is there: does the fleet run in another region, or under another KEY_ROTATION_PREFIX? Nothing was removed"
    fi
    say "Nothing of $PREFIX is in the account $ACCOUNT, region $region: it is removed already, or it is in another region, or under another KEY_ROTATION_PREFIX."
}

yes=false positional=()
for argument; do
    case $argument in
    -h | --help) usage; exit 0 ;;
    --plan) PLAN=true ;;
    --yes) yes=true ;;
    --*) fail "$argument is no option; --help lists them" ;;
    *) positional+=("$argument") ;;
    esac
done
((${#positional[@]} == 1)) || fail "it takes REGION, and options; --help has all"
region=${positional[0]}
need_region "$region"
need aws "https://docs.aws.amazon.com/cli/"
need_credentials
need_organization
look_at_stack_set
stack_status kms_status "$KMS_STACK"
stack_status fleet_status "$FLEET_STACK"
look_for_anything

say "Account $ACCOUNT ($PARTITION), region $region, everything that begins with $PREFIX."
# A fleet that was deployed by version 0.1.0 loses its logs.
keeps_logs=true template=""
if [[ -n $fleet_status ]]; then
    look template aws cloudformation get-template --stack-name "$FLEET_STACK" --query TemplateBody --output text
    [[ $template == *RetainExceptOnCreate* ]] || keeps_logs=false
fi
$keeps_logs || say "The fleet's log groups, which say what was done to which key, are deleted with its stack, as that is of version 0.1.0:
export them first (aws logs create-export-task), or bring the fleet up to date with deploy.sh, which keeps them."
if ! $PLAN && ! $yes; then
    [[ -t 0 ]] || fail "there is nobody to ask: say --yes"
    read -rp "Remove it? Keys are not rotated any more, disabled ones stay as they are, and secrets stay without the role that may change them. Dead letters are deleted. Type yes: " answer
    [[ $answer == yes ]] || fail "not removed"
fi

# The fleet first: nothing may be at work when its roles go.
step "The fleet"
remove_stack "$MONITORING_STACK"
remove_stack "$FLEET_STACK"

# delete_instances REGION OPTION TARGET...
delete_instances() {
    operation aws cloudformation delete-stack-instances --stack-set-name "$MEMBER_ROLE_STACK" "${STACK_SET_CALLER[@]}" \
        "${@:3}" --regions "$1" "$2" --operation-preferences FailureTolerancePercentage=100,MaxConcurrentPercentage=25
}

# remove_instances: those of the stack set, unit by unit. AWS names the unit of each, and takes no --accounts for such a stack set; a
# stand-in for AWS names none.
remove_instances() {
    local targets unit where
    targets=$(awk -F'\t' '$1 ~ /^[0-9]+$/ { print ($5 == "None" ? "account:" $1 : $5) "\t" $2 }' <<<"$SET_INSTANCES" | LC_ALL=C sort -u)
    while IFS=$'\t' read -r unit where; do
        case $unit in
        "") ;;
        account:*) delete_instances "$where" --no-retain-stacks --accounts "${unit#account:}" ;;
        *) delete_instances "$where" --no-retain-stacks --deployment-targets "OrganizationalUnitIds=$unit" ;;
        esac
    done <<<"$targets"
}

# forget_suspended: instances in accounts that are suspended (closed), which AWS passes over: their stacks go with the accounts
forget_suspended() {
    local suspended unit where accounts
    suspended=$(awk -F'\t' '$4 == "SKIPPED_SUSPENDED_ACCOUNT" { in_unit[$5 "\t" $2] = in_unit[$5 "\t" $2] "," $1 }
        END { for (key in in_unit) print key "\t" substr(in_unit[key], 2) }' <<<"$SET_INSTANCES" | LC_ALL=C sort)
    while IFS=$'\t' read -r unit where accounts; do
        [[ -n $unit ]] || continue
        say "AWS has suspended $accounts: the stack set forgets them, and their stacks stay until the accounts are gone."
        delete_instances "$where" --retain-stacks --deployment-targets "OrganizationalUnitIds=$unit,Accounts=$accounts,AccountFilterType=INTERSECTION"
    done <<<"$suspended"
}

step "The member role in every other account"
left=""
if [[ -n $SET_STATUS ]]; then
    await_other_operations
    look_at_stack_set
    remove_instances
    if ! $PLAN; then
        look_at_stack_set
        forget_suspended
        look_at_stack_set
    fi
    left=$SET_INSTANCES
    if [[ -z $left ]] || $PLAN; then
        change aws cloudformation delete-stack-set --stack-set-name "$MEMBER_ROLE_STACK" "${STACK_SET_CALLER[@]}"
    else
        say "Left in these accounts (account, region, status, in detail, unit, reason):"
        say "$left"
    fi
else
    say "The stack set $MEMBER_ROLE_STACK is gone already."
fi

step "The management account"
if [[ $ACCOUNT == "$MANAGEMENT_ACCOUNT" ]]; then
    remove_stack "$MEMBER_ROLE_STACK"
    remove_stack "$LIST_ROLE_STACK"
else
    say "With credentials of $MANAGEMENT_ACCOUNT, delete the stacks $MEMBER_ROLE_STACK and $LIST_ROLE_STACK."
fi

step "The image"
remove_stack "$IMAGE_STACK"

if [[ -n $kms_status ]]; then
    step "The central store"
    say "The stack $KMS_STACK and its key stay: without the key, no secret in the central store can be read again."
fi

step "What stays"
if $keeps_logs; then
    say "The logs, which say what was done to which key, until they are as old as the fleet's LogRetentionDays. Before a fleet of the same
name can be made again they must be deleted: $(tell_logs)"
fi
# Each may be the only copy of a key that is in use: nothing here deletes one.
list=(aws secretsmanager list-secrets --region "$region" --filters "Key=name,Values=Account_" --query 'SecretList[].[Name]' --output text)
if secrets=$("${list[@]}" 2>"$SCRATCH/said"); then
    say "Users' secrets; in this account:"$'\n'"${secrets:-none}"
else
    say "Users' secrets; which there are in this account cannot be found out from here: $(tail -n 1 "$SCRATCH/said")"
fi
say "In every other account, with credentials of its own: $(printf '%q ' "${list[@]}")
Each may be the only copy of a key that is in use. To delete one, as the role that its policy names (docs/operations.md, deleting a secret): aws secretsmanager delete-secret --region $region --secret-id NAME"
if $PLAN; then
    step "Nothing was changed (--plan)"
    exit 0
fi
if [[ -n $left ]]; then
    step "Not all is gone: the stack set $MEMBER_ROLE_STACK, in the accounts above"
    say "As the reasons say. Where a group has members, or users have the policy IAMKeyRotationReadOwnSecret: in each of these accounts, take
the members out or detach the policy (aws iam list-entities-for-policy names who has it; from then on they cannot read their secrets), and
run this again. Or leave group and policy to them, and a closed account to AWS; and then run this again:
   aws cloudformation delete-stack-instances --region $region --stack-set-name $MEMBER_ROLE_STACK ${STACK_SET_CALLER[*]} --retain-stacks \\
     --regions $region --deployment-targets OrganizationalUnitIds=UNIT,Accounts=ACCOUNT,AccountFilterType=INTERSECTION"
    exit 1
fi
step "Done. Left as they are, too: key-rotation: tags on users, the sender in SES, and stacks made by hand: exposed-keys, tag-guard,
vpc-endpoints"
exit 0
}
