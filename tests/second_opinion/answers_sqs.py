"""Questions to SQS."""

import json
import time

from desk import Answer, taken

SEND = "SendMessage"


def text(value):
    return {"DataType": "String", "StringValue": value}


def to_fifo(**more):
    return lambda desk: taken(desk.send(desk.a_queue(fifo=True), **more))


def to_standard(body="body", **more):
    return lambda desk: taken(desk.send(desk.a_queue(), body, **more))


def sent_twice(desk):
    queue = desk.a_queue(fifo=True)
    for _ in range(2):
        desk.send(queue, MessageGroupId="group", MessageDeduplicationId="same")
    return desk.waiting(queue)


def sent_again_after_it_was_deleted(desk):
    queue = desk.a_queue(fifo=True)
    desk.send(queue, MessageGroupId="group", MessageDeduplicationId="same")
    [message] = desk.receive(queue)
    desk.sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    desk.send(queue, MessageGroupId="group", MessageDeduplicationId="same")
    return desk.waiting(queue)


def one_group(desk, count=3):
    queue = desk.a_queue(fifo=True)
    for number in range(count):
        desk.send(queue, str(number), MessageGroupId="group", MessageDeduplicationId=str(number))
    return queue


def behind_one_in_flight(desk):
    queue = one_group(desk)
    return len(desk.receive(queue, MaxNumberOfMessages=1)), len(desk.receive(queue, MaxNumberOfMessages=10))


def in_order(desk):
    return [message["Body"] for message in desk.receive(one_group(desk), MaxNumberOfMessages=10)]


def handed_back(desk):
    queue = one_group(desk)
    [message] = desk.receive(queue)
    visibility(desk, queue, message, 0)
    return [message["Body"] for message in desk.receive(queue)]


def visibility(desk, queue, message, seconds):
    return taken(desk.sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=seconds))


def received(desk, **more):
    queue = desk.a_queue()
    desk.send(queue)
    [message] = desk.receive(queue, **more)
    return queue, message


