//! The CloudFormation templates, read as far as rights are concerned.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Map, Value, json};
use serde_norway::Value as Yaml;

pub const ALL: [&str; 10] = [
    "exposed-keys-member.yaml",
    "exposed-keys.yaml",
    "fleet.yaml",
    "image-repository.yaml",
    "kms.yaml",
    "member-role.yaml",
    "monitoring.yaml",
    "org-list-role.yaml",
    "tag-guard.yaml",
    "vpc-endpoints.yaml",
];

/// A template, with CloudFormation's short tags written out: `!Ref x` is `{"Ref": "x"}`.
#[derive(Debug)]
pub struct Template(Value);

impl Template {
    /// Reads one by its file name.
    pub fn read(file: &str) -> Self {
        Self::parse(&Self::text(file))
    }

    pub fn text(file: &str) -> String {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cloudformation").join(file);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Takes a text as one.
    pub fn parse(text: &str) -> Self {
        Self(written_out(serde_norway::from_str(text).expect("a template is YAML")))
    }

    pub fn whole(&self) -> &Value {
        &self.0
    }

    /// A resource by its logical id.
    pub fn resource(&self, id: &str) -> &Value {
        let resource = &self.0["Resources"][id];
        assert!(resource.is_object(), "the template has no resource {id}");
        resource
    }

    /// The statements of a role: its own and those of the policies that name it.
    pub fn statements_of(&self, role: &str) -> Vec<Statement> {
        let own = self.resource(role)["Properties"]["Policies"].as_array().into_iter().flatten();
        let resources = self.0["Resources"].as_object().expect("a template has resources").values();
        let attached = resources.filter(|resource| resource["Type"] == "AWS::IAM::Policy").map(|it| &it["Properties"]);
        let attached = attached
            .filter(|policy| policy["Roles"].as_array().is_some_and(|roles| roles.contains(&json!({"Ref": role}))));
        let documents = own.chain(attached).map(|policy| &policy["PolicyDocument"]["Statement"]);
        let statements = documents.flat_map(|list| list.as_array().expect("statements are a list"));
        statements.cloned().map(Statement).collect()
    }

    /// Shows every text in it.
    pub fn each_text(&self, mut look: impl FnMut(&str)) {
        let mut open = vec![&self.0];
        while let Some(value) = open.pop() {
            match value {
                Value::String(text) => look(text),
                Value::Array(items) => open.extend(items),
                Value::Object(fields) => open.extend(fields.values()),
                Value::Null | Value::Bool(_) | Value::Number(_) => {}
            }
        }
    }
}

/// A statement of a policy.
#[derive(Debug, Clone)]
pub struct Statement(Value);

impl Statement {
    /// Whether it allows; otherwise it denies.
    pub fn allows(&self) -> bool {
        match self.0["Effect"].as_str() {
            Some("Allow") => true,
            Some("Deny") => false,
            other => panic!("{other:?} is no effect"),
        }
    }

    pub fn actions(&self) -> BTreeSet<String> {
        assert!(self.0["NotAction"].is_null(), "{self:?}");
        listed(&self.0["Action"]).map(|action| action.as_str().expect("an action is a text").to_owned()).collect()
    }

    /// Its resources that are written as texts, literally or with variables.
    pub fn resources(&self) -> impl Iterator<Item = &str> {
        assert!(self.0["NotResource"].is_null(), "{self:?}");
        listed(&self.0["Resource"]).map(|resource| {
            let written = [resource, &resource["Fn::Sub"], &resource["Fn::GetAtt"], &resource["Ref"]];
            written.into_iter().find_map(Value::as_str).unwrap_or_default()
        })
    }

    pub fn condition(&self) -> &Value {
        &self.0["Condition"]
    }
}

/// What may be one value or a list of them.
fn listed(value: &Value) -> impl Iterator<Item = &Value> {
    let (one, many) = match value {
        Value::Null => panic!("a statement lacks an element"),
        Value::Array(items) => (None, Some(items)),
        one => (Some(one), None),
    };
    one.into_iter().chain(many.into_iter().flatten())
}

fn written_out(yaml: Yaml) -> Value {
    match yaml {
        Yaml::Null => Value::Null,
        Yaml::Bool(truth) => Value::Bool(truth),
        Yaml::Number(number) => serde_json::to_value(number).expect("a number"),
        Yaml::String(text) => Value::String(text),
        Yaml::Sequence(items) => Value::Array(items.into_iter().map(written_out).collect()),
        Yaml::Mapping(fields) => {
            let fields = fields.into_iter().map(|(key, value)| {
                let Yaml::String(key) = key else { panic!("{key:?} is no key") };
                (key, written_out(value))
            });
            Value::Object(fields.collect::<Map<_, _>>())
        }
        Yaml::Tagged(tagged) => {
            let tag = tagged.tag.to_string();
            let name = match tag.trim_start_matches('!') {
                short @ ("Ref" | "Condition") => short.to_owned(),
                function => format!("Fn::{function}"),
            };
            json!({name: written_out(tagged.value)})
        }
    }
}
