#!/usr/bin/env bash
# Deploys the key rotation fleet and its roles. See "usage" below, and docs/deployment.md.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$here/common.sh"
# shellcheck source-path=SCRIPTDIR source=settings.sh
source "$here/settings.sh"
# shellcheck source-path=SCRIPTDIR source=prerequisites.sh
source "$here/prerequisites.sh"
# shellcheck source-path=SCRIPTDIR source=image.sh
source "$here/image.sh"
# shellcheck source-path=SCRIPTDIR source=stack_set.sh
source "$here/stack_set.sh"
# shellcheck source-path=SCRIPTDIR source=mode.sh
source "$here/mode.sh"

# Read as a whole before it runs: that may take hours, in which this checkout may become another.
{

usage() {
    cat <<'USAGE'
Usage: deploy.sh REGION ADMIN_EMAIL ORG_ID [options]         deploy, or bring up to date
       deploy.sh REGION --audit | --enforce [--everywhere]   only change the mode of what runs

Run it with credentials of the account the fleet shall live in: the organization's management
account, or a delegated administrator for CloudFormation StackSets. It can be run again at any time:
what is there is updated, what was set and is not named again stays, the image included, and what
was interrupted is finished. Roles come before the fleet. The fleet starts in audit mode.
ADMIN_EMAIL gets a summary per account with findings, and whatever no other address is given for. In
audit mode owners are mailed what would happen, unless --set AuditMails=administrator.

With --audit or --enforce and nothing else, a fleet that runs gets that mode and nothing else: no
docker, no other version, no change of roles. It takes some minutes; --audit also prints the two
commands that stop all workers at once.

  --plan                   show what would be done, and of a stack that is there what would change
                           in it; change nothing
  --image URI              use this image (where no fleet runs also IMAGE_URI); needs no docker
  --build                  build an image from this checkout, if these sources have none yet: to
                           upgrade [default where no fleet runs]
  --rebuild                build it in any case, on the newest base image
  --vpc ID --subnets IDS   where tasks run: subnets separated by commas [default: the default VPC,
                           with public addresses]
  --public-ip              give tasks public addresses, for subnets without NAT [default: as it is;
                           none in subnets that --subnets names]
  --ou ID                  deploy the member role to this unit instead of the whole organization,
                           and have scheduled runs take these units alone (RunIn); may be repeated.
                           Later: this one as well [default: as it is]
  --external-id ID         external id of all roles [default: key-rotation-ORG_ID]
  --role-name NAME         name of the workers' role in every account; the producer's is NAME-read
  --central-store          store all secrets in the fleet's account, under a key that this makes.
                           Under a key of yours instead: --set StoreSecretsInCentralAccount=True
                           --set SecretKmsKeyArn=ARN
  --sender EMAIL           sender of the mails to owners, verified in SES [default: ADMIN_EMAIL]
  --reply-to EMAILS        where owners' replies go, separated by commas [default: the sender]
  --alarms EMAIL           who gets the alarms [default: ADMIN_EMAIL]
  --monitoring             alarms on overdue keys, findings and the like, queries and a dashboard,
                           in a stack that then goes along with the fleet's; --no-monitoring removes
                           it again [default: as it is]
  --enforce | --audit      rotate keys, or only tell [default: audit, later as it was]. In which
                           accounts or units: --set EnforceIn=ID,ID, a day before
  --everywhere             with --enforce, where EnforceIn is empty: in every account that the
                           schedule reaches. Without this it is refused
  --set NAME=VALUE         any other parameter of the templates; may be repeated; NAME= empties it.
                           Where an account has the exemption group already: --set
                           CreateExemptionGroup=No. For Graviton: --set CpuArchitecture=ARM64

Names of everything begin with KEY_ROTATION_PREFIX [iam-key-rotation].

Exit status: 0 done; 1 something failed after something may have been done: run it again; 2 nothing
was done: what the message names is wrong, or could not be looked up.
USAGE
}

image="" build="" vpc="" subnets="" public_ip="" central=false monitoring="" mode_alone=true everywhere=false
units=() positional=()
while (($#)); do
    value() { [[ $# -ge 2 && -n $2 && $2 != --* ]] || fail "$1 needs a value"; }
    case $1 in
    --plan | --enforce | --everywhere | --audit) ;;
    --*) mode_alone=false ;;
    esac
    case $1 in
    -h | --help) usage; exit 0 ;;
    --plan) PLAN=true ;;
    --public-ip) public_ip=ENABLED ;;
    --central-store) central=true ;;
    --monitoring | --no-monitoring)
        [[ -z $monitoring || $monitoring == "$1" ]] || fail "--monitoring and --no-monitoring do not go together"
        monitoring=$1
        ;;
    --enforce) ask DryRunFlag False ;;
    --everywhere) everywhere=true ;;
    --audit) ask DryRunFlag True ;;
    --image) value "$@"; image=$2; shift ;;
    --build | --rebuild) build=$1 ;;
    --vpc) value "$@"; vpc=$2; shift ;;
    --subnets) value "$@"; subnets=$2; shift ;;
    --ou)
        value "$@"
        [[ $2 =~ ^(ou-[a-z0-9]{4,32}-[a-z0-9]{8,32}|r-[a-z0-9]{4,32})$ ]] || fail "\"$2\" is not an organizational unit, as ou-a1b2-c3d4e5f6 is"
        units+=("$2")
        shift
        ;;
    --external-id) value "$@"; ask ExternalId "$2"; shift ;;
    --role-name) value "$@"; ask IAMRoleName "$2"; ask ReadRoleName "$2-read"; shift ;;
    --sender) value "$@"; ask SenderEmailAddress "$2"; shift ;;
    --reply-to) value "$@"; ask ReplyToEmailAddress "$2"; shift ;;
    --alarms) value "$@"; ask AlarmEmailAddress "$2"; shift ;;
    --set)
        value "$@"
        [[ $2 == ?*=* ]] || fail "--set $2: it must be NAME=VALUE"
        takes fleet.yaml "${2%%=*}" || takes member-role.yaml "${2%%=*}" ||
            fail "--set $2: neither fleet.yaml nor member-role.yaml has a parameter ${2%%=*}"
        ask "${2%%=*}" "${2#*=}"
        shift
        ;;
    --*) fail "$1 is no option; --help lists them" ;;
    *) positional+=("$1") ;;
    esac
    shift