def delete(desk, queue, message):
    return taken(desk.sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"]))


def deleted_twice(desk):
    queue, message = received(desk)
    delete(desk, queue, message)
    return delete(desk, queue, message)


def deleted_by_an_older_handle(desk):
    queue, message = received(desk, VisibilityTimeout=0)
    # SQS's times are milliseconds.
    time.sleep(0.05)
    desk.receive(queue, VisibilityTimeout=0)
    delete(desk, queue, message)
    return desk.waiting(queue)


def hidden_after_it_was_deleted(desk):
    queue, message = received(desk)
    delete(desk, queue, message)
    return visibility(desk, queue, message, 10)


def hidden_while_visible(desk):
    queue, message = received(desk, VisibilityTimeout=0)
    time.sleep(0.05)
    return visibility(desk, queue, message, 10)


def for_too_long(desk):
    return visibility(desk, *received(desk), 43_201)


def batch(*entries):
    def ask(desk):
        answer = desk.sqs.send_message_batch(QueueUrl=desk.a_queue(), Entries=list(entries))
        return len(answer.get("Successful", [])), [entry["Code"] for entry in answer.get("Failed", [])]

    return ask


def entry(number, **more):
    return {"Id": str(number), "MessageBody": "body", **more}


def dead_letter(desk):
    dead = desk.a_queue()
    queue = desk.a_queue(RedrivePolicy=json.dumps({"deadLetterTargetArn": desk.arn(dead), "maxReceiveCount": 1}))
    desk.send(queue)
    desk.receive(queue, VisibilityTimeout=0)
    time.sleep(0.05)
    again = len(desk.receive(queue))
    [letter] = desk.receive(dead)
    return again, "DeadLetterQueueSourceArn" in letter["Attributes"]


def redrive_policy(desk):
    dead = desk.arn(desk.a_queue())
    queue = desk.a_queue(RedrivePolicy=json.dumps({"deadLetterTargetArn": dead, "maxReceiveCount": "4"}))
    return json.loads(desk.attribute(queue, "RedrivePolicy")) == {"deadLetterTargetArn": dead, "maxReceiveCount": 4}


SQS = [
    Answer(
        "a queue that is not there", lambda desk: desk.send(desk.a_queue() + "-none"),
        "AWS.SimpleQueueService.NonExistentQueue", SEND,
    ),
    Answer("a FIFO message without a group", to_fifo(), "MissingParameter", SEND),
    Answer("a FIFO message without a deduplication id", to_fifo(MessageGroupId="group"), "InvalidParameterValue", SEND),
    Answer(
        "a FIFO message with a delay of its own", to_fifo(MessageGroupId="group", MessageDeduplicationId="one", DelaySeconds=5),
        "InvalidParameterValue", SEND,
    ),
    Answer(
        "a standard message with a deduplication id", to_standard(MessageDeduplicationId="one"), "InvalidParameterValue", SEND,
        "taken",
    ),
    Answer("a standard message with a group", to_standard(MessageGroupId="group"), "taken", "SendMessage: fair queues"),
    Answer("a deduplication id twice, while the first waits", sent_twice, 1, "MessageDeduplicationId"),
    Answer(
        "a deduplication id twice, when the first is deleted", sent_again_after_it_was_deleted, 0,
        "Developer Guide: five minutes, deleted or not", 1,
    ),
    Answer("a group's messages behind one in flight", behind_one_in_flight, (1, 0), "Developer Guide: FIFO delivery logic"),
    Answer("a group's messages at once, in order", in_order, ["0", "1", "2"], "Developer Guide: FIFO delivery logic"),
    Answer("a group's first message handed back", handed_back, ["0"], "ChangeMessageVisibility"),
    Answer(
        "eleven messages at once", lambda desk: desk.receive(desk.a_queue(), MaxNumberOfMessages=11), "InvalidParameterValue",
        "ReceiveMessage",
    ),
    Answer(
        "a wait of 21 seconds", lambda desk: desk.receive(desk.a_queue(), WaitTimeSeconds=21), "InvalidParameterValue",
        "ReceiveMessage",
    ),
    Answer("a message deleted twice", deleted_twice, "taken", "DeleteMessage"),
    Answer(
        "messages left after one was deleted by an older handle", deleted_by_an_older_handle, 1,
        "DeleteMessage: the most recent handle", 0,
    ),
    Answer(
        "a handle that is none", lambda desk: delete(desk, desk.a_queue(), {"ReceiptHandle": "nonsense"}),
        "ReceiptHandleIsInvalid", "DeleteMessage",
    ),
    Answer(
        "a deleted message hidden", hidden_after_it_was_deleted, "InvalidParameterValue",
        "not documented; reported by users of it", "ReceiptHandleIsInvalid",
    ),
    Answer(
        "a visible message hidden", hidden_while_visible, "AWS.SimpleQueueService.MessageNotInflight",
        "ChangeMessageVisibility", "taken",
    ),
    Answer("a message hidden for more than 12 hours", for_too_long, "InvalidParameterValue", "ChangeMessageVisibility"),
    Answer("a message without a body", to_standard(""), "MissingParameter", SEND, "taken"),
    Answer("a message with a control character", to_standard("a\x01b"), "InvalidMessageContents", SEND, "taken"),
    Answer(
        "a message attribute without a value", to_standard(MessageAttributes={"Name": text("")}), "InvalidParameterValue",
        "MessageAttributeValue", "taken",
    ),
    Answer(
        "eleven message attributes", to_standard(MessageAttributes={f"Name{number}": text("x") for number in range(11)}),
        "InvalidParameterValue", "Developer Guide: ten at most", "taken",
    ),
    Answer(
        "a batch of eleven", batch(*map(entry, range(11))), "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
        "SendMessageBatch",
    ),
    Answer(
        "a batch with an id twice", batch(entry(1), entry(1)), "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
        "SendMessageBatch",
    ),
    Answer(
        "a batch of which one entry is wrong", batch(entry(1), entry(2, DelaySeconds=901)), (1, ["InvalidParameterValue"]),
        "SendMessageBatch",
    ),
    Answer(
        "a message received too often, and whether its letter names its queue", dead_letter, (0, True),
        "ReceiveMessage: DeadLetterQueueSourceArn", (0, False),
    ),
    Answer("a redrive policy as it is read", redrive_policy, True, "GetQueueAttributes"),
    Answer(
        "letters moved back by SQS from a queue that is nobody's dead-letter queue",
        lambda desk: taken(desk.sqs.start_message_move_task(SourceArn=desk.arn(desk.a_queue()))), "InvalidParameterValue",
        "StartMessageMoveTask: the source has to be a dead-letter queue", "500",
    ),
]
