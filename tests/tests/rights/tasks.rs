//! Which ends of tasks reach the alarm topic: the fleet's rule, asked about ECS's events.
//!
//! The events are as ECS documents them: Developer Guide, "Amazon ECS task state change events"; API reference, `Task`, `stopCode`, and
//! `Container`, where one that has not run has no `exitCode`.

use serde_json::{Value, json};

use end_to_end::deployment::{Deployment, FLEET};
use end_to_end::eventbridge::matches;

const CLUSTER: &str = "arn:aws:ecs:eu-west-1:111111111111:cluster/iam-key-rotation";
const PRODUCER: &str = "family:iam-key-rotation-producer";
const WORKER: &str = "service:iam-key-rotation-worker";

/// A task's event: of this group, with its state, the code and reason of its stop, and the exit code of its container.
fn task(group: &str, state: &str, stop: Option<(&str, &str)>, exit_code: Option<i32>) -> Value {
    let mut event = json!({
        "version": "0",
        "id": "3317b2af-7005-947d-b652-f55e762e571a",
        "detail-type": "ECS Task State Change",
        "source": "aws.ecs",
        "account": FLEET,
        "time": "2026-03-01T17:57:58Z",
        "region": "eu-west-1",
        "resources": ["arn:aws:ecs:eu-west-1:111111111111:task/iam-key-rotation/c13b4cb40f1f4fe4a2971f76ae5a47ad"],
        "detail": {
            "clusterArn": CLUSTER,
            "containers": [{
                "containerArn": "arn:aws:ecs:eu-west-1:111111111111:container/cf159fd6-3e3f-4a9e-84f9-66cbe726af01",
                "image": "111111111111.dkr.ecr.eu-west-1.amazonaws.com/iam-key-rotation:1",
                "lastStatus": state,
                "name": "program",
                "taskArn": "arn:aws:ecs:eu-west-1:111111111111:task/iam-key-rotation/c13b4cb40f1f4fe4a2971f76ae5a47ad",
                "networkInterfaces": [],
            }],
            "createdAt": "2026-03-01T17:57:08.943Z",
            "cpu": "256",
            "desiredStatus": state,
            "group": group,
            "lastStatus": state,
            "launchType": "FARGATE",
            "memory": "512",
            "startedBy": "ecs-svc/0000000000000000000",
            "taskArn": "arn:aws:ecs:eu-west-1:111111111111:task/iam-key-rotation/c13b4cb40f1f4fe4a2971f76ae5a47ad",
            "taskDefinitionArn": "arn:aws:ecs:eu-west-1:111111111111:task-definition/iam-key-rotation-worker:1",
            "version": 4,
        },
    });
    if let Some((code, reason)) = stop {
        event["detail"]["stopCode"] = json!(code);
        event["detail"]["stoppedReason"] = json!(reason);
    }
    if let Some(code) = exit_code {
        event["detail"]["containers"][0]["exitCode"] = json!(code);
    }
    event
}

fn is_told(event: &Value) -> bool {
    matches(&Deployment::new("fleet.yaml", FLEET, &[]).document("TasksFail", "EventPattern"), event)
}

#[test]
fn a_task_that_could_not_start_is_told_of_either_kind_and_for_whatever_reason() {
    let reasons = [
        "CannotPullContainerError: pull image manifest has been retried 5 time(s): not found",
        "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed",
        "ECS was unable to assume the role that was provided for this task",
        "Timeout waiting for network interface provisioning to complete.",
    ];
    for group in [PRODUCER, WORKER] {
        for reason in reasons {
            assert!(is_told(&task(group, "STOPPED", Some(("TaskFailedToStart", reason)), None)), "{group}: {reason}");
        }
    }
}

#[test]
fn a_task_of_either_kind_that_failed_is_told_and_an_orderly_stop_of_a_worker_is_not() {
    let exited = Some(("EssentialContainerExited", "Essential container in task exited"));
    // 2 is a setting that is wrong, 137 too little memory.
    for group in [PRODUCER, WORKER] {
        for code in [1, 2, 137, 255] {
            assert!(is_told(&task(group, "STOPPED", exited, Some(code))), "{group}: {code}");
        }
    }
    assert!(!is_told(&task(PRODUCER, "STOPPED", exited, Some(0))), "it has done its work");
    let scaled_in =
        Some(("ServiceSchedulerInitiated", "Scaling activity initiated by (deployment ecs-svc/0000000000000000000)"));
    assert!(!is_told(&task(WORKER, "STOPPED", scaled_in, Some(0))), "there was nothing left to do");
    assert!(!is_told(&task(WORKER, "STOPPED", Some(("UserInitiated", "Task stopped by user")), Some(0))));
    for state in ["PROVISIONING", "PENDING", "RUNNING"] {
        assert!(!is_told(&task(PRODUCER, state, None, None)), "{state}");
    }
}

#[test]
fn what_another_cluster_of_the_account_does_is_not_told() {
    let mut event = task(WORKER, "STOPPED", Some(("TaskFailedToStart", "CannotPullContainerError")), None);
    event["detail"]["clusterArn"] = json!("arn:aws:ecs:eu-west-1:111111111111:cluster/another");
    assert!(!is_told(&event));
}
