"""Questions to IAM."""

from desk import Answer, taken
from stand_ins import Key

NOBODY = "AKIAAAAAAAAAAAAAAAAA"
PAGING = "IAM API: MaxItems, IsTruncated, Marker of each list"
TAGGING = "IAM User Guide: Tags for IAM resources"


def tagged(desk, *pairs, user=None):
    user = user or desk.a_user()
    desk.iam.tag_user(UserName=user, Tags=[{"Key": key, "Value": value} for key, value in pairs])
    return user


def tags(desk, user):
    return {tag["Key"]: tag["Value"] for tag in desk.iam.list_user_tags(UserName=user)["Tags"]}


def another_accounts_key(desk):
    other = desk.an_account()
    desk.aws.add_user(other, "somebody", {}, [])
    key = desk.aws.add_key(other, "somebody", Key(3))
    return desk.iam.get_access_key_last_used(AccessKeyId=key)["UserName"]


def never_used(desk):
    key = desk.a_key(desk.a_user(keys=1))
    return desk.iam.get_access_key_last_used(AccessKeyId=key)["AccessKeyLastUsed"]


def update(desk, user, key, status="Inactive"):
    desk.iam.update_access_key(UserName=user, AccessKeyId=key, Status=status)
    return "taken"


def updated_twice(desk):
    user = desk.a_user(keys=1)
    update(desk, user, desk.a_key(user))
    return update(desk, user, desk.a_key(user))


def update_to(status):
    def ask(desk):
        user = desk.a_user(keys=1)
        return update(desk, user, desk.a_key(user), status)

    return ask


def delete(desk, user, key):
    return taken(desk.iam.delete_access_key(UserName=user, AccessKeyId=key))


def delete_active(desk):
    user = desk.a_user(keys=1)
    return delete(desk, user, desk.a_key(user))


def delete_twice(desk):
    user = desk.a_user(keys=1)
    key = desk.a_key(user)
    delete(desk, user, key)
    return delete(desk, user, key)


def fifty_one_tags(desk):
    user = tagged(desk, *((f"key-{number}", "x") for number in range(50)))
    return taken(tagged(desk, ("one-more", "x"), user=user))


def two_cases_of_one_tag(desk):
    user = tagged(desk, ("Department", "foo"))
    return tags(desk, tagged(desk, ("department", "bar"), user=user))


def in_upper_case(desk):
    user = desk.a_user()
    found = desk.iam.get_user(UserName=user.upper())["User"]["UserName"]
    return "found, by its own name" if found == user else found


def again_in_upper_case(desk):
    return taken(desk.iam.create_user(UserName=desk.a_user().upper()))


def two_of(listing, name, **more):
    """Asks for a page of two where there are more: how many come, and whether the answer says that there are more."""

    def ask(desk):
        user = tagged(desk, ("a", "1"), ("b", "2"), ("c", "3"))
        named = {"UserName": user} if listing == "list_user_tags" else {}
        desk.a_user(), desk.a_user()
        answer = getattr(desk.iam, listing)(MaxItems=2, **named, **more)
        return "2, and more to come" if (len(answer[name]), answer["IsTruncated"]) == (2, True) else "all at once"

    return ask


def group_page(desk):
    group = desk.new("group")
    desk.iam.create_group(GroupName=group)
    for _ in range(3):
        desk.iam.add_user_to_group(GroupName=group, UserName=desk.a_user())
    answer = desk.iam.get_group(GroupName=group, MaxItems=2)
    return "2, and more to come" if (len(answer["Users"]), answer.get("IsTruncated")) == (2, True) else "all at once"


def attach(arn):
    def ask(desk):
        return taken(desk.iam.attach_user_policy(UserName=desk.a_user(), PolicyArn=arn.format(desk.account)))

    return ask


