import { expect, it } from "vitest";
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import { KafkaError } from "../../src/kafka-error.ts";
import { type AppendOutcome, PendingAppend } from "../../src/log/append.ts";
import { encodeBatch } from "../../src/records/encode-batch.ts";
import { RecordBatchView } from "../../src/records/record-batch.ts";
import { logOf } from "./sample-extents.ts";

const partition = logOf([], { topicId: "AAAAAAAAAAAAAAAAAAAAAQ" });

class Told {
  readonly outcomes: AppendOutcome[] = [];
  ended(outcome: AppendOutcome): void {
    this.outcomes.push(outcome);
  }
}

function pending(waiter: Told): PendingAppend {
  const batch = new RecordBatchView(encodeBatch([{ timestampMs: 1, key: null, value: null }]));
  return new PendingAppend(partition, batch, { logAppendTimeMs: -1, waiter });
}

it("tells everybody who waits the one outcome, once", () => {
  const first = new Told();
  const copy = new Told();
  const append = pending(first);
  append.tell(copy);
  append.baseOffset = 7;
  append.succeed();
  append.fail(new KafkaError(ErrorCode.NOT_LEADER_OR_FOLLOWER, "too late"));
  const outcome = { baseOffset: 7, logAppendTimeMs: -1, logStartOffset: 0 };
  expect(first.outcomes).toEqual([outcome]);
  expect(copy.outcomes).toEqual([outcome]);
});

it("tells who asks after the end what the others were told", () => {
  const append = pending(new Told());
  const error = new KafkaError(ErrorCode.REQUEST_TIMED_OUT, "nobody knows");
  append.fail(error);
  const late = new Told();
  append.tell(late);
  expect(late.outcomes).toEqual([error]);
});

it("is refused by a log whose topic was deleted, also to who has held it since before", async () => {
  const deleted = logOf([], { topicId: "AAAAAAAAAAAAAAAAAAAAAg" });
  deleted.release();
  const batch = new RecordBatchView(encodeBatch([{ timestampMs: 1, key: null, value: null }]));
  const refused = { code: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION };
  await expect(deleted.append(batch)).rejects.toMatchObject(refused);
  await expect(deleted.moveLogStart(0)).rejects.toMatchObject(refused);
  expect(deleted.hasUncommitted).toBe(false);
});
