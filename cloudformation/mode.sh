# Audit or enforce, and nothing else: what is done in a hurry touches as little as it can. Sourced, not run.
# shellcheck shell=bash
# What is not set here is set by whoever sources this.
# shellcheck disable=SC2034,SC2154

# set_mode True|False: the DryRunFlag of the fleet, and of its monitoring. Templates, image and all other settings are left as they are.
set_mode() {
    local -A running=()
    read_running "parameters_of_stack $FLEET_STACK"
    [[ -z $email || $email == "${running[AdminEmailAddress]}" ]] ||
        fail "the fleet's ADMIN_EMAIL is ${running[AdminEmailAddress]}, not $email. The mode alone: deploy.sh $region --audit (or --enforce)"
    [[ -z $org || $org == "${running[AWSOrgID]}" ]] || fail "the fleet is the organization ${running[AWSOrgID]}'s, not $org's"
    check_notices
    say "Fleet in account $ACCOUNT ($PARTITION), region $region: DryRunFlag becomes $1, and nothing else changes."
    [[ $1 == True ]] || say "Keys will be changed in: ${running[EnforceIn]:-EVERY account that the schedule reaches (EnforceIn is empty)}."
    set_mode_of "$FLEET_STACK" "$1"
    [[ ! -v there[$MONITORING_STACK] ]] || set_mode_of "$MONITORING_STACK" "$1"
    if $PLAN; then
        step "Nothing was changed (--plan)"
    else
        step "Done"
    fi
}

# check_notices: a fleet that nobody lets enforce does not: its stack would find nothing to change, and call that a failure.
check_notices() {
    local NoticesInLog
    setting NoticesInLog
    [[ ${asked[DryRunFlag]-} != False || $PARTITION != aws-cn || $NoticesInLog == True ]] ||
        fail "there is no SES in China, and a fleet there stays in audit mode until a notice in the log is to be enough: deploy.sh $region ADMIN_EMAIL ORG_ID --set NoticesInLog=True --enforce"
}

# set_mode_of STACK True|False
set_mode_of() {
    local name=$1 mode=$2 parameter parameters
    local -A running=() effective=()
    read_running "parameters_of_stack $name"
    if [[ ${running[DryRunFlag]} == "$mode" ]]; then
        say "$name has DryRunFlag=$mode already."
        return
    fi
    parameters="{\"ParameterKey\":\"DryRunFlag\",\"ParameterValue\":\"$mode\"}"
    for parameter in "${!running[@]}"; do
        [[ $parameter == DryRunFlag ]] || parameters+=",{\"ParameterKey\":\"$parameter\",\"UsePreviousValue\":true}"
    done
    local update=(--use-previous-template --parameters "[$parameters]")
    if $PLAN; then
        show_changes "$name" "${update[@]}"
        return
    fi
    say "Updating $name. Some minutes: workers in the new mode are started first, and the old ones act until they are stopped."
    change aws cloudformation update-stack --stack-name "$name" --capabilities CAPABILITY_NAMED_IAM "${update[@]}" --query StackId --output text
    aws cloudformation wait stack-update-complete --stack-name "$name" ||
        fail "the stack $name is not updated: aws cloudformation describe-stack-events --region $region --stack-name $name tells why"
    running[DryRunFlag]=$mode
    for parameter in "${!running[@]}"; do
        effective[$parameter]=${running[$parameter]}
    done
    confirm "$name" "parameters_of_stack $name"
    say "$name has DryRunFlag=$mode."
}

# How to stop without waiting for a stack's update. Without the first, the alarm on waiting messages would start workers again.
at_once() {
    say "To stop all workers at once, instead or meanwhile (and how to go on: docs/operations.md):
   aws application-autoscaling register-scalable-target --region $region --service-namespace ecs --scalable-dimension ecs:service:DesiredCount \\
     --resource-id service/$PREFIX/$PREFIX-worker --suspended-state DynamicScalingOutSuspended=true
   aws ecs update-service --region $region --cluster $PREFIX --service $PREFIX-worker --desired-count 0"
}
