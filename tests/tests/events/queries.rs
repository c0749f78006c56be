//! The queries of the stack, run over what is really logged. CloudWatch Logs Insights is nowhere to be had but at AWS: this is as much of
//! its language as the queries use, and fails on what it does not know.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use end_to_end::template::Template;
use end_to_end::{ACCOUNT, Stage, USER};
use jiff::SignedDuration;
use producer::organization::Scope;
use producer::schedule::{self, ScheduleOptions};
use rotation::{Job, Task};
use sandbox::KeySpec;
use serde_json::{Map, Value, json};

use crate::log::Log;

type Row = Map<String, Value>;

/// The rows that a query of the stack finds in these lines.
fn run(query: &str, lines: &[Value]) -> Vec<Row> {
    let template = Template::read("monitoring.yaml");
    let text = template.resource(query)["Properties"]["QueryString"].as_str().expect("a query").to_owned();
    run_text(&text, lines)
}

fn run_text(text: &str, lines: &[Value]) -> Vec<Row> {
    let mut rows: Vec<Row> = lines.iter().map(|line| line.as_object().expect("a line").clone()).collect();
    for row in &mut rows {
        let time = row["timestamp"].clone();
        row.insert("@timestamp".to_owned(), time);
    }
    for command in text.split('|').map(str::trim) {
        let (name, rest) = command.split_once(' ').expect("a command and what it is about");
        let rest = rest.trim();
        match name {
            "filter" => {
                rows.retain(|row| rest.split(" or ").any(|all| all.split(" and ").all(|term| holds(row, term))));
            }
            "fields" => {
                let wanted: Vec<&str> = rest.split(',').map(str::trim).collect();
                rows.iter_mut().for_each(|row| row.retain(|name, _| wanted.contains(&name.as_str())));
            }
            "stats" => rows = stats(rest, &rows),
            "sort" => {
                let (field, order) = rest.split_once(' ').expect("a field and an order");
                rows.sort_by(|a, b| compare(a.get(field), b.get(field)));
                match order {
                    "desc" => rows.reverse(),
                    "asc" => {}
                    other => panic!("{other} is no order"),
                }
            }
            "limit" => rows.truncate(rest.parse().expect("a number")),
            other => panic!("the command {other} is not known here"),
        }
    }
    rows
}

fn holds(row: &Row, term: &str) -> bool {
    let mut words = term.trim().splitn(3, ' ');
    let mut word = || words.next().expect("a field, an operator, a value");
    let (field, operator, value) = (word(), word(), word());
    let wanted: Value = serde_json::from_str(value).expect("a text or a number");
    // What a line does not have equals nothing, and is not less or more than anything.
    let Some(found) = row.get(field) else { return operator == "!=" };
    let order = compare(Some(found), Some(&wanted));
    match operator {
        "=" => order == Ordering::Equal,
        "!=" => order != Ordering::Equal,
        ">" => order == Ordering::Greater,
        other => panic!("the operator {other} is not known here"),
    }
}

fn compare(a: Option<&Value>, b: Option<&Value>) -> Ordering {
    match (a, b) {
        (Some(Value::Number(a)), Some(Value::Number(b))) => a.as_f64().partial_cmp(&b.as_f64()).expect("numbers"),
        (a, b) => a.map(Value::to_string).cmp(&b.map(Value::to_string)),
    }
}

fn stats(text: &str, rows: &[Row]) -> Vec<Row> {
    let (aggregates, by) = text.rsplit_once(" by ").expect("what it is by");
    let by: Vec<&str> = by.split(',').map(str::trim).collect();
    let mut groups: BTreeMap<String, Vec<&Row>> = BTreeMap::new();
    for row in rows {
        let key: Vec<&Value> = by.iter().map(|field| row.get(*field).unwrap_or(&Value::Null)).collect();
        groups.entry(json!(key).to_string()).or_default().push(row);
    }
    let result = |rows: &Vec<&Row>| {
        let named = by.iter().map(|field| ((*field).to_owned(), rows[0].get(*field).cloned().unwrap_or_default()));
        let counted = aggregates.split(',').map(|aggregate| {
            let (call, name) = aggregate.trim().split_once(" as ").expect("a name");
            let (function, field) = call.trim_end_matches(')').split_once('(').expect("a function of a field");
            (name.to_owned(), aggregated(function, field, rows))
        });
        named.chain(counted).collect()
    };
    groups.values().map(result).collect()
}

