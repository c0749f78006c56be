//! Checks values against the repository's JSON schemas: as much of JSON Schema 2020-12 as they use. A keyword that it does not know
//! fails the test, so that none is passed over. (The crate for the whole of it brings 35 others.)

use serde_json::Value;

/// A schema, and the definitions that it refers to.
pub(crate) struct Schema(Value);

impl Schema {
    /// `docs/event.schema.json`.
    pub(crate) fn of_events() -> Self {
        Self(serde_json::from_str(include_str!("../../../docs/event.schema.json")).expect("the schema is JSON"))
    }

    /// AWS's for lines with embedded metrics.
    pub(crate) fn of_embedded_metrics() -> Self {
        Self(serde_json::from_str(include_str!("embedded_metrics.schema.json")).expect("the schema is JSON"))
    }

    /// The values that the property of a definition may have.
    pub(crate) fn words(&self, definition: &str, property: &str) -> Vec<&str> {
        let values = self.0["$defs"][definition]["properties"][property]["enum"].as_array().expect("an enum");
        values.iter().filter_map(Value::as_str).collect()
    }

    /// The properties of a definition.
    pub(crate) fn properties(&self, definition: &str) -> Vec<&str> {
        let properties = self.0["$defs"][definition]["properties"].as_object().expect("properties");
        properties.keys().map(String::as_str).collect()
    }

    /// What is wrong with a value; nothing if it is valid.
    pub(crate) fn errors(&self, value: &Value) -> Vec<String> {
        let mut errors = Vec::new();
        self.check(&self.0, value, "", &mut errors);
        errors
    }

    pub(crate) fn assert_valid(&self, value: &Value) {
        let errors = self.errors(value);
        assert!(errors.is_empty(), "{}\n{value:#}", errors.join("\n"));
    }

    fn check(&self, schema: &Value, value: &Value, at: &str, errors: &mut Vec<String>) {
        for (keyword, wanted) in schema.as_object().expect("a schema is an object") {
            let number = wanted.as_f64().unwrap_or_default();
            let is_met = match keyword.as_str() {
                "$schema" | "$id" | "$defs" | "title" | "description" => true,
                "$ref" => {
                    let name = wanted.as_str().and_then(|path| path.strip_prefix("#/$defs/")).expect("a definition");
                    self.check(&self.0["$defs"][name], value, at, errors);
                    true
                }
                "oneOf" => {
                    let schemas = wanted.as_array().expect("a list of schemas");
                    let fits = |schema: &&Value| {
                        let mut errors = Vec::new();
                        self.check(schema, value, at, &mut errors);
                        errors.is_empty()
                    };
                    schemas.iter().filter(fits).count() == 1
                }
                "type" => is_of_type(value, wanted.as_str().expect("a type's name")),
                "const" => value == wanted,
                "enum" => wanted.as_array().expect("a list of values").contains(value),
                "minimum" => value.as_f64().is_none_or(|value| value >= number),
                "minLength" => value.as_str().is_none_or(|text| text.chars().count() as f64 >= number),
                "maxLength" => value.as_str().is_none_or(|text| text.chars().count() as f64 <= number),
                "minItems" => value.as_array().is_none_or(|items| items.len() as f64 >= number),
                "maxItems" => value.as_array().is_none_or(|items| items.len() as f64 <= number),
                "required" => {
                    let names = wanted.as_array().expect("a list of names").iter().filter_map(Value::as_str);
                    names.into_iter().all(|name| value.get(name).is_some())
                }
                "items" => {
                    for (n, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.check(wanted, item, &format!("{at}/{n}"), errors);
                    }
                    true
                }
                "properties" => {
                    for (name, schema) in wanted.as_object().expect("schemas by name") {
                        if let Some(value) = value.get(name) {
                            self.check(schema, value, &format!("{at}/{name}"), errors);
                        }
                    }
                    true
                }
                other => panic!("the schema's keyword {other} is not known here"),
            };
            if !is_met {
                errors.push(format!("{at}: {keyword} {wanted} is not met"));
            }
        }
    }
}

fn is_of_type(value: &Value, wanted: &str) -> bool {
    match wanted {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        other => panic!("the type {other} is not known here"),
    }
}

#[test]
fn what_is_wrong_is_found() {
    let schema = Schema::of_events();
    let event = |name: &str, value: Value| {
        let mut event = serde_json::json!({
            "schema_version": 1, "event": "disabled", "time": "2026-03-01T09:00:00Z", "message": "it was", "account": "111122223333",
            "dry_run": false,
        });
        event[name] = value;
        schema.errors(&event)
    };
    assert_eq!(event("user", "ada".into()), Vec::<String>::new());
    for (name, value) in [
        ("event", Value::from("vanished")),
        ("account", "1111".into()),
        ("dry_run", "no".into()),
        ("schema_version", 2.into()),
        ("user", 7.into()),
    ] {
        assert!(!event(name, value).is_empty(), "{name}");
    }
}
