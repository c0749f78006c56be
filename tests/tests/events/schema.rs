//! What `docs/event.schema.json` says. That lines and reports are as the schemas say is shown on what the programs write, by a validator
//! that others wrote: tests/second_opinion/schemas.py.

use std::collections::BTreeSet;

use rotation::EventKind;
use serde_json::Value;

fn key_event() -> Value {
    let schema: Value =
        serde_json::from_str(include_str!("../../../docs/event.schema.json")).expect("the schema is JSON");
    schema["$defs"]["key_event"]["properties"].clone()
}

/// The fields that a key event may have.
pub(crate) fn fields() -> BTreeSet<String> {
    key_event().as_object().expect("properties").keys().cloned().collect()
}

#[test]
fn the_schema_knows_every_kind_of_event_and_no_other() {
    let kinds: BTreeSet<&str> = EventKind::ALL.iter().map(|kind| kind.as_str()).collect();
    let known = key_event()["event"]["enum"].clone();
    assert_eq!(known.as_array().expect("a list").iter().filter_map(Value::as_str).collect::<BTreeSet<_>>(), kinds);
}