fn aggregated(function: &str, field: &str, rows: &[&Row]) -> Value {
    let mut values: Vec<&Value> = rows.iter().filter_map(|row| row.get(field)).collect();
    let value = match function {
        "count" => return rows.len().into(),
        "sum" => return values.iter().filter_map(|value| value.as_u64()).sum::<u64>().into(),
        "latest" => values.last().copied(),
        "min" | "max" => {
            values.sort_by(|a, b| compare(Some(a), Some(b)));
            if function == "min" { values.first().copied() } else { values.last().copied() }
        }
        other => panic!("the function {other} is not known here"),
    };
    value.cloned().unwrap_or_default()
}

/// As the producer does it, so that its own lines are in the log.
async fn schedule(stage: &Stage) {
    let accounts = vec![ACCOUNT.parse().expect("an account id")];
    let options = ScheduleOptions { scope: Scope { accounts, ..Scope::default() }, ..ScheduleOptions::default() };
    let scheduled = schedule::run(&stage.connection("producer"), &stage.producer_settings(), &options).await;
    assert_eq!(scheduled.expect("it is on the queue").messages, 1);
}

/// An account with something of everything, worked on to the end, and one that is not reached.
async fn log_of_a_run() -> (Vec<Value>, String) {
    let log = Log::capture();
    let stage = Stage::new().await;
    let due = stage.user(&[KeySpec::aged(95).used_days_ago(1)]).remove(0);
    stage.user_named("overdue", &[KeySpec::aged(300).used_days_ago(1)]);
    stage.user_named("tagged", &[KeySpec::aged(5)]);
    stage.world(|world| {
        world.tag_user(ACCOUNT, "tagged", "key-rotation:rotate-after-days", "never");
        world.faults.deny(ACCOUNT, "iam:CreateAccessKey", Some("overdue"));
    });
    schedule(&stage).await;
    for _ in 0..12 {
        stage.work().await;
        stage.pass(SignedDuration::from_mins(21));
    }
    stage.world(|world| world.faults.deny(ACCOUNT, "iam:GetAccountAuthorizationDetails", None));
    schedule(&stage).await;
    for _ in 0..12 {
        stage.work().await;
        stage.pass(SignedDuration::from_mins(21));
    }
    (log.lines(), due)
}

#[tokio::test]
async fn each_query_of_the_stack_finds_what_it_is_for() {
    let (lines, due) = log_of_a_run().await;

    let runs = run("RunsQuery", &lines);
    assert_eq!(runs.len(), 2, "{runs:#?}");
    let one = runs.iter().find(|run| run["accounts"] == 1).expect("the run that reached its account");
    for (name, value) in [
        ("messages", 1),
        ("finished", 1),
        ("users", 3),
        ("failed", 1),
        ("overdue", 1),
        ("created", 1),
        ("refused_mails", 0),
    ] {
        assert_eq!(one[name], json!(value), "{name}: {one:#?}");
    }
    assert!(one["calls"].as_u64() > Some(10) && one["begun"].is_string());
    assert!(runs.iter().any(|run| run["accounts"] == 0 && run["not_reached"] == 1), "{runs:#?}");
    let last = |line: &Value| line["event"] == "message_processed" && line["messages_finished"] == 1;
    let until = lines.iter().position(last).expect("a message is finished");
    let under_way = run("RunsQuery", &lines[..until]);
    assert_eq!((&under_way[0]["messages"], &under_way[0]["finished"]), (&json!(1), &json!(0)), "{under_way:#?}");

    let overdue = run("OverdueQuery", &lines);
    assert_eq!((overdue.len(), &overdue[0]["account"], &overdue[0]["overdue"]), (1, &json!(ACCOUNT), &json!(1)));
    let not_reached = run("NotReachedQuery", &lines);
    assert_eq!((not_reached.len(), &not_reached[0]["reason"]), (1, &json!("Denied")));
    let findings = run("FindingsQuery", &lines);
    assert_eq!((findings.len(), &findings[0]["user"]), (1, &json!("tagged")));
    assert!(findings[0]["finding"].as_str().is_some_and(|text| text.contains("rotate-after-days")), "{findings:#?}");
    let failures = run("FailuresQuery", &lines);
    assert_eq!((failures.len(), &failures[0]["reason"]), (1, &json!("Denied")));

    let template = Template::read("monitoring.yaml");
    let text = template.resource("KeyQuery")["Properties"]["QueryString"].as_str().expect("a query").to_owned();
    let story = run_text(&text.replace("AKIAIOSFODNN7EXAMPLE", &due), &lines);
    let told: Vec<&Value> = story.iter().filter_map(|row| row.get("event")).collect();
    assert_eq!(told, ["published", "notified"]);
    assert!(story.iter().all(|row| row["user"] == USER));
}

