// Expected failures as Kafka numbers them.
import { expect, it } from "vitest";
import { ErrorCode } from "../generated/kafka/error-codes.ts";
import { errorCodeOf, KafkaError } from "../src/kafka-error.ts";

it("names its code in the message and keeps the cause", () => {
  const cause = new Error("fenced");
  const error = new KafkaError(ErrorCode.NOT_LEADER_OR_FOLLOWER, "session 7 has ended", { cause });
  expect(error.message).toBe("NOT_LEADER_OR_FOLLOWER: session 7 has ended");
  expect(error.cause).toBe(cause);
});

it("says whether clients retry by themselves", () => {
  expect(new KafkaError(ErrorCode.NOT_LEADER_OR_FOLLOWER, "").isRetriable).toBe(true);
  expect(new KafkaError(ErrorCode.TOPIC_ALREADY_EXISTS, "").isRetriable).toBe(false);
});

it("gives anything else the code of a bug", () => {
  expect(errorCodeOf(new KafkaError(ErrorCode.INVALID_REQUEST, ""))).toBe(ErrorCode.INVALID_REQUEST);
  expect(errorCodeOf(new Error("surprise"))).toBe(ErrorCode.UNKNOWN_SERVER_ERROR);
  expect(errorCodeOf("text")).toBe(ErrorCode.UNKNOWN_SERVER_ERROR);
});
