//! A rule of EventBridge, read out of the template: its pattern and its transformer, as far as ours use them. What it does not know
//! fails the test.
//!
//! User guide: "Event pattern comparison operators" and "Input transformation".

use serde_json::Value;

/// Whether an event is what the pattern asks for.
pub fn matches(pattern: &Value, event: &Value) -> bool {
    pattern.as_object().expect("a pattern is an object").iter().all(|(name, wanted)| match wanted {
        Value::Array(patterns) if name == "$or" => patterns.iter().any(|pattern| matches(pattern, event)),
        Value::Array(alternatives) => {
            let found = event.get(name);
            alternatives.iter().any(|alternative| is_met(alternative, found))
        }
        // Of an array of objects one has to match.
        nested => match event.get(name) {
            Some(Value::Array(items)) => items.iter().any(|item| matches(nested, item)),
            Some(event) => matches(nested, event),
            None => matches(nested, &Value::Object(Default::default())),
        },
    })
}

fn is_met(alternative: &Value, found: Option<&Value>) -> bool {
    let Value::Object(operator) = alternative else { return found == Some(alternative) };
    let (name, argument) = operator.iter().next().expect("an operator");
    let text = found.and_then(Value::as_str);
    match name.as_str() {
        "exists" => argument.as_bool() == Some(found.is_some()),
        "anything-but" => found.is_some_and(|found| found != argument),
        "prefix" => text.is_some_and(|text| text.starts_with(argument.as_str().expect("a prefix"))),
        other => panic!("the operator {other} is not known here"),
    }
}

/// What a target gets of an event.
pub fn transformed(transformer: &Value, event: &Value) -> String {
    let mut text = transformer["InputTemplate"].as_str().expect("a template").to_owned();
    for (name, path) in transformer["InputPathsMap"].as_object().expect("paths") {
        let value = at(event, path.as_str().expect("a path"));
        // "If you specify a variable to match a JSON path that doesn't exist in the event, that variable isn't created."
        text = text.replace(&format!("<{name}>"), &value.map(Value::to_string).unwrap_or_default());
    }
    text
}

/// A value by its path: names and indices.
fn at<'a>(event: &'a Value, path: &str) -> Option<&'a Value> {
    let path = path.strip_prefix("$.").expect("a path from the root").replace('[', ".").replace(']', "");
    path.split('.').try_fold(event, |value, part| match part.parse::<usize>() {
        Ok(index) => value.get(index),
        Err(_) => value.get(part),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn patterns_take_what_they_ask_for_and_nothing_else() {
        let pattern = json!({"a": ["x", "y"], "b": {"c": [{"exists": false}]}, "e": {"f": [{"prefix": "AK"}]}});
        let event = |a: &str, b: Value, f: &str| json!({"a": a, "b": b, "e": [{"f": "no"}, {"f": f}]});
        assert!(matches(&pattern, &event("x", json!({}), "AKIA")));
        assert!(matches(&pattern, &event("y", json!({"d": 1}), "AKIA")));
        assert!(!matches(&pattern, &event("z", json!({}), "AKIA")));
        assert!(!matches(&pattern, &event("x", json!({"c": "d"}), "AKIA")));
        assert!(!matches(&pattern, &event("x", json!({}), "ASIA")));
        let either = json!({"$or": [{"a": ["x"]}, {"b": {"c": [{"anything-but": 0}]}}]});
        assert!(matches(&either, &event("x", json!({"c": 0}), "")));
        assert!(matches(&either, &event("z", json!({"c": 1}), "")));
        assert!(!matches(&either, &event("z", json!({"c": 0}), "")) && !matches(&either, &event("z", json!({}), "")));
    }
}
