# What was asked of deploy.sh, what the templates take, and what comes of it. Sourced, not run.
# shellcheck shell=bash
# `here`, the folder of the templates, is set by whoever sources this.
# shellcheck disable=SC2154

# Parameters asked for by name, of whatever template takes them.
declare -A asked=()

# ask NAME VALUE: takes a setting; the same one twice with two values is refused, whichever options they came from.
ask() {
    [[ ! -v asked[$1] || ${asked[$1]} == "$2" ]] ||
        fail "$1 is asked for twice: as \"${asked[$1]}\" and as \"$2\""
    asked[$1]=$2
}

# By "TEMPLATE NAME" its default, its type, which values it may have, if these are listed, the least and the most, if these are given, and the
# pattern, with its meaning in words, if there is one; and each template's names in its order.
declare -A defaults=() types=() listed=() least=() most=() patterns=() meanings=() names=()
for template in fleet.yaml monitoring.yaml member-role.yaml org-list-role.yaml kms.yaml image-repository.yaml; do
    while IFS=$'\037' read -r name value type allowed minimum maximum pattern meaning; do
        defaults["$template $name"]=$value types["$template $name"]=$type listed["$template $name"]=$allowed
        least["$template $name"]=$minimum most["$template $name"]=$maximum
        patterns["$template $name"]=$pattern meanings["$template $name"]=$meaning
        names[$template]+="$name "
    done < <(awk '
        function told() {
            if (name) print name "\037" value "\037" type "\037" allowed "\037" minimum "\037" maximum "\037" pattern "\037" meaning
            value = type = allowed = minimum = maximum = pattern = meaning = ""
        }
        /^[A-Za-z]/ { inside = /^Parameters:/ }
        !inside { next }
        /^  [A-Za-z0-9]+:$/ { told(); name = $1; sub(/:$/, "", name) }
        /^    Type: / { type = $2 }
        /^    MinValue: / { minimum = $2 }
        /^    MaxValue: / { maximum = $2 }
        sub(/^    AllowedValues: \[/, "") { sub(/\].*/, ""); gsub(/[", ]+/, " "); allowed = $0 }
        sub(/^    AllowedPattern: "/, "") { sub(/"$/, ""); pattern = $0 }
        sub(/^    ConstraintDescription: /, "") { meaning = $0 }
        sub(/^    Default: /, "") { gsub(/"/, ""); value = $0 }
        END { told() }' "$here/$template")
done

# takes TEMPLATE NAME: whether the template has a parameter of that name
takes() { [[ -v defaults["$1 $2"] ]]; }

# check_asked: a value that CloudFormation would refuse, after other stacks have been changed, is refused before: what a template lists,
# patterns, and numbers. So is what CloudFormation takes and the programs do not.
check_asked() {
    local name of
    for of in "${!types[@]}"; do
        name=${of#* }
        [[ -v asked[$name] ]] || continue
        [[ -z ${listed[$of]} || " ${listed[$of]} " == *" ${asked[$name]} "* ]] ||
            fail "$name=${asked[$name]}: it must be one of: ${listed[$of]# }"
        check_pattern "$of"
        [[ ${types[$of]} == Number ]] || continue
        [[ ${asked[$name]} =~ ^[0-9]{1,9}$ ]] || fail "$name=${asked[$name]}: it must be a number"
        [[ -z ${least[$of]} ]] || ((10#${asked[$name]} >= ${least[$of]})) || fail "$name=${asked[$name]}: it must be at least ${least[$of]}"
        [[ -z ${most[$of]} ]] || ((10#${asked[$name]} <= ${most[$of]})) || fail "$name=${asked[$name]}: it must be at most ${most[$of]}"
    done
    check_together
}

in_whole() { [[ $1 =~ ^($2)$ ]]; }

# check_pattern "TEMPLATE NAME": the templates' patterns are Java's, in whole; of what POSIX writes otherwise they use \w, \s and \. alone.
check_pattern() {
    local name=${1#* } pattern=${patterns[$1]} value said=0 LC_ALL=C
    value=${asked[$name]}
    # Not every POSIX knows an empty alternative.
    [[ -n $pattern && ( -n $value || $pattern != "|"* ) ]] || return 0
    pattern=${pattern#|}
    pattern=${pattern//'\\w'/[:alnum:]_}
    pattern=${pattern//'\\s'/[:space:]}
    pattern=${pattern//'\\.'/[.]}
    # 2: this machine's POSIX cannot count as far as the pattern does; it is CloudFormation's to check.
    in_whole "$value" "$pattern" || said=$?
    [[ $value != *[[:space:]]* ]] || value="\"$value\", with a space"
    ((said != 1)) || fail "$name=$value: it ${meanings[$1]:-must be of the form ${patterns[$1]#|}}"
}

# setting NAME [CALLED]: the fleet's setting as it will be, in the variable CALLED, or else in one of the setting's own name
# shellcheck disable=SC2034 # what is set is the caller's
setting() {
    local -n answer_of_setting=${2:-$1}
    answer_of_setting=${asked[$1]-${running[$1]-${defaults[fleet.yaml $1]}}}
}

# check_together: settings that do not go together, or that no pattern can tell. The stacks would fail half way, or the workers would not
# start: the rules are those of rotation/src/policy.rs, rotation/src/readers.rs and worker/src/settings/store.rs.
check_together() {
    local name days RotationPeriod InactivePeriod PendingActionWarnPeriod MinWorkers MaxWorkers
    for name in RotationPeriod InactivePeriod RecoveryGracePeriod PendingActionWarnPeriod InUseExtension; do
        setting "$name" days
        ((10#$days <= 36500)) || fail "$name=$days: it must be at most 36500 days"
    done
    setting RotationPeriod
    setting InactivePeriod
    setting PendingActionWarnPeriod
    ((10#$RotationPeriod < 10#$InactivePeriod)) ||
        fail "InactivePeriod=$InactivePeriod must be more than RotationPeriod=$RotationPeriod: the days between are the owner's time to install the new key. Set both"
    ((10#$PendingActionWarnPeriod < 10#$RotationPeriod)) ||
        fail "PendingActionWarnPeriod=$PendingActionWarnPeriod must be less than RotationPeriod=$RotationPeriod: set both"
    setting MinWorkers
    setting MaxWorkers
    ((10#$MinWorkers <= 10#$MaxWorkers)) || fail "MinWorkers=$MinWorkers must not be more than MaxWorkers=$MaxWorkers: set both"
    check_role_names
    check_exemption_group
    check_store
    check_readers SecretReaders
    check_readers SecretReadersAllowed
    check_schedule
    check_excluded
}

# check_role_names: two roles of one account have two names.
check_role_names() {
    local IAMRoleName ReadRoleName WorkerRoleName ProducerRoleName
    setting IAMRoleName
    setting ReadRoleName
    setting WorkerRoleName
    setting ProducerRoleName
    [[ $IAMRoleName != "$ReadRoleName" ]] || fail "IAMRoleName and ReadRoleName are both $IAMRoleName: they are two roles, and need two names"
    [[ $WorkerRoleName != "$ProducerRoleName" ]] ||
        fail "WorkerRoleName and ProducerRoleName are both $WorkerRoleName: they are two roles, and need two names"
}

# check_store: the store's key is where the store is, and replicas are elsewhere, in regions that there can be.
check_store() {
    local StoreSecretsInCentralAccount SecretKmsKeyArn CredentialReplicationRegions place seen=,
    setting StoreSecretsInCentralAccount
    setting SecretKmsKeyArn
    setting CredentialReplicationRegions
    [[ -z $SecretKmsKeyArn || $SecretKmsKeyArn == "arn:$PARTITION:kms:$region:"* ]] ||
        fail "SecretKmsKeyArn=$SecretKmsKeyArn: it must be a key of the region $region, where the secrets are"
    [[ $StoreSecretsInCentralAccount != True || -z $CredentialReplicationRegions ]] ||
        fail "CredentialReplicationRegions=$CredentialReplicationRegions does not go together with the central store: replicas are encrypted with their region's AWS-managed key, which no other account can use. --set CredentialReplicationRegions= or no central store"
    for place in ${CredentialReplicationRegions//,/ }; do
        is_region "$place" || fail "CredentialReplicationRegions: \"$place\" is not a region, as eu-west-1 is"
        [[ $place != "$region" ]] || fail "CredentialReplicationRegions names $region, where the secrets are already: name further regions only"
        [[ $seen != *",$place,"* ]] || fail "CredentialReplicationRegions names $place twice"
        seen+=$place,
    done
}

# check_readers NAME: roles, none of which lets in more than it seems to
check_readers() {
    local name=$1 value reader readers account role fixed most=10 StoreSecretsInCentralAccount BreakGlassPrincipalArns
    setting "$name" value
    setting StoreSecretsInCentralAccount
    setting BreakGlassPrincipalArns
    # The break-glass role is one of the readers.
    [[ $name != SecretReaders || -z $BreakGlassPrincipalArns ]] || most=9
    IFS=, read -ra readers <<<"$value"
    ((${#readers[@]} <= most)) ||
        fail "$name names ${#readers[@]} roles, and there is room for $most in a secret's policy: use a pattern, or one role that all of them may assume"
    for reader in ${readers[@]+"${readers[@]}"}; do
        account=${reader#"arn:$PARTITION:iam::"} role=${reader#*:role/}
        account=${account%":role/$role"}
        [[ -n $role && $reader == "arn:$PARTITION:iam::$account:role/$role" ]] ||
            fail "$name: \"$reader\" is not the ARN of a role, as arn:$PARTITION:iam::{account}:role/key-readers is"
        [[ $account == "{account}" || $account =~ ^[0-9]{12}$ ]] ||
            fail "$name: \"$reader\": its account must be {account}, which stands for the user's, or twelve digits: a wildcard would let in other accounts"
        [[ $account == "{account}" || $StoreSecretsInCentralAccount == True ]] ||
            fail "$name: \"$reader\" could not read anything: without the central store nobody from another account can decrypt the secrets. Write {account} for the account"
        [[ $role != [*?]* ]] ||
            fail "$name: \"$reader\": after role/ it must begin with a fixed text: a wildcard there would let in roles that anybody makes"
        [[ $role != *"{user}"* || $role != *[*?]* ]] ||
            fail "$name: \"$reader\": a wildcard does not go together with {user}: the name of one user may begin with another's"
        fixed=${role//"{account}"/}
        fixed=${fixed//"{user}"/}
        [[ $fixed =~ ^[A-Za-z0-9+=.@_/*?-]*$ ]] ||
            fail "$name: \"$reader\": a role's path and name have letters, digits and any of +=.@_-/, * and ? as wildcards, {account} and {user}"
    done
}

# check_schedule: EventBridge Scheduler's user guide, schedule types. And in audit mode workers have to know how rarely they are asked.
check_schedule() {
    local ScheduleExpression ScheduleTimeZone AuditRunInterval fields days=1 per_day=1 zones=${TZDIR:-/usr/share/zoneinfo}
    local rate='^rate\(([1-9][0-9]{0,5}) (minute|hour|day)s?\)$' cron='^cron\(([^ ()]+ ){5}[^ ()]+\)$'
    setting ScheduleExpression
    setting ScheduleTimeZone
    setting AuditRunInterval
    if [[ $ScheduleExpression =~ $rate ]]; then
        case ${BASH_REMATCH[2]} in
        minute) per_day=1440 ;;
        hour) per_day=24 ;;
        esac
        days=$(((BASH_REMATCH[1] + per_day - 1) / per_day))
    elif [[ $ScheduleExpression =~ $cron ]]; then
        read -ra fields <<<"${ScheduleExpression:5:-1}"
        check_numbers minute "${fields[0]}" 0 59
        check_numbers hour "${fields[1]}" 0 23
        check_numbers "day of the month" "${fields[2]}" 1 31
        check_numbers month "${fields[3]}" 1 12
        check_numbers "day of the week" "${fields[4]}" 1 7
        [[ ${fields[5]} == "*" ]] ||
            fail "ScheduleExpression=$ScheduleExpression: the year must be *, as in cron(0 6 * * ? *): with another there are no runs any more once it is over"
        case ${fields[2]},${fields[4]} in
        "?,?") fail "ScheduleExpression=$ScheduleExpression: only one of the day of the month and the day of the week may be ?" ;;
        "?,"* | *",?") ;;
        *) fail "ScheduleExpression=$ScheduleExpression: the day of the month or the day of the week must be ?, as in cron(0 6 * * ? *)" ;;
        esac
        # Not every day; how many are between is not worked out here.
        case ${fields[2]},${fields[3]},${fields[4]} in
        "*,*,?" | "?,*,*" | "1/1,*,?" | "*/1,*,?" | "1-31,*,?" | "?,*,1-7" | "?,*,SUN-SAT") ;;
        *) days=2 ;;
        esac
    else
        fail "ScheduleExpression=$ScheduleExpression: it must be cron(MINUTES HOURS DAY-OF-MONTH MONTH DAY-OF-WEEK YEAR), as cron(0 6 * * ? *) for six o'clock each day, or rate(NUMBER minutes|hours|days)"
    fi
    ((days <= 31)) || fail "ScheduleExpression=$ScheduleExpression: keys must be looked at once in 31 days at least"
    ((10#$AuditRunInterval >= days)) ||
        fail "ScheduleExpression=$ScheduleExpression is rarer than AuditRunInterval=$AuditRunInterval says: set that to the most days between two runs (--set AuditRunInterval=DAYS), or in audit mode the mails of the days between would not be sent"
    [[ $ScheduleTimeZone =~ ^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}$ ]] ||
        fail "ScheduleTimeZone=$ScheduleTimeZone: it must be the name of a time zone, as Europe/Berlin or UTC"
    # What runs, AWS has taken. Some systems have the names of the day alone, and a few have none.
    [[ ! -v asked[ScheduleTimeZone] || ! -f $zones/UTC || -f $zones/$ScheduleTimeZone ]] ||
        fail "ScheduleTimeZone=$ScheduleTimeZone: there is no such time zone in $zones; it must be the name of one, as Europe/Berlin or UTC (and not its name of old, as US/Eastern for America/New_York)"
}

# check_numbers FIELD TEXT LEAST MOST: the numbers in a field of a cron expression are such as a clock or a calendar has. What follows / is a
# step, and what follows # a week of the month.
check_numbers() {
    local part parts
    IFS=,- read -ra parts <<<"$2"
    for part in "${parts[@]}"; do
        part=${part%%[/#]*}
        [[ ! $part =~ ^[0-9]+$ ]] || { ((${#part} <= 4)) && ((10#$part >= $3 && 10#$part <= $4)); } ||
            fail "ScheduleExpression=$ScheduleExpression: the $1 cannot be $part: it must be from $3 to $4"
    done
}

# check_excluded: an account that runs leave out is enforced in by none. What runs may have it so, to leave an account out for a while.
check_excluded() {
    local EnforceIn ExcludeAccounts account
    [[ -v asked[EnforceIn] || -v asked[ExcludeAccounts] ]] || return 0
    setting EnforceIn
    setting ExcludeAccounts
    for account in ${ExcludeAccounts//,/ }; do
        [[ ,$EnforceIn, != *",$account,"* ]] ||
            fail "$account is in both EnforceIn=$EnforceIn and ExcludeAccounts=$ExcludeAccounts: scheduled runs would leave it out, and nothing in it be enforced. Take it out of one of them"
    done
}

# check_exemption_group: the stacks would make a group of another name anew, empty, in every account: whoever was exempt would not be.
check_exemption_group() {
    local asked_for=${asked[IAMExemptionGroup]-} is=${running[IAMExemptionGroup]-}
    [[ -z $asked_for || -z $is || $asked_for == "$is" || ${asked[CreateExemptionGroup]-} == No ]] ||
        fail "IAMExemptionGroup=$asked_for: members of $is would not be exempt any more, as they are not carried over. Make the group $asked_for with its members in every account, and give --set CreateExemptionGroup=No as well"
}

# read_running READER: fills the caller's `running` with what READER puts into SETTINGS. What cannot be read ends the run: it is not
# taken for "not set".
read_running() {
    local name value
    # shellcheck disable=SC2086 # a reader may come with an argument
    $1
    while IFS=$'\t' read -r name value; do
        [[ -z $name ]] || running[$name]=$value
    done <<<"$SETTINGS"
}

# The reader of what is not there.
none() { SETTINGS=""; }

# settle NAME TEMPLATE READER: fills `effective`, by name, and prints it. What is asked for wins; else what is running has (READER
# reads its names and values); else the template's default. A setting that would get another value than the one asked for is
# refused here, before anything is done.
declare -A effective=()
settle() {
    local what=$1 template=$2 name source
    local -A running=()
    read_running "$3"
    effective=()
    say "Settings of $what:"
    for name in ${names[$template]}; do
        if [[ -v asked[$name] ]]; then
            effective[$name]=${asked[$name]} source="asked for"
        elif [[ -v running[$name] ]]; then
            effective[$name]=${running[$name]} source="as it is"
        else
            effective[$name]=${defaults["$template $name"]} source=default
        fi
        printf '  %-30s %s  (%s)\n' "$name" "${effective[$name]:-(none)}" "$source"
    done
    for name in "${!asked[@]}"; do
        ! takes "$template" "$name" || [[ ${effective[$name]-} == "${asked[$name]}" ]] ||
            fail "$what would not have $name=${asked[$name]}, which was asked for"
    done
}

# agrees READER: whether what is running has the settings in `effective`; names the first that it has not in DIFFERENCE
agrees() {
    local name
    local -A running=()
    read_running "$1"
    for name in "${!effective[@]}"; do
        DIFFERENCE="$name=${running[$name]-} instead of $name=${effective[$name]}"
        [[ ${running[$name]-} == "${effective[$name]}" ]] || return 1
    done
}

# confirm NAME READER: what was made is what was to be. A setting that was lost on the way is not found out months later.
confirm() {
    agrees "$2" || fail "$1 has $DIFFERENCE"
}

# Stacks that are there.
declare -A there=()

# parameters_of_stack STACK: fills SETTINGS with name and value, one a line; with nothing where there is no such stack
parameters_of_stack() {
    SETTINGS=""
    [[ ! -v there[$1] ]] || look SETTINGS aws cloudformation describe-stacks --stack-name "$1" --output text \
        --query 'Stacks[0].Parameters[].[ParameterKey,ParameterValue]'
}

# json_parameters -> `effective` as CloudFormation's list of parameters. In the shorter spelling a comma would end a value.
json_parameters() {
    local name value separator="["
    for name in "${!effective[@]}"; do
        value=${effective[$name]//\\/\\\\}
        printf '%s{"ParameterKey":"%s","ParameterValue":"%s"}' "$separator" "$name" "${value//\"/\\\"}"
        separator=,
    done
    printf ']'
}

# The change set that is being looked at, as options of the CLI. A plan leaves nothing, also where it is interrupted.
change_set=()
discard_change_set() {
    ((${#change_set[@]} == 0)) || aws cloudformation delete-change-set "${change_set[@]}" >/dev/null 2>&1 || true
    change_set=()
}
trap 'discard_change_set; rm -rf "$SCRATCH"' EXIT

# show_changes STACK OPTION...: what an update of a running stack would change, by a change set that is thrown away
show_changes() {
    local name=$1 said changes=""
    local which=(--stack-name "$name" --change-set-name "plan-$$")
    shift
    change_set=("${which[@]}")
    if said=$(aws cloudformation create-change-set "${which[@]}" --change-set-type UPDATE --capabilities CAPABILITY_NAMED_IAM "$@" 2>&1); then
        # Where there is nothing to change it fails, and only its reason says so.
        aws cloudformation wait change-set-create-complete "${which[@]}" 2>/dev/null || true
        said=$(aws cloudformation describe-change-set "${which[@]}" --output text --query '[Status,StatusReason]' 2>&1) || true
        [[ $said != CREATE_COMPLETE* ]] || changes=$(aws cloudformation describe-change-set "${which[@]}" --output text \
            --query 'Changes[].ResourceChange.[Action,LogicalResourceId,ResourceType,Replacement]' 2>&1) || said=$changes
    fi
    # Also where it was made and the answer got lost.
    discard_change_set
    case $said in
    CREATE_COMPLETE*) say "would change in $name (action, resource, type, replaced?):"$'\n'"$changes" ;;
    *"didn't contain changes"* | *"No updates are to be performed"*) say "would change nothing in $name" ;;
    *) fail "what would change in $name cannot be shown: $said" ;;
    esac
}
