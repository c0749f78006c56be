#!/usr/bin/env bash
# Deploys the key rotation fleet and its roles. See "usage" below, and docs/deployment.md.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$here/common.sh"

usage() {
    cat <<'USAGE'
Usage: deploy.sh REGION ADMIN_EMAIL ORG_ID [options]

Run it with credentials of the account the fleet shall live in: the organization's management account, or a delegated administrator
for CloudFormation StackSets. It can be run again at any time: what is there is updated, what was set and is not named again stays.
The fleet starts in audit mode.

  --plan                   show what would be done; change nothing
  --image URI              use this image instead of building one (also IMAGE_URI); needs no docker
  --vpc ID --subnets IDS   where tasks run: subnets separated by commas [default: the default VPC, with public addresses]
  --public-ip              give tasks public addresses in those subnets, for subnets without NAT
  --ou ID                  deploy the member role to this unit instead of the whole organization; may be repeated
  --external-id ID         external id of all roles [default: key-rotation-ORG_ID]
  --role-name NAME         name of the workers' role in every account; the producer's is NAME-read
  --central-store          store all secrets in the fleet's account, under a key of its own
  --enforce | --audit      rotate keys, or only tell [default: audit, later as it was]
  --set NAME=VALUE         any other parameter of fleet.yaml or member-role.yaml; may be repeated. Where an account has the
                           exemption group already: --set CreateExemptionGroup=No

Exit status: 0 done; 1 something failed on the way (run it again); 2 settings or surroundings are wrong, nothing was done.
USAGE
}

image=${IMAGE_URI:-} vpc="" subnets="" public_ip="" external_id="" role_name="" central=false mode=""
units=() settings=() positional=()
while (($#)); do
    value() { [[ $# -ge 2 && $2 != --* ]] || refuse "$1 needs a value"; }
    case $1 in
    -h | --help) usage; exit 0 ;;
    --plan) PLAN=true ;;
    --public-ip) public_ip=ENABLED ;;
    --central-store) central=true ;;
    --enforce) mode=False ;;
    --audit) mode=True ;;
    --image) value "$@"; image=$2; shift ;;
    --vpc) value "$@"; vpc=$2; shift ;;
    --subnets) value "$@"; subnets=$2; shift ;;
    --ou) value "$@"; units+=("$2"); shift ;;
    --external-id) value "$@"; external_id=$2; shift ;;
    --role-name) value "$@"; role_name=$2; shift ;;
    --set) value "$@"; settings+=("$2"); shift ;;
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