done
[[ -v asked[DryRunFlag] ]] || mode_alone=false
((${#positional[@]} == 3)) || { $mode_alone && ((${#positional[@]} == 1)); } ||
    fail "it takes REGION ADMIN_EMAIL ORG_ID, or REGION with --audit or --enforce alone; --help has all"
region=${positional[0]} email=${positional[1]-} org=${positional[2]-}

# ---- what is asked for, and what there is: refuse before anything is done -----------------------------------------------

need_region "$region"
# First, as whatever follows may fail.
if $mode_alone && ! $PLAN && [[ ${asked[DryRunFlag]} == True ]]; then
    at_once
fi
# valid_address ADDRESS: one that the workers take
valid_address() {
    local atom="[A-Za-z0-9!#\$%&'*+/=?^_\`{|}~-]+" label='[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?'
    [[ $1 =~ ^$atom(\.$atom)*@$label(\.$label)+$ ]] || fail "\"$1\" is not a mail address"
}
IFS=, read -ra replies <<<"${asked[ReplyToEmailAddress]-}"
for address in ${email:+"$email"} ${asked[SenderEmailAddress]:+"${asked[SenderEmailAddress]}"} \
    ${asked[AlarmEmailAddress]:+"${asked[AlarmEmailAddress]}"} ${replies[@]+"${replies[@]}"}; do
    valid_address "$address"
done
[[ -z $org || $org =~ ^o-[a-z0-9]{10,32}$ ]] || fail "\"$org\" is not an organization id, as o-a1b2c3d4e5 is"
[[ -z $vpc && -z $subnets ]] || [[ -n $vpc && -n $subnets ]] || fail "--vpc and --subnets go together"
need aws "https://docs.aws.amazon.com/cli/"
need_credentials

# look_at_stack STACK: whether it is there, in `there`. What is being changed is waited for.
look_at_stack() {
    local name=$1 status told=false
    while :; do
        stack_status status "$name"
        # What CloudFormation calls so has nothing in it: a deployment was interrupted before it began.
        if $PLAN || [[ $status != *_IN_PROGRESS || $status == REVIEW_IN_PROGRESS ]]; then
            break
        fi
        $told || say "Waiting for the stack $name, which is in the state $status."
        told=true
        sleep "${KEY_ROTATION_POLL_SECONDS:-10}"
    done
    case $status in
    "" | REVIEW_IN_PROGRESS) ;;
    ROLLBACK_COMPLETE) fail "the stack $name was never made ($status): aws cloudformation delete-stack --region $region --stack-name $name, first" ;;
    *_COMPLETE) there[$name]=$status ;;
    *) fail "the stack $name is in the state $status: wait for it, or mend it, first" ;;
    esac
}

