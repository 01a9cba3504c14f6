// What the history takes for an acknowledgement of kafkajs.
import { expect, it } from "vitest";
import { outcomeOf, SENT_NOTHING } from "./clients/record-stream.ts";

it("takes no send of kafkajs for acknowledged that brought no partition's answer", () => {
  expect(outcomeOf([])).toBe(SENT_NOTHING);
  expect(outcomeOf([{ topicName: "orders", partition: 0, errorCode: 0, baseOffset: "7" }])).toBe(7);
});
