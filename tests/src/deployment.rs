//! A template with its parameters given: the policies as AWS gets them, every function of CloudFormation's worked out.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::template::Template;

/// The account that everything is deployed in, its organization, and where the fleet is.
pub const HERE: &str = "222222222222";
pub const FLEET: &str = "111111111111";
pub const ORGANIZATION: &str = "o-a1b2c3d4e5";
pub const KEY: &str = "arn:aws:kms:eu-west-1:111111111111:key/1234abcd";

/// What a stack asks for, besides the templates' defaults.
const PARAMETERS: [(&str, &str); 10] = [
    ("FleetAccount", FLEET),
    ("AWSOrgID", ORGANIZATION),
    ("OrgListAccount", "333333333333"),
    ("AdminEmailAddress", "admin@example.com"),
    ("ImageUri", "image:1"),
    ("VpcId", "vpc-1"),
    ("SubnetIds", "subnet-1"),
    ("ExternalId", "key-rotation"),
    ("EventBusName", "default"),
    ("TargetIds", "r-abcd"),
];

pub struct Deployment {
    template: Template,
    parameters: BTreeMap<String, String>,
    account: &'static str,
}

impl Deployment {
    /// The stack of this template in that account, with these parameters besides the usual ones.
    pub fn new(file: &str, account: &'static str, given: &[(&str, &str)]) -> Self {
        let template = Template::read(file);
        let defaults = template.whole()["Parameters"].as_object().into_iter().flatten();
        let mut parameters: BTreeMap<String, String> = defaults
            .filter_map(|(name, parameter)| match &parameter["Default"] {
                Value::Null => None,
                Value::String(text) => Some((name.clone(), text.clone())),
                other => Some((name.clone(), other.to_string())),
            })
            .collect();
        parameters
            .extend(PARAMETERS.iter().chain(given).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        Self { template, parameters, account }
    }

    /// The documents of a role: its own and those of the policies that name it.
    pub fn policies_of(&self, role: &str) -> Vec<Value> {
        let own = self.template.resource(role)["Properties"]["Policies"].as_array().into_iter().flatten();
        let attached = self.resources().filter(|(_, it)| it["Type"] == "AWS::IAM::Policy" && self.is_made(it));
        let attached = attached.map(|(_, it)| &it["Properties"]).filter(|policy| {
            policy["Roles"].as_array().is_some_and(|roles| roles.contains(&serde_json::json!({"Ref": role})))
        });
        own.chain(attached).map(|policy| self.worked_out(&policy["PolicyDocument"])).collect()
    }

    /// A variable of a task's container, if it is set.
    pub fn variable(&self, task: &str, name: &str) -> Option<String> {
        let container = &self.template.resource(task)["Properties"]["ContainerDefinitions"][0];
        let named = |entry: &&Value| entry.to_string().contains(&format!("\"{name}\""));
        let entry = container["Environment"].as_array().expect("variables").iter().find(named)?;
        Some(self.text(&self.value(entry)?["Value"]))
    }

    /// The command of a task's container.
    pub fn command(&self, task: &str) -> Vec<String> {
        let container = &self.template.resource(task)["Properties"]["ContainerDefinitions"][0];
        let command = self.value(&container["Command"]).expect("a command");
        command.as_array().expect("its words").iter().map(|word| self.text(word)).collect()
    }

    /// Whether the stack makes this resource.
    pub fn has(&self, resource: &str) -> bool {
        self.is_made(self.template.resource(resource))
    }

    /// A document of a resource, by the property that holds it.
    pub fn document(&self, resource: &str, property: &str) -> Value {
        self.worked_out(&self.template.resource(resource)["Properties"][property])
    }

    pub fn arn(&self, resource: &str) -> String {
        let properties = &self.template.resource(resource)["Properties"];
        let named = |property: &str| self.text(&properties[property]);
        let account = self.account;
        match self.template.resource(resource)["Type"].as_str() {
            Some("AWS::SQS::Queue") => format!("arn:aws:sqs:eu-west-1:{account}:{}", named("QueueName")),
            Some("AWS::SNS::Topic") => format!("arn:aws:sns:eu-west-1:{account}:{}", named("TopicName")),
            Some("AWS::IAM::Role") => format!("arn:aws:iam::{account}:role/{}", named("RoleName")),
            Some("AWS::IAM::ManagedPolicy") => format!("arn:aws:iam::{account}:policy/{}", named("ManagedPolicyName")),
            Some("AWS::ECS::Cluster") => format!("arn:aws:ecs:eu-west-1:{account}:cluster/{}", named("ClusterName")),
            other => panic!("{resource}: the ARN of {other:?} is asked for"),
        }
    }

    fn resources(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.template.whole()["Resources"].as_object().expect("a template has resources").iter()
    }

    fn is_made(&self, resource: &Value) -> bool {
        resource["Condition"].as_str().is_none_or(|name| self.holds(name))
    }

    fn worked_out(&self, value: &Value) -> Value {
        self.value(value).expect("a document is not left out")
    }

    fn text(&self, value: &Value) -> String {
        match self.value(value) {
            Some(Value::String(text)) => text,
            other => panic!("{value} is no text but {other:?}"),
        }
    }

    /// `None`: `AWS::NoValue`, which takes away whatever it is the value of.
    fn value(&self, value: &Value) -> Option<Value> {
        let Value::Object(fields) = value else {
            let Value::Array(items) = value else { return Some(value.clone()) };
            return Some(Value::Array(items.iter().filter_map(|item| self.value(item)).collect()));
        };
        let function = (fields.len() == 1).then(|| fields.iter().next().expect("one field"));
        let Some((name, argument)) = function.filter(|(name, _)| *name == "Ref" || name.starts_with("Fn::")) else {
            let fields = fields.iter().filter_map(|(name, it)| Some((name.clone(), self.value(it)?)));
            return Some(Value::Object(fields.collect::<Map<_, _>>()));
        };
        let many = || argument.as_array().expect("a list of arguments");
        match name.as_str() {
            "Ref" => self.reference(argument.as_str().expect("a name")),
            "Fn::GetAtt" => {
                let (resource, attribute) = argument.as_str().and_then(|it| it.split_once('.')).expect("its attribute");
                assert_eq!(attribute, "Arn");
                Some(Value::String(self.arn(resource)))
            }
            "Fn::Sub" => {
                let (pattern, own) = match argument {
                    Value::Array(arguments) => (&arguments[0], arguments[1].as_object()),
                    pattern => (pattern, None),
                };
                let mut pattern = pattern.as_str().expect("a pattern").to_owned();
                for (name, value) in own.into_iter().flatten() {
                    pattern = pattern.replace(&format!("${{{name}}}"), &self.text(value));
                }
                Some(Value::String(self.substituted(&pattern)))
            }
            "Fn::If" => self.value(&many()[if self.holds(many()[0].as_str().expect("a condition")) { 1 } else { 2 }]),
            "Fn::Join" => {
                let parts = self.value(&many()[1]).expect("parts");
                let parts: Vec<_> = parts.as_array().expect("parts").iter().filter_map(Value::as_str).collect();
                Some(Value::String(parts.join(many()[0].as_str().expect("a separator"))))
            }
            "Fn::FindInMap" => {
                let keys: Vec<_> = many().iter().map(|key| self.text(key)).collect();
                self.value(&self.template.whole()["Mappings"][&keys[0]][&keys[1]][&keys[2]])
            }
            "Fn::Split" => {
                let text = self.text(&many()[1]);
                Some(text.split(many()[0].as_str().expect("a separator")).map(str::to_owned).collect())
            }
            other => panic!("{other} is not known here"),
        }
    }

    fn reference(&self, name: &str) -> Option<Value> {
        if name == "AWS::NoValue" {
            return None;
        }
        if let Some(value) = pseudo_parameter(name, self.account) {
            // Another partition may have been given.
            return Some(Value::String(self.parameters.get(name).map_or(value, String::as_str).to_owned()));
        }
        let Some(value) = self.parameters.get(name) else { return Some(Value::String(self.arn(name))) };
        let kind = &self.template.whole()["Parameters"][name]["Type"];
        let is_list = kind.as_str().is_some_and(|it| it == "CommaDelimitedList" || it.starts_with("List<"));
        Some(if is_list { value.split(',').map(str::to_owned).collect() } else { Value::String(value.clone()) })
    }

    /// `${Name}` is replaced; `${!aws:username}` is `${aws:username}`, for IAM to replace.
    fn substituted(&self, pattern: &str) -> String {
        let mut parts = pattern.split("${");
        let mut text = parts.next().expect("a first part").to_owned();
        for part in parts {
            let (name, rest) = part.split_once('}').expect("a closed variable");
            match name.strip_prefix('!') {
                Some(variable) => text.push_str(&format!("${{{variable}}}")),
                None => text.push_str(&self.text(&serde_json::json!({"Ref": name}))),
            }
            text.push_str(rest);
        }
        text
    }

    fn holds(&self, condition: &str) -> bool {
        self.is_true(&self.template.whole()["Conditions"][condition])
    }

    fn is_true(&self, condition: &Value) -> bool {
        let (function, argument) = condition.as_object().and_then(|it| it.iter().next()).expect("a condition");
        let many = || argument.as_array().expect("a list of arguments");
        match function.as_str() {
            "Condition" => self.holds(argument.as_str().expect("a name")),
            "Fn::Not" => !self.is_true(&many()[0]),
            "Fn::Or" => many().iter().any(|it| self.is_true(it)),
            "Fn::And" => many().iter().all(|it| self.is_true(it)),
            "Fn::Equals" => self.value(&many()[0]) == self.value(&many()[1]),
            other => panic!("{other} is not known here"),
        }
    }
}

fn pseudo_parameter<'a>(name: &str, account: &'a str) -> Option<&'a str> {
    match name {
        "AWS::Partition" => Some("aws"),
        "AWS::Region" => Some("eu-west-1"),
        "AWS::URLSuffix" => Some("amazonaws.com"),
        "AWS::AccountId" => Some(account),
        _ => None,
    }
}