for stack in "$FLEET_STACK" "$MONITORING_STACK"; do
    look_at_stack "$stack"
done
if $mode_alone && [[ -v there[$FLEET_STACK] ]]; then
    set_mode "${asked[DryRunFlag]}"
    exit 0
fi
# A fleet that was made by hand may have its mode changed; to make one takes such a stack set.
[[ $region != cn-* ]] ||
    fail "service-managed stack sets are not offered in China, as CloudFormation has no trusted access to Organizations there, so this cannot deploy to $region. Nothing was done. The templates can be used by hand: the fleet's stack in its account, the member role's in each account (docs/deployment.md, other partitions)"
[[ -n $org ]] || fail "no fleet $PREFIX runs in the account $ACCOUNT, region $region. To make one: deploy.sh REGION ADMIN_EMAIL ORG_ID"
need_organization
[[ $ORG_ID_FOUND == "$org" ]] || fail "the account $ACCOUNT belongs to the organization $ORG_ID_FOUND, not to $org"
for stack in "$IMAGE_STACK" "$KMS_STACK" "$LIST_ROLE_STACK" "$MEMBER_ROLE_STACK"; do
    look_at_stack "$stack"
done

# What the fleet's stack has, where there is one.
declare -A running=()
read_running "parameters_of_stack $FLEET_STACK"

