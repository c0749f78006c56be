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

usage() {
    cat <<'USAGE'
Usage: deploy.sh REGION ADMIN_EMAIL ORG_ID [options]

Run it with credentials of the account the fleet shall live in: the organization's management account, or a delegated administrator
for CloudFormation StackSets. It can be run again at any time: what is there is updated, what was set and is not named again stays.
The fleet starts in audit mode. ADMIN_EMAIL gets a summary per account with findings, and whatever no other address is given for.

  --plan                   show what would be done, and of a stack that is there what would change in it; change nothing
  --image URI              use this image instead of building one (also IMAGE_URI); needs no docker
  --vpc ID --subnets IDS   where tasks run: subnets separated by commas [default: the default VPC, with public addresses]
  --public-ip              give tasks public addresses in those subnets, for subnets without NAT
  --ou ID                  deploy the member role to this unit instead of the whole organization; may be repeated
  --external-id ID         external id of all roles [default: key-rotation-ORG_ID]
  --role-name NAME         name of the workers' role in every account; the producer's is NAME-read
  --central-store          store all secrets in the fleet's account, under a key of its own
  --sender EMAIL           sender of the mails to owners, verified in SES [default: ADMIN_EMAIL]
  --reply-to EMAIL         where owners' replies go [default: the sender]
  --alarms EMAIL           who gets the alarms [default: ADMIN_EMAIL]
  --monitoring             alarms on overdue keys, findings and the like, queries and a dashboard, in a stack that then goes along with
                           the fleet's; --no-monitoring removes it again [default: as it is]
  --enforce | --audit      rotate keys, or only tell [default: audit, later as it was]
  --set NAME=VALUE         any other parameter of the templates; may be repeated. Where an account has the exemption group already:
                           --set CreateExemptionGroup=No. For Graviton: --set CpuArchitecture=ARM64 (an --image must be built for it)

Exit status: 0 done; 1 something failed on the way (run it again); 2 settings or surroundings are wrong, nothing was done.
USAGE
}

image=${IMAGE_URI:-} vpc="" subnets="" public_ip="" central=false monitoring=""
units=() positional=()
while (($#)); do
    value() { [[ $# -ge 2 && $2 != --* ]] || refuse "$1 needs a value"; }
    case $1 in
    -h | --help) usage; exit 0 ;;
    --plan) PLAN=true ;;
    --public-ip) public_ip=ENABLED ;;
    --central-store) central=true ;;
    --monitoring | --no-monitoring)
        [[ -z $monitoring || $monitoring == "$1" ]] || refuse "--monitoring and --no-monitoring do not go together"
        monitoring=$1
        ;;
    --enforce) ask DryRunFlag False ;;
    --audit) ask DryRunFlag True ;;
    --image) value "$@"; image=$2; shift ;;
    --vpc) value "$@"; vpc=$2; shift ;;
    --subnets) value "$@"; subnets=$2; shift ;;
    --ou) value "$@"; units+=("$2"); shift ;;
    --external-id) value "$@"; ask ExternalId "$2"; shift ;;
    --role-name) value "$@"; ask IAMRoleName "$2"; ask ReadRoleName "$2-read"; shift ;;
    --sender) value "$@"; ask SenderEmailAddress "$2"; shift ;;
    --reply-to) value "$@"; ask ReplyToEmailAddress "$2"; shift ;;
    --alarms) value "$@"; ask AlarmEmailAddress "$2"; shift ;;
    --set)
        value "$@"
        [[ $2 == ?*=* ]] || refuse "--set $2: it must be NAME=VALUE"
        takes fleet.yaml "${2%%=*}" || takes member-role.yaml "${2%%=*}" ||
            refuse "--set $2: neither fleet.yaml nor member-role.yaml has a parameter ${2%%=*}"
        ask "${2%%=*}" "${2#*=}"
        shift
        ;;
    --*) refuse "$1 is no option; --help lists them" ;;
    *) positional+=("$1") ;;
    esac
    shift