#[test]
fn every_alarm_and_every_line_of_the_dashboard_is_about_a_metric_that_there_is() {
    let template = Template::read("monitoring.yaml");
    let known: Vec<&str> = key_rotation_aws::telemetry::metrics::METRICS.iter().map(|(name, _)| *name).collect();
    let resources = template.whole()["Resources"].as_object().expect("resources");
    let alarms = resources.values().filter(|resource| resource["Type"] == "AWS::CloudWatch::Alarm");
    let names: Vec<&str> = alarms.filter_map(|alarm| alarm["Properties"]["MetricName"].as_str()).collect();
    assert_eq!(names.len(), 6);
    assert!(names.iter().all(|name| known.contains(name)), "{names:?}");
    let body = &template.resource("Dashboard")["Properties"]["DashboardBody"]["Fn::Sub"];
    let body: Value = serde_json::from_str(body.as_str().expect("a body")).expect("the dashboard is JSON");
    let metrics = body["widgets"].as_array().expect("widgets").iter();
    let metrics = metrics.flat_map(|widget| widget["properties"]["metrics"].as_array().into_iter().flatten());
    let own = metrics.filter(|metric| metric[0] == "${NamePrefix}");
    let shown: Vec<&str> = own.filter_map(|metric| metric[1].as_str()).collect();
    assert!(shown.len() > 10 && shown.iter().all(|name| known.contains(name)), "{shown:?}");
}

#[tokio::test]
async fn where_no_account_has_the_exemption_group_the_alarm_to_the_administrator_is_raised_and_where_one_has_it_is_not()
{
    const OTHER: &str = "444455556666";
    let template = Template::read("monitoring.yaml");
    let alarm = &template.resource("ExemptionGroupNowhere")["Properties"];
    let metric = alarm["MetricName"].as_str().expect("a metric");
    assert_eq!(
        (&alarm["Statistic"], &alarm["ComparisonOperator"]),
        (&json!("Sum"), &json!("LessThanThreshold")),
        "it is about all accounts together"
    );
    assert!(alarm["AlarmActions"][0].to_string().contains("${NamePrefix}-alarms"), "the topic that people are told by");
    for somewhere in [false, true] {
        let log = Log::capture();
        let stage = Stage::new().await;
        stage.user(&[KeySpec::aged(5)]);
        stage.world(|world| {
            world.add_account(OTHER, "other", "other@example.org");
            if somewhere {
                world.add_group(OTHER, "IAMKeyRotationExemptionGroup");
            }
        });
        for account in [ACCOUNT, OTHER] {
            stage.send(&Job::new(account.parse().expect("an account id"), Task::Account)).await;
        }
        stage.work().await;
        let summaries = log.summaries();
        assert_eq!(summaries.len(), 2);
        let is_metric = |line: &Value| line["_aws"]["CloudWatchMetrics"][0].to_string().contains(metric);
        assert!(summaries.iter().all(is_metric), "{summaries:#?}");
        let sum: f64 = summaries.iter().filter_map(|line| line[metric].as_f64()).sum();
        let threshold = alarm["Threshold"].as_f64().expect("a number");
        assert_eq!(sum < threshold, !somewhere, "{summaries:#?}");
        let warned =
            log.lines().iter().filter(|line| line["level"] == "WARN" && line["exemption_group"].is_string()).count();
        assert_eq!(warned, if somewhere { 1 } else { 2 }, "the log says which accounts");
    }
}
