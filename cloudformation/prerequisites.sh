# What has to be so in AWS before a fleet is of use. Sourced, not run.
# shellcheck shell=bash
# Names set here are used by deploy.sh.
# shellcheck disable=SC2034

# Each check says what is so. What cannot be found out is said as that: it is neither "fine" nor "missing".
check() { printf '  %-34s %s\n' "$1" "$2"; }

prerequisites() {
    step "Before anything else"
    trusted_access
    mail_service
    fargate_quota
}

# Stack sets reach other accounts by CloudFormation's trusted access. The management account can switch it on; nobody else can.
# Sets TRUSTED_ACCESS to ENABLED, DISABLED or UNKNOWN.
trusted_access() {
    local answer
    answer=$(aws cloudformation describe-organizations-access "${STACK_SET_CALLER[@]}" \
        --query Status --output text 2>/dev/null) || answer=UNKNOWN
    case $answer in
    ENABLED) TRUSTED_ACCESS=ENABLED; check "StackSets' trusted access" "is on" ;;
    DISABLED*)
        TRUSTED_ACCESS=DISABLED
        [[ $ACCOUNT == "$MANAGEMENT_ACCOUNT" ]] ||
            fail "CloudFormation has no trusted access to the organization: with credentials of the management account $MANAGEMENT_ACCOUNT, run aws cloudformation activate-organizations-access"
        check "StackSets' trusted access" "is off: this will switch it on"
        ;;
    *) TRUSTED_ACCESS=UNKNOWN; check "StackSets' trusted access" "cannot be found out from here" ;;
    esac
}

# In SES's sandbox only verified addresses get mail: owners would not be told, so nothing would be disabled.
mail_service() {
    local answer production quota
    if [[ $PARTITION == aws-cn ]]; then
        check "SES" "is not offered in China: notices go to the workers' log"
        return
    fi
    answer=$(aws sesv2 get-account --query '[ProductionAccessEnabled,SendQuota.Max24HourSend]' --output text 2>/dev/null) || answer=""
    read -r production quota <<<"$answer"
    case $production in
    True) check "SES production access" "is granted; at most ${quota%.*} mails a day" ;;
    False)
        check "SES production access" "is NOT granted in $AWS_REGION: only verified addresses get mail. Ask for it: https://docs.aws.amazon.com/ses/latest/dg/request-production-access.html"
        ;;
    *) check "SES production access" "cannot be found out from here" ;;
    esac
}

# Workers and producer run on Fargate, half a vCPU a worker.
fargate_quota() {
    local most workers
    setting MaxWorkers workers
    # "Fargate On-Demand vCPU resource count".
    if most=$(aws service-quotas get-service-quota --service-code fargate --quota-code L-3032A538 \
        --query Quota.Value --output text 2>/dev/null) && [[ $most =~ ^[0-9]+(\.[0-9]+)?$ ]]; then
        if ((${most%.*} * 2 >= workers)); then
            check "Fargate's quota of vCPUs" "${most%.*}: enough for $workers workers of half a vCPU"
        else
            check "Fargate's quota of vCPUs" "${most%.*}: too few for $workers workers of half a vCPU: ask for more, or --set MaxWorkers"
        fi
    else
        check "Fargate's quota of vCPUs" "cannot be found out from here"
    fi
}
