//! `report.json` is as docs/report.schema.json says, and says nothing besides.

use producer::report::ReportOptions;
use sandbox::KeySpec;
use sandbox::world::{AccountState, MEMBER_ROLE};
use serde_json::{Value, json};

use crate::stage::{organization, report};

/// What is wrong with a value, by the words of JSON Schema that the file uses. A word that is not known here is wrong as well.
fn problems(schema: &Value, root: &Value, value: &Value, place: &str) -> Vec<String> {
    let mut told = Vec::new();
    for (word, says) in schema.as_object().expect("a schema") {
        match word.as_str() {
            "$schema" | "$id" | "$defs" | "title" | "description" => {}
            "$ref" => {
                let path = says.as_str().and_then(|path| path.strip_prefix('#')).expect("a reference into this file");
                told.extend(problems(root.pointer(path).expect("it is there"), root, value, place));
            }
            "type" => {
                let allowed = says.as_array().cloned().unwrap_or_else(|| vec![says.clone()]);
                if !allowed.iter().any(|name| has_type(value, name.as_str().expect("a type"))) {
                    told.push(format!("{place}: {value} is not {says}"));
                }
            }
            "const" if value != says => told.push(format!("{place}: {value} is not {says}")),
            "enum" if !says.as_array().expect("a list").contains(value) => {
                told.push(format!("{place}: {value} is none of {says}"));
            }
            "const" | "enum" => {}
            "required" if !value.is_object() => {}
            "required" => {
                let names = says.as_array().expect("a list").iter().filter_map(Value::as_str);
                told.extend(names.filter(|name| value.get(name).is_none()).map(|name| format!("{place} lacks {name}")));
            }
            "properties" => {
                for (name, inner) in says.as_object().expect("properties") {
                    let found = value.get(name).into_iter();
                    told.extend(found.flat_map(|found| problems(inner, root, found, &format!("{place}/{name}"))));
                }
            }
            "additionalProperties" => {
                let known = schema["properties"].as_object().expect("properties");
                let names = value.as_object().into_iter().flat_map(|object| object.keys());
                told.extend(names.filter(|name| !known.contains_key(*name)).map(|name| format!("{place} has {name}")));
            }
            "items" => {
                let items = value.as_array().into_iter().flatten().enumerate();
                told.extend(items.flat_map(|(n, item)| problems(says, root, item, &format!("{place}/{n}"))));
            }
            other => told.push(format!("{place}: the schema says {other}, which this test does not know")),
        }
    }
    told
}

fn has_type(value: &Value, name: &str) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "null" => value.is_null(),
        other => panic!("a type this test does not know: {other}"),
    }
}

fn schema() -> Value {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/report.schema.json");
    serde_json::from_str(&std::fs::read_to_string(file).expect("the schema is there")).expect("it is JSON")
}

/// A report in which every list has a row.
async fn full() -> Value {
    let (stage, accounts) = organization(8, 26).await;
    stage.world(|world| {
        world.remove_role(&accounts[0], MEMBER_ROLE);
        world.set_account_state(&accounts[1], AccountState::Suspended);
        let account = accounts[2].as_str();
        for user in ["ada", "eve", "bob"] {
            world.add_user(account, user);
            world.add_key(account, user, &KeySpec::aged(95).used_days_ago(1));
        }
        world.tag_user(account, "ada", "key-rotation:rotate-after-days", "soon");
        let successor = world.add_key(account, "eve", &KeySpec::aged(2));
        let old = world.user(account, "eve").holds.keys[0].id.clone();
        let told = "notified=2026-02-27T09:00:00Z until=2026-03-09T09:00:00Z";
        world.tag_user(account, "eve", &format!("key-rotation:state:{old}"), told);
        world.tag_user(account, "bob", "key-rotation:state:AKIAIOSFODNN7EXAMPLE", told);
        world.faults.deny(account, "iam:ListAccessKeys", Some("bob"));
        assert_ne!(successor, old);
    });
    let reported = report(&stage, ReportOptions::default()).await;
    for list in ["keys", "accounts", "not_active", "users_not_read", "findings", "exempt", "successors_not_installed"] {
        assert!(!reported.rows(list).is_empty(), "{list} is empty");
    }
    let foreseen = &reported.json["forecast"];
    assert!(foreseen["unforeseeable"].as_array().is_some_and(|rows| !rows.is_empty()), "{foreseen}");
    reported.json
}

#[tokio::test]
async fn the_data_is_as_the_schema_says_and_says_nothing_besides() {
    let (schema, data) = (schema(), full().await);
    assert_eq!(problems(&schema, &schema, &data, ""), Vec::<String>::new());
    assert_eq!(schema["properties"]["schema"]["const"], json!(producer::report::document::SCHEMA));

    // And the comparison sees what is missing, what is too much and what is of another kind, at whatever depth.
    for (place, value) in
        [("/summary/overdue", json!("1")), ("/keys/0/age_days", json!(null)), ("/keys/0/state", json!("old"))]
    {
        let mut wrong = data.clone();
        *wrong.pointer_mut(place).expect("it is there") = value;
        assert_eq!(problems(&schema, &schema, &wrong, "").len(), 1, "{place}");
    }
    let mut more = data.clone();
    more["accounts"][0]["email"] = json!("owner@example.com");
    assert_eq!(problems(&schema, &schema, &more, ""), ["/accounts/0 has email"]);
    let mut less = data;
    less["keys"][0].as_object_mut().expect("a key").remove("created");
    assert_eq!(problems(&schema, &schema, &less, ""), ["/keys/0 lacks created"]);
}
