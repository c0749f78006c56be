//! What the stacks make of their parameters: where a fleet enforces, when it is missed, what its endpoints are called.

use key_rotation_aws::command_line;
use producer::cli::{Cli, Command, OnQueueCommand};
use producer::organization::Scope;
use serde_json::json;

use end_to_end::deployment::{Deployment, FLEET};

#[test]
fn in_china_where_no_mail_can_be_sent_a_fleet_audits_until_somebody_says_that_the_log_is_notice_enough() {
    let dry_run =
        |given: &[(&str, &str)]| Deployment::new("fleet.yaml", FLEET, given).variable("WorkerTask", "DRY_RUN");
    let (china, enforce, in_log) = (("AWS::Partition", "aws-cn"), ("DryRunFlag", "False"), ("NoticesInLog", "True"));
    for (given, audits) in [
        (vec![], "true"),
        (vec![enforce], "false"),
        (vec![china, enforce], "true"),
        (vec![china, in_log], "true"),
        (vec![china, enforce, in_log], "false"),
    ] {
        assert_eq!(dry_run(&given).as_deref(), Some(audits), "{given:?}");
    }
}

#[test]
fn where_a_fleet_enforces_and_whom_it_leaves_out_is_what_its_producer_is_started_with() {
    let fleet = |given: &[(&str, &str)]| Deployment::new("fleet.yaml", FLEET, given);
    let schedule = |given: &[(&str, &str)]| {
        let line = fleet(given).command("ProducerTask").join(" ");
        let words: Vec<_> = line.split(' ').map(Into::into).collect();
        let cli: Cli = command_line::try_parse(&words).expect("the producer understands it");
        let Command::OnQueue(OnQueueCommand::Schedule(options)) = cli.command else { panic!("{line}") };
        let Scope { units, accounts, excluded } = options.scope;
        let taken = (units.len(), accounts.iter().map(ToString::to_string).collect());
        (fleet(given).variable("ProducerTask", "ENFORCE_IN"), taken, excluded.len())
    };
    let places = "ou-ab12-34cd56ef,123456789012";
    assert_eq!(schedule(&[]), (None, (0, vec![]), 0));
    assert_eq!(
        schedule(&[("EnforceIn", places), ("ExcludeAccounts", "111111111111,222222222222")]),
        (Some(places.to_owned()), (0, vec![]), 2)
    );
    // The management account has the member role as well, and is in no unit unless somebody has moved it into one.
    let management = ("OrgListAccount", "999999999999");
    let units = ("RunIn", "ou-ab12-34cd56ef,ou-ab12-99cd56ef");
    assert_eq!(schedule(&[units, management]), (None, (2, vec!["999999999999".to_owned()]), 0));
}

#[test]
fn the_alarm_on_missing_runs_tells_of_a_daily_schedule_alone() {
    for (given, tells) in
        [(vec![], true), (vec![("ScheduleState", "DISABLED")], false), (vec![("AuditRunInterval", "7")], false)]
    {
        let fleet = Deployment::new("fleet.yaml", FLEET, &given);
        assert_eq!(fleet.document("NoRun", "ActionsEnabled"), json!(tells), "{given:?}");
    }
}

/// As `aws ec2 describe-vpc-endpoint-services` has them in each partition.
#[test]
fn endpoint_services_have_the_names_of_their_partition() {
    for (partition, sqs, docker, logs) in [
        ("aws", "com.amazonaws", "com.amazonaws", "com.amazonaws"),
        ("aws-us-gov", "com.amazonaws", "com.amazonaws", "com.amazonaws"),
        ("aws-cn", "cn.com.amazonaws", "cn.com.amazonaws", "com.amazonaws"),
        ("aws-eusc", "com.amazonaws", "eu.amazonaws", "com.amazonaws"),
    ] {
        let endpoints = Deployment::new("vpc-endpoints.yaml", FLEET, &[("AWS::Partition", partition)]);
        for (endpoint, prefix, service) in [
            ("Sqs", sqs, "sqs"),
            ("Sts", sqs, "sts"),
            ("EcrApi", docker, "ecr.api"),
            ("EcrDocker", docker, "ecr.dkr"),
            ("Logs", logs, "logs"),
        ] {
            let name = json!(format!("{prefix}.eu-west-1.{service}"));
            assert_eq!(endpoints.document(endpoint, "ServiceName"), name, "{partition}");
        }
    }
}