IAM = [
    Answer("a third access key", lambda desk: desk.a_user(keys=3), "LimitExceeded", "CreateAccessKey"),
    Answer(
        "a key for a user that is not there", lambda desk: desk.iam.create_access_key(UserName="none"), "NoSuchEntity",
        "CreateAccessKey",
    ),
    Answer(
        "keys of a user that is not there", lambda desk: desk.iam.list_access_keys(UserName="none"), "NoSuchEntity",
        "ListAccessKeys",
    ),
    Answer(
        "a key's last use where it was never used", never_used, {"ServiceName": "N/A", "Region": "N/A"}, "GetAccessKeyLastUsed",
    ),
    Answer(
        "a key's last use where the key is another account's", another_accounts_key, "AccessDenied",
        "not documented; AWS refuses as if the right were missing. The product takes either for \"not known whose\"",
        "somebody",
    ),
    Answer(
        "a key's last use where nobody has the key", lambda desk: desk.iam.get_access_key_last_used(AccessKeyId=NOBODY),
        "AccessDenied", "as above", "NoSuchEntity",
    ),
    Answer(
        "a key that is not there switched off", lambda desk: update(desk, desk.a_user(), NOBODY), "NoSuchEntity",
        "UpdateAccessKey",
    ),
    Answer("a key switched off twice", updated_twice, "taken", "UpdateAccessKey"),
    Answer(
        "a key switched to an unknown status", update_to("Sleeping"), "ValidationError",
        "UpdateAccessKey: valid values", "taken",
    ),
    Answer("an active key deleted", delete_active, "taken", "DeleteAccessKey"),
    Answer("a key deleted twice", delete_twice, "NoSuchEntity", "DeleteAccessKey"),
    Answer(
        "a key deleted by another user's name", lambda desk: delete(desk, desk.a_user(), desk.a_key(desk.a_user(keys=1))),
        "NoSuchEntity", "DeleteAccessKey",
    ),
    Answer(
        "a user by its name in upper case", in_upper_case, "found, by its own name",
        "CreateUser: \"Names are not distinguished by case\"", "NoSuchEntity",
    ),
    Answer("a user made again in upper case", again_in_upper_case, "EntityAlreadyExists", "CreateUser", "taken"),
    Answer("a user that is not there", lambda desk: desk.iam.get_user(UserName="none"), "NoSuchEntity", "GetUser"),
    Answer("a group that is not there", lambda desk: desk.iam.get_group(GroupName="none"), "NoSuchEntity", "GetGroup"),
    Answer("a fifty-first tag", fifty_one_tags, "LimitExceeded", "IAM and STS quotas", "taken"),
    Answer(
        "a tag's value with a comma", lambda desk: taken(tagged(desk, ("a", "x,y"))), "ValidationError", "Tag: pattern",
        "taken",
    ),
    Answer(
        "a tag's value of 257 characters", lambda desk: taken(tagged(desk, ("a", "x" * 257))), "ValidationError", "Tag: length",
        "taken",
    ),
    Answer(
        "a tag's key of 129 characters", lambda desk: taken(tagged(desk, ("a" * 129, "x"))), "ValidationError", "Tag: length",
        "taken",
    ),
    Answer(
        "a tag's key that begins with aws:", lambda desk: taken(tagged(desk, ("aws:x", "x"))), "InvalidInput", TAGGING, "taken",
    ),
    Answer(
        "one tag twice in a call", lambda desk: taken(tagged(desk, ("a", "x"), ("a", "y"))), "InvalidInput", "TagUser", "taken",
    ),
    Answer(
        "tags whose keys differ in case alone", two_cases_of_one_tag, {"department": "bar"}, f"{TAGGING}: case sensitivity",
        {"Department": "foo", "department": "bar"},
    ),
    Answer("a tag on a user that is not there", lambda desk: tagged(desk, ("a", "x"), user="none"), "NoSuchEntity", "TagUser"),
    Answer(
        "a tag taken off that is not there", lambda desk: taken(desk.iam.untag_user(UserName=desk.a_user(), TagKeys=["a"])),
        "taken", "UntagUser",
    ),
    Answer("two users of more", two_of("list_users", "Users"), "2, and more to come", PAGING, "all at once"),
    Answer("two tags of more", two_of("list_user_tags", "Tags"), "2, and more to come", PAGING, "all at once"),
    Answer(
        "two users' details of more", two_of("get_account_authorization_details", "UserDetailList", Filter=["User"]),
        "2, and more to come", PAGING, "all at once",
    ),
    Answer("two members of a group of more", group_page, "2, and more to come", PAGING, "all at once"),
    Answer("a policy attached that is not there", attach("arn:aws:iam::{}:policy/none"), "NoSuchEntity", "AttachUserPolicy"),
]