done
if ((${#positional[@]} != 3)); then
    usage >&2
    exit 2
fi
region=${positional[0]} email=${positional[1]} org=${positional[2]}

# ---- refuse before anything is done -------------------------------------------------------------------------------------

need_region "$region"
for address in "$email" "${asked[SenderEmailAddress]-}" "${asked[ReplyToEmailAddress]-}" "${asked[AlarmEmailAddress]-}"; do
    [[ -z $address || $address =~ ^[^@[:space:]]+@[^@[:space:]]+\.[^@[:space:]]+$ ]] || refuse "\"$address\" is not a mail address"
done
[[ $org =~ ^o-[a-z0-9]{10,32}$ ]] || refuse "\"$org\" is not an organization id, as o-a1b2c3d4e5 is"
[[ -z $vpc && -z $subnets ]] || [[ -n $vpc && -n $subnets ]] || refuse "--vpc and --subnets go together"
need aws "https://docs.aws.amazon.com/cli/"
need_credentials
need_organization
[[ $ORG_ID_FOUND == "$org" ]] || refuse "the account $ACCOUNT belongs to the organization $ORG_ID_FOUND, not to $org"
if [[ -z $image ]]; then
    need docker "or give --image URI of an image built elsewhere"
    $PLAN || docker info >/dev/null 2>&1 || refuse "docker does not run; or give --image URI of an image built elsewhere"
fi
for stack in "$IMAGE_STACK" "$KMS_STACK" "$LIST_ROLE_STACK" "$FLEET_STACK" "$MONITORING_STACK" "$MEMBER_ROLE_STACK"; do
    status=$(stack_status "$stack")
    case $status in
    "" | *_COMPLETE) ;;
    *) refuse "the stack $stack is in the state $status: wait for it, or mend it, first" ;;
    esac
    [[ $status != ROLLBACK_COMPLETE ]] || refuse "the stack $stack was never made ($status): delete it first"
done
if [[ -z $vpc && -z $(stack_status "$FLEET_STACK") ]]; then
    vpc=$(aws ec2 describe-vpcs --filters Name=is-default,Values=true --query 'Vpcs[0].VpcId' --output text)
    [[ $vpc == vpc-* ]] || refuse "the region $region has no default VPC: give --vpc and --subnets"
    subnets=$(aws ec2 describe-subnets --filters "Name=vpc-id,Values=$vpc" Name=default-for-az,Values=true \
        --query 'Subnets[].SubnetId' --output text)
    subnets=${subnets//$'\t'/,}
    [[ $subnets == subnet-* ]] || refuse "the default VPC $vpc has no default subnets: give --vpc and --subnets"
    public_ip=ENABLED
fi
if ((${#units[@]} == 0)); then
    units=("$(aws organizations list-roots --query 'Roots[0].Id' --output text)")
    [[ ${units[0]} == r-* ]] || refuse "the organization's root cannot be read: give --ou"
fi

# What the fleet's stack has, where there is one.
declare -A running=()
read_running "parameters_of_stack $FLEET_STACK"

# What several stacks have must be the same in all of them: where it is not asked for, it is as it is in the fleet's.
for shared in ExternalId IAMRoleName ReadRoleName IAMExemptionGroup CentralSecretReadPolicyName BreakGlassPrincipalArns BreakGlassRoleName \
    WorkerRoleName ProducerRoleName; do
    [[ -v asked[$shared] || -z ${running[$shared]-} ]] || ask "$shared" "${running[$shared]}"
done
[[ -v asked[ExternalId] ]] || ask ExternalId "key-rotation-$org"
[[ ${running[StoreSecretsInCentralAccount]-} != True ]] || central=true
ask AWSOrgID "$org"
ask AdminEmailAddress "$email"
ask OrgListAccount "$MANAGEMENT_ACCOUNT"
ask FleetAccount "$ACCOUNT"
ask NamePrefix "$PREFIX"
if [[ -n $vpc ]]; then
    ask VpcId "$vpc"
    ask SubnetIds "$subnets"
    ask AssignPublicIp "${public_ip:-DISABLED}"
fi
architecture=${asked[CpuArchitecture]-${running[CpuArchitecture]-${defaults[fleet.yaml CpuArchitecture]}}}
case $architecture in
X86_64) platform=amd64 ;;
ARM64) platform=arm64 ;;
*) refuse "CpuArchitecture=$architecture: it must be X86_64 or ARM64" ;;
esac

say "Fleet in account $ACCOUNT ($PARTITION), region $region; organization $org, managed by $MANAGEMENT_ACCOUNT."
prerequisites

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
    if $PLAN && [[ -n $(stack_status "$name") ]]; then
        show_changes "$name" "$template"
    elif $PLAN; then
        change "${command[@]}"
    elif said=$("${command[@]}" 2>&1) || [[ $said == *"No updates are to be performed"* ]]; then
        # The command's last line tells what came of it.
        say "${said##*$'\n'}"
        confirm "$name" "parameters_of_stack $name"
    else
        printf '%s\n' "$said" >&2
        fail "the stack $name failed: aws cloudformation describe-stack-events --stack-name $name tells why"
    fi
}

# ---- the image ----------------------------------------------------------------------------------------------------------

if [[ -z $image ]]; then
    step "Image"
    ask RepositoryName "$PREFIX"
    stack "$IMAGE_STACK" image-repository.yaml
    root=$(cd "$here/.." && pwd)
    # The tag says what is in it: the same sources have the same tag, and are built once.
    sources=$(cd "$root" && find Cargo.toml Cargo.lock Dockerfile aws producer rotation worker templates -type f -print0 |
        LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum)
    tag=${sources:0:16}-$platform
    if $PLAN && [[ -z $(stack_status "$IMAGE_STACK") ]]; then
        image="REPOSITORY:$tag"
    else
        image=$(output "$IMAGE_STACK" RepositoryUri):$tag
    fi
    if aws ecr describe-images --repository-name "$PREFIX" --image-ids "imageTag=$tag" >/dev/null 2>&1; then
        say "The image $image is there already."
    else
        change docker build --platform "linux/$platform" --tag "$image" "$root"
        $PLAN || aws ecr get-login-password | docker login --username AWS --password-stdin "${image%%/*}"
        change docker push "$image"
    fi
fi
ask ImageUri "$image"

# ---- stacks -------------------------------------------------------------------------------------------------------------

if $central; then
    step "The central store's key"
    ask KeyAlias "$PREFIX-secrets"
    stack "$KMS_STACK" kms.yaml
    # In a plan the key may be still to come; this only looks like one.
    key=arn:$PARTITION:kms:$region:$ACCOUNT:key/to-be-made
    [[ -z $(stack_status "$KMS_STACK") ]] || key=$(output "$KMS_STACK" KeyArn)
    ask StoreSecretsInCentralAccount True
    ask SecretKmsKeyArn "$key"
fi

step "The fleet"
stack "$FLEET_STACK" fleet.yaml
sender=${effective[SenderEmailAddress]:-$email} alarms=${effective[AlarmEmailAddress]:-$email}
mode=${effective[DryRunFlag]}

if [[ $monitoring == --no-monitoring ]]; then
    step "Alarms, queries and dashboard"
    remove_stack "$MONITORING_STACK"
elif [[ -n $monitoring || -n $(stack_status "$MONITORING_STACK") ]]; then
    step "Alarms, queries and dashboard"
    # The alarm on overdue keys is silent in audit mode; topic and log groups are the fleet's by its prefix.
    ask DryRunFlag "$mode"
    stack "$MONITORING_STACK" monitoring.yaml
fi

by_hand=()
# by_hand STACK TEMPLATE: the command that makes a stack that these credentials cannot make
by_hand() {
    local name settings=""
    settle "$1" "$2" true >/dev/null
    for name in ${names[$2]}; do
        settings+=" $(printf '%q' "$name=${effective[$name]}")"
    done
    by_hand+=("aws cloudformation deploy --region $region --stack-name $1 --template-file $2 --capabilities CAPABILITY_NAMED_IAM --parameter-overrides$settings")
}
if [[ $ACCOUNT == "$MANAGEMENT_ACCOUNT" ]]; then
    step "The management account: the list role, and the member role, which StackSets do not deploy there"
    stack "$LIST_ROLE_STACK" org-list-role.yaml
    stack "$MEMBER_ROLE_STACK" member-role.yaml
else
    by_hand "$LIST_ROLE_STACK" org-list-role.yaml
    by_hand "$MEMBER_ROLE_STACK" member-role.yaml
fi

# ---- every other account --------------------------------------------------------------------------------------------------

step "The member role in every other account (${units[*]})"
[[ $TRUSTED_ACCESS != DISABLED ]] || change aws cloudformation activate-organizations-access
template=(--template-body "file://$here/member-role.yaml" --capabilities CAPABILITY_NAMED_IAM
    --permission-model SERVICE_MANAGED --auto-deployment "Enabled=true,RetainStacksOnAccountRemoval=false")
# Roles are global: one region does. A tenth of the accounts may fail before the rest is left alone.
pace=(--operation-preferences "FailureTolerancePercentage=10,MaxConcurrentPercentage=25")
targets=(--deployment-targets "OrganizationalUnitIds=$(IFS=,; printf '%s' "${units[*]}")" --regions "$region")
# parameters_of_set -> name and value of the stack set's parameters, one a line
parameters_of_set() {
    aws cloudformation describe-stack-set --stack-set-name "$MEMBER_ROLE_STACK" "${STACK_SET_CALLER[@]}" \
        --query 'StackSet.Parameters[].[ParameterKey,ParameterValue]' --output text
}
if stack_set_exists; then
    settle "the stack set $MEMBER_ROLE_STACK" member-role.yaml parameters_of_set
    current=$(aws cloudformation describe-stack-set --stack-set-name "$MEMBER_ROLE_STACK" "${STACK_SET_CALLER[@]}" \
        --query 'StackSet.TemplateBody' --output text)
    if [[ $current == "$(cat "$here/member-role.yaml")" ]] && agrees parameters_of_set; then
        say "No changes to the stack set $MEMBER_ROLE_STACK."
    else
        operation=$(change aws cloudformation update-stack-set --stack-set-name "$MEMBER_ROLE_STACK" "${STACK_SET_CALLER[@]}" \
            "${template[@]}" --parameters "$(json_parameters)" "${pace[@]}" --query OperationId --output text)
        $PLAN && say "$operation"
        await_stack_set "$operation"
        $PLAN || confirm "the stack set $MEMBER_ROLE_STACK" parameters_of_set
    fi
else
    settle "the stack set $MEMBER_ROLE_STACK" member-role.yaml true
    change aws cloudformation create-stack-set --stack-set-name "$MEMBER_ROLE_STACK" "${STACK_SET_CALLER[@]}" \
        "${template[@]}" --parameters "$(json_parameters)" --description "IAM access key rotation: roles in every account" --query StackSetId --output text
    operation=$(change aws cloudformation create-stack-instances --stack-set-name "$MEMBER_ROLE_STACK" \
        "${STACK_SET_CALLER[@]}" "${targets[@]}" "${pace[@]}" --query OperationId --output text)
    $PLAN && say "$operation"
    await_stack_set "$operation"
    $PLAN || confirm "the stack set $MEMBER_ROLE_STACK" parameters_of_set
fi

# ---- mail ---------------------------------------------------------------------------------------------------------------

step "The sender $sender"
# Its whole domain may be verified instead.
verified=false
for identity in "$sender" "${sender##*@}"; do
    [[ $(aws sesv2 get-email-identity --email-identity "$identity" --query VerifiedForSendingStatus --output text 2>/dev/null) != True ]] ||
        verified=true
done
if [[ $PARTITION == aws-cn ]]; then
    say "There is no SES in China: notices go to the workers' log."
elif $verified; then
    say "Verified in SES."
elif aws sesv2 get-email-identity --email-identity "$sender" >/dev/null 2>&1; then
    say "Not verified yet: its owner has a mail with a link."
else
    change aws sesv2 create-email-identity --email-identity "$sender" --query IdentityType --output text
    say "Its owner gets a mail with a link: until it is followed, no notice can be sent, and without notice no key is disabled."
fi

# ---- what next ----------------------------------------------------------------------------------------------------------

$PLAN && { step "Nothing was changed (--plan)"; exit 0; }
step "Done. What next"
n=1
next() { printf '%s. %s\n' "$n" "$*"; n=$((n + 1)); }
for command in ${by_hand[@]+"${by_hand[@]}"}; do
    next "With credentials of the management account $MANAGEMENT_ACCOUNT, in cloudformation/: $command"
done
$verified || [[ $PARTITION == aws-cn ]] || next "Follow the link in SES's mail to $sender."
next "Confirm the subscription to alarms, in another mail to $alarms."
next "A first run, now instead of at the scheduled time (audit mode changes nothing):
   aws ecs run-task --region $region --cluster $PREFIX --task-definition $PREFIX-producer --launch-type FARGATE \\
     --network-configuration 'awsvpcConfiguration={subnets=[$(output "$FLEET_STACK" SubnetIds)],securityGroups=[$(output "$FLEET_STACK" SecurityGroupId)],assignPublicIp=$(output "$FLEET_STACK" AssignPublicIp)}'"
next "Read the mails and the log: aws logs tail --region $region --follow /$PREFIX/worker"
[[ $mode == False ]] || next "When they are right: deploy.sh $region $email $org --enforce"
