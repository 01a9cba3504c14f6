# The confluent-kafka client (librdkafka 2.16) as a program: `produce`, `consume` or `member`, with JSON on standard input
# and output. It ends with 1 and a message when a delivery fails or the records do not come in time.
import json
import signal
import sys
import time

from confluent_kafka import Consumer, KafkaException, Producer


def decode(data):
    return None if data is None else data.decode()


def plain(message):
    headers = [[name, decode(value)] for name, value in message.headers() or []]
    return {"key": decode(message.key()), "value": decode(message.value()), "headers": headers}


def produce(call):
    failures = []
    producer = Producer({
        "bootstrap.servers": call["bootstrap"],
        "compression.type": call["compression"],
        "enable.idempotence": call["isIdempotent"],
        "message.max.bytes": 1048588,
        "acks": "all",
    })
    for record in call["records"]:
        headers = [(name, text.encode()) for name, text in record["headers"]]
        producer.produce(
            call["topic"], key=record["key"], value=record["value"], headers=headers or None,
            on_delivery=lambda error, _: failures.append(str(error)) if error else None)
    if producer.flush(30) > 0 or failures:
        sys.exit("not delivered: %s" % failures)


def group_consumer(call):
    return Consumer({
        "bootstrap.servers": call["bootstrap"],
        "group.id": call["group"],
        "auto.offset.reset": "earliest",
        "check.crcs": True,
        "session.timeout.ms": 6000,
        "heartbeat.interval.ms": 500,
    })


def consume(call):
    consumer = group_consumer(call)
    consumer.subscribe([call["topic"]])
    records = []
    deadline = time.monotonic() + 40
    while len(records) < call["count"] and time.monotonic() < deadline:
        message = consumer.poll(1)
        if message is None:
            continue
        if message.error():
            raise KafkaException(message.error())
        records.append(plain(message))
    consumer.close()
    print(json.dumps(records))


def say(event):
    print(json.dumps(event), flush=True)


def member(call):
    """Consumes until SIGTERM; prints each assignment and each record as a line, then leaves the group."""
    is_leaving = []
    signal.signal(signal.SIGTERM, lambda *_: is_leaving.append(True))
    consumer = group_consumer(call)

    def partitions_of(assignment):
        return sorted(partition.partition for partition in assignment)

    consumer.subscribe(
        [call["topic"]],
        on_assign=lambda _, assignment: say({"assigned": partitions_of(assignment)}),
        on_revoke=lambda _, assignment: say({"revoked": partitions_of(assignment)}))
    while not is_leaving:
        message = consumer.poll(0.2)
        if message is not None and not message.error():
            say({"value": decode(message.value())})
    consumer.close()


def stream(call):
    """Produces prefix-0, prefix-1, ... until SIGTERM; prints each acknowledged value, and each that failed for good."""
    is_ending = []
    signal.signal(signal.SIGTERM, lambda *_: is_ending.append(True))
    producer = Producer({
        "bootstrap.servers": call["bootstrap"],
        "compression.type": "lz4",
        "enable.idempotence": call["isIdempotent"],
        "linger.ms": 5,
        "delivery.timeout.ms": 120000,
        "retry.backoff.max.ms": 500,
        "reconnect.backoff.max.ms": 500,
    })
    out = sys.stdout

    def report(error, message):
        out.write(json.dumps({"failed" if error else "acknowledged": decode(message.value())}) + "\n")

    number = 0
    while not is_ending:
        producer.produce(call["topic"], value="%s-%d" % (call["prefix"], number), on_delivery=report)
        number += 1
        # At most a few thousand are on their way; the pace is what a broker on two busy cores keeps up with.
        producer.poll(0.0005 if len(producer) < 2000 else 0.1)
        if number % 100 == 0:
            out.flush()
    producer.flush(60)
    out.flush()


def spread(call):
    """Produces to every partition in turn at a steady pace until SIGTERM, acknowledged or not. Prints for each record its
    partition, its number there, when it was sent and answered, and its offset or the error."""
    is_ending = []
    signal.signal(signal.SIGTERM, lambda *_: is_ending.append(True))
    producer = Producer({
        "bootstrap.servers": call["bootstrap"],
        "enable.idempotence": True,
        "linger.ms": 5,
        "delivery.timeout.ms": 90000,
        "socket.timeout.ms": call["requestTimeoutMs"],
        "request.timeout.ms": call["requestTimeoutMs"],
        "retry.backoff.ms": 50,
        "retry.backoff.max.ms": 200,
        "reconnect.backoff.ms": 50,
        "reconnect.backoff.max.ms": 200,
    })
    out = sys.stdout

    def report(error, message):
        _, partition, number = message.key().decode().split("/")
        end = time.time() * 1000
        sent = end - (message.latency() or 0) * 1000
        outcome = error.name() if error else message.offset()
        out.write("%s %s %.0f %.0f %s\n" % (partition, number, sent, end, outcome))

    numbers = [0] * call["partitionCount"]
    start = time.monotonic()
    total = 0
    while not is_ending:
        while total < (time.monotonic() - start) * call["recordsPerSecond"]:
            partition = total % len(numbers)
            key = "%s/%d/%d" % (call["prefix"], partition, numbers[partition])
            numbers[partition] += 1
            total += 1
            producer.produce(call["topic"], key=key, value=key * 4, partition=partition, on_delivery=report)
        producer.poll(0.01)
        out.flush()
    producer.flush(60)
    out.flush()


def follow(call):
    """Reads a topic as a member of a group until SIGTERM. Prints each assignment, and of each record where it is, its key
    and when it came."""
    is_leaving = []
    signal.signal(signal.SIGTERM, lambda *_: is_leaving.append(True))
    consumer = Consumer({
        "bootstrap.servers": call["bootstrap"],
        "group.id": call["group"],
        "auto.offset.reset": "earliest",
        "check.crcs": True,
        "auto.commit.interval.ms": 500,
        "fetch.wait.max.ms": 100,
        "reconnect.backoff.ms": 50,
        "reconnect.backoff.max.ms": 200,
    })
    out = sys.stdout
    consumer.subscribe([call["topic"]], on_assign=lambda *_: out.write("assigned\n"))
    while not is_leaving:
        for message in consumer.consume(1000, 0.05):
            if not message.error():
                facts = (message.partition(), message.offset(), message.key().decode(), time.time() * 1000)
                out.write("%d %d %s %.0f\n" % facts)
        out.flush()
    consumer.close()


{"produce": produce, "consume": consume, "member": member, "follow": follow, "spread": spread,
 "stream": stream}[sys.argv[1]](json.loads(sys.stdin.readline()))