choose_image
look_at_stack_set
choose_units ${units[@]+"${units[@]}"}
choose_run ${units[@]+"${units[@]}"}
if [[ -z $vpc && ! -v there[$FLEET_STACK] ]]; then
    look vpc aws ec2 describe-vpcs --filters Name=is-default,Values=true --query 'Vpcs[0].VpcId' --output text
    [[ $vpc == vpc-* ]] || fail "the region $region has no default VPC: give --vpc and --subnets"
    look subnets aws ec2 describe-subnets --filters "Name=vpc-id,Values=$vpc" Name=default-for-az,Values=true \
        --query 'Subnets[].SubnetId' --output text
    subnets=${subnets//$'\t'/,}
    [[ $subnets == subnet-* ]] || fail "the default VPC $vpc has no default subnets: give --vpc and --subnets"
    public_ip=ENABLED
fi
if [[ -n $vpc ]]; then
    ask VpcId "$vpc"
    ask SubnetIds "$subnets"
    ask AssignPublicIp "${public_ip:-DISABLED}"
elif [[ -n $public_ip ]]; then
    ask AssignPublicIp "$public_ip"
fi

ask AWSOrgID "$org"
ask AdminEmailAddress "$email"
ask OrgListAccount "$MANAGEMENT_ACCOUNT"
ask FleetAccount "$ACCOUNT"
ask NamePrefix "$PREFIX"

# choose_store: where secrets are to be stored, and under which key. `central` then says whether that is this script's key, of the
# stack KMS_STACK. The stack stays where the store is central no more: secrets may still be under its key.
choose_store() {
    local own_key="" store key
    store=${asked[StoreSecretsInCentralAccount]-${running[StoreSecretsInCentralAccount]-False}}
    key=${asked[SecretKmsKeyArn]-${running[SecretKmsKeyArn]-}}
    [[ ! -v there[$KMS_STACK] ]] || output own_key "$KMS_STACK" KeyArn
    if $central; then
        [[ -z $key || $key == "$own_key" ]] ||
            fail "--central-store makes a key, and the store has one: $key. Without --central-store it stays"
        ask StoreSecretsInCentralAccount True
    elif [[ $store == True ]]; then
        [[ -n $key ]] || fail "StoreSecretsInCentralAccount=True takes a key: --central-store makes one, --set SecretKmsKeyArn=ARN names one of yours"
        ask StoreSecretsInCentralAccount True
        ask SecretKmsKeyArn "$key"
        [[ $key != "$own_key" ]] || central=true
    elif [[ $store == False ]]; then
        [[ -z ${asked[SecretKmsKeyArn]-} ]] || fail "SecretKmsKeyArn is for the central store: --set StoreSecretsInCentralAccount=True"
        ask StoreSecretsInCentralAccount False
        ask SecretKmsKeyArn ""
    else
        fail "StoreSecretsInCentralAccount=$store: it must be True or False"
    fi
}
choose_store

# another_region: roles are global, stacks are not. What a role's name is taken by is found out before anything is made.
another_region() {
    local stack role name arn
    for stack in "$FLEET_STACK WorkerRoleName" "$LIST_ROLE_STACK OrgListRole"; do
        role=${stack#* } stack=${stack% *}
        [[ ! -v there[$stack] ]] || continue
        [[ $stack != "$LIST_ROLE_STACK" || $ACCOUNT == "$MANAGEMENT_ACCOUNT" ]] || continue
        setting "$role" name
        look_for arn NoSuchEntity aws iam get-role --role-name "$name" --query Role.Arn --output text
        [[ -z $arn ]] ||
            fail "the role $name is there, but in $region no stack $stack that has it: does a fleet run in another region? If it is another's role, give another name: --set $role=NAME"
    done
}
another_region

# earlier_logs: those of a fleet that was removed stay, and the stack of another cannot be made with groups of their names.
earlier_logs() {
    local found
    [[ ! -v there[$FLEET_STACK] ]] || return 0
    look found aws logs describe-log-groups --log-group-name-prefix "/$PREFIX/" --output text \
        --query "logGroups[?logGroupName=='/$PREFIX/worker' || logGroupName=='/$PREFIX/producer'].logGroupName"
    [[ -z $found || $found == None ]] ||
        fail "the logs of an earlier fleet are there (${found//$'\t'/, }). Export what you need of them (aws logs create-export-task) and delete them, or name this fleet otherwise (docs/configuration.md, the stacks):$(tell_logs)"
}
earlier_logs

# What the roles have of the fleet's must be the same there: where it is not asked for, it is as it is in the fleet's stack.
for shared in ${names[fleet.yaml]}; do
    if takes member-role.yaml "$shared" || takes org-list-role.yaml "$shared"; then
        [[ -v asked[$shared] || ! -v running[$shared] || $shared == SecretKmsKeyArn ]] || ask "$shared" "${running[$shared]}"
    fi
done
[[ -v asked[ExternalId] ]] || ask ExternalId "key-rotation-$org"
check_asked
check_enforcement

say "Fleet in account $ACCOUNT ($PARTITION), region $region; organization $org, managed by $MANAGEMENT_ACCOUNT."
prerequisites
look_at_sender

# stack NAME TEMPLATE: makes or updates a stack with the settings that are asked for; what is not named keeps its value
stack() {
    local name=$1 template=$2 said parameter parameters=()
    settle "$name" "$template" "parameters_of_stack $name"
    for parameter in ${names[$template]}; do
        parameters+=("$parameter=${effective[$parameter]}")
    done
    local command=(aws cloudformation deploy --stack-name "$name" --template-file "$here/$template"
        --no-fail-on-empty-changeset --capabilities CAPABILITY_NAMED_IAM --tags application=iam-key-rotation
        --parameter-overrides "${parameters[@]}")
    if $PLAN && [[ -v there[$name] ]]; then
        show_changes "$name" --template-body "file://$here/$template" --tags Key=application,Value=iam-key-rotation \
            --parameters "$(json_parameters)"
        return
    elif $PLAN; then
        change "${command[@]}"
        return
    fi
    STATUS=1
    if said=$("${command[@]}" 2>&1) || [[ $said == *"No updates are to be performed"* ]]; then
        # The command's last line tells what came of it.
        say "${said##*$'\n'}"
        there[$name]=made
        confirm "$name" "parameters_of_stack $name"
    else
        fail "the stack $name failed: $said"$'\n'"aws cloudformation describe-stack-events --region $region --stack-name $name tells why"
    fi
}

# ---- the image, and the central store's key -----------------------------------------------------------------------------

if [[ -n $build ]]; then
    step "Image"
    build_image
fi
if $central; then
    step "The central store's key"
    ask KeyAlias "$PREFIX-secrets"
    stack "$KMS_STACK" kms.yaml
    # In a plan the key may be still to come; this only looks like one.
    key=arn:$PARTITION:kms:$region:$ACCOUNT:key/to-be-made
    [[ ! -v there[$KMS_STACK] ]] || output key "$KMS_STACK" KeyArn
    ask SecretKmsKeyArn "$key"
fi

# ---- roles: before the fleet, whose new version may need what they give --------------------------------------------------

by_hand=()
# by_hand STACK TEMPLATE READER: the command that makes a stack that these credentials cannot make. What it has cannot be read from
# here: what READER reads stands for it.
by_hand() {
    local name settings=""
    settle "$1" "$2" "$3" >/dev/null
    for name in ${names[$2]}; do
        settings+=" $(printf '%q' "$name=${effective[$name]}")"
    done
    by_hand+=("aws cloudformation deploy --region $region --stack-name $1 --template-file $(printf '%q' "$here/$2") --capabilities CAPABILITY_NAMED_IAM --parameter-overrides$settings")
}
if [[ $ACCOUNT == "$MANAGEMENT_ACCOUNT" ]]; then
    step "The management account: the list role, and the member role, which StackSets do not deploy there"
    stack "$LIST_ROLE_STACK" org-list-role.yaml
    stack "$MEMBER_ROLE_STACK" member-role.yaml
else
    like_the_others=none
    [[ -z $SET_STATUS ]] || like_the_others=parameters_of_set
    by_hand "$LIST_ROLE_STACK" org-list-role.yaml none
    by_hand "$MEMBER_ROLE_STACK" member-role.yaml "$like_the_others"
fi

step "The member role in every other account (${ALL_UNITS[*]})"
[[ $TRUSTED_ACCESS != DISABLED ]] || change aws cloudformation activate-organizations-access
deploy_stack_set

# ---- the fleet ----------------------------------------------------------------------------------------------------------

step "The fleet"
stack "$FLEET_STACK" fleet.yaml
alarms=${effective[AlarmEmailAddress]:-$email}
mode=${effective[DryRunFlag]} enforced=${effective[EnforceIn]} audit_mails=${effective[AuditMails]}

if [[ $monitoring == --no-monitoring ]]; then
    step "Alarms, queries and dashboard"
    remove_stack "$MONITORING_STACK"
elif [[ -n $monitoring || -v there[$MONITORING_STACK] ]]; then
    step "Alarms, queries and dashboard"
    # The alarm on overdue keys is silent in audit mode; topic and log groups are the fleet's by its prefix.
    ask DryRunFlag "$mode"
    stack "$MONITORING_STACK" monitoring.yaml
fi

# ---- mail ---------------------------------------------------------------------------------------------------------------

step "The sender $sender"
if [[ $SENDER_VERIFIED == True ]]; then
    say "Verified in SES."
elif [[ -n $SENDER_VERIFIED ]]; then
    say "Not verified yet: its owner has a mail with a link."
else
    change aws sesv2 create-email-identity --email-identity "$sender" --query IdentityType --output text
    say "Its owner gets a mail with a link: until it is followed, no notice can be sent, and without notice no key is disabled."
fi

# ---- what next ----------------------------------------------------------------------------------------------------------

if $PLAN; then
    for command in ${by_hand[@]+"${by_hand[@]}"}; do
        say "With credentials of the management account $MANAGEMENT_ACCOUNT, before that: $command"
    done
    step "Nothing was changed (--plan)"
    exit 0
fi
output network "$FLEET_STACK" NetworkConfiguration
if [[ -z $BEHIND ]]; then
    step "Done. What next"
else
    step "Done, but for the member role in these accounts (account, region, status, in detail, unit, reason)"
    say "$BEHIND"
    step "What next"
fi
n=1
next() { printf '%s. %s\n' "$n" "$*"; n=$((n + 1)); }
[[ -z $BEHIND ]] ||
    next "Mend what the reasons name, and run this again. (Of an instance that is INOPERABLE, first: aws cloudformation delete-stack-instances --region $region with --retain-stacks, and its stack in that account.)"
for command in ${by_hand[@]+"${by_hand[@]}"}; do
    next "With credentials of the management account $MANAGEMENT_ACCOUNT: $command"
done
[[ $SENDER_VERIFIED == True ]] || next "Follow the link in SES's mail to $sender."
next "Confirm the subscription to alarms, in another mail to $alarms."
if [[ $mode == False ]]; then
    what_it_does="this changes keys${enforced:+ in $enforced, and audits all others}"
elif [[ $audit_mails == administrator ]]; then
    what_it_does="audit mode changes nothing, and mails $email alone"
else
    what_it_does="audit mode changes nothing, and mails what would happen to owners, or to their accounts' addresses. To $email alone: --set AuditMails=administrator, first"
fi
# shellcheck disable=SC2154 # by output
next "A run, now instead of at the scheduled time ($what_it_does):
   aws ecs run-task --region $region --cluster $PREFIX --task-definition $PREFIX-producer --launch-type FARGATE \\
     --network-configuration '$network'"
next "Read the mails and the log: aws logs tail --region $region --follow /$PREFIX/worker"
if [[ $mode == True && -z $enforced ]]; then
    next "When they are right, in one account first: deploy.sh $region $email $org --set EnforceIn=ACCOUNT; a day later: deploy.sh $region --enforce"
elif [[ $mode == True ]]; then
    next "When they are right, and a day after EnforceIn was set: deploy.sh $region --enforce. It enforces in $enforced, and audits all others."
fi
[[ -z $BEHIND ]] || exit 1
exit 0
}
