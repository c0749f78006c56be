#!/usr/bin/env bash
# Removes what deploy.sh made. See "usage" below, and docs/deployment.md.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$here/common.sh"

usage() {
    cat <<'USAGE'
Usage: cleanup.sh REGION [options]

Removes the fleet, the roles in every account and the image. It can be run again at any time: what is gone already is passed over.
It leaves what users still need: their secrets, the central store's KMS key, tags on users, and the sender's identity in SES.

  --plan   show what would be done; change nothing
  --yes    do not ask

Exit status: 0 done; 1 something failed on the way (run it again); 2 settings or surroundings are wrong, nothing was done.
USAGE
}

yes=false positional=()
for argument; do
    case $argument in
    -h | --help) usage; exit 0 ;;
    --plan) PLAN=true ;;
    --yes) yes=true ;;
    --*) refuse "$argument is no option; --help lists them" ;;
    *) positional+=("$argument") ;;
    esac
done
if ((${#positional[@]} != 1)); then
    usage >&2
    exit 2
fi
region=${positional[0]}
need_region "$region"
need aws "https://docs.aws.amazon.com/cli/"
need_credentials
need_organization

say "Account $ACCOUNT ($PARTITION), region $region, everything that begins with $PREFIX."
if ! $PLAN && ! $yes; then
    [[ -t 0 ]] || refuse "there is nobody to ask: say --yes"
    read -rp "Remove it? Keys are not rotated any more, and disabled ones stay as they are. Type yes: " answer
    [[ $answer == yes ]] || refuse "not removed"
fi

# The fleet first: nothing may be at work when its roles go.
step "The fleet"
remove_stack "$MONITORING_STACK"
remove_stack "$FLEET_STACK"

step "The member role in every other account"
if stack_set_exists; then
    # shellcheck disable=SC2016 # the backquotes are JMESPath's
    mapfile -t targets < <(aws cloudformation list-stack-instances --stack-set-name "$MEMBER_ROLE_STACK" "${STACK_SET_CALLER[@]}" \
        --query 'Summaries[].[OrganizationalUnitId || join(``, [`account:`, Account]), Region]' --output text | sort -u)
    for target in ${targets[@]+"${targets[@]}"}; do
        read -r unit where <<<"$target"
        aim=(--deployment-targets "OrganizationalUnitIds=$unit")
        # An instance that belongs to no unit is named by its account.
        [[ $unit != account:* ]] || aim=(--accounts "${unit#account:}")
        operation=$(change aws cloudformation delete-stack-instances --stack-set-name "$MEMBER_ROLE_STACK" \
            "${STACK_SET_CALLER[@]}" "${aim[@]}" --regions "$where" --no-retain-stacks \
            --operation-preferences FailureTolerancePercentage=100,MaxConcurrentPercentage=25 \
            --query OperationId --output text)
        $PLAN && say "$operation"
        await_stack_set "$operation"
    done
    change aws cloudformation delete-stack-set --stack-set-name "$MEMBER_ROLE_STACK" "${STACK_SET_CALLER[@]}"
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

if [[ -n $(stack_status "$KMS_STACK") ]]; then
    step "The central store"
    say "The stack $KMS_STACK and its key stay: without the key, no secret in the central store can be read again."
fi
if $PLAN; then
    step "Nothing was changed (--plan)"
else
    step "Done. Left as they are: users' secrets (Account_*_User_*_AccessKey), key-rotation: tags on users, the sender in SES"
fi
