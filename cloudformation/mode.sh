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
    check_enforcement
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
        fail "there is no SES in China, and a fleet there stays in audit mode until a notice in the log is to be enough: update the stack $FLEET_STACK by hand, with NoticesInLog=True (docs/deployment.md, other partitions), and then run this again"
}

# check_enforcement: every account is enforced in where somebody says so, and not because a setting is empty; and what was sent while
# workers only audited is not carried out because they enforce now.
check_enforcement() {
    local mode where
    setting DryRunFlag mode
    setting EnforceIn where
    if $everywhere; then
        [[ $mode == False ]] || fail "--everywhere goes with --enforce alone"
        [[ -z $where ]] || fail "--everywhere, and EnforceIn=$where: to enforce in all accounts, --set EnforceIn= as well"
    fi
    [[ $mode == False ]] || return 0
    [[ -n $where ]] || $everywhere || [[ ${running[DryRunFlag]-} == False && -z ${running[EnforceIn]-} ]] ||
        fail "EnforceIn is empty, so keys would be changed in EVERY account that the schedule reaches. First in some: deploy.sh $region ADMIN_EMAIL ORG_ID --set EnforceIn=ACCOUNT, and a day later --enforce. Or, if all are meant, add --everywhere"
    [[ ${running[DryRunFlag]-} != True ]] || check_queues
}

# check_queues: that no message waits. (In a plan it is said alone.)
check_queues() {
    local key url counts count waiting=0 urls="" found=fail
    ! $PLAN || found=say
    for key in QueueUrl UrgentQueueUrl DeadLetterQueueUrl; do
        output url "$FLEET_STACK" "$key"
        look counts aws sqs get-queue-attributes --queue-url "$url" --output text \
            --attribute-names ApproximateNumberOfMessages ApproximateNumberOfMessagesNotVisible \
            --query 'Attributes.[ApproximateNumberOfMessages,ApproximateNumberOfMessagesNotVisible]'
        for count in $counts; do
            [[ $count =~ ^[0-9]+$ ]] || fail "it is not known how many messages are on $url: \"$counts\""
            if [[ $key != DeadLetterQueueUrl ]]; then
                ((waiting += count, 1))
                [[ $count == 0 || $urls == *"$url"* ]] || urls+=" $url"
            elif ((count > 0)); then
                say "$count dead letters are there. Once workers enforce, one that is sent back is carried out. Before: operate.sh $region dead-letters list, then redrive (while workers audit) or delete."
            fi
        done
    done
    ((waiting == 0)) ||
        $found "$waiting messages are on the queues, sent while workers only audited. Workers that enforce would carry them out, also in accounts that EnforceIn does not name. Wait until none is left (operate.sh $region status), and try again. Or take them away; the next run sends what is due anew, an operator's request has to be made again: aws sqs purge-queue --region $region --queue-url URL, of$urls"
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
