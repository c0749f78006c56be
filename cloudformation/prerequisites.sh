# What has to be so in AWS before a fleet is of use. Sourced, not run.
# shellcheck shell=bash
# Names set here are used by deploy.sh, and some of its here.
# shellcheck disable=SC2034,SC2154

# Each check says what is so. What cannot be found out is said as that: it is neither "fine" nor "missing".
check() { printf '  %-34s %s\n' "$1" "$2"; }

# check_unknown WHAT: that it cannot be found out, and what AWS said to it, in its last line
check_unknown() {
    local reason
    reason=$(tail -n 1 "$SCRATCH/said")
    check "$1" "cannot be found out from here${reason:+: $reason}"
}

prerequisites() {
    step "Before anything else"
    check_members
    check_reach
    trusted_access
    mail_service
    fargate_quota
}

# check_members: what is asked for by id is in the organization. A run that is to take, or to enforce in, what is not there sends nothing.
check_members() {
    local name ids id code question found
    for name in EnforceIn RunIn; do
        ids=${asked[$name]-}
        for id in ${ids//,/ }; do
            case $id in
            r-*) code=- question=(list-roots --query "Roots[?Id=='$id'].Id") ;;
            ou-*) code=OrganizationalUnitNotFoundException question=(describe-organizational-unit --organizational-unit-id "$id" --query OrganizationalUnit.Id) ;;
            *) code=AccountNotFoundException question=(describe-account --account-id "$id" --query Account.Id) ;;
            esac
            found=$(aws organizations "${question[@]}" --output text 2>"$SCRATCH/said") || case $(<"$SCRATCH/said") in
            *"($code)"*) found="" ;;
            *"(AccessDenied"*)
                check_unknown "$name: $id in the organization"
                continue
                ;;
            *) fail "it cannot be looked up: $(<"$SCRATCH/said") (organizations ${question[0]})" ;;
            esac
            [[ $found == "$id" ]] ||
                fail "$name=$ids: $id is not in the organization $org, and with it no run would send anything: correct it, or leave it out"
        done
    done
}

# check_reach: what is to be enforced in is within the units that scheduled runs take, where these are not all; else no run comes to it. The
# management account, which has the role, too, is in every run.
check_reach() {
    local id place EnforceIn RunIn
    local -A parents=()
    [[ -v asked[EnforceIn] || -v asked[RunIn] ]] || return 0
    setting EnforceIn
    setting RunIn
    [[ -n $RunIn ]] || return 0
    for id in ${EnforceIn//,/ }; do
        [[ $id != "$MANAGEMENT_ACCOUNT" ]] || continue
        place=$id
        while [[ ,$RunIn, != *",$place,"* ]]; do
            [[ $place != "" && $place != r-* ]] ||
                fail "EnforceIn=$EnforceIn: $id is not within RunIn=$RunIn, and scheduled runs take these units alone (and the management account): it would not be enforced in, or not in all of it. Add its unit by --ou, or leave it out"
            if ! parent_of "$place"; then
                check_unknown "EnforceIn: $id within RunIn"
                break
            fi
            place=${parents[$place]}
        done
    done
}

# parent_of ID: the unit, or the root, that an account or a unit is in, in the caller's `parents`; empty where the organization has no such
# member. Fails where these credentials may not ask.
parent_of() {
    [[ ! -v parents[$1] ]] || return 0
    parents[$1]=$(aws organizations list-parents --child-id "$1" --query 'Parents[0].Id' --output text 2>"$SCRATCH/said") || case $(<"$SCRATCH/said") in
    *"(ChildNotFoundException)"*) parents[$1]="" ;;
    *"(AccessDenied"*) unset "parents[$1]"; return 1 ;;
    *) fail "it cannot be looked up: $(<"$SCRATCH/said") (organizations list-parents)" ;;
    esac
}

# Stack sets reach other accounts by CloudFormation's trusted access. The management account can switch it on; nobody else can.
# Sets TRUSTED_ACCESS to ENABLED, DISABLED or UNKNOWN.
trusted_access() {
    local answer
    answer=$(aws cloudformation describe-organizations-access "${STACK_SET_CALLER[@]}" \
        --query Status --output text 2>"$SCRATCH/said") || answer=UNKNOWN
    case $answer in
    ENABLED) TRUSTED_ACCESS=ENABLED; check "StackSets' trusted access" "is on" ;;
    DISABLED*)
        TRUSTED_ACCESS=DISABLED
        [[ $ACCOUNT == "$MANAGEMENT_ACCOUNT" ]] ||
            fail "CloudFormation has no trusted access to the organization: with credentials of the management account $MANAGEMENT_ACCOUNT, run aws cloudformation activate-organizations-access"
        check "StackSets' trusted access" "is off: this will switch it on"
        ;;
    *) TRUSTED_ACCESS=UNKNOWN; check_unknown "StackSets' trusted access" ;;
    esac
}

# In SES's sandbox only verified addresses get mail: owners would not be told, so nothing would be disabled.
mail_service() {
    local answer production quota
    answer=$(aws sesv2 get-account --query '[ProductionAccessEnabled,SendQuota.Max24HourSend]' --output text 2>"$SCRATCH/said") || answer=""
    read -r production quota <<<"$answer"
    case $production in
    True) check "SES production access" "is granted; at most ${quota%.*} mails a day" ;;
    False)
        check "SES production access" "is NOT granted in $AWS_REGION: only verified addresses get mail. Ask for it: https://docs.aws.amazon.com/ses/latest/dg/request-production-access.html"
        ;;
    *) check_unknown "SES production access" ;;
    esac
}

# Workers and producer run on Fargate, half a vCPU a worker.
fargate_quota() {
    local most workers
    setting MaxWorkers workers
    # "Fargate On-Demand vCPU resource count".
    if most=$(aws service-quotas get-service-quota --service-code fargate --quota-code L-3032A538 \
        --query Quota.Value --output text 2>"$SCRATCH/said") && [[ $most =~ ^[0-9]+(\.[0-9]+)?$ ]]; then
        if ((${most%.*} * 2 >= workers)); then
            check "Fargate's quota of vCPUs" "${most%.*}: enough for $workers workers of half a vCPU"
        else
            check "Fargate's quota of vCPUs" "${most%.*}: too few for $workers workers of half a vCPU: ask for more, or --set MaxWorkers"
        fi
    else
        check_unknown "Fargate's quota of vCPUs"
    fi
}

# look_at_sender: who sends the mails, in `sender`, and whether SES may send from it, in SENDER_VERIFIED: True, False, or empty where SES does
# not know it. A domain's verification holds for its addresses and subdomains (SES's developer guide, creating and verifying identities): the
# closest that SES knows decides.
look_at_sender() {
    local domain of_domain=""
    setting SenderEmailAddress sender
    sender=${sender:-$email}
    SENDER_VERIFIED=""
    verification SENDER_VERIFIED "$sender"
    [[ $SENDER_VERIFIED != True ]] || return 0
    domain=${sender##*@}
    while [[ -z $of_domain && $domain == *.* ]]; do
        verification of_domain "$domain"
        domain=${domain#*.}
    done
    [[ $of_domain != True ]] || SENDER_VERIFIED=True
}

# verification NAME IDENTITY: whether SES may send from it, in the variable NAME: True, False, or empty where SES does not know it
verification() {
    look_for "$1" NotFoundException aws sesv2 get-email-identity --email-identity "$2" --query VerifiedForSendingStatus --output text
}