# default TEMPLATE NAME: a parameter's default
default() {
    awk -v name="  $2:" '$0 == name { here = 1; next } here && /^  [^ ]/ { exit }
        here && sub(/^    Default: /, "") { gsub(/"/, ""); print; exit }' "$here/$1"
}

# takes TEMPLATE NAME: whether the template has a parameter of that name
takes() {
    sed -n '/^Parameters:/,/^Rules:/p' "$here/$1" | grep -qx "  $2:"
}

need_region "$region"
[[ $email =~ ^[^@[:space:]]+@[^@[:space:]]+\.[^@[:space:]]+$ ]] || refuse "\"$email\" is not a mail address"
[[ $org =~ ^o-[a-z0-9]{10,32}$ ]] || refuse "\"$org\" is not an organization id, as o-a1b2c3d4e5 is"
for setting in ${settings[@]+"${settings[@]}"}; do
    [[ $setting == *=* ]] || refuse "--set $setting: it must be NAME=VALUE"
    takes fleet.yaml "${setting%%=*}" || takes member-role.yaml "${setting%%=*}" ||
        refuse "--set $setting: neither fleet.yaml nor member-role.yaml has a parameter ${setting%%=*}"
done
[[ -z $vpc && -z $subnets ]] || [[ -n $vpc && -n $subnets ]] || refuse "--vpc and --subnets go together"
need aws "https://docs.aws.amazon.com/cli/"
need_credentials
need_organization
[[ $ORG_ID_FOUND == "$org" ]] || refuse "the account $ACCOUNT belongs to the organization $ORG_ID_FOUND, not to $org"
if [[ -z $image ]]; then
    need docker "or give --image URI of an image built elsewhere"
    $PLAN || docker info >/dev/null 2>&1 || refuse "docker does not run; or give --image URI of an image built elsewhere"
fi
for stack in "$IMAGE_STACK" "$KMS_STACK" "$LIST_ROLE_STACK" "$FLEET_STACK" "$MEMBER_ROLE_STACK"; do
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
        --query 'Subnets[].SubnetId' --output text | tr '\t' ',')
    [[ $subnets == subnet-* ]] || refuse "the default VPC $vpc has no default subnets: give --vpc and --subnets"
    public_ip=ENABLED
fi
if ((${#units[@]} == 0)); then
    units=("$(aws organizations list-roots --query 'Roots[0].Id' --output text)")
    [[ ${units[0]} == r-* ]] || refuse "the organization's root cannot be read: give --ou"
fi

# What was set at an earlier run and is not named now stays; the roles must agree with the fleet about it.
# before PARAMETER -> its value in the fleet's stack, or nothing
before() {
    local value
    value=$(aws cloudformation describe-stacks --stack-name "$FLEET_STACK" --output text \
        --query "Stacks[0].Parameters[?ParameterKey=='$1'].ParameterValue | [0]" 2>/dev/null) || return 0
    [[ $value == None ]] || printf '%s' "$value"
}
external_id=${external_id:-$(before ExternalId)}
external_id=${external_id:-key-rotation-$org}
role_name=${role_name:-$(before IAMRoleName)}
[[ $(before StoreSecretsInCentralAccount) != True ]] || central=true
mode=${mode:-$(before DryRunFlag)}
for shared in IAMExemptionGroup CentralSecretReadPolicyName WorkerRoleName ProducerRoleName; do
    value=$(before "$shared")
    # Before those named now, which come later and win.
    [[ -z $value ]] || settings=("$shared=$value" ${settings[@]+"${settings[@]}"})
done

say "Fleet in account $ACCOUNT ($PARTITION), region $region; organization $org, managed by $MANAGEMENT_ACCOUNT."

# stack NAME TEMPLATE [PARAMETER=VALUE]...: makes or updates a stack; what is not named keeps its value
stack() {
    local name=$1 template=$2 said key value
    shift 2
    # Named, and not left for CloudFormation to remember: so the plan shows every value there will be.
    while IFS=$'\t' read -r key value; do
        [[ " $* " == *" $key="* ]] || ! takes "$template" "$key" || set -- "$@" "$key=$value"
    done < <(aws cloudformation describe-stacks --stack-name "$name" --output text \
        --query 'Stacks[0].Parameters[].[ParameterKey,ParameterValue]' 2>/dev/null || true)
    local command=(aws cloudformation deploy --stack-name "$name" --template-file "$here/$template"
        --no-fail-on-empty-changeset --capabilities CAPABILITY_NAMED_IAM --tags application=iam-key-rotation
        --parameter-overrides "$@")
    if $PLAN; then
        change "${command[@]}"
    elif said=$("${command[@]}" 2>&1) || [[ $said == *"No updates are to be performed"* ]]; then
        # The command's last line tells what came of it.
        say "${said##*$'\n'}"
    else
        printf '%s\n' "$said" >&2
        fail "the stack $name failed: aws cloudformation describe-stack-events --stack-name $name tells why"
    fi
}

# ---- the image ----------------------------------------------------------------------------------------------------------

if [[ -z $image ]]; then
    step "Image"
    stack "$IMAGE_STACK" image-repository.yaml "RepositoryName=$PREFIX"
    root=$(cd "$here/.." && pwd)
    # The tag says what is in it: the same sources have the same tag, and are built once.
    tag=$(cd "$root" && find Cargo.toml Cargo.lock Dockerfile aws producer rotation worker templates -type f -print0 |
        LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -c1-16)
    if $PLAN && [[ -z $(stack_status "$IMAGE_STACK") ]]; then
        image="REPOSITORY:$tag"
    else
        image=$(output "$IMAGE_STACK" RepositoryUri):$tag
    fi
    if aws ecr describe-images --repository-name "$PREFIX" --image-ids "imageTag=$tag" >/dev/null 2>&1; then
        say "The image $image is there already."
    else
        change docker build --platform linux/amd64 --tag "$image" "$root"
        $PLAN || aws ecr get-login-password | docker login --username AWS --password-stdin "${image%%/*}"
        change docker push "$image"
    fi
fi

# ---- stacks -------------------------------------------------------------------------------------------------------------

roles=("AWSOrgID=$org" "ExternalId=$external_id")
member=("FleetAccount=$ACCOUNT" "${roles[@]}")
list=("FleetAccount=$ACCOUNT" "${roles[@]}")
fleet=("${roles[@]}" "AdminEmailAddress=$email" "OrgListAccount=$MANAGEMENT_ACCOUNT" "ImageUri=$image" "NamePrefix=$PREFIX")
[[ -z $vpc ]] || fleet+=("VpcId=$vpc" "SubnetIds=$subnets" "AssignPublicIp=${public_ip:-DISABLED}")
[[ -z $mode ]] || fleet+=("DryRunFlag=$mode")
if [[ -n $role_name ]]; then
    member+=("IAMRoleName=$role_name" "ReadRoleName=$role_name-read")
    fleet+=("IAMRoleName=$role_name" "ReadRoleName=$role_name-read")
fi
if $central; then
    step "The central store's key"
    stack "$KMS_STACK" kms.yaml "AWSOrgID=$org" "KeyAlias=$PREFIX-secrets"
    key=KEY-OF-$KMS_STACK
    $PLAN || key=$(output "$KMS_STACK" KeyArn)
    member+=(StoreSecretsInCentralAccount=True "SecretKmsKeyArn=$key")
    fleet+=(StoreSecretsInCentralAccount=True "SecretKmsKeyArn=$key")
fi
for setting in ${settings[@]+"${settings[@]}"}; do
    ! takes fleet.yaml "${setting%%=*}" || fleet+=("$setting")
    ! takes member-role.yaml "${setting%%=*}" || member+=("$setting")
    ! takes org-list-role.yaml "${setting%%=*}" || list+=("$setting")
done

step "The fleet"
stack "$FLEET_STACK" fleet.yaml "${fleet[@]}"

by_hand=()
if [[ $ACCOUNT == "$MANAGEMENT_ACCOUNT" ]]; then
    step "The management account: the list role, and the member role, which StackSets do not deploy there"
    stack "$LIST_ROLE_STACK" org-list-role.yaml "${list[@]}"
    stack "$MEMBER_ROLE_STACK" member-role.yaml "${member[@]}"
else
    by_hand+=("aws cloudformation deploy --region $region --stack-name $LIST_ROLE_STACK --template-file org-list-role.yaml --capabilities CAPABILITY_NAMED_IAM --parameter-overrides ${list[*]}")
    by_hand+=("aws cloudformation deploy --region $region --stack-name $MEMBER_ROLE_STACK --template-file member-role.yaml --capabilities CAPABILITY_NAMED_IAM --parameter-overrides ${member[*]}")
fi

# ---- every other account --------------------------------------------------------------------------------------------------

step "The member role in every other account (${units[*]})"
declare -A chosen=()
for pair in "${member[@]}"; do
    chosen[${pair%%=*}]=${pair#*=}
done
parameters=() wanted=()
for name in "${!chosen[@]}"; do
    parameters+=("ParameterKey=$name,ParameterValue=${chosen[$name]}")
    wanted+=("$name=${chosen[$name]}")
done
if [[ $ACCOUNT == "$MANAGEMENT_ACCOUNT" ]]; then
    access=$(aws cloudformation describe-organizations-access --query Status --output text 2>/dev/null || echo UNKNOWN)
    [[ $access != DISABLED* ]] || change aws cloudformation activate-organizations-access
fi
template=(--template-body "file://$here/member-role.yaml" --capabilities CAPABILITY_NAMED_IAM
    --permission-model SERVICE_MANAGED --auto-deployment "Enabled=true,RetainStacksOnAccountRemoval=false")
# Roles are global: one region does. A tenth of the accounts may fail before the rest is left alone.
pace=(--operation-preferences "FailureTolerancePercentage=10,MaxConcurrentPercentage=25")
targets=(--deployment-targets "OrganizationalUnitIds=$(IFS=,; printf '%s' "${units[*]}")" --regions "$region")
if stack_set_exists; then
    current=$(aws cloudformation describe-stack-set --stack-set-name "$MEMBER_ROLE_STACK" "${STACK_SET_CALLER[@]}" \
        --query 'StackSet.TemplateBody' --output text)
    # shellcheck disable=SC2016 # the backquotes are JMESPath's
    set_now=$(aws cloudformation describe-stack-set --stack-set-name "$MEMBER_ROLE_STACK" "${STACK_SET_CALLER[@]}" \
        --query 'StackSet.Parameters[].join(`=`,[ParameterKey,ParameterValue])' --output text | tr '\t' '\n')
    # What the set was not told has its default there.
    for name in "${!chosen[@]}"; do
        grep -q "^$name=" <<<"$set_now" || set_now+=$'\n'$name=$(default member-role.yaml "$name")
    done
    if [[ $current == "$(cat "$here/member-role.yaml")" ]] &&
        [[ -z $(comm -23 <(printf '%s\n' "${wanted[@]}" | sort) <(sort <<<"$set_now")) ]]; then
        say "No changes to the stack set $MEMBER_ROLE_STACK."
    else
        while IFS='=' read -r name _; do
            [[ -z $name || -n ${chosen[$name]+x} ]] || parameters+=("ParameterKey=$name,UsePreviousValue=true")
        done <<<"$set_now"
        operation=$(change aws cloudformation update-stack-set --stack-set-name "$MEMBER_ROLE_STACK" "${STACK_SET_CALLER[@]}" \
            "${template[@]}" --parameters "${parameters[@]}" "${pace[@]}" --query OperationId --output text)
        $PLAN && say "$operation"
        await_stack_set "$operation"
    fi
else
    change aws cloudformation create-stack-set --stack-set-name "$MEMBER_ROLE_STACK" "${STACK_SET_CALLER[@]}" \
        "${template[@]}" --parameters "${parameters[@]}" --description "IAM access key rotation: roles in every account" --query StackSetId --output text
    operation=$(change aws cloudformation create-stack-instances --stack-set-name "$MEMBER_ROLE_STACK" \
        "${STACK_SET_CALLER[@]}" "${targets[@]}" "${pace[@]}" --query OperationId --output text)
    $PLAN && say "$operation"
    await_stack_set "$operation"
fi

# ---- mail ---------------------------------------------------------------------------------------------------------------

step "The sender $email"
# Its whole domain may be verified instead.
verified=false
for identity in "$email" "${email##*@}"; do
    [[ $(aws sesv2 get-email-identity --email-identity "$identity" --query VerifiedForSendingStatus --output text 2>/dev/null) != True ]] ||
        verified=true
done
if [[ $PARTITION == aws-cn ]]; then
    say "There is no SES in China: notices go to the workers' log."
elif $verified; then
    say "Verified in SES."
elif aws sesv2 get-email-identity --email-identity "$email" >/dev/null 2>&1; then
    say "Not verified yet: its owner has a mail with a link."
else
    change aws sesv2 create-email-identity --email-identity "$email" --query IdentityType --output text
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
$verified || [[ $PARTITION == aws-cn ]] || next "Follow the link in SES's mail to $email. Is SES still in its sandbox here? Then ask for production access."
next "Confirm the subscription to alarms, in another mail to $email."
next "A first run, now instead of at the scheduled time (audit mode changes nothing):
   aws ecs run-task --region $region --cluster $PREFIX --task-definition $PREFIX-producer --launch-type FARGATE \\
     --network-configuration 'awsvpcConfiguration={subnets=[$(output "$FLEET_STACK" SubnetIds)],securityGroups=[$(output "$FLEET_STACK" SecurityGroupId)],assignPublicIp=$(output "$FLEET_STACK" AssignPublicIp)}'"
next "Read the mails and the log: aws logs tail --region $region --follow /$PREFIX/worker"
[[ $mode == False ]] || next "When they are right: deploy.sh $region $email $org --enforce"
